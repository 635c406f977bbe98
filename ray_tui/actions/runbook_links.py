"""Where an alert's runbook link leads, and whether what lies there is about that alert."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from ray_tui.analysis import markdown_paper, web_page
from ray_tui.config import Config
from ray_tui.core.errors import BackendError, InputError
from ray_tui.core.ports import Visits
from ray_tui.core.untrusted import line
from ray_tui.step import InputFolder

State = Literal["ok", "missing", "unmatched", "unreachable", "not-checked"]
LONGEST_BYTES = 2_000_000
_ALERTNAME = re.compile(r"\{\{-?\s*(?:\$labels|\.Labels)\.alertname\s*-?\}\}")


@dataclass(frozen=True)
class Resolved:
    """What became of one link. ``path`` is the file, where it is one of ours."""

    state: State
    why: str
    path: Path | None = None
    matched: str = ""
    """The heading, or the file name, that is about the alert."""

    @property
    def resolved(self) -> bool:
        return self.state == "ok"

    @property
    def fails(self) -> bool:
        """Whether it was looked for, and is not there or about something else."""
        return self.state in ("missing", "unmatched", "unreachable")


async def resolve(link: str, alert: str, config: Config, inputs: InputFolder, visits: Visits | None) -> Resolved:
    """Never raises: a link that cannot be checked says so."""
    link = _ALERTNAME.sub(alert, link.strip())
    if not link:
        return Resolved("missing", "the alert names no runbook")
    if "{{" in link:
        return Resolved("not-checked", "its link is made when the alert fires; give it one that stands")
    if re.match(r"https?://", link):
        return await _visited(link, alert, visits)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", link):
        return Resolved("missing", f"{line(link)} is neither an http(s) address nor a path")
    return _in_files(link, alert, config, inputs)


async def _visited(link: str, alert: str, visits: Visits | None) -> Resolved:
    """An answer alone proves nothing: a login page answers too. What it says must be about the alert."""
    if visits is None:
        return Resolved("not-checked", "no [visits] is configured: an http(s) link cannot be followed")
    address, _, anchor = link.partition("#")
    try:
        page = await visits.read(address)
    except BackendError as exc:
        return Resolved("not-checked", line(str(exc)))
    if not page.visit.ok:
        return Resolved("unreachable", line(page.visit.detail) or f"answers {page.visit.status}")
    there = f"answers {page.visit.status}"
    if page.text is None:
        return Resolved("not-checked", f"{there}, but not with text that could be read: look at it yourself")
    try:
        titles, anchors = _headings_of(page.text, page.media_type)
    except InputError as exc:
        return Resolved("not-checked", f"{there}: {line(str(exc))}")
    if not titles:
        return Resolved("not-checked", f"{there}, with no heading to know it by: look at it yourself")
    return _fits(titles, anchors, alert, unquote(anchor))


def _headings_of(text: str, media_type: str) -> tuple[Sequence[str], set[str]]:
    if "html" in media_type:
        found = web_page.headings(text)
        return found.titles, found.anchors
    return _titles(markdown_paper.read(text.encode(), "the page")), set()


def folders(config: Config) -> tuple[Path, ...]:
    """Where runbooks may lie, and nowhere else: the runbook folders."""
    return tuple((config.folder / folder).resolve() for folder in config.paths.runbooks)


def _candidates(path: str, config: Config) -> Iterator[Path]:
    yield config.folder / path
    for folder in folders(config):
        yield folder / path


def _in_files(link: str, alert: str, config: Config, inputs: InputFolder) -> Resolved:
    path, _, anchor = unquote(link).partition("#")
    roots = (config.folder.resolve(), *folders(config))
    for candidate in _candidates(path, config):
        try:
            found = candidate.resolve()
            if not found.is_file():
                continue
        except (OSError, ValueError, RuntimeError):  # a name that no file system takes, a loop of links
            continue
        if not any(found.is_relative_to(root) for root in roots):
            return Resolved("missing", f"{line(link)} leads outside the runbook folders")
        return _about(found, alert, anchor, inputs)
    looked = ", ".join(config.paths.runbooks)
    return Resolved("missing", f"there is no {line(path)} here or in {looked}")


def _about(path: Path, alert: str, anchor: str, inputs: InputFolder) -> Resolved:
    try:
        paper = markdown_paper.read(inputs.read(path, limit=LONGEST_BYTES), path.name)
    except InputError as exc:
        return Resolved("unmatched", line(str(exc)), path)
    return _fits(_titles(paper), set(), alert, anchor, path)


def _titles(paper: markdown_paper.Paper) -> list[str]:
    return [part.title for part in paper.parts if part.title]


def _fits(titles: Sequence[str], anchors: set[str], alert: str, anchor: str, path: Path | None = None) -> Resolved:
    """Whether these headings are about the alert, and the section that the link names is there."""
    there = anchors | {slug(title) for title in titles}
    if anchor and anchor.lower() not in there:
        return Resolved("unmatched", f"it has no section #{line(anchor, 100)}", path)
    wanted = letters(alert)
    heading = next((title for title in titles if wanted and wanted in letters(title)), "")
    if heading:
        return Resolved("ok", f"section {heading!r}", path, heading)
    if path is not None and letters(path.stem) == wanted:
        return Resolved("ok", "named after the alert", path, path.name)
    if anchor:
        return Resolved("ok", f"section #{line(anchor, 100)}", path, anchor)
    return Resolved("unmatched", f"no heading is about {alert}", path)


def letters(text: str) -> str:
    """A name by its letters and digits only, in one case: ``High error ratio`` is ``HighErrorRatio``."""
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def slug(title: str) -> str:
    """A heading's anchor, as GitHub writes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


def writable(path: Path, config: Config) -> bool:
    """Whether signals may be written into it: a Markdown file of the repository or of a runbook folder."""
    roots: Sequence[Path] = (config.folder.resolve(), *folders(config))
    return path.suffix.lower() in (".md", ".markdown") and any(path.is_relative_to(root) for root in roots)

"""What a web page is about: the headings and anchors of its HTML, as a person who opens it finds them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from ray_tui.core.untrusted import line

HEADINGS = frozenset({"title", "h1", "h2", "h3", "h4", "h5", "h6"})


@dataclass
class Headings:
    """``titles`` in order, the page's own first where it has one; ``anchors`` are ids and names, in lower case."""

    titles: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


def headings(html: str) -> Headings:
    """Never raises: what is no HTML has none."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Headings()
        self._inside = ""
        self._said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.anchors |= {value.lower() for name, value in attrs if name in ("id", "name") and value}
        if tag in HEADINGS:
            self._inside, self._said = tag, []

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._said.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            title = line(" ".join("".join(self._said).split()), 200)
            self.found.titles += [title] if title else []
            self._inside = ""

"""What Debian's Prometheus makes of our rule files, held against what we wrote: its own spelling is no difference."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ray_tui.actions.loaded_rules import RuleFile, differences
from ray_tui.analysis import rule_files, slo
from ray_tui.backends.prometheus import loaded_rule
from ray_tui.core.errors import InputError
from ray_tui.core.ports import LoadedRule
from ray_tui.demo.rules import rule_file
from ray_tui.demo.workspace import CHECKOUT_SLO, RELEASE_RULES
from tests.real.systems import require_binaries

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _prometheus_is_there() -> None:
    require_binaries("prometheus")


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Its address; it loads folder/rules."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (folder / "prometheus.yml").write_text(f'rule_files: ["{folder}/rules/*.yml"]\n')
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
               f"--web.listen-address={address}"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def loaded(folder: Path, files: list[RuleFile]) -> list[LoadedRule]:
    (folder / "rules").mkdir()
    for file in files:
        (folder / "rules" / file.name).write_text(file.text)
    wanted, deadline = sum(len(file.groups) for file in files), time.monotonic() + 20
    with prometheus(folder) as url:
        while time.monotonic() < deadline:
            try:
                groups = httpx.get(f"{url}/api/v1/rules", timeout=20, trust_env=False).json()["data"]["groups"]
            except (httpx.HTTPError, ValueError):
                groups = []
            if len(groups) == wanted:
                return [loaded_rule(group, rule) for group in groups for rule in group["rules"]]
            time.sleep(0.1)
    raise AssertionError(f"not {wanted} groups within 20 s, but {len(groups)}")


def ours() -> list[RuleFile]:
    """The demo's rules before the release, the release's, and the SLO's generated ones."""
    texts = {"shop.yml": rule_file(), "release.yml": RELEASE_RULES}
    texts["slo.yml"] = rule_files.render(slo.generate(slo.load(CHECKOUT_SLO).slos))
    return [RuleFile(name, text, rule_files.parse(text, name), name) for name, text in texts.items()]


def corpus() -> list[RuleFile]:
    """Every rule file and SLO spec there that we take."""
    found: list[RuleFile] = []
    for path in sorted([*(CORPUS / "rules").rglob("*.y*ml"), *(CORPUS / "slo").rglob("*.y*ml")]):
        text = path.read_text(encoding="utf-8")
        groups: tuple[rule_files.Group, ...] = ()
        for read in (rule_files.parse, lambda content, source: slo.generate(slo.load(content, source).slos)):
            try:
                groups = groups or read(text, path.name)
            except InputError:
                continue
        if any(group.rules for group in groups):
            found.append(RuleFile(f"{len(found)}.yml", rule_files.render(groups), groups, str(path)))
    return found


def test_what_prometheus_says_of_the_demos_rules_is_what_we_wrote(tmp_path: Path) -> None:
    """Generated SLO rules included; and one changed number is found."""
    files = ours()
    found = loaded(tmp_path, files)

    assert differences(files, found) == ()
    for number, rule in enumerate(found):
        if rule.kind == "alerting" and "> 0.05" in rule.query:
            found[number] = replace(rule, query=rule.query.replace("> 0.05", "> 0.5"))
            break
    (said,) = differences(files, found)
    assert "the loaded expression is another one" in said


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_hundreds_of_other_peoples_rules_compare_equal_after_prometheus_has_printed_them(tmp_path: Path) -> None:
    """Its spelling of numbers, durations, brackets and labels is never taken for a change."""
    files = corpus()
    found = loaded(tmp_path, files)
    assert len(found) > 500
    assert differences(files, found) == ()

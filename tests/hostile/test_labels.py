"""Names and labels that carry escapes, markup, bidi marks and 200,000 characters: shown as text, never obeyed."""

import json

import pytest

from tests.hostile.world import no_raw_control_in, no_secret_in, repo_is_sound

EVIL = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b31m\r\n\u202eevil\u2066\u200b[bold red]x[/][@click=app.quit]q[/] \ufeff\0 `"
LONG = EVIL + "x" * 200_000
KEYS = {"instance", "job", "version", "html_url", "summary", "name", "description", "title", "real_name", "error"}


def poisoned(value, evil, kept=("status", "resultType", "id", "user_id", "ok", "url")):
    """A copy of decoded JSON in which texts that mean nothing to a machine have become hostile, and one label more."""
    if isinstance(value, list):
        return [poisoned(one, evil, kept) for one in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, inner in value.items():
        if key in KEYS and isinstance(inner, str) and key not in kept:
            out[key] = f"{inner} {evil}"
        else:
            out[key] = poisoned(inner, evil, kept)
        if key in ("metric", "stream", "labels") and isinstance(inner, dict):
            out[key] = {**out[key], "hostile": evil, f"k{evil[:40]}": evil}
            evil = EVIL
    return out


@pytest.mark.parametrize(
    ("evil", "servers"),
    [
        (EVIL, ("prometheus", "loki", "tempo")),
        (EVIL, ("pagerduty", "slack", "am0", "am1", "grafana")),
        (LONG, ("loki", "pagerduty")),
    ],
    ids=["telemetry", "people", "long"],
)
def test_hostile_texts_are_never_written_raw(world, repo, evil, servers):
    """The run comes to a verdict; no raw control stands in journal, evidence, output or error output."""
    for server in servers:
        world.fronts[server].rewrite = lambda value: poisoned(value, evil)
    done = repo.run(seconds=60)
    assert done.code in (0, 1, 3), done.said
    assert "ray-tui itself failed" not in done.said, done.err[-3000:]
    assert done.summary["verdicts"].get("prerequisites") == "passed", done.summary["why"]
    no_raw_control_in(done, repo)
    no_secret_in(done, repo)
    assert max(len(line) for line in done.err.splitlines()) < 20_000
    assert len(repo.journal()) < 20_000_000
    world.clear()
    repo_is_sound(repo)


def test_hostile_papers_are_never_written_raw(repo):
    """The same texts inside the user's own papers. (P22)"""
    path = repo.deployment / "post-deployment-validation.json"
    paper = json.loads(path.read_text())
    paper["summary"] = paper["note"] = EVIL
    for service in paper.get("services", []):
        if isinstance(service, dict):
            service["description"] = EVIL
    path.write_text(json.dumps(paper))
    report = repo.deployment / "DEPLOYMENT-REPORT.md"
    report.write_text(
        report.read_text() + f"\n## Notes\n\n{EVIL}\n\n| a | b |\n|---|---|\n| {EVIL!r} | [x](javascript:1) |\n"
    )
    done = repo.run()
    assert done.code in (1, 3)
    assert "ray-tui itself failed" not in done.said
    no_raw_control_in(done, repo)

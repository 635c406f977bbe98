"""Names and labels that carry escapes, markup, bidi marks and 200,000 characters: shown as text, never obeyed."""

import json

from tests.hostile.world import Repo, World, no_raw_control_in, no_secret_in, repo_is_sound

EVIL = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b31m\r\n\u202eevil\u2066\u200b[bold red]x[/][@click=app.quit]q[/] \ufeff\0 `"
LONG = EVIL + "x" * 200_000
KEYS = {"instance", "job", "version", "html_url", "summary", "name", "description", "title", "real_name", "error"}


def poisoned(value, evil, kept=("status", "resultType", "id", "user_id", "ok", "url")):
    """A copy of decoded JSON in which texts that mean nothing to a machine have become hostile, and one label more."""
    if isinstance(value, list):
        names = bool(value) and all(isinstance(one, str) for one in value)  # values of a label: services, say
        return [poisoned(one, evil, kept) for one in value] + ([evil] if names else [])
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


def reached(repo):
    """Whether a hostile text stands in the journal or the evidence, in its visible form."""
    kept = [
        path for path in repo.run_folder().rglob("*") if path.is_file() and path.suffix in (".jsonl", ".json", ".md")
    ]
    return any("evil" in path.read_text(encoding="utf-8") for path in kept)


def test_hostile_telemetry_is_never_written_raw(world, repo):
    """Labels, lines and spans of 200,000 hostile characters: phase 1 comes to its verdicts, no raw control anywhere."""
    _never_raw(world, repo, LONG, ("prometheus", "loki", "tempo"))


def test_hostile_people_and_alerts_are_never_written_raw(tmp_path):
    """Names of people, policies and incidents, through the test pages of 2.2 to its evidence."""
    with World(tmp_path / "demo") as world:
        repo = Repo.copy(world, tmp_path / "repo")
        repo.answer_everything(world)
        repo.edit(("poll_seconds = 0.4", "poll_seconds = 2.0"))  # megabytes each time, and each time the same
        _never_raw(world, repo, LONG, ("pagerduty", "slack", "am0", "am1"))


def _never_raw(world, repo, evil, servers):
    for server in servers:
        world.fronts[server].rewrite = lambda value: poisoned(value, evil)
    done = repo.run(seconds=90)
    assert done.code in (0, 1, 3), done.said
    assert "ray-tui itself failed" not in done.said, done.err[-3000:]
    assert done.summary["verdicts"].get("prerequisites") == "passed", done.summary["why"]
    assert reached(repo), "no hostile text came as far as the record: this test tried nothing"
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

"""Papers that are missing, broken, contradictory, huge or no files at all: a verdict names them, and nothing hangs."""

import os

import pytest

from tests.hostile.world import program, repo_is_sound

VALIDATION = "post-deployment-validation.json"
REPORT = "DEPLOYMENT-REPORT.md"
STAGING = "staging-test-results.json"
BIG = 50 * 1024 * 1024


def missing(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def blank(path):
    path.write_bytes(b" \n\t\n")


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def binary(path):
    path.write_bytes(bytes(range(256)) * 40)


def nul(path):
    path.write_bytes(b"\0" * 4096)


def deep(path):
    path.write_bytes(b'{"release":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def deep_objects(path):
    path.write_bytes(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)


def a_list(path):
    path.write_bytes(b"[1, 2, 3]")


def not_a_number(path):
    path.write_bytes(path.read_bytes().replace(b"{", b'{"x": NaN, ', 1))


def twice_a_key(path):
    path.write_bytes(path.read_bytes().replace(b"{", b'{"release": "checkout-v9", ', 1))


def big(path):
    with path.open("ab") as file:
        file.write(b" " * BIG)


def folder(path):
    path.unlink()
    path.mkdir()


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path.name)


def dangling(path):
    path.unlink()
    path.symlink_to("/nowhere/at/all")


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def other_release(path):
    path.write_bytes(path.read_bytes().replace(b"checkout-v2.4.1", b"checkout-v2.3.9"))


def second_copy(path):
    there = path.parents[1] / "monitoring"
    there.mkdir(exist_ok=True)
    (there / path.name).write_bytes(path.read_bytes())


JSON_ONLY = (truncated, deep, deep_objects, a_list, not_a_number, twice_a_key)
ANY = (
    missing, empty, blank, binary, nul, big, folder, fifo, loop, dangling, device, other_release, second_copy,
)  # fmt: skip
PAIRS = [*list(zip((*JSON_ONLY, *ANY), (*ANY[5:], *JSON_ONLY, *ANY[:5]), strict=True))[::2], (second_copy, missing)]
WORDS = {
    missing: "missing", empty: "empty", truncated: "cut off", binary: "not text", big: "limit", folder: "folder",
    fifo: "FIFO", loop: "symbolic link", dangling: "symbolic link", device: "device", second_copy: "2 times",
    other_release: "checkout-v2.3.9", twice_a_key: "twice", not_a_number: "NaN", deep: "deep", deep_objects: "deep",
}  # fmt: skip


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda value: value.__name__)
def test_a_ruined_paper_halts_the_run_and_is_named(repo, first, second):
    """Exit 1, each file and what to do are said, the journal is whole, memory is bounded, nothing hangs. (P24)"""
    first(repo.deployment / VALIDATION)
    second(repo.deployment / STAGING)
    if second in ANY:
        second(repo.deployment / REPORT)
    done = repo.run(seconds=20)
    assert done.code == 1, done.said
    assert done.summary["halted_at"] == "prerequisites"
    for name, ruin in ((VALIDATION, first), (STAGING, second), *([(REPORT, second)] if second in ANY else [])):
        found = repo.criteria()[f"prerequisites.artifact:{name}"]
        assert found.verdict.value == "failed"
        assert name in f"{found.title} {found.actual}"
        assert found.remedy
        assert WORDS.get(ruin, "") in found.actual, found.actual
        assert found.actual[:200] in done.err
    assert done.peak_kib < 220 * 1024
    assert repo.state().halt is not None


@pytest.mark.parametrize("ruin", [missing, fifo], ids=lambda value: value.__name__)
def test_prerequisites_alone_says_the_same(repo, ruin):
    """`ray-tui prerequisites --json` has the same verdict and code as the run's first step."""
    ruin(repo.deployment / VALIDATION)
    done = program("prerequisites", "--json", "--config", repo.config, "--answers", repo.answers, seconds=20)
    assert done.code == 1, done.said
    found = {one["id"]: one for one in done.summary["criteria"]}[f"prerequisites.artifact:{VALIDATION}"]
    assert found["verdict"] == "failed"
    assert found["remedy"]
    assert done.peak_kib < 220 * 1024


def test_every_paper_ruined_at_once_is_named_one_by_one(repo):
    """One halt lists them all, and a run that is begun after they are mended goes on. (P24)"""
    kept = {path: path.read_bytes() for path in repo.deployment.iterdir()}
    for path in kept:
        binary(path)
    done = repo.run()
    assert done.code == 1
    for path in kept:
        if f"prerequisites.artifact:{path.name}" in repo.criteria():
            assert path.name in done.summary["why"]
    for path, data in kept.items():
        path.write_bytes(data)
    repo_is_sound(repo)
    again = repo.run("--anew")
    assert again.summary["verdicts"]["1.3"] == "passed"


def test_ruined_optional_papers_are_warnings(repo):
    """What is optional never halts and never hangs; each is said."""
    ruined = {"quality-audit-summary.json": fifo, "observability-baseline.md": loop}
    for name, ruin in ruined.items():
        path = repo.deployment / name
        path.unlink(missing_ok=True)
        path.write_text("{}")
        ruin(path)
    done = repo.run(seconds=20)
    assert done.summary["verdicts"]["prerequisites"] == "passed", done.said
    for name in ruined:
        assert name in repo.state().steps["prerequisites"].summary
    assert done.peak_kib < 220 * 1024


@pytest.mark.parametrize("ruin", [fifo, binary, big, folder], ids=lambda value: value.__name__)
def test_a_ruined_answers_file_is_a_usage_error(repo, ruin):
    """Exit 2 before any run is opened; the file is named."""
    ruin(repo.answers)
    done = repo.run(seconds=20)
    assert done.code == 2, done.said
    assert "answers.toml" in done.err
    assert repo.run_folder() is None
    assert done.peak_kib < 220 * 1024

"""The README says what is there: commands, exit codes, files and the two commands that must work."""

import re
from pathlib import Path

from ray_tui.cli import said
from ray_tui.core import views
from tests.cli.commands import commands

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    table = README.split(f"{heading}\n", 1)[1].split("\n|---", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def test_the_two_commands_stand_there_to_the_letter():
    """A reader who copies them gets a demo, and a test run."""
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/ray-tui demo\n" in README
    assert "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest\n" in README


def test_the_table_of_commands_is_complete():
    """Every command, and none that there is not."""
    listed = [row[0].strip("`").split()[1:] for row in rows("### Commands")]
    assert sorted(map(tuple, listed)) == sorted([(), *commands()])


def test_the_exit_codes_are_those_of_the_program():
    """The table, the command line and the views agree."""
    listed = [row[0] for row in rows("### Exit codes")]
    codes = (said.PASSED, said.FAILED, said.USAGE, said.INCONCLUSIVE, said.TAMPERED, said.ABORTED)
    assert listed == [*map(str, codes), "129, 130, 143"]
    assert (views.TAMPER_CODE, views.ABORTED_CODE) == (said.TAMPERED, said.ABORTED)


def test_every_file_that_is_named_is_there():
    """Links lead somewhere; pictures excepted, as they are made from the program."""
    links = [link for link in re.findall(r"\]\(([^)#:]+)\)", README) if not link.startswith("docs/screenshots/")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    tree = README.split("## The tree", 1)[1].split("```")[1]
    named = re.findall(r"\b[a-z_]+(?:\.py|/)", tree.split("themes/")[0])
    lost = [name for name in named if name != "ray_tui/" and not (ROOT / "ray_tui" / name).exists()]
    assert lost == []


def test_the_answers_file_of_the_readme_is_one():
    """Copied as it stands, it is accepted."""
    import tomllib

    from ray_tui.core.answers import Answers

    text = README.split("```toml\n", 1)[1].split("```", 1)[0]
    assert Answers.model_validate(tomllib.loads(text)).waivers[0].days == 3


def test_every_decision_has_its_four_parts():
    """Context, choice, cost, and what would change our mind."""
    notes = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert len(notes) >= 10
    for note in notes:
        text = note.read_text(encoding="utf-8")
        parts = ("**Context.**", "**Choice.**", "**Cost.**", "**What would change our mind.**")
        assert [part for part in parts if part not in text] == [], note.name

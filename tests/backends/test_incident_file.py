"""Incidents from a file: both formats mean the same, and every complaint names the file and the line."""

import json
from pathlib import Path

import pytest

from ray_tui.backends import Opening, open_backend, settings_model
from ray_tui.clock import Clock
from ray_tui.core.errors import BackendRefused

CSV = """id,service,started_at,ended_at,title,severity,alert_keys,owner
I-1,checkout,2026-11-20T10:00:00Z,2026-11-20T10:30:00Z,"Slow, very",critical,k1; k2,ann
I-2,payments,1795255200,,"Two
lines",warning,,bob
"""


def incidents(path: Path):
    settings = settings_model("incidents", "file")(kind="file", path=path.name)
    return open_backend("incidents", settings, Opening(Clock(), jitter=lambda: 0.0, config_folder=path.parent))


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


async def test_a_csv_file_is_read_with_its_line_numbers(tmp_path: Path):
    """Quoted commas and line breaks, both kinds of time, a list of keys, and where each one stood."""
    port = incidents(written(tmp_path, "past.csv", CSV))
    assert (await port.health()).ok

    one, two = await port.between(0, 2e9)

    assert (one.id, one.service, one.title, one.alert_keys) == ("I-1", "checkout", "Slow, very", ("k1", "k2"))
    assert (one.source, two.source) == ("past.csv:2", "past.csv:3")
    assert one.ended_at - one.started_at == 1800
    assert (two.started_at, two.ended_at) == (1795255200.0, None)


@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_json_file_is_read_with_its_line_numbers(tmp_path: Path, wrapped: bool):
    """A bare list and {"incidents": [...]} mean the same."""
    rows = [{"id": n, "service": "s", "started_at": "2026-11-20T10:00:00+01:00", "alert_keys": ["k"]} for n in (1, 2)]
    text = json.dumps({"made_by": [1], "incidents": rows} if wrapped else rows, indent=1)
    port = incidents(written(tmp_path, "past.json", text))

    found = await port.between(0, 2e9)

    lines = [number for number, line in enumerate(text.splitlines(), 1) if '"id"' in line]
    assert [one.source for one in found] == [f"past.json:{number - 1}" for number in lines]
    assert [one.alert_keys for one in found] == [("k",), ("k",)]


async def test_only_incidents_that_overlap_the_window_are_given(tmp_path: Path):
    """Ended before, and begun after, are left out; an open one reaches into every later window."""
    port = incidents(written(tmp_path, "past.csv", CSV))
    assert [one.id for one in await port.between(1795300000, 1795400000)] == ["I-2"]
    assert await port.between(0, 1000) == ()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "id,service\nI,s\n", r"a\.csv:1: has no column started_at"),
        ("a.csv", CSV + "I-3,s,yesterday,,,,,\n", r"a\.csv:5: started_at 'yesterday' is no time"),
        ("a.csv", CSV + "I-3,s\n", r"a\.csv:5: has not 8 fields"),
        ("a.csv", CSV + ",s,1,,,,,\n", r"a\.csv:5: has no id"),
        ("a.csv", CSV + "I-3,s,1000,999,,,,\n", r"a\.csv:5: ended_at is before started_at"),
        ("a.csv", CSV + "I-3,s,nan,,,,,\n", r"a\.csv:5: started_at is no time"),
        ("a.json", '[\n{"id": 1,\n]', r"a\.json:3: is no JSON"),
        ("a.json", '{"x": 1}', "holds no list of incidents"),
        ("a.json", '[\n\n{"id": "1", "service": "s"}]', r"a\.json:3: has no started_at"),
        ("a.json", "[\n 5]", r"a\.json:2: is no object"),
        ("a.json", "[" * 3000, "no JSON"),
    ],
)
async def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, name: str, text: str, said: str):
    """The first thing wrong ends the reading, with file and line."""
    port = incidents(written(tmp_path, name, text))
    with pytest.raises(BackendRefused, match=said):
        await port.between(0, 2e9)
    assert not (await port.health()).ok


async def test_a_missing_or_undecodable_file_is_refused(tmp_path: Path):
    """Neither is an empty history."""
    with pytest.raises(BackendRefused, match="cannot be read"):
        await incidents(tmp_path / "none.csv").between(0, 1)
    (tmp_path / "latin.csv").write_bytes(b"id,service,started_at\n1,caf\xe9,1\n")
    with pytest.raises(BackendRefused, match=r"latin\.csv:2: is not UTF-8"):
        await incidents(tmp_path / "latin.csv").between(0, 1)

"""Every screen and dialog at three sizes in three themes: what it must say, then its picture as text and colours.

``RAY_TUI_UPDATE_PICTURES=1 pytest tests/tui/test_pictures.py`` writes the pictures anew; read the difference before it
is committed.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from ray_tui.core import facts as f
from ray_tui.core import plan
from ray_tui.core.commands import RunStep
from ray_tui.core.handle import Link, Marker
from ray_tui.core.verdicts import Verdict
from ray_tui.tui.screens import ask, decide, read
from tests.tui.fake_handle import T0, FakeHandle, FakeTransport, failed, late_run, live_values, mid_run, until
from tests.tui.on_screen import console, text_of

PICTURES = Path(__file__).parent / "pictures"
SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("ray-dark", "ray-light", "ansi-16")
UPDATE = bool(os.environ.get("RAY_TUI_UPDATE_PICTURES"))
CRITERIA = (
    failed("alert_paths.ack:slack-release", "slack-release is acknowledged in time", "not within 300 s",
           required="within 300 s", remedy="find out who reads #release", evidence=("alert-test-results.json",)),
    failed("alert_paths.clock", "Clocks agree", "could not be read", Verdict.ERROR),
)  # fmt: skip
HALT = (
    f.StepFinished(step="2.2", verdict=Verdict.FAILED, summary="1 of 4 not proven", criteria=CRITERIA),
    f.Halted(step="2.2", reason="slack-release was late", criteria=("alert_paths.ack:slack-release",)),
    f.WaiverProposed(
        id="W1", criterion="alert_paths.ack:slack-release", step="2.2", reason="nobody reads it at night",
        operator="mira", expires_at=T0 + 7 * 86_400, evidence_sha256="e" * 64, ticket="OPS-7",
    ),
)  # fmt: skip
PAGES = [{"count": 2, "level": 1, "person": "Mira Okafor", "receiver": "pd-checkout", "until": None},
         {"count": 1, "level": 2, "person": "Tom Brandt", "receiver": "pd-checkout", "until": None}]  # fmt: skip


def asked(prompt, **more):
    return f.PromptRaised(
        id="q#1:x", step="2.2", prompt=prompt, **{"title": f"A {prompt}", "text": "Shall we?", **more}
    )


def screens():
    """name, keys to press from the overview, and what must be read there."""
    yield "overview", "0", ("must ack pd-payments: 3:48 left of 5:00", "G1 ✓ 97.4%", "Events")
    yield "phase-1", "1", ("1.2 Coverage", "38/39", "search")
    yield "phase-2", "2", ("pd-checkout", "acked 41s by Priya")
    yield "phase-3", "3", ("3.1 Schedule", "waiting")
    yield "phase-4", "4", ("handoff", "All prerequisites were met")
    yield "log", "5", ("mail-audit (escalation) delivered",)


def dialogs(app):
    """name, the dialog, and what must be read in it."""
    width, view = app.desk.width, app.view()
    view.state.opened = view.state.opened.but(thresholds={"coverage": 0.95, "ack_sla_seconds": 300.0})
    diff = "--- a.yml (now)\n+++ a.yml (planned)\n@@ -1 +1 @@\n-old: 1\n+new: 2"
    prompts = {
        "confirm": (asked("confirm", text="+ rules a.yml: new", data={"diff": diff}), ("+new: 2", "Yes  go on")),
        "typed": (asked("typed", expects="page Mira Okafor", data={"pages": PAGES}), ("at most 3 pages", "Tom Brandt")),
        "approve": (asked("approve", roles=("sre-lead",), data={"subject": "package", "sha256": "ab" * 32,
                    "role": "sre-lead", "release": "v2.4.1"}), ("subject  package", "approve as sre-lead")),
        "choose": (asked("choose", options=("reject", "file", "later")), ("nothing changes", "later")),
        "edit": (asked("edit", data={"text": "### Updated Signals\n- Alert: X", "runbooks": ["a.md"]}), ("Updated",)),
    }  # fmt: skip
    for name, (raised, wanted) in prompts.items():
        yield name, ask.dialog_for(view, raised, width), wanted
    waits = ask.waiting_dialog(view.but(person="sam"), prompts["approve"][0], width)
    yield "waiting", waits, ("waiting for mira or jo (sre-lead)",)
    yield "halt", decide.halt_dialog(view, width), ("2 of 2 criteria block", "Retry", "Abort")
    yield "retry", decide.retry_dialog(view, "2.2", width), ("attempt 2", "No")
    yield "waive", decide.WaiveDialog(view, "2.2", width), ("Which criterion?", "reason")
    yield "manual", decide.ManualDialog(view, "2.2", width), ("what you saw",)
    yield (
        "confirm-waiver",
        decide.confirm_waiver_dialog(view, [view.state.proposed["W1"]], width),
        ("OPS-7", "nobody reads"),
    )
    yield "note", decide.note_dialog(view, width), ("journal",)
    yield "abort", decide.abort_dialog(width), ("type  abort",)
    yield "mission", read.mission_dialog(width, demo=True), ("[CRITICAL]", "This is a demo")
    yield "themes", read.theme_dialog(app.theme_names, "ray-dark"), ("ray-dark",)
    yield "help", read.help_dialog({}, [], view, width), ("phase 1",)
    from ray_tui.tui.about import about

    for target in ("service:search", "probe:7f3a-a1-1", "step:2.2", "data:1.3/kpis/0", f"step:{plan.GATES[0].id}"):
        title, lines = about(view, target, width)
        name = "why-" + "".join(char if char.isalnum() else "-" for char in target)
        yield name, read.detail_dialog(title, lines, target), (title[:20],)


def palette(app):
    """How many characters have which colours: the picture's other half."""
    cells: Counter[str] = Counter()
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style
            inked = len(segment.text.replace(" ", ""))
            if style is None or not inked:
                continue
            front = style.color.name if style.color else "default"
            back = style.bgcolor.name if style.bgcolor else "default"
            cells[f"{front} on {back}{' bold' if style.bold else ''}"] += inked
    return [f"  {count:>5}  {name}" for name, count in sorted(cells.items())]


async def settled(app, pilot):
    """The text of a screen that has stopped changing."""
    last = ""

    def same():
        nonlocal last
        now = text_of(app)
        still, last = now == last, now
        return still

    app.repaint()
    await pilot.pause()
    await until(same, "a still screen")
    return last


async def taken(app, pilot, name, size, wanted):
    """The picture as it is: text, then the colours of each theme. Facts first."""
    text = await settled(app, pilot)
    for part in wanted:
        assert part in text, f"{name} at {size}: {part!r} is not on the screen:\n{text}"
    parts = [text]
    for theme in THEMES:
        app.theme = theme
        assert await settled(app, pilot) == text, f"{name} at {size}: {theme} changes the words"
        parts += [f"--- {theme}", *palette(app)]
    app.theme = THEMES[0]
    return "\n".join(line.rstrip() for line in "\n".join(parts).split("\n")) + "\n"


def comparing(size, different):
    """Compares a picture with the stored one, or stores it."""

    def compare(name, picture):
        path = PICTURES / f"{size[0]}x{size[1]}" / f"{name}.txt"
        if UPDATE:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(picture, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != picture:
            different.append(f"{path.name}:\n{picture}")

    return compare


LATE = (
    ("late-overview", ("0",), ("G1 ✓ 97.4%",)),
    ("late-phase-3", ("3",), ("CartHighErrorRatio", "> 0.0653 for 2m", "✓ accepted")),
    ("late-phase-4", ("4",), ("handoff", "Gate 4")),
    ("late-zoom-3", ("3", "z"), ("SLO attainment: checkout/requests", "99.970% over 30 days", "✗ below")),
    ("late-zoom-4", ("4",), ("journal.jsonl", "abababababab")),
    ("late-jump", ("z", "1", "f"), ("go there and open it",)),
    ("late-filter", ("escape", "/", *"signed", "enter"), ("Events with 'signed'",)),
)  # fmt: skip
"""Name, the keys to press after those before, what must be read there: a run whose later phases have data."""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_later_phases_with_data_and_other_layouts_look_as_they_did(size):
    """Phases 3 and 4 full, zoomed, with letters to jump to and a filtered log; and a terminal that is too small."""
    different = []
    compare = comparing(size, different)
    handle = FakeHandle(*late_run())
    async with console(handle, size, theme=THEMES[0]) as (app, pilot):
        for name, keys, wanted in LATE:
            await pilot.press(*keys)
            compare(name, await taken(app, pilot, name, size, wanted))
        small = (size[0] // 2, size[1] // 3)
        await pilot.resize_terminal(*small)
        if small[0] < 60 or small[1] < 20:
            compare("late-too-small", await taken(app, pilot, "late-too-small", small, ("the console needs",)))
    assert not different, f"{len(different)} pictures differ; the first is now:\n{different[0]}"


def moments():
    """Name, the handle of a run at that moment, and what must be read there."""
    done = f.RunCompleted(boxes={}, next_command=plan.NEXT_PROTOCOL)
    markers = (Marker(10, 10, "action", "1.1 Review", "1.1"), Marker(40, 40, "gate", "✓ G1", "gate.instrumentation"))
    transport = FakeTransport(markers=markers, at=50)
    yield "replay", FakeHandle(*mid_run(), transport=transport), ("REPLAY", "0:50 / 5:00", "q close")
    yield "finished", FakeHandle(*late_run(), done), ("✓ WATCHED", "nothing: protocol complete", "q leave")
    yield "aborted", FakeHandle(*mid_run(), f.RunAborted(reason="rolled back")), ("✗ ABORTED", "aborted: rolled back")
    lost = FakeHandle(*mid_run())
    lost.link = Link.LOST
    yield "link-lost", lost, ("LOST, retrying", "the run goes on")
    silent = FakeHandle(*mid_run())
    silent.link, silent.silent_seconds, silent.unanswered = Link.SILENT, 12.0, 1
    yield "link-silent", silent, ("SILENT 12 s",)
    asks = asked("approve", roles=("sre-lead",), data={"subject": "package", "role": "sre-lead"})
    watches = FakeHandle(*mid_run()[:-1], asks, read_only=True, person="jo")
    yield "observer", watches, ("READ-ONLY", "A approve")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_replay_end_lost_link_and_observer_look_as_they_did(size):
    """The overview at the moments that change who may do what: over, far away, or only watched."""
    different = []
    compare = comparing(size, different)
    for name, handle, wanted in moments():
        async with console(handle, size, theme=THEMES[0]) as (app, pilot):
            await pilot.press("0")
            compare(f"moment-{name}", await taken(app, pilot, name, size, wanted))
    assert not different, f"{len(different)} pictures differ; the first is now:\n{different[0]}"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_and_dialog_looks_as_it_did(size):
    """At this size each screen and dialog says what it must, and its picture in three themes is the stored one."""
    different = []
    compare = comparing(size, different)
    handle = FakeHandle(*mid_run())
    handle.read(*live_values())
    async with console(handle, size, theme=THEMES[0]) as (app, pilot):
        await until(lambda: len(app.gauges.series) == 3 and app._reading_timer is None, "the live values")
        for name, key, wanted in screens():
            await pilot.press(key)
            compare(name, await taken(app, pilot, name, size, wanted))
        await pilot.press("0")
        app.desk.later |= {f"halt:{handle.seq + 2}", "waiver:W1"}  # before they come: they would open by themselves
        handle.feed(*HALT)
        await until(lambda: app.state.halt is not None and app.state.proposed, "the halt")
        await until(lambda: app._paint_timer is None and not app.busy, "the console")
        for name, dialog, wanted in dialogs(app):
            dialog.key = ""
            app.open_dialog(dialog)
            await until(lambda top=dialog: app.screen is top and top.is_mounted and not app._opening, name)
            compare(name, await taken(app, pilot, name, size, wanted))
            dialog.dismiss(None)
            await until(lambda: app.screen is app.console_screen, "the console again")
    assert not different, f"{len(different)} pictures differ; the first is now:\n{different[0]}"
    assert RunStep(step="2.2") not in handle.submitted
    assert handle.submitted == []


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_palette_looks_as_it_did(size):
    """It is Textual's, and takes the theme in which it is opened."""
    different, parts = [], []
    for theme in THEMES:
        async with console(FakeHandle(*mid_run()), size, theme=theme) as (app, pilot):
            await pilot.press("ctrl+p", *"waive")
            await until(lambda: "needs a second person" in text_of(app), "what was searched")
            text = await settled(app, pilot)
            assert "waive" in text
            assert not parts or parts[0] == text, f"{theme} changes the words"
            parts += [*([] if parts else [text]), f"--- {theme}", *palette(app)]
    comparing(size, different)("palette", "\n".join(line.rstrip() for line in "\n".join(parts).split("\n")) + "\n")
    assert not different, different[0]

"""Phase 4 on the screen: the package, who approved it, what is waived, what is still open, and the seven boxes."""

from collections.abc import Mapping
from typing import Any

from ray_tui.core import plan, views
from ray_tui.core.facts import Waived
from ray_tui.tui.lines import Row, Span, crop
from ray_tui.tui.panes.actions import action_rows, blank, heading
from ray_tui.tui.table import Cells, Column, table
from ray_tui.tui.view import SHORT_PHASES, View, day, mapping, mappings

DAY = 86_400.0


def rows(view: View, width: int) -> list[Row]:
    out = action_rows(view, 4, width)
    out += _boxes(view, width)
    out += _package(view, width)
    out += _approvals(view, width)
    out += _waivers(view, width)
    out += _backlog(view, width)
    return out


def _boxes(view: View, width: int) -> list[Row]:
    boxes = views.handoff_boxes(view.state, view.now)
    checked = sum(box.checked for box in boxes)
    out = [blank(), heading(f"handoff boxes {checked}/{len(boxes)}", widths=(width,))]
    for index, box in enumerate(boxes):
        mark: Span = ("✓", "good") if box.checked else ("·", "dim")
        line = (mark, (" ", ""), (box.title, "" if box.checked else "dim"), (f"  {box.why}", "dim"))
        out.append(Row(crop(line, width), f"box:{index}"))
    return out


def _package(view: View, width: int) -> list[Row]:
    data, sealed = mapping(view.step("4.1").data), view.state.package
    files = mappings(data.get("files"))
    if sealed is None and not files:
        return []
    out = [blank()]
    if sealed is not None:
        said = f"{sealed.files} files, {sealed.size:,} bytes, sha256 {sealed.sha256[:16]}, to seq {sealed.through_seq}"
        out.append(Row(crop((("package ", "dim"), (said, "")), width), "data:4.1"))
    out += _tree(files, width)
    for number, notified in sorted(view.state.notified.items()):
        mark: Span = ("✓", "good") if notified.ok else ("✗", "bad")
        told = f" protocol {number} told by {notified.channel} {notified.detail}"
        out.append(Row(crop((mark, (told, "")), width)))
    return out


def _tree(files: list[dict[str, Any]], width: int) -> list[Row]:
    """The files under the phase that they come from; each with its step, size and hash."""
    shape = (Column(), Column(), Column("", 3), Column("", 14), Column("", 6, right=True), Column("", 12, drop=1),
             Column("", 8, drop=2))  # fmt: skip
    groups: dict[str, list[int]] = {}
    for index, item in sorted(enumerate(files), key=lambda pair: (_phase(pair[1]), str(pair[1].get("action")))):
        phase = _phase(item)
        name = f"{phase} {SHORT_PHASES[phase - 1]}" if phase else "of the run as a whole"
        groups.setdefault(name, []).append(index)
    found: list[tuple[Cells, str]] = []
    for indices in groups.values():
        for index in indices:
            item = files[index]
            size, sha256 = item.get("size"), str(item.get("sha256") or "")
            kept: Span = ("✓", "good") if sha256 else ("✗", "bad")
            cells: list[Span | str] = [("└" if index == indices[-1] else "├", "dim"), kept,
                     (_from(item.get("action")), "dim"), str(item.get("name", "")),
                     (f"{size:,}" if isinstance(size, int) else "–", "dim"),
                     (sha256[:12] or "no hash", "dim" if sha256 else "bad"),
                     ("required" if item.get("required", True) else "optional", "dim")]  # fmt: skip
            found.append((cells, f"data:4.1/files/{index}"))
    listed = iter(table(shape, found, width)[1])
    out: list[Row] = []
    for name, indices in groups.items():
        out.append(Row(crop(((name, "strong"), (f"  {len(indices)} file{'s' * (len(indices) > 1)}", "dim")), width)))
        out += [next(listed) for _ in indices]
    return out


def _phase(item: Mapping[str, Any]) -> int:
    step = str(item.get("action") or "")
    return max(0, plan.phase_of(step)) if step in plan.STEPS else 0


def _from(step: object) -> str:
    """The step that a file comes from, in three cells: ``2.2``, ``G4``."""
    name = str(step or "")
    return f"G{plan.gate(name).number}" if name in plan.STEPS and name.startswith("gate.") else name[:3]


def _approvals(view: View, width: int) -> list[Row]:
    if not view.state.approvals:
        return []
    shape = (Column(), Column("approved as", 10), Column("by", 6), Column("assurance", 8), Column("subject", 8))
    found: list[tuple[Cells, str]] = []
    for index, given in enumerate(view.state.approvals):
        over = given.expires_at is not None and given.expires_at <= view.now
        proof: Span = (given.assurance, "good" if given.assurance == "signed" else "warn")
        subject = given.subject + (f" {given.subject_sha256[:12]}" if given.subject_sha256 else "")
        cells: list[Span | str] = [("✗", "bad") if over else ("✓", "good"), given.role, given.person, proof,
                 ("expired " + day(given.expires_at) if over else subject, "bad" if over else "dim")]  # fmt: skip
        found.append((cells, f"approval:{index}"))
    head, found_rows = table(shape, found, width)
    return [blank(), head, *found_rows]


def _waivers(view: View, width: int) -> list[Row]:
    state = view.state
    if not state.waivers and not state.proposed:
        return []
    shape = (Column(), Column("", 4), Column("waived", 14), Column("left", 9), Column("by", 6))
    found: list[tuple[Cells, str]] = []
    for waiver in state.waivers.values():
        cells: list[Span | str] = [("w", "warn"), waiver.id, waiver.criterion, _days_left(waiver, view.now),
                 (f"{waiver.operator}, {waiver.approver} ({waiver.assurance})", "dim")]  # fmt: skip
        found.append((cells, f"waiver:{waiver.id}"))
    lacks = "not confirmed" if state.ended else "needs a second"
    for proposed in state.proposed.values():
        cells = [("?", "warn"), proposed.id, proposed.criterion, (lacks, "warn"), (proposed.operator, "dim")]
        found.append((cells, f"waiver:{proposed.id}"))
    head, found_rows = table(shape, found, width)
    return [blank(), head, *found_rows]


def _days_left(waiver: Waived, now: float) -> Span:
    left = (waiver.expires_at - now) / DAY
    return ("expired", "bad") if left <= 0 else (f"{left:.1f} days", "warn" if left < 3 else "")


def _backlog(view: View, width: int) -> list[Row]:
    entries = view.state.backlog
    if not entries:
        return []
    open_ = sum(gap.status == "open" for gap in entries.values())
    shape = (Column(), Column(f"backlog ({open_} open)", 14), Column("owner", 8), Column("due", 10), Column("", 6))
    found: list[tuple[Cells, str]] = []
    for gap in sorted(entries.values(), key=lambda g: (g.status, g.severity, g.id)):
        mark: Span = ("✓", "good") if gap.status == "resolved" else ("·", "bad" if gap.severity == "blocks" else "warn")
        cells: list[Span | str] = [mark, gap.title, gap.owner, gap.due[:12], (gap.severity, "dim")]
        found.append((cells, f"gap:{gap.id}"))
    head, found_rows = table(shape, found, width)
    return [blank(), head, *found_rows]

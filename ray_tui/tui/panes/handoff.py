"""Phase 4 on the screen: the package, who approved it, what is waived, what is still open, and the seven boxes."""

from ray_tui.core import plan, views
from ray_tui.core.facts import Waived
from ray_tui.tui.lines import Row, Span, columns, crop
from ray_tui.tui.panes.actions import action_rows, blank, heading
from ray_tui.tui.view import View, day, mapping, mappings

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
    out = [blank(), heading(f"handoff {checked}/{len(boxes)}", widths=(width,))]
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
    digest = 13 if width >= 60 else 0
    name = max(14, width - 30 - digest)
    for index, item in enumerate(files):
        size, sha256 = item.get("size"), str(item.get("sha256") or "")
        branch = "└" if index == len(files) - 1 else "├"
        kept: Span = ("✓", "good") if sha256 else ("✗", "bad")
        cells: list[Span | str] = [(branch, "dim"), kept, (_from(item.get("action")), "dim"),
                 str(item.get("name", "")), (f"{size:,}" if isinstance(size, int) else "–", "dim"),
                 (sha256[:12] or "no hash", "dim" if sha256 else "bad"),
                 ("required" if item.get("required", True) else "optional", "dim")]  # fmt: skip
        out.append(Row(columns(cells, (1, 1, 3, name, -9, digest, 8)), f"data:4.1/files/{index}"))
    for number, notified in sorted(view.state.notified.items()):
        mark: Span = ("✓", "good") if notified.ok else ("✗", "bad")
        out.append(Row((mark, (f" protocol {number} told by {notified.channel} {notified.detail}", ""))))
    return out


def _from(step: object) -> str:
    """The step that a file comes from, in three cells: ``2.2``, ``G4``."""
    name = str(step or "")
    return f"G{plan.gate(name).number}" if name in plan.STEPS and name.startswith("gate.") else name[:3]


def _approvals(view: View, width: int) -> list[Row]:
    if not view.state.approvals:
        return []
    widths = (1, 16, 12, 10, max(8, width - 44))
    out = [blank(), heading("", "approved as", "by", "assurance", "subject", widths=widths)]
    for index, given in enumerate(view.state.approvals):
        over = given.expires_at is not None and given.expires_at <= view.now
        proof: Span = (given.assurance, "good" if given.assurance == "signed" else "warn")
        subject = given.subject + (f" {given.subject_sha256[:12]}" if given.subject_sha256 else "")
        cells: list[Span | str] = [("✗", "bad") if over else ("✓", "good"), given.role, given.person, proof,
                 ("expired " + day(given.expires_at) if over else subject, "bad" if over else "dim")]  # fmt: skip
        out.append(Row(columns(cells, widths), f"approval:{index}"))
    return out


def _waivers(view: View, width: int) -> list[Row]:
    state = view.state
    if not state.waivers and not state.proposed:
        return []
    name = max(14, min(34, width - 36))
    widths = (1, 4, name, 14, max(6, width - name - 24))
    out = [blank(), heading("", "", "waived", "left", "by", widths=widths)]
    for waiver in state.waivers.values():
        cells: list[Span | str] = [("w", "warn"), waiver.id, waiver.criterion, _days_left(waiver, view.now),
                 (f"{waiver.operator}, {waiver.approver} ({waiver.assurance})", "dim")]  # fmt: skip
        out.append(Row(columns(cells, widths), f"waiver:{waiver.id}"))
    for proposed in state.proposed.values():
        cells = [("?", "warn"), proposed.id, proposed.criterion, ("needs a second", "warn"), (proposed.operator, "dim")]
        out.append(Row(columns(cells, widths), f"waiver:{proposed.id}"))
    return out


def _days_left(waiver: Waived, now: float) -> Span:
    left = (waiver.expires_at - now) / DAY
    return ("expired", "bad") if left <= 0 else (f"{left:.1f} days", "warn" if left < 3 else "")


def _backlog(view: View, width: int) -> list[Row]:
    entries = view.state.backlog
    if not entries:
        return []
    open_ = sum(gap.status == "open" for gap in entries.values())
    title = max(16, width - 42)
    widths = (1, title, 14, 12, 8)
    out = [blank(), heading("", f"backlog ({open_} open)", "owner", "due", "", widths=widths)]
    for gap in sorted(entries.values(), key=lambda g: (g.status, g.severity, g.id)):
        mark: Span = ("✓", "good") if gap.status == "resolved" else ("·", "bad" if gap.severity == "blocks" else "warn")
        cells: list[Span | str] = [mark, gap.title, gap.owner, gap.due[:12], (gap.severity, "dim")]
        out.append(Row(columns(cells, widths), f"gap:{gap.id}"))
    return out

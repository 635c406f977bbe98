"""Whether a recorded artifact is still there, byte for byte, and of the form that its readers expect."""

from hashlib import sha256

from ray_tui.core import plan
from ray_tui.core.errors import EvidenceError
from ray_tui.core.facts import EvidenceWritten, RunOpened
from ray_tui.evidence import package, records, text

_NO_TWIN = frozenset({package.MANIFEST_NAME, package.ZIP_NAME})
_DECLARED = frozenset(
    name
    for action in plan.ACTIONS
    for artifact in action.artifacts
    for name in (artifact.name, artifact.twin)
    if name is not None
)


def problem(written: EvidenceWritten, data: bytes | None, opened: RunOpened) -> str:
    """What is wrong with a file of this run's evidence (``gone``, ``changed``, not of its form); empty: nothing."""
    if data is None:
        return "gone"
    if sha256(data).hexdigest() != written.sha256:
        return "changed"
    if written.name not in _DECLARED:
        return ""
    if written.name.endswith(".md"):
        return "" if data.startswith(b"# ") else "not of its form: no heading"
    if written.name.endswith(".json"):
        return _of_json(written.name, data, opened)
    return ""


def _of_json(name: str, data: bytes, opened: RunOpened) -> str:
    try:
        found = text.loads(data, name)
    except EvidenceError as exc:
        return f"not of its form: {exc}"
    if not isinstance(found, dict):
        return "not of its form: no object"
    if name in _NO_TWIN:
        return "" if isinstance(found.get("files"), list) else "not of its form: it lists no files"
    head = {"artifact": name, "schema": records.SCHEMA, "run_id": opened.run_id, "release": opened.release}
    other = [key for key, value in head.items() if found.get(key) != value]
    if not isinstance(found.get("body"), dict):
        other.append("body")
    return f"not of its form: {', '.join(other)}" if other else ""

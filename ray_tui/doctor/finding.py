"""What one look of the doctor found, and how it reads."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``ok`` with a ``todo`` is a warning: a run would go on, but see to it."""

    name: str
    ok: bool
    detail: str
    todo: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "todo": self.todo}

    def to_text(self) -> str:
        mark = "✗" if not self.ok else "!" if self.todo else "✓"
        return f"{mark} {self.name:22} {self.detail}" + (f"\n  {'':22} → {self.todo}" if self.todo else "")

"""How a screenshot or sheet enters the record: by its name and its hash."""

import hashlib
from pathlib import Path


def attachment(path: str) -> dict[str, str]:
    """Raises OSError, which says the path."""
    file = Path(path).expanduser()
    return {"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "path": str(file.absolute())}

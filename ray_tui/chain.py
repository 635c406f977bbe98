"""The hash chain that makes a journal tamper-evident. Pure: lines in, lines out."""

GENESIS = "0" * 64
"""The hash before the first line."""


def link(previous: str, body: bytes) -> str:
    """SHA-256 hex of the previous hash (ASCII) followed by this line's JSON bytes."""
    import hashlib  # OpenSSL's, whose loading no first paint of a console should wait for

    return hashlib.sha256(previous.encode("ascii") + body).hexdigest()


def seal(previous: str, body: bytes) -> tuple[str, bytes]:
    """The new head, and the whole line with its newline: ``<hash> <json>\\n``."""
    head = link(previous, body)
    return head, head.encode("ascii") + b" " + body + b"\n"


def open_line(previous: str, line: bytes) -> tuple[str, bytes]:
    """The new head and the JSON bytes of one line (without its newline).

    Raises ValueError when the line is not of that form or its hash does not continue ``previous``.
    """
    if len(line) < 66 or line[64:65] != b" ":
        raise ValueError("is not a journal line (64 hex digits, a space, JSON)")
    claimed, body = line[:64], line[65:]
    head = link(previous, body)
    if claimed != head.encode("ascii"):
        raise ValueError("does not continue the chain: it, or a line before it, was changed")
    return head, body

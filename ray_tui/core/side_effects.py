"""What may be done about a side effect whose outcome is unknown after a crash."""

from enum import StrEnum


class SideEffect(StrEnum):
    """Each adapter whose verbs act declares its class; the actions put it on record, and a resumed run follows it."""

    QUERY = "query"  # look it up by its key first; send only when it is certainly not there
    DEDUP = "dedup"  # sending the identical body and key again, within a window, has no second effect
    NONE = "none"  # never send again; only a person can tell

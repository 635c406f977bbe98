"""What decisions are held to of [policy], with the values that hold where it says nothing."""

from ray_tui.core.record import Record


class Limits(Record):
    """``policy.py`` says what each of them means, and what is allowed for it."""

    demo: bool = False
    unsigned_approvals: bool = False
    one_person_many_roles: bool = False
    approvers: int = 1
    waiver_days: int = 30
    approval_days: float = 30.0
    reason_characters: int = 15


DEFAULTS = Limits()

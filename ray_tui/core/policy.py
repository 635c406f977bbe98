"""Who may do what, and what is enough: people, roles and thresholds as a run is held to them."""

from datetime import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ray_tui.core.limits import DEFAULTS, Limits

Role = Literal["release-manager", "sre-lead", "security", "operator", "observer"]


class Person(BaseModel):
    """Someone who may drive, approve or be paged."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = ""
    """How the person is shown; the table's key where empty."""
    roles: tuple[Role, ...] = ()
    """What the person may approve. ``sre-lead`` and ``operator`` may let 2.1 change live monitoring; ``observer`` alone
    may only watch. Who stands nowhere in [people] may watch and add notes."""
    uid: int | None = None
    """The OS user that this person's consoles run as; the host asks the kernel, never the client."""
    login: str = ""
    """The same by name; resolved when the host starts."""
    principal: str = ""
    """The principal in allowed_signers; the table's key where empty."""
    pages_opt_in: bool = True
    """False: no synthetic page may reach this person."""
    quiet_hours: str = ""
    """``22:00-07:00`` in ``timezone``: no synthetic page then."""
    timezone: str = "UTC"
    """Of the quiet hours."""
    email: str = ""
    """Where mail reaches the person."""
    pager_id: str = ""
    """The person's id in the paging system, where names differ."""
    slack_id: str = ""
    """The person's member id in Slack (U0123456789)."""


def quiet_span(hours: str) -> tuple[time, time]:
    """From when until when, of ``22:00-07:00``. Raises ValueError where it is anything else."""
    try:
        start, end = (time.fromisoformat(part.strip()) for part in hours.split("-"))
    except ValueError:
        raise ValueError(f"{hours!r} is no span of hours: write it as 22:00-07:00") from None
    return start, end


class Thresholds(BaseModel):
    """What counts as enough. A change after an approval makes the approval outdated."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    coverage: float = Field(default=0.95, gt=0, le=1)
    """Gate 1: passing required cells / required cells."""
    fresh_seconds: float = Field(default=300, gt=0)
    """1.2: the newest datum of a signal may be this old."""
    baseline_window_seconds: float = Field(default=1800, gt=0)
    """1.3: how long a window after the deploy is measured (it ends now at the latest)."""
    baseline_step_seconds: float = Field(default=30, gt=0)
    """1.3: one sample is the mean over one such step; windows do not overlap."""
    baseline_tolerance: float = Field(default=0.25, gt=0)
    """1.3: the relative shift that is tolerated."""
    baseline_minimum_samples: int = Field(default=20, ge=5)
    """1.3: fewer windows than this judge nothing."""
    ack_sla_seconds: float = Field(default=300, gt=0)
    """2.2: from fired to acknowledged by a person."""
    escalation_slack_seconds: float = Field(default=60, ge=0)
    """2.2: what escalation may take beyond the policy's own delay."""
    delivery_seconds: float = Field(default=60, gt=0)
    """2.2: from fired to delivered; later counts as lost."""
    pages_per_person_and_hour: int = Field(default=2, ge=1)
    """2.2: the page budget; more needs a new typed confirmation."""
    dashboard_score: float = Field(default=90, ge=0, le=100)
    """Gate 2: the lowest required dashboard."""
    precision: float = Field(default=0.85, gt=0, le=1)
    """3.2: alert precision target."""
    correlation_days: float = Field(default=14, gt=0)
    """3.2: how far back alerts and incidents are matched."""
    correlation_grace_seconds: float = Field(default=600, ge=0)
    """3.2: how far apart an alert and an incident may lie and still belong together."""
    manifest_completeness: float = Field(default=0.95, gt=0, le=1)
    """Gate 4: all manifest items; required ones must be whole."""
    slo_target: float = Field(default=0.999, gt=0, lt=1)
    """3.3: attainment target where an SLO names none."""


class Policy(BaseModel):
    """What the team allows."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    unsigned_approvals: bool = DEFAULTS.unsigned_approvals
    """Approvals without an SSH signature are accepted, and labelled unsigned everywhere."""
    one_person_many_roles: bool = DEFAULTS.one_person_many_roles
    """One person may approve in several roles; a waiver needs another person all the same."""
    demo: bool = DEFAULTS.demo
    """Stamps every approval ``demo``; a console may then say whom it plays (`ray-tui attach --as`)."""
    allowed_signers: str = ""
    """A file of SSH allowed_signers, relative to the configuration: whose signatures count, and with which keys."""
    approvers: int = Field(default=DEFAULTS.approvers, ge=1)
    """How many other people a waiver needs beside its initiator."""
    waiver_days: int = Field(default=DEFAULTS.waiver_days, ge=1, le=30)
    """The longest a waiver may run."""
    approval_days: float = Field(default=DEFAULTS.approval_days, gt=0)
    """How long an approval is valid."""
    reason_characters: int = Field(default=DEFAULTS.reason_characters, ge=15)
    """The shortest reason."""

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in Limits.fields()})

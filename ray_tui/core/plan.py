"""Protocol 12 as data: four phases of three actions, four gates, and the artifacts they leave. Reads like the seed."""

from ray_tui.core.value import Value

STORE = ".artifacts/monitoring/"
CONTEXT_KIT = ".cursor/context-kit/"


class Artifact(Value):
    """A file that an action must or may leave behind. ``twin`` is the JSON that a gate reads beside Markdown."""

    name: str
    purpose: str
    consumers: tuple[str, ...]
    required: bool = True
    twin: str | None = None
    location: str = STORE


class Action(Value):
    """One numbered item of the protocol. ``key`` is the name of its file in ray_tui/actions."""

    id: str
    key: str
    title: str
    must: bool
    announces: str
    halts_when: str
    artifacts: tuple[Artifact, ...]


class Gate(Value):
    """What is judged after the phase of the same number. ``key`` is the name of its file in ray_tui/gates."""

    key: str
    number: int
    title: str
    criteria: str
    pass_threshold: str
    required_action: str
    evidence: tuple[str, ...]
    hook: str

    @property
    def id(self) -> str:
        return f"gate.{self.key}"


class Phase(Value):
    number: int
    title: str
    start: str
    actions: tuple[Action, ...]
    gate: Gate


MISSION = (
    "You are a Site Reliability Engineer (SRE). Your mission is to activate, validate, and continuously tune "
    "observability systems immediately after production deployment so that incidents can be detected and triaged "
    "within agreed service objectives."
)
CRITICAL = (
    "🚫 [CRITICAL] DO NOT declare monitoring complete until alerting rules, dashboards, and runbooks have been "
    "validated against live production telemetry for the current release."
)

PHASES: tuple[Phase, ...] = (
    Phase(
        1,
        "Instrumentation Alignment and Baseline Capture",
        "Reviewing deployment evidence to map monitoring requirements...",
        (
            Action(
                "1.1",
                "review_deployment",
                "Review Deployment Outputs",
                True,
                "",
                "required deployment artifacts missing or inconsistent",
                (
                    Artifact(
                        "monitoring-requirements.md",
                        "Maps monitoring needs to services",
                        ("Protocol 19 Gates",),
                        twin="monitoring-requirements.json",
                    ),
                ),
            ),
            Action(
                "1.2",
                "coverage",
                "Verify Instrumentation Coverage",
                True,
                "Validating instrumentation coverage across services and dependencies...",
                "any critical service lacks telemetry coverage",
                (Artifact("instrumentation-audit.json", "Coverage validation", ("Protocol 20/14", "Protocol 21")),),
            ),
            Action(
                "1.3",
                "baseline",
                "Capture Baseline Snapshot",
                False,
                "",
                "a critical changed service is degraded against its prior baseline or staging",
                (Artifact("baseline-metrics.json", "Baseline for later comparison", ("Protocol 21",)),),
            ),
        ),
        Gate(
            "instrumentation",
            1,
            "Instrumentation Coverage Gate",
            "All critical services have telemetry coverage; monitoring requirements documented",
            "Coverage completeness ≥ 95%",
            "Engage service owners to implement missing instrumentation; rerun audit.",
            ("monitoring-requirements.md", "instrumentation-audit.json"),
            "validate_gate_12_instrumentation.py",
        ),
    ),
    Phase(
        2,
        "Monitoring Activation and Alert Validation",
        "Activating dashboards and alert policies...",
        (
            Action(
                "2.1",
                "configure",
                "Configure Dashboards and Alerts",
                True,
                "",
                "dashboards fail validation or alerts missing thresholds",
                (
                    Artifact(
                        "dashboard-config.md",
                        "Dashboard links and alert thresholds",
                        ("Protocol 19 Gates",),
                        twin="dashboard-config.json",
                    ),
                ),
            ),
            Action(
                "2.2",
                "alert_paths",
                "Test Alert Paths",
                True,
                "Triggering synthetic alerts to confirm notification pathways...",
                "alerts fail to reach on-call or acknowledgement outside SLA",
                (Artifact("alert-test-results.json", "Confirms alert routing", ("Protocol 20",)),),
            ),
            Action(
                "2.3",
                "runbooks",
                "Update Runbooks",
                False,
                "",
                "an alert's runbook cannot be validated",
                (
                    Artifact(
                        "runbook-updates.md",
                        "New detection signals and responses",
                        ("Protocol 20",),
                        required=False,
                        twin="runbook-updates.json",
                    ),
                ),
            ),
        ),
        Gate(
            "alert_validation",
            2,
            "Alert Validation Gate",
            "Synthetic alerts acknowledged within SLA, dashboards updated",
            "Alert acknowledgement time ≤ target SLA; dashboard validation score ≥ 90%",
            "Repair alert routing, update dashboards, rerun tests.",
            ("dashboard-config.md", "alert-test-results.json"),
            "validate_gate_12_alerts.py",
        ),
    ),
    Phase(
        3,
        "Continuous Observability Assurance",
        "Scheduling ongoing observability validation tasks...",
        (
            Action(
                "3.1",
                "schedule",
                "Schedule Ongoing Checks",
                True,
                "",
                "automation cannot be scheduled or lacks ownership",
                (Artifact("observability-schedule.json", "Automation cadence", ("Protocol 19",)),),
            ),
            Action(
                "3.2",
                "correlate",
                "Correlate Alerts with Incidents",
                True,
                "Correlating recent alerts with incident history to tune thresholds...",
                "correlation reveals unresolved monitoring gaps",
                (
                    Artifact(
                        "alert-tuning-report.md",
                        "Threshold adjustments and their backtests",
                        ("Protocol 21",),
                        twin="alert-tuning-report.json",
                    ),
                ),
            ),
            Action(
                "3.3",
                "scorecard",
                "Publish Observability Scorecard",
                False,
                "",
                "the scorecard cannot be computed",
                (
                    Artifact(
                        "observability-scorecard.md",
                        "SLO attainment, alert precision, outstanding risks",
                        ("Protocol 22",),
                        twin="observability-scorecard.json",
                    ),
                ),
            ),
        ),
        Gate(
            "assurance",
            3,
            "Observability Assurance Gate",
            "Ongoing schedule defined; alert tuning documented; improvement backlog created",
            "Schedule coverage = 100%; backlog entries logged for all gaps",
            "Define schedule, add backlog actions, repeat validation.",
            ("observability-schedule.json", "alert-tuning-report.md", "improvement-backlog.md"),
            "validate_gate_12_assurance.py",
        ),
    ),
    Phase(
        4,
        "Handoff and Improvement Loop",
        "Delivering monitoring package to incident response and retrospective owners...",
        (
            Action(
                "4.1",
                "package",
                "Deliver Monitoring Package",
                True,
                "",
                "package incomplete or checksum invalid",
                (
                    Artifact("MONITORING-PACKAGE.zip", "Handoff deliverable", ("Protocol 20",)),
                    Artifact(
                        "monitoring-package-manifest.json",
                        "What the package holds, with hashes",
                        ("Protocol 20",),
                    ),
                    Artifact("handoff-notifications.json", "Who was told, and when", ("Protocol 20",)),
                ),
            ),
            Action(
                "4.2",
                "approval",
                "Record Approval and Ownership",
                True,
                "Recording monitoring ownership and approvals...",
                "approvals missing or outdated",
                (Artifact("monitoring-approval-record.json", "Ownership and approval record", ("Protocol 20",)),),
            ),
            Action(
                "4.3",
                "backlog",
                "Queue Improvement Actions",
                False,
                "",
                "a gap has no backlog entry",
                (
                    Artifact(
                        "improvement-backlog.md",
                        "Gaps and enhancements with owner and due date",
                        ("Protocol 22",),
                        twin="improvement-backlog.json",
                    ),
                ),
            ),
        ),
        Gate(
            "handoff",
            4,
            "Monitoring Handoff Gate",
            "Monitoring package compiled; approvals recorded; downstream protocols notified",
            "Manifest completeness ≥ 95%; approvals 100% captured",
            "Rebuild package, obtain approvals, resend notifications.",
            ("MONITORING-PACKAGE.zip", "monitoring-package-manifest.json", "monitoring-approval-record.json"),
            "validate_gate_12_handoff.py",
        ),
    ),
)

ACTIONS: tuple[Action, ...] = tuple(action for phase in PHASES for action in phase.actions)
GATES: tuple[Gate, ...] = tuple(phase.gate for phase in PHASES)
PREREQUISITES = "prerequisites"
APPROVAL_CRITERION = "prerequisites.approval:"
"""Before the role. Nobody is asked before all other prerequisites let the run go on: until then it is inconclusive."""
COMPLETION = "completion"

STEPS: tuple[str, ...] = (
    PREREQUISITES,
    *(step for phase in PHASES for step in (*(action.id for action in phase.actions), phase.gate.id)),
    COMPLETION,
)
"""Every step of a run, in order: prerequisites, 1.1 … 1.3, gate.instrumentation, 2.1 …, completion."""

INPUTS_REQUIRED = (
    "post-deployment-validation.json",
    "deployment-health-log.md",
    "DEPLOYMENT-REPORT.md",
    "staging-test-results.json",
)
INPUTS_OPTIONAL = ("baseline-metrics.json", "observability-baseline.md", "quality-audit-summary.json")

HOOKS: tuple[str, ...] = (
    "validate_prerequisites_12.py",
    "collect_perf.py",
    *(gate.hook for gate in GATES),
    "aggregate_evidence_12.py",
    "run_protocol_12_gates.py",
)
"""The eight scripts of the seed; each has a subcommand of ours, and a recorded outcome in every complete run."""

OUTPUTS: dict[str, tuple[str, ...]] = {
    "20": ("MONITORING-PACKAGE.zip", "alert-test-results.json", "monitoring-approval-record.json"),
    "21": ("baseline-metrics.json", "instrumentation-audit.json", "alert-tuning-report.md"),
    "22": ("observability-scorecard.md", "improvement-backlog.md"),
}
NEXT_PROTOCOL = "@apply .cursor/ai-driven-workflow/17-incident-response-rollback.md"


def action(step: str) -> Action:
    return next(found for found in ACTIONS if found.id == step)


def gate(step: str) -> Gate:
    """A gate by its key or by its step id."""
    return next(found for found in GATES if step in (found.key, found.id))


def phase_of(step: str) -> int:
    """1–4; 0 for the prerequisites, 5 for the completion."""
    if step == PREREQUISITES:
        return 0
    if step == COMPLETION:
        return 5
    for phase in PHASES:
        if step == phase.gate.id or any(step == found.id for found in phase.actions):
            return phase.number
    raise KeyError(step)


def title(step: str) -> str:
    """``1.2 Verify Instrumentation Coverage``, ``Alert Validation Gate``, ``Prerequisites``."""
    if step.startswith("gate."):
        return gate(step).title
    if step in (PREREQUISITES, COMPLETION):
        return step.capitalize()
    return f"{step} {action(step).title}"

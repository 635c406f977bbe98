"""2.1 on fakes: every way in which a plan is refused, declined, rolled back, taken up again, or proved live."""

import asyncio
import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ray_tui.actions import alert_checks, configure, loaded_rules, monitoring_plan, panel_queries
from ray_tui.analysis import dashboards
from ray_tui.core import facts as f
from ray_tui.core.errors import BackendBroken, BackendRefused, BackendTimeout, BackendUnreachable
from ray_tui.core.ports import Dashboard, Datasource, LoadedRule, Ports, Sample, Vector
from ray_tui.step import Header
from tests.fakes import (
    RELEASE,
    FakeClock,
    FakeContext,
    InMemoryAlerting,
    InMemoryDashboards,
    InMemoryMetrics,
    InMemoryPaging,
    InMemoryRules,
    a_config,
    actual,
    verdicts,
)  # fmt: skip

RULES = """\
groups:
  - name: release
    rules:
      - alert: CheckoutErrors
        expr: sum by (service) (rate(http_requests_total{service="checkout",status=~"5.."}[5m])) > 0.05
        for: 5m
        labels: {severity: critical, service: checkout, owner: checkout}
        annotations: {summary: It fails, runbook_url: docs/runbooks/CheckoutErrors.md}
"""
SLO = """\
version: prometheus/v1
service: checkout
labels: {owner: checkout}
slos:
  - name: availability
    objective: 99.5
    sli:
      events:
        error_query: sum(rate(http_requests_total{service="checkout",status=~"5.."}[{{.window}}]))
        total_query: sum(rate(http_requests_total{service="checkout"}[{{.window}}]))
    alerting:
      name: CheckoutBudget
      labels: {service: checkout, owner: checkout}
      annotations: {runbook_url: docs/runbooks/CheckoutBudget.md}
      page_alert: {labels: {severity: critical}}
      ticket_alert: {labels: {severity: warning}}
"""
PROM = {"type": "prometheus", "uid": "prom"}
LOKI = {"type": "loki", "uid": "loki"}
RATE = 'sum(rate(http_requests_total{service="checkout"}[$__rate_interval]))'
TOTAL = 'sum(rate(http_requests_total{service="checkout"}[5m]))'
ERRORS = f'sum(rate(http_requests_total{{service="checkout",status=~"5.."}}[5m])) / {TOTAL}'


def panel(number: int, title: str, expr: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": PROM,
        "fieldConfig": {"defaults": {"unit": "reqps"}}, "targets": [{"refId": "A", "expr": expr, "datasource": PROM}],
        **more,
    }  # fmt: skip


def board(*panels: dict[str, Any], uid: str = "checkout-red", **more: Any) -> dict[str, Any]:
    return {
        "uid": uid, "title": "Checkout RED", "tags": ["ray-required", "service:checkout"], "schemaVersion": 39,
        "panels": list(panels or [panel(1, "Rate", RATE)]), **more,
    }  # fmt: skip


class World:
    """A folder with the release's files, and the systems that they go into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.metrics = InMemoryMetrics(clock=self.clock)
        self.metrics.answer("", 1.0)
        self.rules = InMemoryRules(metrics=self.metrics)
        self.boards = InMemoryDashboards()
        pager = InMemoryPaging()
        self.alerting = InMemoryAlerting(
            clock=self.clock, routes=[({"severity": "critical"}, ("pager",)), ({"severity": "warning"}, ("pager",))],
            sinks={"pager": [pager]},
        )  # fmt: skip
        self.ports: dict[str, Any] = {}
        self.answers: dict[str, Any] = {"apply": "yes"}
        self.put("rules/release.yml", RULES)
        self.put("slos/checkout.yml", SLO)
        self.put("boards/checkout.json", json.dumps(board()))

    def put(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def context(self, *, attempt: int = 1, resumed: bool = False, facts: list[f.Fact] | None = None, **sections: Any):  # type: ignore[no-untyped-def]
        paths = {"rules": ["rules/*.yml"], "slos": ["slos/*.yml"], "dashboards": ["boards/*.json"]}
        ports = {
            "metrics": self.metrics, "rules": self.rules, "dashboards": self.boards, "alerting": self.alerting,
            **self.ports,
        }  # fmt: skip
        return FakeContext(
            self.folder, config=a_config(self.folder, **{"paths": paths, **sections}), ports=Ports(**ports), step="2.1",
            attempt=attempt, resumed=resumed, answers=self.answers, clock=self.clock, facts=facts or (),
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def unmet(result: Any) -> set[str]:
    return {one.id for one in result.criteria if not one.verdict.lets_go_on}


def outcomes(context: FakeContext) -> dict[str, str]:
    return {
        name.partition(":")[2]: one.outcome.outcome if one.outcome else "open"
        for name, one in context.state.intents.items()
    }


# --- the healthy way -------------------------------------------------------------------------------------------------


async def test_rules_slos_dashboards_and_the_annotation_are_put_in_place_and_proved(world: World) -> None:
    """Each change after its intent, one reload, everything read back. (P33 P34 P35)"""
    context = world.context()
    result = await configure.run(context)

    assert unmet(result) == set()
    assert set(world.rules.files) == {"release.yml", "ray-tui-slo-checkout.yml"}
    assert world.rules.reloads == 1
    assert world.boards.stored["checkout-red"].model["title"] == "Checkout RED"
    assert [tags for _, tags, _, _ in world.boards.notes] == [
        ("release", RELEASE, "environment:production", "ray-tui")
    ]  # fmt: skip
    assert outcomes(context) == {
        "rules:release.yml": "done", "rules:ray-tui-slo-checkout.yml": "done", "reload": "done",
        "dashboard:checkout-red": "done", "annotation": "done",
    }  # fmt: skip
    assert result.data["loaded_equals_written"] is True
    assert {row["name"]: row["thresholds"] for row in result.data["alerts"]}["CheckoutErrors"] == ["> 0.05"]
    assert result.data["slos"][0]["objective"] == 99.5
    json.dumps(result.data, allow_nan=False)


async def test_the_plan_is_shown_before_anything_is_touched(world: World) -> None:
    """The question carries the plan and a diff; when it is asked, nothing stands there yet. (P33)"""

    def look(ask: Any) -> str:
        assert world.rules.files == {}
        assert world.boards.saved == []
        return "yes"

    world.answers = look  # type: ignore[assignment]
    context = world.context()
    await configure.run(context)

    (asked,) = context.asked
    assert (asked.name, asked.prompt) == ("apply", "confirm")
    assert {row["action"] for row in asked.data["plan"]} == {"create"}
    assert "+      - alert: CheckoutErrors" in asked.data["diff"]


async def test_the_plan_names_the_rules_that_2_1_and_2_3_will_fail(world: World) -> None:
    """Who agrees knows it beforehand, in the words with which both judge; afterwards 2.1 says the very same. (P33)"""
    bare = "      - alert: Watchdog\n        expr: vector(1)\n        labels: {severity: none}\n"
    other = RULES.split("rules:\n")[1].replace("alert: CheckoutErrors", "alert: CheckoutSlow")
    world.put("rules/release.yml", RULES + bare + other)
    world.put("docs/runbooks/CheckoutErrors.md", "# High checkout errors\n")
    world.put("docs/runbooks/CheckoutBudget.md", "# Something else\n\n## Checkout budget\n")
    context = world.context()
    result = await configure.run(context)

    (asked,) = context.asked
    first = next(one for one in asked.text.split("\n\n") if one.startswith("It loads "))
    loads, soon, later = first.splitlines()
    incomplete = actual(result, "configure.alerts").removeprefix("incomplete: ")
    assert loads == "It loads 5 alerts, of which"
    assert soon == f"1 will fail 2.1: {incomplete}."
    assert "it has no `owner or team` label; it has no `runbook_url` annotation" in soon
    assert "2 will fail 2.3" in later
    assert "Watchdog (the alert names no runbook)" in later
    assert "CheckoutSlow (no heading is about CheckoutSlow)" in later


async def test_a_plan_that_nothing_is_known_against_says_nothing_more(world: World) -> None:
    """Only what is changed is looked at; a runbook on a server is left to 2.3."""
    world.put("rules/release.yml", RULES.replace("docs/runbooks/CheckoutErrors.md", "https://books.example/errors"))
    world.put("docs/runbooks/CheckoutBudget.md", "# Checkout budget\n")
    context = world.context()
    await configure.run(context)
    assert "will fail" not in context.asked[0].text


async def test_a_second_attempt_finds_everything_in_place_and_asks_nothing(world: World) -> None:
    """Unchanged is unchanged: no question, no intent, no reload, no second annotation."""
    await configure.run(world.context())
    context = world.context(attempt=2)
    result = await configure.run(context)

    assert unmet(result) == set()
    assert {row["action"] for row in result.data["plan"]} == {"unchanged"}
    assert (context.asked, outcomes(context), world.rules.reloads, len(world.boards.notes)) == ([], {}, 1, 1)


async def test_each_environment_gets_its_own_annotation(world: World) -> None:
    """One Grafana may show staging and production: what staging wrote is not production's."""
    await configure.run(world.context(run={"environment": "staging"}))
    result = await configure.run(world.context(attempt=2))

    assert unmet(result) == set()
    assert {tags[2] for _, tags, _, _ in world.boards.notes} == {"environment:staging", "environment:production"}
    assert result.data["annotation"]["was_there"] is False


async def test_a_release_that_names_nothing_is_inconclusive(world: World) -> None:
    """Over no file, no plan and no rule nothing is sound, carried out or equal. (P33 P34)"""
    world.ports["dashboards"] = None
    result = await configure.run(world.context(paths={}))

    said = verdicts(result)
    for name in ("configure.inputs", "configure.applied", "configure.loaded"):
        assert said[name] == "inconclusive", name
    assert result.data["loaded_equals_written"] is None


async def test_a_release_with_dashboards_only_has_no_rules_to_compare(world: World) -> None:
    """The plan is carried out; that its rules are loaded is said of none."""
    result = await configure.run(world.context(paths={"dashboards": ["boards/*.json"]}))

    said = verdicts(result)
    assert (said["configure.inputs"], said["configure.applied"]) == ("passed", "passed")
    assert (said["configure.loaded"], result.data["loaded_equals_written"]) == ("inconclusive", None)


async def test_a_file_that_stands_but_is_not_loaded_is_reloaded(world: World) -> None:
    """What counts is what the server has loaded, not what lies in the folder."""
    await configure.run(world.context())
    world.metrics.loaded = ()
    result = await configure.run(world.context(attempt=2))

    assert unmet(result) == set()
    assert world.rules.reloads == 2
    assert "not loaded" in {row["name"]: row["detail"] for row in result.data["plan"]}["release.yml"]


async def test_the_document_shows_links_thresholds_runbooks_and_the_plan(world: World) -> None:
    """dashboard-config.md is what a person reads; it renders from an empty body too. (P39)"""
    result = await configure.run(world.context())
    header = Header("run-1", RELEASE, "production", "2.1", 1, 0.0, "passed", result.summary, result.criteria)
    text = configure.documents(result.data, header)["dashboard-config.md"]

    for part in ("https://grafana.example/d/checkout-red", "\\> 0.05", "docs/runbooks/CheckoutErrors.md", "99.5"):
        assert part in text
    assert configure.documents(result.data, header)["dashboard-config.md"] == text
    assert "## Alerts" in configure.documents({}, header)["dashboard-config.md"]


# --- files that are wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rules/release.yml", RULES.replace("> 0.05", "> > 0.05"), "rules/release.yml:5"),
        ("rules/release.yml", RULES + "    colour: red\n", "rules/release.yml:9"),
        ("rules/other.yaml", "groups: [", "matches no file"),
        ("slos/checkout.yml", SLO.replace("99.5", "120"), "slos/checkout.yml:6"),
        ("boards/checkout.json", '{"title": "x",\n "uid": }', "boards/checkout.json:2"),
        ("boards/checkout.json", '{"title": "x"}', "boards/checkout.json:1: the dashboard has no uid"),
        ("boards/checkout.json", '{"uid": "x",\n "title": " "}', "boards/checkout.json:2: the dashboard has no title"),
        ("boards/second.json", json.dumps(board()), "'checkout-red' is defined by"),
        ("slos/second.yml", SLO, "defined in two files"),
    ],
)
async def test_a_file_that_is_wrong_stops_everything_and_is_named_with_its_line(
    world: World, name: str, text: str, said: str
) -> None:
    """Nothing is planned, asked or touched while one input is unsound."""
    sections = {}
    if "matches no file" in said:
        sections = {"paths": {"rules": ["rules/*.rules"]}}
    world.put(name, text)
    context = world.context(**sections)
    result = await configure.run(context)

    assert unmet(result) == {"configure.inputs"}
    assert said in actual(result, "configure.inputs")
    assert (world.rules.files, world.boards.stored, context.asked) == ({}, {}, [])


async def test_an_operator_object_is_written_as_the_plain_file_that_prometheus_reads(world: World) -> None:
    """A PrometheusRule is understood; its groups are what is loaded."""
    body = "\n".join("  " + row for row in RULES.splitlines())
    world.put("rules/release.yml", f"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec:\n{body}\n")
    assert unmet(await configure.run(world.context())) == set()
    assert world.rules.files["release.yml"].startswith("groups:")


# --- declined, refused -----------------------------------------------------------------------------------------------


async def test_a_declined_plan_touches_nothing_and_says_who_declined(world: World) -> None:
    """No is a failure that names the person and the reason."""
    world.answers = {"apply": {"answer": "no", "reason": "freeze until Monday"}}
    context = world.context()
    result = await configure.run(context)

    assert actual(result, "configure.applied").startswith("declined by mira: freeze until Monday")
    assert verdicts(result)["configure.applied"] == "failed"
    assert (world.rules.files, world.boards.saved, outcomes(context)) == ({}, [], {})


@pytest.mark.parametrize(
    ("missing", "said"), [("rules", "no [rules]"), ("dashboards", "no [dashboards]"), ("metrics", "no [metrics]")]
)
async def test_without_a_place_to_write_or_to_read_back_nothing_is_applied(
    world: World, missing: str, said: str
) -> None:
    """A port that the plan needs and nobody configured stops it before the question."""
    world.ports[missing] = None
    context = world.context()
    result = await configure.run(context)

    assert said in actual(result, "configure.applied")
    assert verdicts(result)["configure.applied"] != "passed"
    assert context.asked == []


async def test_a_provisioned_dashboard_is_refused_before_the_question(world: World) -> None:
    """Grafana would refuse the save; the plan says so first."""
    world.boards.put(board(title="Provisioned"), provisioned=True)
    context = world.context()
    result = await configure.run(context)

    assert "provisioning file" in actual(result, "configure.applied")
    assert (context.asked, world.rules.files) == ([], {})


async def test_a_plan_that_cannot_be_made_is_an_error(world: World) -> None:
    """An unreadable rule store is not an empty one."""
    world.rules.trouble = BackendUnreachable("rules", "refused", "Start it")
    result = await configure.run(world.context())
    assert verdicts(result)["configure.applied"] == "error"
    assert "nothing was changed" in actual(result, "configure.applied")


# --- rollback --------------------------------------------------------------------------------------------------------


async def test_a_refused_reload_puts_the_old_files_back(world: World) -> None:
    """New files are removed, changed ones restored, and a reload follows."""
    world.rules.files["release.yml"] = before = "groups: []\n"
    world.rules.refuses = "the server keeps its old rules"
    context = world.context()
    result = await configure.run(context)

    assert verdicts(result)["configure.applied"] == "error"  # the reload of the old rules is refused as well
    assert world.rules.files == {"release.yml": before}
    assert {one for name, one in outcomes(context).items() if name.startswith("rules:")} == {"rolled-back"}
    assert "dashboard:checkout-red" not in outcomes(context)


async def test_rules_that_the_server_does_not_load_are_rolled_back(world: World) -> None:
    """A reload that says yes and does not load is a failure, found out by reading back. (P38)"""
    world.rules.drops = {"CheckoutErrors"}
    context = world.context()
    result = await configure.run(context)

    assert verdicts(result)["configure.applied"] == "failed"
    assert "not loaded as written" in actual(result, "configure.applied")
    assert "everything was rolled back" in actual(result, "configure.applied")
    applied = next(one for one in result.criteria if one.id == "configure.applied")
    assert "rule_files match what is in the folder of [rules]" in applied.remedy
    assert world.rules.files == {}
    assert world.clock.wall() - world.clock.started == pytest.approx(15, abs=1)


async def test_a_version_conflict_rolls_rules_and_earlier_dashboards_back(world: World) -> None:
    """Somebody else's change survives; ours goes, the dashboard that was updated gets its old model again."""
    world.put("boards/b.json", json.dumps(board(uid="second")))
    old = board(panel(1, "Old", RATE))
    world.boards.put(old, folder_uid="shop")
    world.boards.fails_on["second"] = BackendRefused("dashboards", "version-mismatch", status=412)
    world.put("boards/b.json", json.dumps(board(uid="second")))
    (world.folder / "boards/checkout.json").rename(world.folder / "boards/a.json")
    context = world.context()
    result = await configure.run(context)

    assert verdicts(result)["configure.applied"] == "failed"
    assert outcomes(context)["dashboard:checkout-red"] == "rolled-back"
    assert outcomes(context)["dashboard:second"] == "failed"
    stored = world.boards.stored["checkout-red"]
    assert (stored.version, stored.folder_uid, stored.model["panels"]) == (3, "shop", old["panels"])
    assert world.rules.files == {}
    assert world.metrics.loaded == ()


async def test_what_cannot_be_rolled_back_is_named(world: World) -> None:
    """Somebody changes our dashboard before we can take it back: it is left, and said."""
    world.put("boards/z.json", json.dumps(board(uid="second")))

    class Meddled(InMemoryDashboards):
        async def save(self, model: Mapping[str, Any], **how: Any) -> Dashboard:
            if model["uid"] == "second":
                self.put({**board(), "title": "Hands off"})
                raise BackendRefused("dashboards", "no", status=412)
            return await super().save(model, **how)

    world.ports["dashboards"] = world.boards = Meddled()
    context = world.context()
    result = await configure.run(context)

    assert verdicts(result)["configure.applied"] == "error"
    assert "NOT rolled back" in actual(result, "configure.applied")
    assert "changed by somebody else" in actual(result, "configure.applied")
    assert world.boards.stored["checkout-red"].title == "Hands off"
    assert outcomes(context)["dashboard:checkout-red"] == "unknown"


async def test_a_save_whose_answer_is_lost_counts_when_the_version_shows_it(world: World) -> None:
    """Class query: it is looked up by its version, never sent twice."""

    class Lossy(InMemoryDashboards):
        async def save(self, model: Mapping[str, Any], **how: Any) -> Dashboard:
            await super().save(model, **how)
            raise BackendTimeout("dashboards", "no answer in 15 s")

    world.ports["dashboards"] = world.boards = Lossy()
    result = await configure.run(world.context())
    assert unmet(result) == set()
    assert world.boards.saved == ["checkout-red"]


async def test_a_dashboard_that_reads_back_otherwise_is_rolled_back(world: World) -> None:
    """What Grafana stored is compared with what was sent."""
    world.boards.mangles = lambda model: {**model, "panels": []}
    result = await configure.run(world.context())
    assert verdicts(result)["configure.applied"] == "failed"
    assert world.boards.stored == {}
    assert world.rules.files == {}


async def test_a_failing_annotation_rolls_everything_back(world: World) -> None:
    """The plan is one thing: all of it stands, or none."""

    class Mute(InMemoryDashboards):
        async def annotate(self, *_: Any, **__: Any) -> str:
            raise BackendBroken("dashboards", "500")

    world.ports["dashboards"] = world.boards = Mute()
    result = await configure.run(world.context())
    assert verdicts(result)["configure.applied"] == "error"
    assert (world.boards.stored, world.rules.files) == ({}, {})


async def test_an_abort_in_the_middle_rolls_back(world: World) -> None:
    """A cancelled action leaves nothing half done."""
    started = asyncio.Event()

    class Slow(InMemoryDashboards):
        async def save(self, model: Mapping[str, Any], **how: Any) -> Dashboard:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

    world.ports["dashboards"] = world.boards = Slow()
    task = asyncio.create_task(configure.run(world.context()))
    await started.wait()
    assert world.rules.files
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.rules.files == {}


# --- after a crash ---------------------------------------------------------------------------------------------------


class Died(BaseException):
    """Stands for kill -9: nothing of ours runs after it."""


async def crashed(world: World, monkeypatch: pytest.MonkeyPatch) -> FakeContext:
    """A host that died between the reload and the dashboard, its facts as they were on disk."""

    async def die(*_: Any, **__: Any) -> Dashboard:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(world.boards, "save", die)
        context = world.context()
        with pytest.raises(Died):
            await configure.run(context)
    return context


async def test_a_resumed_attempt_reconciles_and_goes_on_without_asking_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open intent is found out by reading back; the answer that was given still counts."""
    dead = await crashed(world, monkeypatch)
    assert outcomes(dead)["dashboard:checkout-red"] == "open"
    kept = [fact for fact in dead.recorded if not isinstance(fact, f.RunOpened)]
    context = world.context(resumed=True, facts=kept)
    result = await configure.run(context)

    assert unmet(result) == set()
    assert context.asked == []
    found = [one for one in context.of_kind(f.OutcomeRecorded) if one.reconciled]
    assert [(one.id.partition(":")[2], one.outcome) for one in found] == [("dashboard:checkout-red", "failed")]
    assert world.boards.saved == ["checkout-red"]


async def test_a_resumed_attempt_that_fails_rolls_back_what_the_dead_host_wrote(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text from before the attempt comes back, not what the dead host had written."""
    world.rules.files["release.yml"] = before = "groups: []\n"
    dead = await crashed(world, monkeypatch)
    world.boards.fails_on["checkout-red"] = BackendRefused("dashboards", "no", status=403)
    kept = [fact for fact in dead.recorded if not isinstance(fact, f.RunOpened)]
    result = await configure.run(world.context(resumed=True, facts=kept))

    assert verdicts(result)["configure.applied"] == "failed"
    assert world.rules.files == {"release.yml": before}


async def test_files_that_changed_since_the_answer_are_asked_about_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yes counts for the plan that was shown, and for no other."""
    dead = await crashed(world, monkeypatch)
    world.put("rules/release.yml", RULES.replace("0.05", "0.5"))
    world.answers = lambda ask: "no"  # type: ignore[assignment]
    kept = [fact for fact in dead.recorded if not isinstance(fact, f.RunOpened)]
    context = world.context(resumed=True, facts=kept)
    result = await configure.run(context)

    assert context.asked[0].name.startswith("apply:")
    assert actual(result, "configure.applied").startswith("declined")


async def test_the_plan_is_confirmed_by_who_may_change_live_monitoring(world: World) -> None:
    """An SRE lead or an operator; where [people] names nobody, whoever drives. (P33 P34)"""
    world.put("rules/release.yml", RULES)
    context = world.context()
    await configure.run(context)
    assert context.asked[0].roles == ("sre-lead", "operator")


# --- alerts that are live --------------------------------------------------------------------------------------------


def alert(name: str = "Other", query: str = "up == 0", **more: Any) -> LoadedRule:
    labels = {"severity": "critical", "service": "payments", "owner": "payments", **more.pop("labels", {})}
    notes = {"summary": "s", "runbook_url": "docs/runbooks/x.md", **more.pop("annotations", {})}
    return LoadedRule(
        group="other", file="/etc/other.yml", name=name, query=query, kind="alerting", labels=labels,
        annotations=notes, **{"for_seconds": 60.0, "health": "ok", **more},
    )  # fmt: skip


async def judged(world: World, *rules: LoadedRule, **sections: Any) -> Any:
    """What is live is only these rules; the release brings none."""
    world.metrics.loaded = rules
    return await configure.run(
        world.context(paths={"rules": [], "slos": [], "dashboards": ["boards/*.json"]}, **sections)
    )


async def test_any_loaded_alert_without_a_threshold_fails_and_is_named(world: World) -> None:
    """Also one that is not ours. (P38)"""
    result = await judged(world, alert(), alert("Endless", "sum(rate(x[5m]))", labels={"severity": "info"}))
    assert verdicts(result)["configure.threshold"] == "failed"
    assert "Endless" in actual(result, "configure.threshold")
    assert "Other" not in actual(result, "configure.threshold")


@pytest.mark.parametrize(
    ("rule", "blocks"),
    [
        (alert(for_seconds=0.0), True),
        (alert(annotations={"runbook_url": ""}), True),
        (alert(labels={"owner": ""}), True),
        (alert(labels={"severity": "warning", "owner": ""}), True),  # payments changed
        (alert(labels={"severity": "warning", "service": "ledger", "owner": ""}), False),
    ],
)
async def test_an_incomplete_alert_blocks_where_it_is_critical_or_its_service_changed(
    world: World, rule: LoadedRule, blocks: bool
) -> None:
    """Elsewhere it is a gap with an owner."""
    result = await judged(world, alert("Whole"), rule)
    assert ("configure.alerts" in unmet(result)) is blocks
    gaps = [gap for gap in result.gaps if gap.id.startswith("alert:Other")]
    assert gaps
    assert {gap.severity for gap in gaps} == {"blocks" if blocks else "warns"}
    assert all(gap.owner for gap in gaps)


async def backlog_of(world: World, before: Any, rules: tuple[LoadedRule, ...], **ports: Any) -> dict[str, str]:
    """Id -> status of the alerts' entries after an attempt that found ``before``, and one over these rules."""
    world.metrics.loaded, world.answers = rules, {"apply": "yes"}
    world.ports.update(ports)
    paths = {"rules": [], "slos": [], "dashboards": ["boards/*.json"]}
    context = world.context(attempt=2, facts=list(before.gaps), paths=paths)
    await context.record(*(await configure.run(context)).gaps)
    return {gap.id: gap.status for gap in context.state.backlog.values() if gap.id.startswith("alert:Other")}


async def test_what_a_later_attempt_no_longer_finds_is_resolved(world: World) -> None:
    """An owner was added: its entry is closed, that of the runbook that is still missing stays open. (P70)"""
    before = await judged(world, alert(labels={"owner": ""}, annotations={"runbook_url": ""}))
    found = await backlog_of(world, before, (alert(annotations={"runbook_url": ""}),))
    assert found == {"alert:Other:owner-missing": "resolved", "alert:Other:runbook-missing": "open"}


async def test_what_a_later_attempt_could_not_look_at_stays_open(world: World) -> None:
    """Without routing nobody knows whom an alert reaches; without rules nobody knows of any alert."""
    world.alerting.routes = [({"severity": "critical", "service": "checkout"}, ("pager",))]
    before = await judged(world, alert(labels={"owner": ""}))
    assert {"alert:Other:routed-to-nobody", "alert:Other:owner-missing"} <= {gap.id for gap in before.gaps}
    found = await backlog_of(world, before, (alert(),), alerting=None)
    assert found == {"alert:Other:routed-to-nobody": "open", "alert:Other:owner-missing": "resolved"}
    for nothing in ({}, {"metrics": None}):
        found = await backlog_of(world, before, (), **nothing)
        assert found == {"alert:Other:routed-to-nobody": "open", "alert:Other:owner-missing": "open"}


async def test_no_alert_at_all_is_inconclusive(world: World) -> None:
    """Zero items are never a pass."""
    found = verdicts(await judged(world))
    assert found["configure.threshold"] == found["configure.alerts"] == found["configure.health"] == "inconclusive"


@pytest.mark.parametrize(("health", "verdict"), [("err", "failed"), ("unknown", "inconclusive"), ("ok", "passed")])
async def test_a_rule_must_have_been_evaluated(world: World, health: str, verdict: str) -> None:
    """An error fails, not yet is no pass, and waiting for it is bounded."""
    result = await judged(world, alert(health=health))
    assert verdicts(result)["configure.health"] == verdict
    assert world.clock.wall() - world.clock.started <= 92


async def test_critical_alerts_must_reach_somebody_and_the_service_is_named(world: World) -> None:
    """Loaded alerts and a critical alert of every critical service are simulated. (P38)"""
    world.alerting.routes = [({"severity": "critical", "service": "checkout"}, ("pager",))]
    result = await judged(world, alert())
    said = actual(result, "configure.routed")
    assert verdicts(result)["configure.routed"] == "failed"
    assert "Other (service payments)" in said
    assert "critical alerts of service payments end at receiver 'nobody'" in said
    assert "checkout" not in said


async def test_critical_is_what_the_configuration_says(world: World) -> None:
    """P1 under `prio`: that label must be there, its routes are asked, and no alert is invented. (P38)"""
    world.alerting.routes = [({"prio": "P1"}, ("pager",))]
    ours = {"severity_label": "prio", "critical": ["P1", "sev1"]}
    result = await judged(world, alert(labels={"prio": "p1"}), alert("Plain"), alerts=ours)

    assert verdicts(result)["configure.routed"] == "failed"
    said = actual(result, "configure.routed")
    assert "Other (service payments)" in said  # routes are exact about case: p1 is not routed
    assert "critical alerts of service" not in said
    rows = {row["name"]: row for row in result.data["alerts"]}
    assert [(rows[name]["severity"], rows[name]["critical"]) for name in ("Other", "Plain")] == [
        ("p1", True), ("", False),
    ]  # fmt: skip
    assert rows["Plain"]["issue_ids"] == ["severity-missing"]
    again = await judged(world, alert(labels={"prio": "P1"}), alerts=ours)
    assert verdicts(again)["configure.routed"] == "passed"


async def test_a_default_receiver_that_tells_somebody_is_a_gap_and_no_failure(world: World) -> None:
    """Small setups page from the root route; it is said, not refused."""
    world.alerting.routes, world.alerting.default_receiver = [], "pager"
    result = await judged(world, alert())
    assert verdicts(result)["configure.routed"] == "passed"
    assert "alert:Other:only-default" in {gap.id for gap in result.gaps}


@pytest.mark.parametrize(
    ("bend", "verdict"),
    [
        (lambda w: w.ports.update(alerting=None), "inconclusive"),
        (lambda w: setattr(w.alerting, "trouble", BackendUnreachable("alerting", "refused")), "error"),
        (lambda w: setattr(w.alerting, "config_yaml", "route: ["), "error"),
    ],
)
async def test_routing_that_cannot_be_read_is_never_a_pass(world: World, bend: Any, verdict: str) -> None:
    """Not configured, not reachable, not readable."""
    bend(world)
    assert verdicts(await judged(world, alert()))["configure.routed"] == verdict


async def test_a_server_that_knows_no_alertmanager_after_the_reload_fails(world: World) -> None:
    """Alerts would be dropped; waiting for it is bounded."""
    world.metrics.managers = ()
    result = await configure.run(world.context())
    assert "configure.alertmanagers" in unmet(result)


def test_the_service_of_an_alert_is_simulated_only_where_the_alert_carries_it() -> None:
    """An aggregation drops the label; routing must not be asked with one that is not there."""
    dropped = 'sum(rate(http_requests_total{service="payments"}[5m])) > 1'
    assert alert_checks.kept_value(dropped, "service") == ""
    assert alert_checks.kept_value(dropped.replace("sum(", "sum by (service) ("), "service") == "payments"
    assert alert_checks.kept_value('up{service="payments"} == 0', "service") == "payments"


# --- loaded equals written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sum(x) by (a, b) > 1", "sum by (b, a) (x) > 1", True),
        ("rate(x[300s]) > 1e6", "rate(x[5m]) > 1000000", True),
        ("(a + b)", "a + b", True),
        ('x{b="2",a="1"}', 'x{a="1",b="2"}', True),
        ('{__name__="x"}', "x", True),
        ("max_over_time(x[1h:1m])", "max_over_time(x[1h:2m])", False),
        ("a / on (b) c", "a / ignoring (b) c", False),
        ("x > 1", "x > 2", False),
        ("(a + b) * c", "a + b * c", False),
        ("a unless b", "a and b", False),
    ],
)
def test_expressions_are_compared_by_what_they_mean(one: str, other: str, same: bool) -> None:
    """Prometheus prints a rule in its own form; only meaning counts."""
    assert loaded_rules.same_expression(one, other) is same


def test_every_difference_between_loaded_and_written_is_found() -> None:
    """Missing groups, other counts, durations, labels, annotations, expressions."""
    file = monitoring_plan._rule_file(RULES.encode(), "release.yml", Path("release.yml"))
    good = LoadedRule(
        "release", "/rules/release.yml", "CheckoutErrors", file.groups[0].rules[0].expr, "alerting", 300.0,
        dict(file.groups[0].rules[0].labels), dict(file.groups[0].rules[0].annotations), "ok",
    )  # fmt: skip

    def differ(**changes: Any) -> str:
        return " ".join(loaded_rules.differences((file,), [LoadedRule(**{**vars(good), **changes})]))

    assert differ() == ""
    assert "is not loaded" in differ(file="/rules/other.yml")
    assert "`for` is 1m where 5m" in differ(for_seconds=60.0)
    assert "labels differ: severity" in differ(labels={**good.labels, "severity": "page"})
    assert "annotations differ: summary" in differ(annotations={**good.annotations, "summary": "x"})
    assert "another one" in differ(query="up == 0")
    assert "2 rules are loaded where 1" in loaded_rules.differences((file,), [good, good])[0]


# --- dashboards ------------------------------------------------------------------------------------------------------


async def checked(world: World, *panels: dict[str, Any], **more: Any) -> Any:
    world.put("boards/checkout.json", json.dumps(board(*panels, **more)))
    return await configure.run(world.context(paths={"rules": [], "slos": [], "dashboards": ["boards/*.json"]}))


def states(result: Any) -> dict[str, str]:
    return {panel["title"]: panel["state"] for board in result.data["dashboards"] for panel in board["panels"]}


async def test_each_distinct_query_is_run_once_as_grafana_would_send_it(world: World) -> None:
    """Variables are filled in; the same expression on two panels is one question."""
    variable = {"name": "service", "type": "query", "query": "label_values(http_requests_total, service)"}
    expr = 'sum(rate(http_requests_total{service="$service"}[$__rate_interval]))'
    await checked(world, panel(1, "One", expr), panel(2, "Two", expr), templating={"list": [variable]})
    sent = 'sum(rate(http_requests_total{service="checkout"}[5m]))'
    assert world.metrics.asked.count(sent) == 1
    assert not any("$" in expr for expr in world.metrics.asked)


async def test_a_panel_whose_metric_does_not_exist_is_broken_and_fails_its_dashboard(world: World) -> None:
    """A RED panel of a critical service fails whatever the score. (P37)"""
    world.metrics.answer("legacy", Vector(()))
    good = [panel(n, f"Good {n}", RATE) for n in range(2, 22)]
    result = await checked(world, panel(1, "Dead", 'rate(legacy_requests_total{service="checkout"}[5m])'), *good)

    assert states(result)["Dead"] == "broken"
    assert result.data["dashboards"][0]["score"] >= 90
    assert {"configure.panels:checkout-red"} <= unmet(result)
    assert "configure.dashboard:checkout-red" not in unmet(result)
    assert "no such metric: legacy_requests_total" in actual(result, "configure.panels:checkout-red")


@pytest.mark.parametrize(
    ("then", "status"),
    [
        (board(panel(1, "Mended", RATE)), "resolved"),
        (board(panel(1, "Elsewhere", "", targets=[{"refId": "A", "expr": "{}", "datasource": LOKI}])), "open"),
        (board(elements={}), "open"),
    ],
)
async def test_a_panel_that_works_again_is_resolved(world: World, then: dict[str, Any], status: str) -> None:
    """One that could not be looked at is not, nor is any of a dashboard that cannot be read. (P70)"""
    world.metrics.answer("legacy", Vector(()))
    before = await checked(world, panel(1, "Dead", 'rate(legacy_requests_total{service="checkout"}[5m])'))
    world.boards.sources = (*world.boards.sources, Datasource("loki", "Loki", "loki", False))
    world.put("boards/checkout.json", json.dumps(then))
    paths = {"rules": [], "slos": [], "dashboards": ["boards/*.json"]}
    context = world.context(attempt=2, facts=list(before.gaps), paths=paths)
    await context.record(*(await configure.run(context)).gaps)
    assert context.state.backlog["panel:checkout-red:1"].status == status


async def test_a_guard_does_not_hide_a_metric_that_does_not_exist(world: World) -> None:
    """`or vector(0)` answers 0 for ever; the panel is broken all the same."""
    world.metrics.answer("last_over_time(legacy", Vector(()))
    result = await checked(
        world, panel(1, "Zero", 'sum(rate(legacy_requests_total{service="checkout"}[5m])) or vector(0)')
    )
    assert states(result) == {"Zero": "broken"}


async def test_a_low_score_fails_and_says_which_panels(world: World) -> None:
    """The lowest dashboard decides; here none of it matters to a critical service."""
    world.metrics.answer("queue_depth", Vector(()))
    world.metrics.answer("last_over_time", 1.0)
    result = await checked(world, panel(1, "Depth", "queue_depth"), panel(2, "Rate", RATE))
    assert states(result) == {"Depth": "empty", "Rate": "ok"}
    assert "configure.dashboard:checkout-red" in unmet(result)
    assert "configure.panels:checkout-red" not in unmet(result)
    assert "Depth is empty" in actual(result, "configure.dashboard:checkout-red")


async def test_no_errors_is_no_dead_panel_while_the_total_has_data(world: World) -> None:
    """errors/total answers nothing when nothing failed: zero, as long as total and metric are there."""
    world.metrics.answer("5\\.\\.", Vector(()))
    world.metrics.answer("last_over_time", 1.0)
    assert states(await checked(world, panel(1, "Errors", ERRORS))) == {"Errors": "ok"}
    world.metrics.answer("http_requests_total", Vector(()))
    world.metrics.answer("last_over_time", 1.0)
    assert states(await checked(world, panel(1, "Errors", ERRORS))) == {"Errors": "empty"}


@pytest.mark.parametrize("expr", [ERRORS, f"100 * ({ERRORS})", f"clamp_min(1 - ({ERRORS}) / 0.001, 0)"])
def test_the_total_of_an_error_ratio_is_found_in_the_usual_forms(expr: str) -> None:
    """Percentages and error budgets too; anything else is no error ratio."""
    total = panel_queries.errors_of_total(expr)
    assert total is not None
    assert "5.." not in total
    assert panel_queries.errors_of_total("a / b") is None
    assert panel_queries.errors_of_total("errors_total / 0.001") is None


@pytest.mark.parametrize(
    ("answer", "state", "scored"),
    [
        (Vector((Sample({}, 0.0, float("nan")),)), "empty", "failed"),
        (Vector((Sample({}, 0.0, float("inf")),)), "empty", "failed"),
        (Vector((Sample({}, 0.0, 1.0),), ("partial: one store is down",)), "error", "error"),
        (BackendRefused("metrics", "parse error", status=400), "error", "failed"),
        (BackendTimeout("metrics", "no answer"), "error", "error"),
        (BackendRefused("metrics", "unauthorised", status=401), "error", "error"),
    ],
)
async def test_nothing_but_fresh_finite_data_passes(world: World, answer: Any, state: str, scored: str) -> None:
    """NaN, infinity and partial answers are no data; what could not be asked is an error and no finding."""
    world.metrics.answer("sum(rate(http_requests_total{", answer)
    world.metrics.answer("last_over_time", 1.0)
    result = await checked(world)
    assert states(result) == {"Rate": state}
    assert verdicts(result)["configure.dashboard:checkout-red"] == scored
    assert verdicts(result)["configure.panels:checkout-red"] == scored


async def test_other_data_sources_are_not_checked_and_unknown_ones_are_broken(world: World) -> None:
    """A log panel neither helps nor harms; a data source that is gone does."""
    loki = {"type": "loki", "uid": "loki"}
    world.boards.sources = (*world.boards.sources, Datasource("loki", "Loki", "loki", False))
    logs = panel(1, "Logs", '{app="x"}', targets=[{"refId": "A", "expr": '{app="x"}', "datasource": loki}])
    gone = panel(
        2, "Gone", "up", targets=[{"refId": "A", "expr": "up", "datasource": {"type": "prometheus", "uid": "old"}}]
    )
    result = await checked(world, logs, gone, panel(3, "Rate", RATE))
    assert states(result) == {"Logs": "not-checked", "Gone": "broken", "Rate": "ok"}
    only = await checked(world, logs)
    assert verdicts(only)["configure.dashboard:checkout-red"] == "inconclusive"


async def test_a_filter_that_nothing_passes_is_no_dead_panel(world: World) -> None:
    """`> 1` on quiet services answers nothing, while what it looks at has data."""
    expr = 'sum(rate(http_requests_total{service="checkout"}[5m])) > 100'
    world.metrics.answer("> 100", Vector(()))
    assert states(await checked(world, panel(1, "Busy", expr))) == {"Busy": "ok"}
    world.metrics.answer("count(http_requests_total", Vector(()))
    assert states(await checked(world, panel(1, "Busy", expr))) == {"Busy": "empty"}


async def test_a_variable_without_a_value_breaks_its_panel(world: World) -> None:
    """Grafana would send the dollar sign."""
    result = await checked(world, panel(1, "Lost", 'rate(x{a="$nowhere"}[5m])'))
    assert states(result) == {"Lost": "broken"}


async def test_no_required_dashboard_is_inconclusive(world: World) -> None:
    """Zero dashboards are never a pass."""
    result = await configure.run(world.context(paths={"rules": ["rules/*.yml"], "slos": [], "dashboards": []}))
    assert verdicts(result)["configure.dashboards"] == "inconclusive"


async def test_a_dashboard_in_a_layout_that_cannot_be_read_fails_by_name(world: World) -> None:
    """It is required by its tag, so it counts."""
    world.boards.put({"uid": "new", "title": "New", "tags": ["ray-required"], "elements": {}})
    result = await configure.run(world.context())
    assert verdicts(result)["configure.dashboards"] == "failed"
    assert "new: " in actual(result, "configure.dashboards")


async def test_a_critical_service_that_no_required_dashboard_shows_is_a_gap(world: World) -> None:
    """It warns; it does not block."""
    result = await configure.run(world.context())
    ids = {gap.id: gap.severity for gap in result.gaps}
    assert ids["red-panel:payments"] == "warns"
    assert "red-panel:checkout" not in ids


async def test_new_endpoints_that_a_dashboard_does_not_show_cost_release_fit(world: World) -> None:
    """A breakdown by route shows them all."""
    low = await checked(world)
    high = await checked(world, panel(1, "Rate", f"sum by (route) ({RATE})"))
    assert low.data["dashboards"][0]["parts"]["release fit"] == 5.0
    assert high.data["dashboards"][0]["parts"]["release fit"] == 10.0


def test_the_plan_sees_a_key_that_was_removed_and_ignores_what_grafana_counts() -> None:
    """Version, id and iteration are Grafana's; everything else is ours."""
    model = board()
    stored = {**copy.deepcopy(model), "id": 7, "version": 3, "iteration": 99}
    assert monitoring_plan.comparable(stored) == monitoring_plan.comparable(model)
    assert monitoring_plan.holds(stored, model)
    assert monitoring_plan.comparable({**stored, "refresh": "5s"}) != monitoring_plan.comparable(model)
    assert not monitoring_plan.holds({**stored, "panels": []}, model)
    assert dashboards.walk(stored) == dashboards.walk(model)

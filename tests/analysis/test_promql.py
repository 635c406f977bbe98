"""What promql.py says about expressions."""

import math
from datetime import timedelta
from pathlib import Path

import pytest

from ray_tui.analysis import promql, rule_files
from ray_tui.analysis.promql import PromqlError, Threshold
from ray_tui.core.errors import InputError

RULES = Path(__file__).parents[3] / "shared" / "corpus" / "rules"


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("up == 0", (("==", 0.0),)),
        ("up > 0.5 * 2", (("> ", 1.0),)),
        ("((rate(x[5m]))) > ((3/60))", ((">", 0.05),)),
        ("0.5 < up", ((">", 0.5),)),
        ("1 >= up", (("<=", 1.0),)),
        ("up > -(2)", ((">", -2.0),)),
        ("a > b", ((">", None),)),
        ("absent(up)", (("absent", None),)),
        ("a and b > 1", ((">", 1.0),)),
        ("a > 1 and b < 2", ((">", 1.0), ("<", 2.0))),
        ("a unless b", (("unless", None),)),
        ("a > 3 unless b", ((">", 3.0),)),
        ("a > 1 or b > 2", ((">", 1.0), (">", 2.0))),
        ("max(slo > (14.4 * 0.001)) without (w)", ((">", 0.0144),)),
        ("count(up == 0) > 3", ((">", 3.0),)),
        ("(x > 5) * 100", ((">", 5.0),)),
        ("x > 1 / 0", ((">", math.inf),)),
    ],
)
def test_thresholds_are_the_outermost_conditions(expr: str, expected: tuple[tuple[str, float | None], ...]):
    """Parentheses, flipped sides and constant arithmetic don't hide a threshold. (P38)"""
    found = promql.thresholds(expr)

    assert [(bound.op, bound.value) for bound in found] == [
        (op.strip(), value if value is None else pytest.approx(value)) for op, value in expected
    ]


@pytest.mark.parametrize(
    "expr",
    ["vector(1)", "up", "1", "up > bool 1", "a and b", "a or b > 1", "sum(x > 5) or vector(0)", "rate(x[5m]) * 100"],
)
def test_an_expression_that_always_answers_has_no_threshold(expr: str):
    """Nothing stands between data and page here: `bool`, `or` and vector() undo a comparison. (P38)"""
    assert promql.parse(expr).always_answers
    assert promql.thresholds(expr) == ()


def test_a_bool_comparison_below_a_filter_is_one():
    """`(x > bool 1) == 1` does filter: the trap is only the outer `bool`."""
    assert promql.thresholds("(x > bool 1) == 1") == (Threshold("==", 1.0, "== 1"),)


def test_metrics_come_from_names_matchers_and_simple_alternatives():
    """UTF-8 names, __name__ matchers and a|b patterns all count."""
    assert promql.metrics('{"http.requests"} + up + {__name__="a"} + {__name__=~"b|c"} + {__name__=~"d.*"}') == {
        "http.requests",
        "up",
        "a",
        "b",
        "c",
    }


def test_windows_are_ranges_and_subqueries_without_repeats():
    """Shortest first, offsets left out."""
    expr = "rate(a[5m] offset 1h) / rate(b[5m]) > max_over_time(c[1d:1m])"

    assert promql.windows(expr) == (timedelta(minutes=5), timedelta(days=1))


def test_label_matchers_leave_the_metrics_name_out():
    """Every matcher once, in reading order."""
    found = promql.label_matchers('{job="x",__name__="a"} / a{job="x",code=~"5.."}')

    assert [(one.name, one.op, one.value) for one in found] == [("job", "=", "x"), ("code", "=~", "5..")]


@pytest.mark.parametrize(
    ("expr", "position"),
    [("sum(foo[5m)", 10), ("sum(", 3), ("nosuch(a)", 0), ("up >", 4), ("", 0), ('rate({a="("}[5m]', 4)],
)
def test_an_error_names_the_expression_and_the_position(expr: str, position: int):
    """A person must find the place."""
    with pytest.raises(PromqlError) as caught:
        promql.parse(expr)

    assert caught.value.position == position
    assert expr in str(caught.value)


def test_grafana_variables_are_filled_in_as_grafana_does():
    """Built-ins, every way to write a variable, several values and All."""
    expr = 'rate(x{a="$a",b=~"${b}",c=~"[[c]]",d=~"${d:regex}",e=~"$e"}[$__rate_interval]) + y[$__range]'

    filled = promql.substitute_grafana(
        expr, {"a": "one", "b": ["x.y", "z"], "c": "$__all", "d": ["p.q"], "e": [promql.ALL]}, range_seconds=120
    )

    assert filled == r'rate(x{a="one",b=~"(x\\.y|z)",c=~".*",d=~"p\.q",e=~".*"}[5m]) + y[120s]'
    assert promql.grafana_variables(expr) == {"a", "b", "c", "d", "e"}


def test_a_variable_without_a_value_is_an_error_that_names_it():
    """A panel that refers to a variable that isn't there is broken, not empty."""
    with pytest.raises(PromqlError, match="'pod' has no value"):
        promql.substitute_grafana('x{pod="$pod"}', {})


def test_regex_groups_of_label_replace_are_no_variables():
    """`$1` stays."""
    expr = 'label_replace(x, "a", "$1", "b", "(.*)")'

    assert promql.substitute_grafana(expr, {}) == expr


def test_every_alert_of_the_corpus_but_four_has_a_threshold():
    """Two dead man's switches, a constant, and one that fires on any series. (P38)"""
    if not RULES.exists():
        pytest.skip(f"no corpus at {RULES}")
    unconditional = []
    for path in sorted(RULES.glob("*/*.y*ml")):
        try:
            groups = rule_files.parse(path.read_text(), path.name)
        except InputError:
            continue
        rules = [rule for group in groups for rule in group.rules if rule.kind == "alerting"]
        unconditional += [rule.name for rule in rules if promql.parse(rule.expr).always_answers]

    assert unconditional == [
        "PostgresqlInvalidIndex",
        "PrometheusAlertmanagerE2eDeadManSwitch",
        "Watchdog",
        "AlwaysFiring",
    ]

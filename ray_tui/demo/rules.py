"""The alert rules that the demo's shop team had before the release: name, owner, expression, runbook."""

from dataclasses import dataclass

import yaml


@dataclass(frozen=True)
class AlertRule:
    name: str
    service: str
    severity: str
    owner: str
    expr: str
    wait: str
    summary: str


def _errors(service: str) -> str:
    failed = f'sum(rate(http_requests_total{{service="{service}",status=~"5.."}}[5m]))'
    return f'{failed} / sum(rate(http_requests_total{{service="{service}"}}[5m])) > 0.05'


def _latency(service: str, seconds: float) -> str:
    buckets = f'rate(http_request_duration_seconds_bucket{{service="{service}"}}[5m])'
    return f"histogram_quantile(0.95, sum by (le) ({buckets})) > {seconds:g}"


_CHECKOUT, _PAYMENTS, _PLATFORM = "checkout-team", "payments-team", "platform-team"
_ERRORS = "more than 5% of requests fail"
_SLOW = "the 95th percentile of latency is above {:g} s"

TEAM_RULES: tuple[AlertRule, ...] = (
    AlertRule("CheckoutHighErrorRatio", "checkout", "critical", _CHECKOUT, _errors("checkout"), "2m", _ERRORS),
    AlertRule(
        "CheckoutHighLatency", "checkout", "critical", _CHECKOUT, _latency("checkout", 1.5), "5m", _SLOW.format(1.5)
    ),
    AlertRule("PaymentsHighErrorRatio", "payments", "critical", _PAYMENTS, _errors("payments"), "2m", _ERRORS),
    AlertRule(
        "PaymentsHighLatency", "payments", "critical", _PAYMENTS, _latency("payments", 1.5), "5m", _SLOW.format(1.5)
    ),
    AlertRule("CartHighErrorRatio", "cart", "critical", _CHECKOUT, _errors("cart"), "2m", _ERRORS),
    AlertRule(
        "FrontendHighLatency", "frontend", "critical", _PLATFORM, _latency("frontend", 2.0), "5m", _SLOW.format(2)
    ),
    AlertRule("GatewayHighErrorRatio", "gateway", "critical", _PLATFORM, _errors("gateway"), "2m", _ERRORS),
    AlertRule("AuthHighErrorRatio", "auth", "critical", _PLATFORM, _errors("auth"), "2m", _ERRORS),
    AlertRule(
        "GatewayTargetDown",
        "gateway",
        "critical",
        _PLATFORM,
        'up{job="shop",service="gateway"} == 0',
        "1m",
        "the metrics endpoint cannot be scraped",
    ),
    AlertRule(
        "FrontendProbeFailed",
        "frontend",
        "critical",
        _PLATFORM,
        'probe_success{service="frontend"} == 0',
        "1m",
        "the synthetic check fails",
    ),
    AlertRule(
        "QueueLagHigh",
        "notifications",
        "warning",
        _PLATFORM,
        'max(queue_lag_seconds{service="notifications"}) > 30',
        "5m",
        "messages wait longer than 30 s",
    ),
    AlertRule("SearchHighLatency", "search", "warning", _PLATFORM, _latency("search", 1.5), "10m", _SLOW.format(1.5)),
)


def without_threshold(name: str) -> AlertRule:
    """A rule that compares with nothing. It never fires: nothing in the shop answers 503."""
    expr = 'sum(rate(http_requests_total{service="search",status="503"}[5m]))'
    return AlertRule(name, "search", "warning", _PLATFORM, expr, "5m", "search answers 503")


def rule_file(without: tuple[str, ...] = ()) -> str:
    """The team's rule file as YAML, with a threshold-less rule added for each name in ``without``."""
    rules = [_entry(rule) for rule in (*TEAM_RULES, *(without_threshold(name) for name in without))]
    rules.append(
        {
            "alert": "Watchdog",
            "expr": "vector(1)",
            "labels": {"severity": "none", "owner": _PLATFORM},
            "annotations": {
                "summary": "Always fires: proves that alerts get through.",
                "description": "When this stops arriving, nothing else will arrive either.",
                "runbook_url": "docs/runbooks/Watchdog.md",
            },
        }
    )
    return yaml.safe_dump({"groups": [{"name": "shop", "interval": "5s", "rules": rules}]}, sort_keys=False, width=1000)


def _entry(rule: AlertRule) -> dict[str, object]:
    return {
        "alert": rule.name,
        "expr": rule.expr,
        "for": rule.wait,
        "labels": {"severity": rule.severity, "service": rule.service, "owner": rule.owner},
        "annotations": {
            "summary": f"{rule.service}: {rule.summary}.",
            "description": f"{rule.service}: {rule.summary} (now {{{{ $value }}}}). Owner: {rule.owner}.",
            "runbook_url": f"docs/runbooks/{rule.name}.md",
        },
    }

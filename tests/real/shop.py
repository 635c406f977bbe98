"""A small shop for the real systems: its rules, and an Alertmanager that sends to the demo's webhook sink."""

import yaml

RULES = """
groups:
  - name: shop
    interval: 1s
    rules:
      - {alert: Watchdog, expr: vector(1), labels: {severity: none}}
      - {alert: Down, expr: vector(1) > 2, labels: {severity: critical, service: checkout}}
"""


def alertmanager(sink_port: int) -> str:
    """Watchdog to one receiver, critical alerts to another, everything else to nobody."""
    return yaml.safe_dump({
        "route": {
            "receiver": "nobody", "group_by": ["alertname", "service", "ray_tui_probe"], "group_wait": "200ms",
            "group_interval": "1s", "repeat_interval": "1h",
            "routes": [{"matchers": ['alertname="Watchdog"'], "receiver": "watchdog"},
                       {"matchers": ['severity="critical"'], "receiver": "oncall"}],
        },
        "receivers": [{"name": "nobody"}, *(
            {"name": name, "webhook_configs": [{"url": f"http://127.0.0.1:{sink_port}/hook/{name}"}]}
            for name in ("watchdog", "oncall")
        )],
    })  # fmt: skip

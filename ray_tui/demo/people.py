"""Who works at the demo's shop, who is on call at which level, and how each of them answers a page or a message."""

from dataclasses import dataclass

from ray_tui.demo.scenario import Scenario

ESCALATION_SECONDS = 3.0
"""How long a level is given before the next one is called."""


@dataclass(frozen=True)
class Person:
    """One employee, as PagerDuty, Slack and the mail server know them."""

    key: str
    name: str
    phone: str

    @property
    def pagerduty_id(self) -> str:
        return f"P{self.key.upper()}"

    @property
    def slack_id(self) -> str:
        return f"U{self.key.upper()}"

    @property
    def email(self) -> str:
        return f"{self.key}@shop.example"


@dataclass(frozen=True)
class Policy:
    """An escalation policy: the people of each level, by key. A level may have nobody."""

    id: str
    name: str
    levels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PagerService:
    """A PagerDuty service, the policy that it pages through, and its Events API routing key."""

    id: str
    name: str
    policy_id: str

    @property
    def routing_key(self) -> str:
        """32 characters, as real ones are."""
        return f"rk{self.id.lower()}".ljust(32, "0")


PEOPLE = {
    person.key: person
    for person in (
        Person("mira", "Mira Okafor", "5550101"),
        Person("priya", "Priya Nair", "5550102"),
        Person("tom", "Tom Brandt", "5550103"),
        Person("sam", "Sam Ito", "5550104"),
        Person("jo", "Jo Weiss", "5550105"),
        Person("lee", "Lee Moreau", "5550106"),
    )
}

POLICIES: tuple[Policy, ...] = (
    Policy("PPOLCHK", "Checkout on-call", (("mira",), ("tom",))),
    Policy("PPOLPAY", "Payments on-call", (("priya",), ("tom",))),
    Policy("PPOLPLT", "Platform on-call", (("sam",), ("jo",))),
    Policy("PPOLTST", "ray-tui test (nobody)", ()),
)

SERVICES: tuple[PagerService, ...] = (
    PagerService("PSVCCHK", "Checkout", "PPOLCHK"),
    PagerService("PSVCPAY", "Payments", "PPOLPAY"),
    PagerService("PSVCPLT", "Platform", "PPOLPLT"),
    PagerService("PSVCTST", "ray-tui test", "PPOLTST"),
)

SLACK_WATCHER = PEOPLE["sam"]
MAIL_READER = PEOPLE["lee"]
WEBHOOK_WATCHER = PEOPLE["jo"]

_PAGER_SERVICE = {"checkout": "PSVCCHK", "cart": "PSVCCHK", "payments": "PSVCPAY"}


def pager_service_of(shop_service: str) -> str:
    """The id of the PagerDuty service that a shop service's incidents belong to."""
    return _PAGER_SERVICE.get(shop_service, "PSVCPLT")


def told_not_to(text: str) -> bool:
    """Whether a page asks its first reader to leave it alone, so that escalation can be seen."""
    return "do not acknowledge" in text.lower()


def asks_for_acknowledgement(text: str) -> bool:
    """Whether a message on a channel where nobody is *on call* (chat, mail) wants an answer of its reader."""
    return "[test]" in text.lower() and not told_not_to(text)


@dataclass
class People:
    """The rota and the habits of the people on it, as a scenario bends them. Tests set ``ack_after_seconds``."""

    ack_after_seconds: float
    policies: tuple[Policy, ...] = POLICIES
    escalation_seconds: float = ESCALATION_SECONDS

    @classmethod
    def of(cls, scenario: Scenario) -> "People":
        """With a broken escalation, level 2 of every policy has nobody."""
        policies = POLICIES
        if scenario.people.broken_escalation:
            policies = tuple(
                Policy(each.id, each.name, (each.levels[0], ()) if each.levels else ()) for each in POLICIES
            )
        return cls(scenario.people.ack_after_seconds, policies)

    def policy(self, policy_id: str) -> Policy:
        return next(each for each in self.policies if each.id == policy_id)

    def policy_of(self, pager_service_id: str) -> Policy:
        service = next(each for each in SERVICES if each.id == pager_service_id)
        return self.policy(service.policy_id)

    def acknowledges(self, text: str, level: int) -> bool:
        """Whether somebody who is paged at ``level`` (from 1) acknowledges what the page says."""
        return level > 1 or not told_not_to(text)

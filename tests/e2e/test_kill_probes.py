"""2.2 killed before send, after send, after response and after journal, for each side-effect class, then resumed.

The adapters are the real ones, over the demo's Alertmanagers, pager, Slack and mail; who was reached is asked there.
"""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ray_tui.core import facts as f
from ray_tui.core.ports import SideEffect
from ray_tui.core.state import RunState
from ray_tui.core.verdicts import Verdict
from tests.e2e.demo import Stack
from tests.e2e.kill_host import MOMENTS, Death
from tests.e2e.killing import KILLED, Hosts, a_demo, begun, criterion, mails, slack_messages, state_of

pytestmark = pytest.mark.timeout(300)
PEERS = 2
RECEIVERS = ("mail-audit", "pd-checkout", "pd-payments", "pd-platform", "slack-release")
ALERTS = 4
"""pd-payments and mail-audit share one."""
LANES = ((SideEffect.QUERY, "ack"), (SideEffect.DEDUP, "ack"), (SideEffect.NONE, "ack"), (SideEffect.QUERY, "esc"))
"""What the adapter declares, and the probe around whose send the host dies."""
ANSWERED, LOOKED_UP = "answer of every peer", "seen on every peer after a restart"
"""How it shows that a probe was accepted: the host that says so has sent it, or has found it there."""
Cell = tuple[SideEffect, str, str]
CELLS = [(effect, moment, purpose) for effect, purpose in LANES for moment in MOMENTS]


@dataclass
class Probed:
    """One run of 2.2 that was killed and resumed."""

    first: int
    before: str
    """What the host that was to be killed has said: nothing, unless it came to its end."""
    said: dict[str, Any]
    folder: Path
    state: RunState
    pages: Counter[tuple[str, str]]
    """(probe, person) -> how often the pager called."""
    messages: Counter[tuple[str, str]]
    """(probe, "slack" or "mail") -> messages in the channel and in the mailbox."""

    def got(self, intended: f.ProbeIntended) -> int:
        """How often a probe reached a person by this receiver; legs of one alert share its token."""
        token, kind = intended.labels["ray_tui_probe"], intended.receiver.partition("-")[0]
        if kind != "pd":
            return self.messages[token, kind]
        return max((count for (of, _), count in self.pages.items() if of == token), default=0)

    @property
    def problems(self) -> dict[str, list[str]]:
        """Receiver -> its problems, from ``alert-test-results.json``."""
        body = json.loads((self.folder / "evidence" / "alert-test-results.json").read_text())["body"]
        return {row["receiver"]: [one["problem"] for one in row["problems"]] for row in body["receivers"]}


def probe(stack: Stack, hosts: Hosts, effect: SideEffect, moment: str, purpose: str) -> Probed:
    """All five receivers are at that moment when the host dies; of the escalation probes, the first."""
    run_id = f"2026-11-22T2000Z-kill-{effect}{MOMENTS.index(moment)}{purpose}"  # a socket is named by the last part
    folder = begun(stack.config, run_id, "2.2")
    acks = purpose == "ack"
    death = Death(
        moment, f'-{purpose}"', PEERS * ALERTS if acks else PEERS, "ProbeHopSeen", ('"t1"', f'-{purpose}"'),
        len(RECEIVERS) if acks else 1,
    )  # fmt: skip
    declared = {"ray_tui.backends.alertmanager:Alertmanager": effect.value}
    first, before = hosts.carry_out(stack.config, run_id, death, declared)
    _, said = hosts.carry_out(stack.config, run_id, None, declared)
    state = state_of(folder)
    pages: Counter[tuple[str, str]] = Counter()
    for page in stack.pages():
        pages.update((token, page["user"]) for token in state.probes if token in str(page))
    messages: Counter[tuple[str, str]] = Counter()
    for kind, texts in (("slack", slack_messages(stack)), ("mail", mails(stack))):
        messages.update((token, kind) for text in texts for token in state.probes if token in text)
    return Probed(first, before, json.loads(said), folder, state, pages, messages)


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, Probed]:
    """Every cell of the table; each row has a demo stack of its own."""
    folders = {lane: tmp_path_factory.mktemp("-".join(lane)) for lane in LANES}

    def row(lane: tuple[SideEffect, str]) -> dict[Cell, Probed]:
        effect, purpose = lane
        with a_demo(folders[lane]) as stack:
            return {(effect, moment, purpose): probe(stack, hosts, effect, moment, purpose) for moment in MOMENTS}

    with Hosts(tmp_path_factory.mktemp("hosts")) as hosts, ThreadPoolExecutor(len(LANES)) as pool:
        return {cell: found for row in pool.map(row, LANES) for cell, found in row.items()}


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_whoever_dies_around_the_send_pages_nobody_twice(probed: dict[Cell, Probed], cell: Cell) -> None:
    """Five receivers each: pages per probe and person ≤ 1; sent on resume what certainly was not. (P40)"""
    effect, moment, purpose = cell
    found = probed[cell]

    assert found.first == KILLED, found.before
    assert max(found.pages.values(), default=0) <= 1, found.pages
    assert max(found.messages.values(), default=0) <= 1, found.messages
    assert all(one.cleared and one.cleared.clean for one in found.state.probes.values())
    probes = found.state.probes.values()
    acks = {one.intended.receiver: one for one in probes if one.intended.purpose == "acknowledge"}
    got = {receiver: found.got(one.intended) for receiver, one in acks.items()}
    if effect is SideEffect.NONE and moment == "before send":
        assert got == dict.fromkeys(RECEIVERS, 0)
        return
    assert got == dict.fromkeys(RECEIVERS, 1)
    assert {found.got(one.intended) for one in probes if one.intended.purpose == "escalate"} == {1}
    assert not any("unknown" in problems for problems in found.problems.values())
    if purpose == "ack":
        shown = LOOKED_UP if moment in ("after send", "after response") else ANSWERED
        assert {one.hops["t1"].source for one in acks.values()} == {shown}


def test_what_only_a_person_can_tell_is_said_to_be_unknown(probed: dict[Cell, Probed]) -> None:
    """In the criterion, in ``alert-test-results.json`` and in ``--json``: unknown, and what to look for where. (P40)"""
    found = probed[SideEffect.NONE, "before send", "ack"]

    for receiver in RECEIVERS:
        judged = criterion(found.state, "2.2", f"alert_paths.delivered:{receiver}")
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "unknown" in judged.actual
        assert "only a person can tell" in judged.actual
        assert receiver in judged.actual
        assert "unknown" in found.problems[receiver]
    assert "only a person can tell" in found.said["why"]
    assert found.said["halted_at"] == "2.2"

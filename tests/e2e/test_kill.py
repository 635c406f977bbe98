"""kill -9 of the host at any moment: nothing acknowledged is lost, and nobody is paged twice."""

import random
from collections import Counter

import pytest

from ray_tui.core import plan
from tests.e2e.demo import Stack, evidence_of, kill_when, ray_tui

KILLS_A_RUN = 12


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.timeout(400)
def test_a_run_that_is_killed_a_dozen_times_still_completes(tmp_path, seed):
    """Twelve SIGKILLs spread over one run, each followed by a resume: evidence complete, pages per attempt ≤ 1."""
    chance = random.Random(seed)
    with Stack(tmp_path / "demo") as stack:
        process = stack.headless()
        kills = 0
        while kills < KILLS_A_RUN:
            if not kill_when(stack, process, stack.lines() + chance.randint(1, 20)):
                break
            kills += 1
            process.communicate()
            process = stack.headless("--resume", "--run", stack.run_folder().name)
        out, err = process.communicate(timeout=170)
        state = stack.state()
        assert process.returncode == 0, f"after {kills} kills: {out}{err}"
        assert kills == KILLS_A_RUN, "the run was over too soon for this sweep to mean much"
        assert state.completed is not None
        wanted = {artifact.name for action in plan.ACTIONS for artifact in action.artifacts}
        assert wanted <= evidence_of(stack)
        assert ray_tui("verify", stack.run_folder()).returncode == 0
        assert [page for page in stack.pages() if not token_of(page, state)] == [], "of no intent in the journal"
        pages = Counter((token_of(page, state), page["user"]) for page in stack.pages())
        assert pages, "no page was counted"
        assert max(pages.values()) == 1, pages
        assert all(probe.cleared and probe.cleared.clean for probe in state.probes.values())


def token_of(page, state):
    """The probe whose token this page carries."""
    text = str(page)
    return next((probe for probe in state.probes if probe in text), "")

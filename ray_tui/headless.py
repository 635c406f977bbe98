"""Follow a run without a person: answer from a file, say what happens, end with its verdict."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ray_tui.core import facts as f
from ray_tui.core import views
from ray_tui.core.answers import Answers, prompt_name
from ray_tui.core.commands import Refused
from ray_tui.core.handle import Rewound, RunHandle
from ray_tui.core.state import LogLine, RunState, apply


@dataclass
class Outcome:
    """How a headless run ended. ``why`` names the halt or the unanswered prompt; empty when it passed."""

    code: int
    why: str
    state: RunState
    unanswered: str = ""


@dataclass
class Headless:
    """Answers prompts and halts of one run."""

    handle: RunHandle
    answers: Answers
    tell: Callable[[LogLine], None] = lambda line: None
    state: RunState = field(default_factory=RunState)
    _tried: set[str] = field(default_factory=set)

    async def follow(self) -> Outcome:
        """Until the run ends, halts without an answer, or asks what the answers file does not say."""
        async for entry in self.handle.entries():
            if isinstance(entry, Rewound):
                self.state = RunState()
                continue
            before = len(self.state.log)
            apply(self.state, entry)
            if len(self.state.log) > before:
                self.tell(self.state.log[-1])
            ended = await self._react(entry)
            if ended is not None:
                return ended
        return Outcome(views.exit_code(self.state), self._why(), self.state)

    async def _react(self, entry: f.Entry) -> Outcome | None:
        fact = entry.fact
        if isinstance(fact, f.RunCompleted | f.RunAborted):
            return Outcome(views.exit_code(self.state), self._why(), self.state)
        if isinstance(fact, f.PromptRaised):
            return await self._answer(fact)
        if isinstance(fact, f.Halted):
            return await self._settle(fact)
        return None

    async def _answer(self, prompt: f.PromptRaised) -> Outcome | None:
        command = self.answers.to_prompt(prompt)
        name = prompt_name(prompt.id)
        if command is None:
            return self._unanswered(name, f"{prompt.title}: the answers file has no answer to {name!r}")
        reply = await self.handle.submit(command)
        if isinstance(reply, Refused) and "answered that already" not in reply.why:
            return self._unanswered(name, f"{prompt.title}: the answer to {name!r} was refused: {reply.why}")
        return None

    def _unanswered(self, name: str, why: str) -> Outcome:
        return Outcome(views.FAILED_CODE, why, self.state, unanswered=name)

    async def _settle(self, halt: f.Halted) -> Outcome | None:
        commands = self.answers.to_halt(halt)
        key = f"{halt.step}:{halt.criteria}"
        if not commands or key in self._tried:
            return Outcome(views.exit_code(self.state), f"halted at {halt.step}: {halt.reason}", self.state)
        self._tried.add(key)
        for command in commands:
            reply = await self.handle.submit(command)
            if isinstance(reply, Refused):
                why = f"halted at {halt.step}: {halt.reason} (the answers file's waiver was refused: {reply.why})"
                return Outcome(views.exit_code(self.state), why, self.state)
        return None

    def _why(self) -> str:
        if self.state.completed is not None:
            return ""
        if self.state.aborted is not None:
            return f"aborted: {self.state.aborted.reason}"
        if self.state.halt is not None:
            return f"halted at {self.state.halt.step}: {self.state.halt.reason}"
        return "the run stopped before it was over; `ray-tui run --resume` goes on"


async def follow(handle: RunHandle, answers: Answers, tell: Callable[[LogLine], None], seconds: float) -> Outcome:
    """``Headless.follow`` under a deadline; a run that is late is left resumable."""
    headless = Headless(handle, answers, tell)
    try:
        return await asyncio.wait_for(headless.follow(), seconds if seconds > 0 else None)
    except TimeoutError:
        return Outcome(
            views.FAILED_CODE, f"not over after {seconds:g} s; `ray-tui run --resume` goes on", headless.state
        )

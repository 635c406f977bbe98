"""Follow a run without a person: answer from a file, say what happens, end with its verdict."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ray_tui.core import facts as f
from ray_tui.core import views
from ray_tui.core.answers import Answers, Declined, prompt_name
from ray_tui.core.commands import Decline, Refused, RunStep
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
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _answered: set[str] = field(default_factory=set)
    _halts: set[int] = field(default_factory=set)
    _declined: set[str] = field(default_factory=set)
    _tried: set[str] = field(default_factory=set)
    _retried: Counter[str] = field(default_factory=Counter)

    async def follow(self) -> Outcome:
        """Until the run ends, halts without an answer, or asks what the answers file does not say."""
        entries = aiter(self.handle.entries())
        coming = asyncio.ensure_future(anext(entries, None))
        try:
            while (entry := await coming) is not None:
                coming = asyncio.ensure_future(anext(entries, None))
                self._take(entry)
                await asyncio.sleep(0)
                if coming.done():  # the past of a resumed run: what was open in it may be settled further on
                    continue
                ended = await self._react()
                if ended is not None:
                    return ended
            return Outcome(views.exit_code(self.state), self._why(), self.state)
        finally:
            coming.cancel()

    def _take(self, entry: f.Entry | Rewound) -> None:
        if isinstance(entry, Rewound):
            self.state = RunState()
            return
        before = len(self.state.log)
        apply(self.state, entry)
        if len(self.state.log) > before:
            self.tell(self.state.log[-1])

    async def _react(self) -> Outcome | None:
        """Answer what is open now, each question and each halt once."""
        if self.state.ended:
            return Outcome(views.exit_code(self.state), self._why(), self.state)
        for declined in self.answers.decline:
            if declined.step not in self._declined:
                self._declined.add(declined.step)
                ended = await self._decline(declined)
                if ended is not None:
                    return ended
        for prompt in self.state.open_prompts:
            if prompt.raised.id not in self._answered:
                self._answered.add(prompt.raised.id)
                ended = await self._answer(prompt.raised)
                if ended is not None:
                    return ended
        if self.state.halt is not None and self.state.halt_seq not in self._halts:
            self._halts.add(self.state.halt_seq)
            return await self._settle(self.state.halt)
        return None

    async def _decline(self, declined: Declined) -> Outcome | None:
        """Before its turn comes; what runs by now is declined where it halts, what is over is over."""
        step = self.state.steps.get(declined.step)
        if step is not None and (step.settled or step.status == "running" or declined.step in self.state.declined):
            return None
        reply = await self.handle.submit(Decline(step=declined.step, reason=declined.reason))
        if isinstance(reply, Refused):
            why = f"the answers file declines {declined.step}, and that was refused: {reply.why}"
            return self._unanswered(f"decline:{declined.step}", why)
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
        again = self.answers.retry_of(halt.step, self._retried[halt.step])
        if again is not None:
            self._retried[halt.step] += 1
            await self.sleep(again.after_seconds)
            reply = await self.handle.submit(RunStep(step=halt.step))
            if isinstance(reply, Refused):
                return self._stays_halted(halt, f"the retry was refused: {reply.why}")
            return None
        commands = self.answers.to_halt(halt)
        key = f"{halt.step}:{halt.criteria}"
        if not commands or key in self._tried:
            return Outcome(views.exit_code(self.state), f"halted at {halt.step}: {halt.reason}", self.state)
        self._tried.add(key)
        for command in commands:
            reply = await self.handle.submit(command)
            if isinstance(reply, Refused):
                return self._stays_halted(halt, f"what the answers file says was refused: {reply.why}")
        return None

    def _stays_halted(self, halt: f.Halted, why: str) -> Outcome:
        return Outcome(views.exit_code(self.state), f"halted at {halt.step}: {halt.reason} ({why})", self.state)

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

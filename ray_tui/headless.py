"""Follow a run without a person: answer from a file, say what happens, end with its verdict."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ray_tui.core import announcements, plan, views
from ray_tui.core import facts as f
from ray_tui.core.answers import Answers, Declined, prompt_name
from ray_tui.core.commands import Command, Decline, ProposeWaiver, RecordManual, Refused, Reply, RunStep
from ray_tui.core.handle import Rewound, RunHandle
from ray_tui.core.rules import blocking
from ray_tui.core.state import LogLine, RunState, apply
from ray_tui.core.together import asked
from ray_tui.core.verdicts import Criterion, Verdict

QUIET_SECONDS = 0.2
"""What a run has recorded about a halt has come when nothing more comes for so long."""


@dataclass
class Outcome:
    """How a headless run ended. ``why`` names the halt or the unanswered prompt; empty when it passed."""

    code: int
    why: str
    state: RunState
    unanswered: str = ""
    account: tuple[str, ...] = ()
    """What the answers file proposed at halts and what became of it, and what still blocks and why; a line each."""


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
    _account: list[str] = field(default_factory=list)
    _refused: dict[tuple[str, str], str] = field(default_factory=dict)
    """(Step, criterion) -> why what the file proposes of it was refused."""
    _entries: AsyncIterator[f.Entry | Rewound] = field(init=False)
    _coming: "asyncio.Future[f.Entry | Rewound | None]" = field(init=False)

    async def follow(self) -> Outcome:
        """Until the run ends, halts without an answer, or asks what the answers file does not say."""
        self._entries = aiter(self.handle.entries())
        self._coming = asyncio.ensure_future(anext(self._entries, None))
        try:
            while await self._take_next():
                await asyncio.sleep(0)
                if self._coming.done():  # the past of a resumed run: what was open in it may be settled further on
                    continue
                ended = await self._react()
                if ended is not None:
                    return ended
            return Outcome(views.exit_code(self.state), self._why(), self.state)
        finally:
            self._coming.cancel()

    async def _take_next(self) -> bool:
        """False when nothing will come any more."""
        entry = await self._coming
        if entry is None:
            return False
        self._coming = asyncio.ensure_future(anext(self._entries, None))
        self._take(entry)
        return True

    async def _catch_up(self, halt: f.Halted) -> None:
        """Take, and so tell, what was recorded of this halt by now."""
        while self.state.halt is halt:
            coming, _ = await asyncio.wait({self._coming}, timeout=QUIET_SECONDS)
            if not coming or not await self._take_next():
                return

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
        return Outcome(views.FAILED_CODE, why, self.state, unanswered=name, account=tuple(self._account))

    async def _settle(self, halt: f.Halted) -> Outcome | None:
        again = self.answers.retry_of(halt.step, self._retried[halt.step])
        if again is not None:
            self._retried[halt.step] += 1
            await self.sleep(again.after_seconds)
            reply = await self.handle.submit(RunStep(step=halt.step))
            if isinstance(reply, Refused):
                return self._stays_halted(halt, f"the retry was refused: {reply.why}")
            return None
        commands = self.answers.to_halt(halt.step, [one.id for one in self._blocking(halt)])
        key = f"{halt.step}:{halt.criteria}"
        first = key not in self._tried
        self._tried.add(key)
        if first:
            await self._submit(halt, commands)
        if self.state.halt is not halt:
            return None
        left = self._blocking(halt)
        if not left and commands:  # what the file has proposed waits for a second person
            return None
        if first and left and all(map(_not_asked, left)):
            reply = await self.handle.submit(RunStep(step=halt.step))
            if not isinstance(reply, Refused):
                return None
            return self._stays_halted(halt, f"running it again was refused: {reply.why}")
        return self._stays_halted(halt)

    def _blocking(self, halt: f.Halted) -> list[Criterion]:
        """What blocks there and does not wait for the second person of a waiver."""
        waits = asked(self.state, halt.step)
        return [one for one in blocking(self.state, halt.step, self.state.at) if one.id not in waits]

    async def _submit(self, halt: f.Halted, commands: Sequence[Command]) -> None:
        """Each by itself: what is refused keeps nothing else from being taken."""
        for command in commands:
            reply = await self.handle.submit(command)
            if isinstance(reply, Refused):
                self._refused[halt.step, getattr(command, "criterion", "")] = reply.why
            self._account.append(f"{_proposal(command)}: {_became(command, reply)}")
        await self._catch_up(halt)

    def _stays_halted(self, halt: f.Halted, why: str = "") -> Outcome:
        left = self._blocking(halt)
        some = left and len(left) < len(halt.criteria)
        reason = announcements.not_passed(left) if some else halt.reason
        refused = [said for (step, _), said in self._refused.items() if step == halt.step]
        why = why or (f"what the answers file says was refused: {refused[0]}" if refused else "")
        still = [f"still blocks: {one.id}: {one.title}: {one.actual}{self._because(halt, one)}" for one in left]
        return Outcome(
            views.exit_code(self.state), f"halted at {halt.step}: {reason}{f' ({why})' if why else ''}", self.state,
            account=(*self._account, *still),
        )  # fmt: skip

    def _because(self, halt: f.Halted, criterion: Criterion) -> str:
        """Why the answers file has not settled it."""
        refused = self._refused.get((halt.step, criterion.id))
        if refused is not None:
            return f" (refused: {refused})"
        if _not_asked(criterion):
            return ""  # it says itself what comes first
        if self.answers.to_halt(halt.step, [criterion.id]):
            return " (the answers file has settled it once, and it was measured again since)"
        return " (the answers file says nothing of it)"

    def _why(self) -> str:
        if self.state.completed is not None:
            return ""
        if self.state.aborted is not None:
            return f"aborted: {self.state.aborted.reason}"
        if self.state.halt is not None:
            return f"halted at {self.state.halt.step}: {self.state.halt.reason}"
        return "the run stopped before it was over; `ray-tui run --resume` goes on"


def _not_asked(criterion: Criterion) -> bool:
    """An approval that nobody was asked for, because other prerequisites blocked."""
    return criterion.id.startswith(plan.APPROVAL_CRITERION) and criterion.verdict is Verdict.INCONCLUSIVE


def _proposal(command: Command) -> str:
    match command:
        case ProposeWaiver():
            return f"waiver of {command.criterion}"
        case RecordManual():
            return f"manual validation of {command.criterion}"
    return "decline"


def _became(command: Command, reply: Reply) -> str:
    if isinstance(reply, Refused):
        return f"refused: {reply.why}"
    if isinstance(command, ProposeWaiver) and not command.claimed_approver:
        return "proposed; it waits for a second person"
    return "taken"


async def follow(handle: RunHandle, answers: Answers, tell: Callable[[LogLine], None], seconds: float) -> Outcome:
    """``Headless.follow`` under a deadline; a run that is late is left resumable."""
    headless = Headless(handle, answers, tell)
    try:
        return await asyncio.wait_for(headless.follow(), seconds if seconds > 0 else None)
    except TimeoutError:
        return Outcome(
            views.FAILED_CODE, f"not over after {seconds:g} s; `ray-tui run --resume` goes on", headless.state
        )

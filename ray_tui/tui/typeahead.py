"""Keys are handed on one at a time, each when the one before has had its effect: what is typed while a dialog is being
opened reaches the dialog, and nothing of it is lost or taken for a key of the console below."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen

PATIENCE_SECONDS = 1.0
"""A key whose end is not heard of (its widget was removed) holds the others up for so long at most."""
LOOK_SECONDS = 0.01
ROUNDS = 2
"""A key has gone its way once; what it has set off (Submitted, chosen, dismissed) goes the same way after it."""
MOST = 2_000
"""Keys that wait; more than so is a paste into the wrong window."""


class Passed(Message, bubble=True):
    """Follows a key on its way up from the widget that got it."""

    def __init__(self, target: MessagePump, number: int, rounds: int) -> None:
        super().__init__()
        self.target = target
        self.number = number
        self.rounds = rounds


class Typeahead:
    """One per app. ``hand_on`` gives a key to the app as if it had just been typed."""

    def __init__(self, app: App[Any], hand_on: Callable[[events.Key], Awaitable[None]]) -> None:
        self.app = app
        self.hand_on = hand_on
        self._waiting: deque[events.Key] = deque(maxlen=MOST)
        self._number = 0
        self._on_its_way = False
        self._looked = 0
        self._looking = False

    async def typed(self, key: events.Key) -> None:
        self._waiting.append(key)
        await self.go_on()

    async def go_on(self) -> None:
        """The next key, if the one before has arrived and the screen can take it."""
        while self._waiting and not self._on_its_way and ready(self.app.screen):
            key = self._waiting.popleft()
            target = self.app.focused or self.app.screen
            self._number += 1
            self._looked = 0
            self._on_its_way = True
            await self.hand_on(key)
            self._on_its_way = target.post_message(Passed(target, self._number, ROUNDS))
        self._look_again()

    def passed(self, message: Passed) -> None:
        """It has come up to the app: once more the same way, then the next key."""
        if message.number != self._number:
            return
        left = message.rounds - 1
        if left and message.target.post_message(Passed(message.target, message.number, left)):
            return
        self._on_its_way = False
        self.app.call_later(self.go_on)  # later: what closing a dialog has to call, is called first

    def _look_again(self) -> None:
        if not self._waiting or self._looking:
            return
        self._looking = True
        self.app.set_timer(LOOK_SECONDS, self._look)

    async def _look(self) -> None:
        self._looking = False
        self._looked += 1
        if self._looked * LOOK_SECONDS > PATIENCE_SECONDS:
            self._on_its_way = False
        await self.go_on()


def ready(screen: Screen[object]) -> bool:
    """Whether a key typed now finds what it is meant for: the screen is composed, and what has the focus has it."""
    if not screen.is_mounted:
        return False
    return screen.focused is not None or not any(widget.focusable for widget in screen.query("*"))

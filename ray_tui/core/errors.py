"""What can go wrong, in three kinds that are never blurred.

::

    RayError
    ├── BackendError            the world: a system we asked did not answer as its contract says
    │   ├── BackendUnreachable      refused, DNS, TLS, reset
    │   ├── BackendTimeout          the total deadline passed
    │   ├── BackendRefused          401, 403, 4xx: it answered, and said no
    │   ├── BackendBusy             429 and 503: try later
    │   ├── BackendBroken           5xx, HTML where JSON was promised, invalid JSON, over the size cap
    │   └── NotSupported            the system says it cannot do this (404 on an endpoint, 422 of the demo)
    ├── InputError              the user's files or flags: names file, line or key, and what to do
    │   └── ConfigError
    ├── JournalError            the journal cannot be read or written
    │   └── TamperError             what is on disk is not what was written; carries a cause id
    └── EvidenceError           a package or an artifact could not be written or verified

A person's refused command is not an exception: it is a ``Refused`` value (core/commands.py).
A broken invariant of ours is an ``assert``.
"""


class RayError(Exception):
    """Something that the user is told in one line, with what to do next."""


class BackendError(RayError):
    """A system we asked did not answer as promised.

    ``system`` is the configured name (``metrics``, ``paging``…), ``what`` what happened, ``todo`` what to do next.
    """

    never_sent: bool = False
    """No connection came about, so that nothing can have taken effect."""

    def __init__(self, system: str, what: str, todo: str = "", *, status: int | None = None) -> None:
        self.system = system
        self.what = what
        self.todo = todo
        self.status = status
        super().__init__(f"{system}: {what}" + (f". {todo}" if todo else ""))

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether what was asked for may have happened all the same: nobody answered no to it."""
        said_no = isinstance(self, BackendRefused | BackendBusy | NotSupported)
        return not (said_no or self.never_sent)


class BackendUnreachable(BackendError):
    """Nobody answered at that address."""


class BackendTimeout(BackendError):
    """The total deadline passed before the answer was whole."""


class BackendRefused(BackendError):
    """It answered, and refused: bad credentials, bad request, not found."""


class BackendBusy(BackendError):
    """Rate limited or not ready: later may work. ``retry_after_seconds`` is what the server asked for, if it did."""

    def __init__(
        self,
        system: str,
        what: str,
        todo: str = "",
        *,
        status: int | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(system, what, todo, status=status)
        self.retry_after_seconds = retry_after_seconds


class BackendBroken(BackendError):
    """It answered with something that its contract does not allow."""


class NotSupported(BackendError):
    """This system cannot do this at all."""


class InputError(RayError):
    """A file, a flag or a key of the user's is wrong. The message names it and says what to do."""


class ConfigError(InputError):
    """The configuration is wrong: file, key and line are in the message."""


class JournalError(RayError):
    """The journal cannot be read or written."""


class TamperError(JournalError):
    """What is on disk is not what was written. ``cause`` is a stable id for machines."""

    def __init__(self, cause: str, message: str) -> None:
        self.cause = cause
        super().__init__(message)


class EvidenceError(RayError):
    """A package or an artifact could not be written or verified."""

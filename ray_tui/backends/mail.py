"""Mail by SMTP and IMAP: SMTP's 250 means relayed, so what has arrived is read back from the mailbox."""

import asyncio
import email
import email.policy
import hashlib
import imaplib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, Field, model_validator

from ray_tui.backends import Opening
from ray_tui.backends.access import Strict
from ray_tui.backends.answers import promised, unwell
from ray_tui.clock import Clock
from ray_tui.core import untrusted
from ray_tui.core.errors import (
    BackendBusy,
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnreachable,
    ConfigError,
    NotSupported,
)
from ray_tui.core.ports import Health, Mail, SideEffect
from ray_tui.secrets import SecretRef

NEWEST = 500
"""Messages looked at, at most; the mailbox should be one for tests and alerts."""
BATCH = 25
LONGEST_BYTES = 64 * 1024
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Security = Literal["tls", "starttls", "none"]
T = TypeVar("T")


class SmtpSettings(Strict):
    """How mail is sent."""

    smtp_host: str
    """The server that relays our mail."""
    smtp_port: int = Field(default=587, gt=0, lt=65536)
    """587 with starttls, 465 with tls."""
    smtp_security: Security = "starttls"
    """``tls`` from the first byte, ``starttls`` after the greeting, or ``none``."""
    user: str = ""
    """The login of both servers; empty: none is needed to send."""
    password: SecretRef | None = None
    """Its password."""
    from_address: str = Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$")
    """The sender of our mail."""
    ca_file: Path | None = None
    """PEM file of the authorities to trust instead of the machine's own."""
    silence_seconds: float = Field(default=5.0, gt=0, le=60)
    """Longest wait for one answer of a server."""
    total_seconds: float = Field(default=30.0, gt=0, le=300)
    """Longest time for one call."""

    @model_validator(mode="after")
    def _one_login(self) -> "SmtpSettings":
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` go together: give both or neither")
        return self


class Settings(SmtpSettings):
    """SMTP to send, and the IMAP mailbox in which it must arrive."""

    kind: Literal["smtp-imap"]
    """Which kind of system this is."""
    imap_host: str
    """The server of the mailbox that gets our test mail and the answers to it."""
    imap_port: int = Field(default=993, gt=0, lt=65536)
    """993 with tls, 143 with starttls."""
    imap_security: Security = "tls"
    """``tls`` from the first byte, ``starttls`` after the greeting, or ``none``."""
    folder: str = "INBOX"
    """The mailbox's folder."""


class NotifierSettings(SmtpSettings):
    """Tells a downstream owner by mail."""

    kind: Literal["mail"]
    """Which kind of system this is."""
    to: tuple[str, ...] = Field(min_length=1)
    """Whom."""


SETTINGS: dict[tuple[str, str], type[BaseModel]] = {
    ("mail", "smtp-imap"): Settings,
    ("notifiers", "mail"): NotifierSettings,
}


def open(  # noqa: A001 (each backend file has one)
    settings: Settings | NotifierSettings, opening: Opening
) -> "SmtpImap | MailNotifier":
    if isinstance(settings, NotifierSettings):
        return MailNotifier(Line("notifier", settings, opening), settings.to)
    return SmtpImap(Line("mail", settings, opening), settings)


class Line:
    """The way to both servers: password, TLS, deadlines and the translation of what goes wrong."""

    def __init__(self, system: str, settings: SmtpSettings, opening: Opening) -> None:
        self.system = system
        self.settings = settings
        self.clock: Clock = opening.clock
        self._opening = opening

    async def do(self, place: str, work: Callable[[], T]) -> T:
        """Blocking work in a thread. Past the deadline it is given up; its sockets' own limits end the thread."""

        def translated() -> T:
            with self._translated(place):
                return work()

        try:
            async with asyncio.timeout(self.settings.total_seconds):
                return await asyncio.to_thread(translated)
        except TimeoutError:
            what = f"{place} did not answer within {self.settings.total_seconds:g} s"
            raise BackendTimeout(self.system, what, "Check its load") from None

    def password(self) -> str:
        """Blocks. Empty where there is no login."""
        ref = self.settings.password
        return "" if ref is None else ref.resolve(self._opening.config_folder)

    def tls(self) -> ssl.SSLContext:
        ca_file = self.settings.ca_file
        return ssl.create_default_context(cafile=None if ca_file is None else self._opening.path(ca_file))

    @contextmanager
    def smtp(self) -> Iterator[smtplib.SMTP]:
        """A connection that may send. Blocks."""
        said = self.settings
        if said.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                said.smtp_host, said.smtp_port, timeout=said.silence_seconds, context=self.tls()
            )
        else:
            server = smtplib.SMTP(said.smtp_host, said.smtp_port, timeout=said.silence_seconds)
        try:
            if said.smtp_security == "starttls":
                server.starttls(context=self.tls())
            if said.user:
                server.login(said.user, self.password())
            yield server
            server.quit()
        finally:
            server.close()

    def send(self, to: Sequence[str], subject: str, text: str, token: str) -> str:
        """Blocks. The Message-ID follows from what is sent, so that a second sending can be recognised."""
        message = composed(self.settings.from_address, to, subject, text, token, self.clock.wall())
        with self.smtp() as server:
            refused = server.send_message(message)
        if refused:
            who = ", ".join(untrusted.line(address) for address in refused)
            raise BackendRefused(self.system, f"SMTP refused some recipients: {who}", "Correct the addresses")
        return str(message["Message-ID"])

    @contextmanager
    def _translated(self, place: str) -> Iterator[None]:
        try:
            yield
        except BackendError:
            raise
        except ConfigError as exc:
            raise BackendRefused(self.system, f"{place} was not asked: {exc}") from None
        except smtplib.SMTPAuthenticationError as exc:
            raise self.not_let_in(place, exc.smtp_code) from None
        except smtplib.SMTPRecipientsRefused:
            raise BackendRefused(self.system, f"{place} refused every recipient", "Correct the addresses") from None
        except smtplib.SMTPResponseException as exc:
            reason = untrusted.line(
                str(exc.smtp_error, "utf-8", "replace") if isinstance(exc.smtp_error, bytes) else exc.smtp_error
            )
            kind = BackendBusy if 400 <= exc.smtp_code < 500 else BackendRefused
            raise kind(self.system, f"{place} answered {exc.smtp_code}: {reason}", status=exc.smtp_code) from None
        except (smtplib.SMTPServerDisconnected, imaplib.IMAP4.abort) as exc:
            raise BackendUnreachable(
                self.system, f"{place} dropped the connection ({_why(exc)})", "Check that it is up"
            ) from exc
        except (smtplib.SMTPException, imaplib.IMAP4.error) as exc:
            what = f"{place} does not do what is asked ({_why(exc)})"
            raise BackendRefused(self.system, what, "Check port, security, login and folder") from None
        except ssl.SSLError as exc:
            what = f"{place}: no TLS ({_why(exc)})"
            raise BackendUnreachable(self.system, what, "Check security (tls, starttls, none) and ca_file") from exc
        except TimeoutError as exc:
            what = f"{place} was silent for {self.settings.silence_seconds:g} s"
            raise BackendTimeout(self.system, what, "Check the address, the port and the firewall") from exc
        except OSError as exc:
            nobody = BackendUnreachable(self.system, f"{place}: no connection ({_why(exc)})", "Check host and port")
            nobody.never_sent = isinstance(exc, ConnectionRefusedError | socket.gaierror)
            raise nobody from exc

    def not_let_in(self, place: str, status: int | None) -> BackendRefused:
        what = f"{place} does not accept the login"
        return BackendRefused(self.system, what, f"Check user and {self.settings.password}", status=status)


def _why(exc: BaseException) -> str:
    return untrusted.line(str(exc) or type(exc).__name__, 200)


class MailNotifier:
    """``Notifier`` by mail."""

    name = "mail notifier"
    side_effect = SideEffect.NONE  # their mailbox is not ours to read, and a second copy is a second message

    def __init__(self, line: Line, to: Sequence[str]) -> None:
        self._line = line
        self._to = tuple(to)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def health(self) -> Health:
        return await _greeted(self._line)

    async def notify(self, subject: str, text: str, token: str) -> str:
        return await self._line.do(_smtp_place(self._line), lambda: self._line.send(self._to, subject, text, token))

    async def told(self, token: str, since: float) -> str | None:
        raise NotSupported("notifier", "what mail has arrived cannot be looked up: the mailbox is not ours")


class SmtpImap:
    """``Mailbox``: every call opens its own connection and closes it."""

    name = "mail"
    side_effect = SideEffect.QUERY  # by the token, over IMAP

    def __init__(self, line: Line, settings: Settings) -> None:
        self._line = line
        self._settings = settings
        self._known: dict[str, Found] = {}
        self._epoch = ""

    async def close(self) -> None:
        """Nothing is kept open."""

    async def health(self) -> Health:
        """Logs in to both servers and opens the folder."""
        sending = await _greeted(self._line)
        if not sending.ok:
            return sending
        try:
            await self._line.do(self._place, self._look)
        except BackendError as error:
            return unwell(error)
        return Health(True, f"{sending.detail}; {self._place} opens {self._settings.folder}")

    async def send(self, to: Sequence[str], subject: str, text: str, token: str) -> str:
        return await self._line.do(_smtp_place(self._line), lambda: self._line.send(to, subject, text, token))

    async def find(self, token: str, since: float) -> tuple[Mail, ...]:
        assert token, "an empty token would match every message"
        found = await self._line.do(self._place, lambda: self._fetch(since))
        # Their times are cut to the second.
        recent = [one for one in found if one.mail.received_at >= int(since)]
        return tuple(one.mail for one in sorted(with_replies(recent, token), key=lambda one: one.mail.received_at))

    @property
    def _place(self) -> str:
        return f"IMAP {self._settings.imap_host}:{self._settings.imap_port}"

    @contextmanager
    def _imap(self) -> Iterator[imaplib.IMAP4]:
        """A connection with the folder open, read-only. Blocks."""
        said = self._settings
        if said.imap_security == "tls":
            server: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                said.imap_host, said.imap_port, ssl_context=self._line.tls(), timeout=said.silence_seconds
            )
        else:
            server = imaplib.IMAP4(said.imap_host, said.imap_port, timeout=said.silence_seconds)
        try:
            if said.imap_security == "starttls":
                server.starttls(ssl_context=self._line.tls())
            password = self._line.password()
            try:
                server.login(said.user, password)
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error:
                raise self._line.not_let_in(self._place, None) from None
            status, _ = server.select(_quoted(said.folder), readonly=True)
            if status != "OK":
                what = f"{self._place} has no folder {said.folder}"
                raise BackendRefused(self._line.system, what, "Correct `folder`")
            yield server
        finally:
            try:
                server.logout()
            except (OSError, imaplib.IMAP4.error):  # it says nothing any more: then logout leaves the socket open
                with suppress(OSError):
                    server.shutdown()

    def _look(self) -> None:
        with self._imap():
            pass

    def _fetch(self, since: float) -> list["Found"]:
        """Blocks. A message never changes under its UID: each is fetched once."""
        day = datetime.fromtimestamp(since - 86_400, UTC)  # SINCE knows days only, in the server's own time zone
        with self._imap() as server:
            epoch = str(server.response("UIDVALIDITY")[1])
            if epoch != self._epoch:
                self._known, self._epoch = {}, epoch
            known = self._known
            _, data = server.uid("SEARCH", "SINCE", f"{day.day}-{MONTHS[day.month - 1]}-{day.year}")
            uids = [uid.decode() for uid in (data[0] or b"").split()][-NEWEST:]
            missing = [uid for uid in uids if uid not in known]
            for start in range(0, len(missing), BATCH):
                wanted = f"(UID INTERNALDATE BODY.PEEK[]<0.{LONGEST_BYTES}>)"
                _, parts = server.uid("FETCH", ",".join(missing[start : start + BATCH]), wanted)
                with promised(self._line.system, self._place):
                    known = known | dict(_messages(parts))
        self._known = {uid: known[uid] for uid in uids if uid in known}
        return list(self._known.values())


@dataclass(frozen=True)
class Found:
    """A message, and all of its text in which a token may stand."""

    mail: Mail
    text: str
    refers_to: frozenset[str]


async def _greeted(line: Line) -> Health:
    def greet() -> None:
        with line.smtp() as server:
            server.noop()

    try:
        await line.do(_smtp_place(line), greet)
    except BackendError as error:
        return unwell(error)
    return Health(True, f"{_smtp_place(line)} lets us send")


def _smtp_place(line: Line) -> str:
    return f"SMTP {line.settings.smtp_host}:{line.settings.smtp_port}"


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


def composed(sender: str, to: Sequence[str], subject: str, text: str, token: str, now: float) -> EmailMessage:
    """A message that carries the token in its text. The same arguments give the same Message-ID."""
    digest = hashlib.sha256("\0".join([token, *to, subject]).encode()).hexdigest()[:24]
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = untrusted.line(subject)
    message["Date"] = formatdate(now)
    message["Message-ID"] = f"<{digest}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text if token in text or token in subject else f"{text}\n\n{token}\n")
    return message


def _messages(parts: Sequence[object]) -> Iterator[tuple[str, Found]]:
    """UID and message for each part of a FETCH; what surrounds a literal may come before or after it."""
    for index, part in enumerate(parts):
        if not isinstance(part, tuple):
            continue
        after = parts[index + 1] if index + 1 < len(parts) else b""
        around = part[0] + (after if isinstance(after, bytes) else b"")
        uid = re.search(rb"\bUID (\d+)", around)
        arrived = re.search(rb'INTERNALDATE "([^"]+)"', around)
        if uid and arrived:
            at = parsedate_to_datetime(arrived[1].decode().strip().replace("-", " ", 2)).timestamp()
            yield uid[1].decode(), _read(part[1], at)


def _read(raw: bytes, received_at: float) -> Found:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    text = "\n".join(_content(part) for part in message.walk() if part.get_content_maintype() == "text")
    subject, own = _header(message, "Subject"), _header(message, "Message-ID")
    answers = _header(message, "In-Reply-To")
    mail = Mail(
        message_id=untrusted.line(own),
        subject=untrusted.line(subject),
        sender=untrusted.line(_header(message, "From")),
        received_at=received_at,
        in_reply_to=untrusted.line(answers),
        body_excerpt=untrusted.line(re.sub(r"<[^>]{0,2000}>", " ", text)[:5_000], 500),
    )
    return Found(mail, f"{subject}\n{text}", frozenset(f"{answers} {_header(message, 'References')}".split()))


def _header(message: email.message.Message, name: str) -> str:
    try:
        return str(message[name] or "").strip()
    except (ValueError, IndexError, AttributeError):  # the standard library's parser fails on some hostile headers
        return ""


def _content(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return payload.decode("utf-8", "replace")


def with_replies(found: Sequence[Found], token: str) -> list[Found]:
    """Those that carry the token, and those that answer one of these."""
    ids = {one.mail.message_id for one in found if token in one.text and one.mail.message_id}
    return [one for one in found if token in one.text or one.refers_to & ids]

"""The demo's mail: SMTP in, one mailbox, IMAP4rev1 out, and a colleague who answers test mails to the audit list."""

import asyncio
import email
import email.policy
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ray_tui.clock import Clock
from ray_tui.demo.people import MAIL_READER, People, asks_for_acknowledgement

USER, PASSWORD = "demo", "demo-mail"
AUDIT_LIST = "audit@shop.example"
LOCAL_DOMAIN = "@shop.example"
LARGEST_LITERAL = 1_000_000
CAPABILITIES = "IMAP4rev1 LITERAL+ AUTH=PLAIN"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass
class Stored:
    """A delivered message, as it lies in the mailbox. Nothing is ever expunged: its number is ``uid``'s rank."""

    uid: int
    received_at: float
    raw: bytes
    flags: set[str] = field(default_factory=set)

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def header_bytes(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    @property
    def body_bytes(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def header_text(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.message.items())

    @property
    def body_text(self) -> str:
        """Every text part, decoded."""
        parts = (part for part in self.message.walk() if part.get_content_maintype() == "text")
        return "\n".join(str(part.get_content()) for part in parts)

    @property
    def received_on(self) -> date:
        return datetime.fromtimestamp(self.received_at, UTC).date()


class DemoMail:
    """``mailbox`` is in order of delivery. ``start`` gives ``smtp_port`` and ``imap_port``, both on 127.0.0.1."""

    def __init__(self, people: People, clock: Clock) -> None:
        self.people = people
        self.clock = clock
        self.mailbox: list[Stored] = []
        self.relayed: list[bytes] = []
        """What an authenticated sender sent to strangers; it goes nowhere."""
        self.delivers = True
        """False: SMTP still says 250, and nothing arrives."""
        self.reply_from = ""
        """Who answers test mail instead of its reader: an address."""
        self.reply_subject = "Re: "
        """What stands before the subject of an answer."""
        self.imap_delay_seconds = 0.0
        """How long each IMAP command waits for its answer."""
        self.smtp_port = self.imap_port = 0
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def smarthost(self) -> str:
        return f"127.0.0.1:{self.smtp_port}"

    async def start(self) -> None:
        """Both ports accept connections when this returns."""
        loop = asyncio.get_running_loop()
        smtp = await loop.create_server(self._smtp_session, "127.0.0.1", 0)
        imap = await asyncio.start_server(self._imap_session, "127.0.0.1", 0)
        self._servers = [smtp, imap]
        self.smtp_port, self.imap_port = (each.sockets[0].getsockname()[1] for each in self._servers)

    async def stop(self) -> None:
        """Stopping twice is fine."""
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers = []

    def deliver(self, raw: bytes) -> Stored | None:
        """Put a message into the mailbox; a test mail to the audit list will be answered."""
        if not self.delivers:
            return None
        now = self.clock.wall()
        stamp = format_datetime(datetime.fromtimestamp(int(now), UTC))
        received = f"Received: from localhost by mail.shop.example with ESMTP; {stamp}\r\n".encode()
        lines = re.sub(rb"\r?\n", b"\r\n", raw)
        stored = Stored(len(self.mailbox) + 1, now, received + lines)
        self.mailbox.append(stored)
        message = stored.message
        seen = f"{message['Subject']}\n{stored.body_text}"
        to_audit = AUDIT_LIST in str(message["To"]) and message["In-Reply-To"] is None
        if to_audit and asks_for_acknowledgement(seen) and "[RESOLVED]" not in seen:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return stored

    async def _answer(self, original: EmailMessage) -> None:
        await asyncio.sleep(self.people.ack_after_seconds)
        now, subject = self.clock.wall(), str(original["Subject"])
        reply = EmailMessage()
        reply["From"] = self.reply_from or f"{MAIL_READER.name} <{MAIL_READER.email}>"
        reply["To"] = str(original["From"])
        reply["Subject"] = f"{self.reply_subject}{subject}"
        reply["Date"] = datetime.fromtimestamp(int(now), UTC)
        reply["Message-ID"] = f"<reply-{len(self.mailbox) + 1}.{int(now * 1000)}@shop.example>"
        if original["Message-ID"]:
            reply["In-Reply-To"] = reply["References"] = str(original["Message-ID"]).strip()
        reply.set_content(f"ack {subject}\n")
        self.deliver(reply.as_bytes(policy=email.policy.SMTP))

    # --- SMTP

    def _smtp_session(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.shop.example",
            ident="demo ESMTP",
            enable_SMTPUTF8=True,
            authenticator=self._authenticate,
            auth_require_tls=False,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any) -> AuthResult:
        """aiosmtpd's authenticator."""
        good = (
            isinstance(data, LoginPassword)
            and hmac.compare_digest(data.login, USER.encode())
            and hmac.compare_digest(data.password, PASSWORD.encode())
        )
        return AuthResult(success=good, handled=False)

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's hook)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not address.lower().endswith(LOCAL_DOMAIN) and not session.authenticated:
            return "550 5.7.1 relaying denied"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.original_content or b""
        if any(address.lower().endswith(LOCAL_DOMAIN) for address in envelope.rcpt_tos):
            self.deliver(raw)
        else:
            self.relayed.append(raw)
        return "250 2.0.0 queued"

    # --- IMAP

    async def _imap_session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await ImapSession(self.mailbox, reader, writer, lambda: self.imap_delay_seconds).run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client went away, or the server is stopping: there is nobody to tell
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


# --- IMAP4rev1 (RFC 3501), as much of it as a client that searches and reads needs -----------------------------------


class Refusal(Exception):
    """What a command is answered: ``NO`` or ``BAD`` and a text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def bad(text: str) -> Refusal:
    return Refusal("BAD", text)


@dataclass(frozen=True)
class Token:
    """``kind`` is atom, string (quoted or literal), or a parenthesis."""

    kind: str
    text: str


_TOKEN = re.compile(rb'\s*(?:(?P<paren>[()])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<atom>(?:\[[^\]]*\]|[^\s()"])+))')


def tokens_of(line: bytes) -> Iterator[Token]:
    """One line's tokens, without literals. A bracketed section belongs to its atom, blanks and all."""
    at = 0
    line = line.rstrip()
    while at < len(line):
        found = _TOKEN.match(line, at)
        if not found:
            raise bad("cannot parse the command")
        at = found.end()
        if found["paren"]:
            yield Token("paren", found["paren"].decode())
        elif found["quoted"] is not None:
            yield Token("string", re.sub(rb"\\(.)", rb"\1", found["quoted"]).decode(errors="replace"))
        else:
            yield Token("atom", found["atom"].decode(errors="replace"))


class ImapSession:
    """One connection, from greeting to LOGOUT."""

    def __init__(
        self,
        mailbox: list[Stored],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        delay: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.mailbox, self.reader, self.writer, self.delay = mailbox, reader, writer, delay
        self.logged_in = False
        self.selected = False
        self.read_only = False
        self.known = 0

    async def run(self) -> None:
        self._say(f"* OK [CAPABILITY {CAPABILITIES}] demo IMAP4rev1 ready")
        while True:
            await self.writer.drain()
            tokens = await self._command()
            if tokens is None:
                return
            if len(tokens) < 2:
                self._say("* BAD a tag and a command, please")
                continue
            tag, name = tokens[0].text, tokens[1].text.upper()
            await asyncio.sleep(self.delay())
            try:
                done = self._do(name, tokens[2:])
            except Refusal as refusal:
                self._say(f"{tag} {refusal.kind} {refusal}")
                continue
            self._say_what_is_new()
            self._say(f"{tag} OK {done}")
            if name == "LOGOUT":
                await self.writer.drain()
                return

    def _say(self, line: str | bytes) -> None:
        self.writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def _say_what_is_new(self) -> None:
        if self.selected and len(self.mailbox) != self.known:
            self.known = len(self.mailbox)
            self._say(f"* {self.known} EXISTS")

    async def _command(self) -> list[Token] | None:
        """One command, its literals fetched; None at the end of the connection."""
        tokens: list[Token] = []
        while True:
            line = await self.reader.readline()
            if not line.endswith(b"\n"):
                return None
            literal = re.search(rb"\{(\d+)(\+?)\}\r?\n$", line)
            try:
                tokens.extend(tokens_of(line[: literal.start()] if literal else line))
            except Refusal:
                return [Token("atom", line.split(b" ")[0].decode(errors="replace")), Token("atom", "UNPARSEABLE")]
            if not literal:
                return tokens
            size = int(literal[1])
            if size > LARGEST_LITERAL:
                return None
            if not literal[2]:
                self._say("+ go ahead")
                await self.writer.drain()
            tokens.append(Token("string", (await self.reader.readexactly(size)).decode(errors="replace")))

    def _do(self, name: str, given: list[Token]) -> str:
        """Carry out a command; answers the text after the tagged OK."""
        if name == "CAPABILITY":
            self._say(f"* CAPABILITY {CAPABILITIES}")
            return "CAPABILITY completed"
        if name == "NOOP":
            return "NOOP completed"
        if name == "LOGOUT":
            self._say("* BYE good-bye")
            return "LOGOUT completed"
        if name == "LOGIN":
            return self._login(given)
        if not self.logged_in:
            raise bad("log in first")
        if name in {"SELECT", "EXAMINE"}:
            return self._select(given, read_only=name == "EXAMINE")
        if name == "LIST":
            self._say('* LIST (\\HasNoChildren) "/" INBOX')
            return "LIST completed"
        uid = name == "UID"
        if uid:
            if not given:
                raise bad("UID what?")
            name, given = given[0].text.upper(), given[1:]
        if name not in {"SEARCH", "FETCH", "CLOSE"}:
            raise bad(f"unknown command {name}")
        if not self.selected:
            raise bad("no mailbox selected")
        if name == "SEARCH":
            return self._search(given, uid=uid)
        if name == "FETCH":
            return self._fetch(given, uid=uid)
        self.selected = False
        return "CLOSE completed"

    def _login(self, given: list[Token]) -> str:
        if len(given) != 2:
            raise bad("LOGIN user password")
        user, password = given[0].text.encode(), given[1].text.encode()
        if not (hmac.compare_digest(user, USER.encode()) and hmac.compare_digest(password, PASSWORD.encode())):
            raise Refusal("NO", "[AUTHENTICATIONFAILED] Invalid credentials")
        self.logged_in = True
        return "LOGIN completed"

    def _select(self, given: list[Token], *, read_only: bool) -> str:
        self.selected = False
        if not given or given[0].text.upper() != "INBOX":
            raise Refusal("NO", "[NONEXISTENT] there is only INBOX")
        self.selected, self.read_only, self.known = True, read_only, len(self.mailbox)
        self._say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        self._say(f"* {self.known} EXISTS")
        self._say("* 0 RECENT")
        self._say("* OK [UIDVALIDITY 1] UIDs are valid")
        self._say(f"* OK [UIDNEXT {self.known + 1}] predicted next UID")
        return "[READ-ONLY] EXAMINE completed" if read_only else "[READ-WRITE] SELECT completed"

    def _search(self, given: list[Token], *, uid: bool) -> str:
        if given and given[0].text.upper() == "CHARSET":
            if len(given) < 2 or given[1].text.upper() not in {"UTF-8", "US-ASCII"}:
                raise Refusal("NO", "[BADCHARSET (US-ASCII UTF-8)] unknown charset")
            given = given[2:]
        holds = criteria(given, last=len(self.mailbox))
        found = [str(number) for number, each in enumerate(self.mailbox, start=1) if holds(number, each)]
        self._say(" ".join(["* SEARCH", *found]))  # UIDs are the numbers: nothing is ever expunged
        return f"{'UID ' if uid else ''}SEARCH completed"

    def _fetch(self, given: list[Token], *, uid: bool) -> str:
        if len(given) < 2:
            raise bad("FETCH which, what?")
        wanted = in_set(given[0].text, len(self.mailbox))
        items = [token.text for token in given[1:] if token.kind != "paren"]
        macros = {"ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"], "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]}
        items = [each for item in items for each in macros.get(item.upper(), [item])]
        if uid and not any(item.upper() == "UID" for item in items):
            items = ["UID", *items]
        for number, stored in enumerate(self.mailbox, start=1):
            if wanted(number):
                parts = [fetched(item, stored, read_only=self.read_only) for item in items]
                self._say(f"* {number} FETCH (".encode() + b" ".join(parts) + b")")
        return f"{'UID ' if uid else ''}FETCH completed"


def in_set(text: str, last: int) -> Callable[[int], bool]:
    """A sequence set: ``1``, ``2:4``, ``7:*``, with commas."""
    if not re.fullmatch(r"(\d+|\*)(:(\d+|\*))?(,(\d+|\*)(:(\d+|\*))?)*", text):
        raise bad(f"not a sequence set: {text}")
    spans = []
    for part in text.split(","):
        ends = [last if end == "*" else int(end) for end in part.split(":")]
        spans.append((min(ends), max(ends)))
    return lambda number: any(low <= number <= high for low, high in spans)


Holds = Callable[[int, Stored], bool]


def criteria(given: Sequence[Token], last: int) -> Holds:
    """All of a SEARCH's keys together."""
    rest = list(given)
    keys: list[Holds] = []
    while rest:
        keys.append(_criterion(rest, last))
    if not keys:
        raise bad("SEARCH for what?")
    return lambda number, stored: all(key(number, stored) for key in keys)


def _criterion(rest: list[Token], last: int) -> Holds:
    """Takes one key and its arguments off the front of ``rest``."""
    head = _take(rest)
    if head.kind == "paren":
        inner: list[Holds] = []
        while rest and rest[0].text != ")":
            inner.append(_criterion(rest, last))
        _take(rest)
        return lambda number, stored: all(key(number, stored) for key in inner)
    name = head.text.upper()
    if name == "NOT":
        negated = _criterion(rest, last)
        return lambda number, stored: not negated(number, stored)
    if name == "OR":
        one, other = _criterion(rest, last), _criterion(rest, last)
        return lambda number, stored: one(number, stored) or other(number, stored)
    if name == "ALL":
        return lambda number, stored: True
    if name in {"SEEN", "UNSEEN"}:
        return lambda number, stored: ("\\Seen" in stored.flags) == (name == "SEEN")
    if name == "UID":
        chosen = in_set(_take(rest).text, last)
        return lambda number, stored: chosen(stored.uid)
    if name in {"SINCE", "BEFORE", "ON"}:
        return _by_date(name, _date(_take(rest).text))
    if name == "HEADER":
        header, text = _take(rest).text, _take(rest).text.lower()
        return lambda number, stored: any(text in str(v).lower() for v in stored.message.get_all(header, []))
    if name in {"SUBJECT", "FROM", "TO", "CC"}:
        text = _take(rest).text.lower()
        return lambda number, stored: text in str(stored.message[name] or "").lower()
    if name in {"TEXT", "BODY"}:
        text = _take(rest).text.lower()
        return lambda number, stored: (
            text in stored.body_text.lower() or (name == "TEXT" and text in stored.header_text.lower())
        )
    chosen = in_set(head.text, last)
    return lambda number, stored: chosen(number)


def _take(rest: list[Token]) -> Token:
    if not rest:
        raise bad("SEARCH ends too early")
    return rest.pop(0)


def _date(text: str) -> date:
    found = re.fullmatch(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})", text)
    if not found or found[2].title() not in _MONTHS:
        raise bad(f"not a date: {text}")
    return date(int(found[3]), _MONTHS.index(found[2].title()) + 1, int(found[1]))


def _by_date(name: str, day: date) -> Holds:
    """By INTERNALDATE's day, its time ignored."""
    if name == "SINCE":
        return lambda number, stored: stored.received_on >= day
    if name == "BEFORE":
        return lambda number, stored: stored.received_on < day
    return lambda number, stored: stored.received_on == day


_SECTION = re.compile(r"BODY(\.PEEK)?\[(.*)\](?:<(\d+)\.(\d+)>)?", re.IGNORECASE)


def fetched(item: str, stored: Stored, *, read_only: bool) -> bytes:
    """One FETCH item as it goes over the wire. Reading a body marks it seen, unless peeked at or read-only."""
    name = item.upper()
    if name == "UID":
        return f"UID {stored.uid}".encode()
    if name == "FLAGS":
        return f"FLAGS ({' '.join(sorted(stored.flags))})".encode()
    if name == "INTERNALDATE":
        at = datetime.fromtimestamp(int(stored.received_at), UTC)
        return f'INTERNALDATE "{at.day:2d}-{_MONTHS[at.month - 1]}-{at:%Y %H:%M:%S} +0000"'.encode()
    if name == "RFC822.SIZE":
        return f"RFC822.SIZE {len(stored.raw)}".encode()
    whole = {"RFC822": stored.raw, "RFC822.HEADER": stored.header_bytes, "RFC822.TEXT": stored.body_bytes}
    if name in whole:
        if name != "RFC822.HEADER" and not read_only:
            stored.flags.add("\\Seen")
        return _literal(name, whole[name])
    found = _SECTION.fullmatch(item)
    if not found:
        raise bad(f"cannot fetch {item}")
    data = _section(found[2], stored)
    label = f"BODY[{found[2].upper()}]"
    if found[3]:
        data = data[int(found[3]) :][: int(found[4])]
        label += f"<{found[3]}>"
    if not found[1] and not read_only:
        stored.flags.add("\\Seen")
    return _literal(label, data)


def _section(section: str, stored: Stored) -> bytes:
    name = section.upper()
    if name == "":
        return stored.raw
    if name == "HEADER":
        return stored.header_bytes
    if name == "TEXT":
        return stored.body_bytes
    fields = re.fullmatch(r"HEADER\.FIELDS \((.*)\)", name)
    if not fields:
        raise bad(f"cannot fetch BODY[{section}]")
    wanted = set(fields[1].split())
    lines = re.split(rb"\r\n(?![ \t])", stored.header_bytes.rstrip())
    kept = [line for line in lines if line.partition(b":")[0].decode(errors="replace").upper() in wanted]
    return b"".join(line + b"\r\n" for line in kept) + b"\r\n"


def _literal(label: str, data: bytes) -> bytes:
    return f"{label} {{{len(data)}}}\r\n".encode() + data

"""The demo's mail server, used by Python's own smtplib and imaplib."""

import asyncio
import imaplib
import smtplib
import socket
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from ray_tui.clock import Clock
from ray_tui.demo.mail import AUDIT_LIST, PASSWORD, USER, DemoMail
from ray_tui.demo.people import People


@pytest.fixture
async def mail() -> AsyncIterator[DemoMail]:
    demo = DemoMail(People(0.02), Clock())
    await demo.start()
    yield demo
    await demo.stop()


async def until(holds: Callable[[], Any], what: str, seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := holds()):
            await asyncio.sleep(0.01)
    assert found, what
    return found


def message(subject: str, text: str, to: str = AUDIT_LIST) -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "ray-tui@shop.example", to
    made["Message-ID"] = f"<{abs(hash(subject))}@ray-tui>"
    made.set_content(text)
    return made


async def send(mail: DemoMail, made: EmailMessage, *, log_in: bool = False) -> None:
    def blocking() -> None:
        with smtplib.SMTP("127.0.0.1", mail.smtp_port, timeout=5) as smtp:
            if log_in:
                smtp.login(USER, PASSWORD)
            smtp.send_message(made)

    await asyncio.to_thread(blocking)


async def with_imap(mail: DemoMail, work: Callable[[imaplib.IMAP4], Any], *, readonly: bool = True) -> Any:
    def blocking() -> Any:
        with imaplib.IMAP4("127.0.0.1", mail.imap_port, timeout=5) as imap:
            imap.login(USER, PASSWORD)
            imap.select("INBOX", readonly=readonly)
            return work(imap)

    return await asyncio.to_thread(blocking)


async def found_by(mail: DemoMail, *criteria: str) -> list[int]:
    kind, data = await with_imap(mail, lambda imap: imap.uid("SEARCH", *criteria))
    assert kind == "OK"
    return [int(number) for number in data[0].split()]


async def test_a_mail_is_delivered_found_and_read(mail: DemoMail) -> None:
    """What SMTP took without a login is found by subject, body, header and date, and comes back byte for byte."""
    await send(mail, message("Probe t-1", "Grüße, token t-77\n"))

    today = imaplib.Time2Internaldate(Clock().wall()).strip('"').split()[0].strip()
    for criteria in (
        ["ALL"],
        ["SUBJECT", '"Probe t-1"'],
        ["BODY", "t-77"],
        ["TEXT", '"probe T-1"'],
        ["HEADER", "Subject", "t-1"],
        ["SINCE", today, "TEXT", "t-77"],
        ["UID", "1:*"],
        ["OR", "SUBJECT", "nothing", "BODY", "t-77"],
        ["NOT", "SUBJECT", "nothing"],
    ):
        assert await found_by(mail, *criteria) == [1], criteria
    for criteria in (["SUBJECT", "t-77"], ["BODY", "t-78"], ["SINCE", "01-Jan-2100"], ["BEFORE", "01-Jan-2000"]):
        assert await found_by(mail, *criteria) == [], criteria

    _, data = await with_imap(
        mail, lambda imap: imap.uid("FETCH", "1", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    )
    head, raw = data[0]
    assert raw == mail.mailbox[0].raw
    assert f"RFC822.SIZE {len(raw)}".encode() in head
    received = imaplib.Internaldate2tuple(head)
    assert received is not None
    parsed = message_from_bytes(raw, policy=policy.default)
    assert parsed["Subject"] == "Probe t-1"
    assert "Grüße" in parsed.get_content()


async def test_a_literal_with_unicode_is_searched(mail: DemoMail) -> None:
    """imaplib sends a literal for a CHARSET search; the decoded text is what is searched."""
    await send(mail, message("Umlaut", "Grüße\n"))

    def search(imap: imaplib.IMAP4) -> Any:
        imap.literal = "grüße".encode()  # type: ignore[attr-defined]
        return imap.uid("SEARCH", "CHARSET", "UTF-8", "BODY")

    kind, data = await with_imap(mail, search)
    assert (kind, data) == ("OK", [b"1"])


async def test_peeking_leaves_a_mail_unseen_and_reading_does_not(mail: DemoMail) -> None:
    """BODY.PEEK and EXAMINE change no flag; BODY[] after SELECT sets \\Seen."""
    await send(mail, message("Flags", "x\n"))
    header = "(BODY.PEEK[HEADER])"
    _, data = await with_imap(mail, lambda imap: imap.fetch("1", header), readonly=False)
    assert b"Subject: Flags" in data[0][1]
    await with_imap(mail, lambda imap: imap.fetch("1", "(BODY[])"), readonly=True)
    assert await found_by(mail, "UNSEEN") == [1]
    await with_imap(mail, lambda imap: imap.fetch("1", "(BODY[])"), readonly=False)
    assert await found_by(mail, "UNSEEN") == []
    _, data = await with_imap(mail, lambda imap: imap.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT TO)])"))
    assert data[0][1] == f"Subject: Flags\r\nTo: {AUDIT_LIST}\r\n\r\n".encode()


async def test_lee_answers_a_test_mail_to_the_audit_list(mail: DemoMail) -> None:
    """A reply with In-Reply-To and ``ack <subject>`` lands in the same mailbox, once."""
    sent = message("[TEST] probe t-1", "please acknowledge\n")
    await send(mail, sent)

    await until(lambda: len(mail.mailbox) == 2, "answered")
    reply = mail.mailbox[1].message
    assert reply["Subject"] == "Re: [TEST] probe t-1"
    assert reply["In-Reply-To"] == sent["Message-ID"]
    assert "lee@shop.example" in reply["From"]
    assert reply.get_content().strip() == "ack [TEST] probe t-1"
    assert await found_by(mail, "SUBJECT", "t-1") == [1, 2]


async def test_nobody_answers_what_does_not_ask(mail: DemoMail) -> None:
    """Ordinary mail, forbidding mail, and mail to others stay without a reply."""
    await send(mail, message("hello", "x\n"))
    await send(mail, message("[TEST] quiet", "do not acknowledge\n"))
    await send(mail, message("[TEST] other", "x\n", to="mira@shop.example"))
    await send(mail, message("[TEST] asks", "x\n"))
    await until(lambda: len(mail.mailbox) == 5, "the last one answered")
    assert mail.mailbox[4].message["Subject"] == "Re: [TEST] asks"


async def test_relaying_needs_a_login(mail: DemoMail) -> None:
    """Mail to strangers is refused without a login, and accepted with one; a wrong password is refused."""
    stranger = message("out", "x\n", to="someone@elsewhere.example")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        await send(mail, stranger)
    await send(mail, stranger, log_in=True)
    assert (len(mail.relayed), len(mail.mailbox)) == (1, 0)

    def wrong() -> None:
        with smtplib.SMTP("127.0.0.1", mail.smtp_port, timeout=5) as smtp:
            smtp.login(USER, "wrong")

    with pytest.raises(smtplib.SMTPAuthenticationError):
        await asyncio.to_thread(wrong)


async def test_accepted_is_not_delivered(mail: DemoMail) -> None:
    """The switch loses mail after SMTP said 250."""
    mail.delivers = False
    await send(mail, message("lost", "x\n"))
    assert await found_by(mail, "ALL") == []


async def test_imap_refuses_what_it_must(mail: DemoMail) -> None:
    """A wrong login, a foreign mailbox, a search before SELECT, nonsense: NO or BAD, and the connection lives on."""

    def work() -> list[str]:
        seen: list[str] = []
        imap = imaplib.IMAP4("127.0.0.1", mail.imap_port, timeout=5)
        try:
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                imap.login(USER, "wrong")
            imap.login(USER, PASSWORD)
            seen.append(imap.select("Archive")[0])
            imap.select("INBOX")
            for bad in (["SINCE", "yesterday"], ["FROBNICATE"], ["SUBJECT"]):
                with pytest.raises(imaplib.IMAP4.error, match="BAD"):
                    imap.search(None, *bad)
            seen.append(imap.noop()[0])
        finally:
            imap.logout()
        return seen

    assert await asyncio.to_thread(work) == ["NO", "OK"]


async def test_new_mail_is_announced_to_an_open_connection(mail: DemoMail) -> None:
    """NOOP tells of mail that came after SELECT."""

    def first(imap: imaplib.IMAP4) -> Any:
        with smtplib.SMTP("127.0.0.1", mail.smtp_port, timeout=5) as smtp:
            smtp.send_message(message("later", "x\n"))
        imap.noop()
        return imap.response("EXISTS")

    assert await with_imap(mail, first) == ("EXISTS", [b"0", b"1"])


async def test_stopping_drops_open_connections(mail: DemoMail) -> None:
    """A client that hangs on does not keep the server."""
    held = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", mail.imap_port), 5)
    await until(lambda: mail._tasks, "connected")
    await mail.stop()
    with held:
        held.settimeout(5)
        while await asyncio.to_thread(held.recv, 1000):
            pass

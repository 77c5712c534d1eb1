"""Room: comms. Reads mailboxes in place: mbox, Maildir, a folder of .eml files, one such file.

A mail without a date is kept, with no time. Threads are found by References and In-Reply-To, and
where those are missing by the subject of a reply. A mail that is there twice counts once.
"""

from __future__ import annotations

import hashlib
import mailbox
import re
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from attrs import evolve, field, frozen

from dnr_core.comms.features import features_of
from dnr_core.comms.importers import mail_text
from dnr_core.comms.importers.archive import MAX_MEMBER_BYTES, Unread, walk
from dnr_core.comms.importers.buckets import Bucketing
from dnr_core.comms.importers.people import People
from dnr_core.comms.redact import MAX_CHARS, names_pattern, redact
from dnr_core.comms.rows import table_of
from dnr_core.comms.tables import EMAIL_MESSAGES
from dnr_core.errors import CommsError

_ID: Final = re.compile(r"<([^<>\s]{1,900})>")
_REPLY: Final = re.compile(
    r"^\s*(?:(?:re|aw|antw|sv|vs|odp|r|fwd?|wg|tr|rv|enc|fs|res|回复|转发|답장|ответ)"
    r"(?:\[\d+\])?\s*[:\uff1a]\s*)+",
    re.I,
)
_MAX_REFERENCES: Final = 200
_BLANK_ID: Final = "unknown sender"


@frozen
class _Mail:
    """What is kept of a mail until all are read, and their threads known."""

    key: str
    at_us: int | None
    parents: tuple[str, ...]
    subject: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    lists: tuple[str, ...]
    body: str = field(repr=False)
    files: tuple[str, ...]


def read_mail(path: Path, people: People, buckets: Bucketing, unread: Unread) -> pa.Table:
    """Return `email_messages` of a mailbox, in order of time.

    Raises:
        CommsError: there is nothing at `path`, or it is no mailbox.
    """
    names: dict[str, None] = {}
    mails: dict[str, _Mail] = {}
    for where, message, separator in _messages(path, unread):
        mail = _read(message, where, separator, names, unread)
        if mail is None:
            continue
        other = mails.get(mail.key)
        if other is not None and other != mail:
            # Some programs give several mails one id; the content tells them apart.
            mail = evolve(mail, key=_digest(mail.key, str(mail.at_us), mail.subject, mail.body))
        if mail.key in mails:
            unread.leave_out("mails that are there twice")
        else:
            mails[mail.key] = mail
    pattern = names_pattern(names)
    threads = _threads(mails)
    ordered = sorted(mails.values(), key=_place)
    rows = [_row(mail, threads[mail.key], people, buckets, pattern) for mail in ordered]
    return table_of(rows, EMAIL_MESSAGES)


def _place(mail: _Mail) -> tuple[bool, int, str]:
    """Return a mail's place in time; those without a date come last."""
    return (mail.at_us is None, mail.at_us or 0, mail.key)


def _messages(path: Path, unread: Unread) -> Iterator[tuple[str, EmailMessage, str]]:
    if path.is_dir():
        yield from _in_folder(path, unread)
    elif path.is_file():
        yield from _in_file(path, path.name, unread)
    else:
        raise CommsError(f"there is no mailbox {path}", hint="check the path")


def _in_folder(path: Path, unread: Unread) -> Iterator[tuple[str, EmailMessage, str]]:
    found = 0
    for name in walk(path, unread):
        file = path / name
        parts = Path(name).parts
        in_maildir = len(parts) > 1 and parts[-2] in {"cur", "new"}
        if in_maildir or file.suffix.lower() in {".eml", ".emlx"}:
            yield from _one(file, name, unread)
        elif file.suffix.lower() == ".mbox" or _begins_as_mbox(file):
            yield from _in_file(file, name, unread)
        else:
            continue
        found += 1
    if not found and not any((path / sub).is_dir() for sub in ("cur", "new")):
        raise CommsError(
            f"{path} holds no mail: no .eml file, no mbox, no Maildir",
            hint="give an mbox file, a Maildir, or a folder of .eml files",
        )


def _begins_as_mbox(file: Path) -> bool:
    try:
        with file.open("rb") as handle:
            return handle.read(5) == b"From "
    except OSError:
        return False


def _in_file(file: Path, name: str, unread: Unread) -> Iterator[tuple[str, EmailMessage, str]]:
    if not _begins_as_mbox(file):
        yield from _one(file, name, unread)
        return
    try:
        box = mailbox.mbox(file, create=False)
        keys = box.keys()
    except (OSError, mailbox.Error) as error:
        unread.note(name, f"no mbox that can be read: {error}")
        return
    try:
        for place, key in enumerate(keys, start=1):
            where = f"{name}[{place}]"
            try:
                content = box.get_bytes(key, from_=True)
            except (OSError, KeyError, *mail_text.BROKEN) as error:
                unread.note(where, f"cannot be read: {type(error).__name__}")
                continue
            separator, _, content = content.partition(b"\n")
            message = _parsed(content, where, unread)
            if message is not None:
                yield where, message, separator.decode("ascii", "replace")
    finally:
        box.close()


def _one(file: Path, name: str, unread: Unread) -> Iterator[tuple[str, EmailMessage, str]]:
    try:
        if file.stat().st_size > MAX_MEMBER_BYTES:
            unread.note(name, f"larger than {MAX_MEMBER_BYTES} bytes")
            return
        content = file.read_bytes()
    except OSError as error:
        unread.note(name, error.strerror or "cannot be read")
        return
    if file.suffix.lower() == ".emlx":
        length, _, rest = content.partition(b"\n")
        content = rest[: int(length)] if length.strip().isdigit() else content
    message = _parsed(content, name, unread)
    if message is not None:
        yield name, message, ""


def _parsed(content: bytes, where: str, unread: Unread) -> EmailMessage | None:
    if not content.strip():
        unread.note(where, "it is empty")
        return None
    try:
        return mail_text.parse(content)
    except mail_text.BROKEN as error:
        unread.note(where, f"no mail that can be parsed: {type(error).__name__}")
        return None


def _read(
    message: EmailMessage, where: str, separator: str, names: dict[str, None], unread: Unread
) -> _Mail | None:
    try:
        if not message.keys():
            unread.note(where, "it has no headers, so it is no mail")
            return None
        at_us = mail_text.sent_at_us(message, separator)
        if at_us is None:
            unread.miss("mails without a date")
        people = {kind: mail_text.addresses(message, *headers) for kind, headers in _PEOPLE.items()}
        for found in people.values():
            names.update(dict.fromkeys(title for title, _ in found if title))
        subject = mail_text.header(message, "Subject")
        body = mail_text.body_text(message)[:MAX_CHARS]
        sender = next((address for _, address in people["from"]), _BLANK_ID)
        own = _ids(mail_text.header(message, "Message-ID"))
        key = own[0] if own else _digest(str(at_us), sender, subject, body)
        return _Mail(
            key=key,
            at_us=at_us,
            parents=_parents(message),
            subject=subject,
            sender=sender,
            to=tuple(address for _, address in people["to"]),
            cc=tuple(address for _, address in people["cc"]),
            lists=_lists(message, people),
            body=body,
            files=tuple(mail_text.attachment_names(message)),
        )
    except mail_text.BROKEN as error:
        unread.note(where, f"its parts cannot be read: {type(error).__name__}")
        return None


_PEOPLE: Final[Mapping[str, tuple[str, ...]]] = {
    "from": ("From", "Sender"),
    "to": ("To",),
    "cc": ("Cc",),
}


def _ids(text: str) -> list[str]:
    return _ID.findall(text) or text.split()[:1]


def _parents(message: EmailMessage) -> tuple[str, ...]:
    """Return the ids that a mail answers, the nearest last."""
    references = _ID.findall(mail_text.header(message, "References"))[-_MAX_REFERENCES:]
    answered = _ID.findall(mail_text.header(message, "In-Reply-To"))[:1]
    return tuple(dict.fromkeys([*references, *answered]))


def _lists(message: EmailMessage, people: Mapping[str, list[tuple[str, str]]]) -> tuple[str, ...]:
    """Return what may tell the kind of list: its own name first, then who is written to."""
    listed = mail_text.header(message, "List-Id") or mail_text.header(message, "List-Post")
    name = listed.rpartition("<")[2].partition(">")[0].partition("@")[0].partition(".")[0]
    to = [address.partition("@")[0] for kind in ("to", "cc") for _, address in people[kind]]
    return tuple(filter(None, [name, *to]))


def _digest(*parts: str) -> str:
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return "digest:" + hashlib.sha256(text).hexdigest()


def _threads(mails: Mapping[str, _Mail]) -> dict[str, str]:
    """Return for each mail the key of its thread: that of the thread's oldest id."""
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        while (up := parent.setdefault(key, key)) != key:
            parent[key] = parent[up]
            key = up
        return key

    by_subject: dict[str, str] = {}
    for mail in sorted(mails.values(), key=_place):
        find(mail.key)
        for other in mail.parents:
            parent[find(mail.key)] = find(other)
        base = _REPLY.sub("", mail.subject).strip().casefold()
        is_reply = bool(_REPLY.match(mail.subject))
        if base and is_reply and not mail.parents and base in by_subject:
            parent[find(mail.key)] = find(by_subject[base])
        if base:
            by_subject[base] = mail.key
    oldest: dict[str, str] = {}
    for mail in sorted(mails.values(), key=_place):
        oldest.setdefault(find(mail.key), mail.key)
    return {key: oldest[find(key)] for key in mails}


def _row(
    mail: _Mail, thread: str, people: People, buckets: Bucketing, names: re.Pattern[str] | None
) -> tuple[Any, ...]:
    stand_in = people.pseudonyms.of
    found = features_of(mail.body)
    files = [redact(name, names) for name in mail.files]
    return (
        stand_in("m", mail.key),
        stand_in("t", thread),
        mail.at_us,
        people.id_of("email", mail.sender),
        [people.id_of("email", address) for address in mail.to],
        [people.id_of("email", address) for address in mail.cc],
        buckets.of(mail.lists),
        redact(mail.subject, names),
        redact(mail.body, names),
        bool(files),
        files,
        bool(found.link_domains),
        list(found.link_domains),
        found.has_code,
    )

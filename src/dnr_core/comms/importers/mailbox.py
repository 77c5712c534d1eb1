"""Room: comms. Reads mailboxes in place: mbox, Maildir, a folder of .eml files, one such file.

A mail without a date is kept, with no time. Threads are found by References and In-Reply-To, and
where those are missing by the subject of a reply. A mail that is there twice counts once.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from email.message import EmailMessage
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, cast

import pyarrow as pa

from dnr_core.comms.features import features_of
from dnr_core.comms.importers import mail_text
from dnr_core.comms.importers.archive import Unread, walk
from dnr_core.comms.importers.buckets import Bucketing
from dnr_core.comms.importers.people import People
from dnr_core.comms.importers.spool import Mail, Spool, digest
from dnr_core.comms.redact import MAX_CHARS, Names, redact
from dnr_core.comms.rows import table_of
from dnr_core.comms.tables import EMAIL_MESSAGES
from dnr_core.errors import CommsError

_ID: Final = re.compile(r"<([^<>\s]{1,900})>")
_REPLY: Final = re.compile(
    r"^\s*(?:(?:re|aw|antw|sv|vs|odp|r|fwd?|wg|tr|rv|enc|fs|res|回复|转发|답장|ответ)"
    r"(?:\[\d+\])?\s*[:\uff1a]\s*)+",
    re.I,
)
_SEPARATOR: Final = b"From "
_DATED: Final = re.compile(rb"\d{1,2}:\d{2}")
"""The line between two mails of an mbox has a time; a sentence that begins with "From" has none."""
_OLD_HEADER: Final = re.compile(rb"From\s+:")
_ANY_HEADER: Final = re.compile(rb"[!-9;-~]{1,80}:")
_A_MAILS_HEADER: Final = re.compile(rb"^(?:from|date|message-id|received):", re.I | re.M)
_SNIFFED_BYTES: Final = 4096
_MAX_LINE: Final = 1_000_000
_MAX_MAIL: Final = 128 * 1024 * 1024
_MAX_REFERENCES: Final = 200
_PART_MAILS: Final = 10_000
_BLANK_ID: Final = "unknown sender"


def read_mail(
    path: Path, people: People, buckets: Bucketing, unread: Unread, *, scratch: Path | None = None
) -> Iterator[pa.Table]:
    """Yield `email_messages` of a mailbox in order of time, a part at a time.

    `scratch` is the folder where mails lie until all are read; None: where the system keeps such.

    Raises:
        CommsError: there is nothing at `path`, or it is no mailbox.
        FolderError: the disk of `scratch` is full.
    """
    names: dict[str, None] = {}
    with Spool(scratch) as spool:
        for where, message, separator in _messages(path, unread):
            mail = _read(message, where, separator, names, unread)
            if mail is not None:
                spool.add(mail)
        twice, mails = spool.in_order()
        for _ in range(twice):
            unread.leave_out("mails that are there twice")
        pattern = Names(names)
        while part := list(islice(mails, _PART_MAILS)):
            rows = [_row(*each, people, buckets, pattern) for each in part]
            yield table_of(rows, EMAIL_MESSAGES)


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
        if _is_mbox(file) and not in_maildir:
            yield from _in_mbox(file, name, unread)
        elif in_maildir or file.suffix.lower() in {".eml", ".emlx"} or _looks_like_mail(file):
            yield from _one(file, name, unread)
        else:
            unread.leave_out("files that are no mail")
            continue
        found += 1
    if not found and not any((path / sub).is_dir() for sub in ("cur", "new")):
        raise CommsError(
            f"{path} holds no mail: no .eml file, no mbox, no Maildir",
            hint="give an mbox file, a Maildir, or a folder of .eml files",
        )


def _open(file: Path) -> IO[bytes]:
    """Open a file that may be packed with gzip, as archives of mailing lists are."""
    if file.suffix.lower() == ".gz":
        return cast("IO[bytes]", gzip.open(file, "rb"))
    return file.open("rb")


def _begins(file: Path) -> bytes:
    try:
        with _open(file) as handle:
            return handle.read(_SNIFFED_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""


def _is_mbox(file: Path) -> bool:
    """Whether a file begins as an mbox does, and not with an old way to write a header."""
    head = _begins(file)
    return head.startswith(_SEPARATOR) and not _OLD_HEADER.match(head)


def _looks_like_mail(file: Path) -> bool:
    """Whether a file of any name begins with headers, one of which every mail has."""
    head = re.split(rb"\r?\n\r?\n", _begins(file), maxsplit=1)[0]
    return bool(_ANY_HEADER.match(head) and _A_MAILS_HEADER.search(head))


def _in_file(file: Path, name: str, unread: Unread) -> Iterator[tuple[str, EmailMessage, str]]:
    if _is_mbox(file):
        yield from _in_mbox(file, name, unread)
    else:
        yield from _one(file, name, unread)


def _in_mbox(file: Path, name: str, unread: Unread) -> Iterator[tuple[str, EmailMessage, str]]:
    """Yield the mails of an mbox, read as a stream; each with the line that announces it."""
    number, separator, lines, size = 0, b"", [b""], 0
    after_blank = True
    try:
        with _open(file) as handle:
            while line := handle.readline(_MAX_LINE):
                begins = after_blank and line.startswith(_SEPARATOR)
                if begins and (not number or _DATED.search(line)):
                    if number:
                        yield from _of_mbox(lines, size, f"{name}[{number}]", separator, unread)
                    number, separator, lines, size = number + 1, line, [], 0
                else:
                    size += len(line)
                    if size <= _MAX_MAIL:
                        lines.append(line[1:] if line.startswith(b">From ") else line)
                after_blank = not line.strip()
    except (OSError, EOFError, zlib.error) as error:
        unread.note(f"{name}, after mail {number}", f"damaged: {type(error).__name__}")
    if number:
        yield from _of_mbox(lines, size, f"{name}[{number}]", separator, unread)


def _of_mbox(
    lines: list[bytes], size: int, where: str, separator: bytes, unread: Unread
) -> Iterator[tuple[str, EmailMessage, str]]:
    if size > _MAX_MAIL:
        unread.note(where, f"larger than {_MAX_MAIL} bytes")
        return
    message = _parsed(b"".join(lines), where, unread)
    if message is not None:
        yield where, message, separator.decode("ascii", "replace")


def _one(file: Path, name: str, unread: Unread) -> Iterator[tuple[str, EmailMessage, str]]:
    try:
        with _open(file) as handle:
            content = handle.read(_MAX_MAIL + 1)
    except (OSError, EOFError, zlib.error) as error:
        unread.note(name, getattr(error, "strerror", None) or "cannot be read")
        return
    if len(content) > _MAX_MAIL:
        unread.note(name, f"larger than {_MAX_MAIL} bytes")
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
) -> Mail | None:
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
        body, files = mail_text.words_and_files(message)
        body = body[:MAX_CHARS]
        sender = next((address for _, address in people["from"]), _BLANK_ID)
        own = _ids(mail_text.header(message, "Message-ID"))
        key = own[0] if own else digest(str(at_us), sender, subject, body)
        return Mail(
            key=key,
            at_us=at_us,
            parents=_parents(message),
            base=_REPLY.sub("", subject).strip().casefold(),
            is_reply=bool(_REPLY.match(subject)),
            subject=subject,
            sender=sender,
            to=tuple(address for _, address in people["to"]),
            cc=tuple(address for _, address in people["cc"]),
            lists=_lists(message, people),
            files=tuple(files),
            body=body,
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
    return tuple(each for each in (name, *to) if each)


def _row(
    key: str,
    thread: str,
    known: Sequence[Any],
    people: People,
    buckets: Bucketing,
    names: Names,
) -> tuple[Any, ...]:
    stand_in = people.pseudonyms.of
    at_us, subject, sender, to, cc, lists, names_of_files, body = known
    found = features_of(body)
    files = [redact(name, names) for name in names_of_files]
    return (
        stand_in("m", key),
        stand_in("t", thread),
        at_us,
        people.id_of("email", sender),
        [people.id_of("email", address) for address in to],
        [people.id_of("email", address) for address in cc],
        buckets.of(lists),
        redact(subject, names),
        redact(body, names),
        bool(files),
        files,
        bool(found.link_domains),
        list(found.link_domains),
        found.has_code,
    )

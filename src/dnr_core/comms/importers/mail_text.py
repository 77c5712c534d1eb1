"""Room: comms. One mail of any kind of brokenness: its headers, its own words, its attachments."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header
from email.message import EmailMessage, Message
from email.utils import getaddresses, parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

from dnr_core.comms.importers.packed import without_packed_files
from dnr_core.comms.importers.quotes import html_text, own_words

# What the standard parser is known to raise on headers that break the rules.
BROKEN: Final = (
    ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError, MessageError,
)  # fmt: skip
# The standard parser reads a header anew each time it is asked for, and many mails have the same.
_KEPT_HEADERS: Final = 4096


class _Policy(email.policy.EmailPolicy):
    """The standard policy, which remembers what it read of the headers it was asked for last."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _parsed_header(name, value)


@lru_cache(maxsize=_KEPT_HEADERS)
def _parsed_header(name: str, value: str) -> Any:
    return email.policy.default.header_fetch_parse(name, value)


_POLICY: Final = _Policy()
_END_OF_HEADERS: Final = re.compile(rb"\r?\n\r?\n")
_BLANK_BEFORE_COLON: Final = re.compile(rb"^([!-9;-~]{1,80})[ \t]{1,40}:", re.M)
_MAX_BODY: Final = 1_000_000
_YEARS: Final = range(1980, 2100)
_AT: Final = re.compile(r"([\w.+\-]{1,64}) at ([\w\-]{1,63}(?:\.[\w\-]{1,63}){1,6})")
"""As archives of mailing lists write addresses, against collectors of them."""
_ADDRESS: Final = re.compile(r"[^\s<>,;:\"()]{1,128}@[^\s<>,;:\"()]{1,255}")


def parse(content: bytes) -> EmailMessage:
    """Parse a mail; one that breaks the rules is read as far as it goes."""
    end = _END_OF_HEADERS.search(content)
    if end is not None:
        # An old form of mail allows blanks before the colon, which the parser does not.
        head = _BLANK_BEFORE_COLON.sub(rb"\1:", content[: end.start()])
        content = head + content[end.start() :]
    message = email.message_from_bytes(content, policy=_POLICY)
    if not isinstance(message, EmailMessage):
        raise MessageError("not a mail")
    return message


def header(message: Message, name: str) -> str:
    """Return a header as text, "" where it is absent; a broken one as far as it can be decoded."""
    wanted = name.lower()
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == wanted), "")
    if raw.isascii() and "=?" not in raw:
        return " ".join(raw.split())
    try:
        value = message.get(name)
        return " ".join(str(value).split()) if value is not None else ""
    except BROKEN:
        return _decoded(raw)


def _decoded(raw: str) -> str:
    try:
        parts = decode_header(raw)
        text = "".join(
            part if isinstance(part, str) else decoded(part, charset or "ascii")
            for part, charset in parts
        )
    except BROKEN:
        text = raw
    return " ".join(text.split())


def addresses(message: Message, *names: str) -> list[tuple[str, str]]:
    """Return names and addresses of all headers of these names, each address once, lower case."""
    raw: list[str] = []
    for name in names:
        wanted = name.lower()
        raw += [str(value) for key, value in message.raw_items() if key.lower() == wanted]
    found: dict[str, str] = {}
    for title, address in getaddresses([" ".join(value.split()) for value in raw]):
        if "@" in address:
            found.setdefault(address.strip().lower(), _decoded(title))
    if not found:
        for value in raw:
            for match in _ADDRESS.finditer(_AT.sub(r"\1@\2", value)):
                found.setdefault(match.group().lower(), "")
    return [(title, address) for address, title in found.items()]


def sent_at_us(message: Message, fallback: str = "") -> int | None:
    """Return when a mail was sent, microseconds in UTC: its date, when it was received, or None.

    `fallback` is the line with which an mbox separates mails.
    """
    received = [str(value).rpartition(";")[2] for value in _all(message, "Received")]
    dates = [*_all(message, "Date"), *_all(message, "Resent-Date"), *received]
    separator = re.search(r"\w{3} \w{3} +\d+ [\d:]{5,8}(?: \w{3,5})? \d{4}", fallback)
    for value in (*dates, *([_asctime(separator.group())] if separator else ())):
        try:
            instant = parsedate_to_datetime(re.sub(r"\([^()]*\)", "", value).strip())
            instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            if instant.year in _YEARS:
                delta = instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
                return (delta.days * 86_400 + delta.seconds) * 1_000_000
        except (*BROKEN, OverflowError):
            continue
    return None


def _asctime(text: str) -> str:
    parts = text.split()
    return f"{parts[2]} {parts[1]} {parts[-1]} {parts[3]} +0000"


def _all(message: Message, name: str) -> list[str]:
    return [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def decoded(content: bytes, charset: str) -> str:
    """Return bytes as text in the charset they claim, else in UTF-8, else in Windows-1252."""
    for name in (charset.strip().strip("'\"").lower(), "utf-8"):
        try:
            return content.decode(_CHARSETS.get(name, name))
        except (LookupError, ValueError):
            continue
    return content.decode("cp1252", "replace")


_CHARSETS: Final = {"iso-8859-8-i": "iso-8859-8", "x-sjis": "shift_jis", "x-gbk": "gbk",
                    "ks_c_5601-1987": "euc_kr", "utf8mb4": "utf-8", "ansi_x3.110-1983": "latin-1",
                    "windows-874": "cp874", "us-ascii": "ascii"}  # fmt: skip


def words_and_files(message: EmailMessage) -> tuple[str, list[str]]:
    """Return the writer's own words, and the names of what is attached, in order.

    Words come from the plain text where there is some, else from HTML; a file without a name is
    "attachment".
    """
    plain: list[str] = []
    html: list[str] = []
    files: list[str] = []
    for part in _own_parts(message):
        if is_attachment(part):
            files.append(_filename(part) or "attachment")
            continue
        kind = part.get_content_type()
        if kind == "text/plain":
            text, packed = without_packed_files(_content(part))
            plain.append(text)
            files += packed
        elif kind == "text/html":
            html.append(_content(part))
    text = own_words("\n".join(plain))
    if not text and any(part.strip() for part in html):
        text = own_words("\n".join(html_text(part) for part in html))
    return text, files


def is_attachment(part: Message) -> bool:
    """Whether a part is attached, and not part of what is read."""
    kind = part.get_content_type()
    if kind == "message/rfc822":
        return True
    try:
        disposition = part.get_content_disposition()
    except BROKEN:
        disposition = None
    return disposition == "attachment" or (
        bool(_filename(part)) and not kind.startswith(("text/plain", "text/html"))
    )


def _filename(part: Message) -> str:
    try:
        name = part.get_filename()
    except BROKEN:
        name = None
    return " ".join(_decoded(name).replace("\\", "/").rpartition("/")[2].split()) if name else ""


def _own_parts(message: Message) -> Iterator[Message]:
    """Yield the leaves of a mail, and mails within it as one leaf each."""
    stack = [message]
    seen = 0
    while stack and seen < 1000:
        seen += 1
        part = stack.pop()
        payload = part.get_payload()
        if part.get_content_type() == "message/rfc822" or not isinstance(payload, list):
            yield part
        else:
            stack += [child for child in reversed(payload) if isinstance(child, Message)]


def _content(part: Message) -> str:
    try:
        payload = part.get_payload(decode=True)
    except BROKEN:
        payload = None
    if not isinstance(payload, bytes):
        return str(part.get_payload())[:_MAX_BODY]
    try:
        charset = part.get_content_charset() or "ascii"
    except BROKEN:
        charset = "ascii"
    return decoded(payload[:_MAX_BODY], charset)

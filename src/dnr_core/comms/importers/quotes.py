"""Room: comms. Cuts what a mail quotes, and its signature, from what its writer says.

Mail programs mark a quotation in few ways: a line that says who wrote when, before lines
that begin with ">"; a block of headers; a rule with "Original Message". The rules look for the
form of these lines in the languages below, and where it is not clear they keep the text.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

_WROTE: Final = (
    "wrote", "writes", "said", "schrieb", "escribió", "a écrit", "ha scritto", "escreveu", "skrev",
    "schreef", "napisał", "napsal", "написал", "написала", "пише", "пишет", "kirjoitti", "yazdi", "yazd\u0131",
    "写道", "のメッセージ", "さんは書きました", "님이 작성",
)  # fmt: skip
_ATTRIBUTION_END: Final = re.compile(
    r"(?:" + "|".join(map(re.escape, _WROTE)) + r")[^\n]{0,60}[:\uff1a]\s*$",
    re.I,
)
_ATTRIBUTION_HINT: Final = re.compile(r"\d|@|<|^(?:on|am|le|el|il|em|den|op|dne|dnia)\b", re.I)
_ORIGINAL: Final = re.compile(
    r"^\s*[-_=*]{2,}\s*(?:original message|forwarded message|begin forwarded message|"
    r"ursprüngliche nachricht|weitergeleitete nachricht|message d'origine|message transféré|"
    r"mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|"
    r"oprindelig meddelelse|исходное сообщение|пересылаемое сообщение)\b",
    re.I,
)
_RULE: Final = re.compile(r"^_{20,}\s*$")
_HEADER: Final = re.compile(
    r"^\s*\*?(?:from|sent|date|to|cc|subject|reply-to|von|gesendet|datum|an|betreff|de|envoyé|à|objet|"
    r"enviado|para|asunto|assunto|da|inviato|oggetto|van|verzonden|aan|onderwerp|от|отправлено|кому|"
    r"тема|дата)\s?:\*?(?:\s|$)",
    re.I,
)
_FIRST_HEADER: Final = re.compile(r"^\s*\*?(?:from|von|de|da|van|от)\s?:", re.I)
_SIGNATURE: Final = re.compile(r"^--\s?$|^__\s?$")
_SENT_FROM: Final = re.compile(
    r"^\s*(?:sent (?:from|with|via|using)|gesendet (?:von|mit)|envoyé de|enviado desde|inviato da|"
    r"get outlook for|отправлено)\b.{0,80}$",
    re.I,
)
_QUOTED: Final = re.compile(r"^\s{0,3}[>|\uff1e]")
_LINES_OF_ATTRIBUTION: Final = 3
_LEAST_HEADERS: Final = 3


def own_words(body: str) -> str:
    """Return what the writer of a mail says: no quotation, no signature.

    A text that is all quotation gives "".
    """
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        if _ORIGINAL.match(line) or _is_header_block(lines, place):
            break
        if _RULE.match(line) and _is_header_block(lines, _next(lines, place + 1)):
            break
        if _QUOTED.match(line):
            place += 1
            continue
        length = _attribution(lines, place)
        if length:
            place += length
            if not _QUOTED.match(_line(lines, _next(lines, place))):
                break
            continue
        if _SIGNATURE.match(line):
            place = _after_signature(lines, place)
            continue
        if not _SENT_FROM.match(line):
            kept.append(line.rstrip())
        place += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _line(lines: list[str], place: int) -> str:
    return lines[place] if place < len(lines) else ""


def _next(lines: list[str], place: int) -> int:
    while place < len(lines) and not lines[place].strip():
        place += 1
    return place


def _attribution(lines: list[str], place: int) -> int:
    """Return how many lines from `place` on say who wrote what follows; 0 where none do."""
    if not _ATTRIBUTION_HINT.search(lines[place].strip()):
        return 0
    for length in range(1, _LINES_OF_ATTRIBUTION + 1):
        last = _line(lines, place + length - 1).rstrip()
        if not last or _QUOTED.match(last):
            return 0
        if last.endswith((":", "\uff1a")):
            said = " ".join(lines[place : place + length])
            if len(said) > 400:
                return 0
            quoted = _QUOTED.match(_line(lines, _next(lines, place + length)))
            ends = _ATTRIBUTION_END.search(said)
            return length if ends or (quoted and re.search(r"@|\d{4}", said)) else 0
    return 0


def _is_header_block(lines: list[str], place: int) -> bool:
    if place >= len(lines) or not _FIRST_HEADER.match(lines[place]):
        return False
    following = [line for line in lines[place : place + 10] if line.strip()][:6]
    return sum(bool(_HEADER.match(line)) for line in following) >= _LEAST_HEADERS


def _after_signature(lines: list[str], place: int) -> int:
    """Return where a quotation begins after a signature (replies below it go on there)."""
    for later in range(place + 1, len(lines)):
        if _QUOTED.match(lines[later]) or _attribution(lines, later):
            return later
        if _ORIGINAL.match(lines[later]) or _is_header_block(lines, later):
            return later
    return len(lines)


_BREAKS: Final = {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "hr", "table", "ul", "ol"}
_SILENT: Final = {"script", "style", "head", "title", "template", "noscript"}
_VOID: Final = {"br", "hr", "img", "meta", "link", "input", "area", "base", "col", "wbr"}
_QUOTES: Final = re.compile(
    r"gmail_quote|yahoo_quoted|moz-cite-prefix|divRplyFwdMsg|appendonsend|OLK_SRC_BODY_SECTION|"
    r"protonmail_quote|zmail_extra",
    re.I,
)


def html_text(html: str) -> str:
    """Return the text of an HTML mail, without what it quotes."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = "".join(reader.parts).replace("\u00a0", " ")
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]*\n[ \t]*", "\n", text)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden:
            if tag == self._hidden[0]:
                self._hidden.append(tag)
            return
        said = dict(attrs)
        marks = f"{said.get('class') or ''} {said.get('id') or ''}"
        if tag in _SILENT or tag == "blockquote" or _QUOTES.search(marks):
            if tag not in _VOID:
                self._hidden = [tag]
        elif tag in _BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag == self._hidden[0]:
                self._hidden.pop()
        elif tag in _BREAKS and tag not in _VOID:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", data))

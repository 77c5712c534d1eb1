"""Room: demand. Untrusted text made plain: one line, no control or direction characters, bounded."""

from __future__ import annotations

import re
from typing import Final

from dnr_core.comms.redact import clean, redact

MOST_CHARACTERS: Final = 16_000
"""Of a longer message only its beginning is read: a pack holds less than that."""

_LINES: Final = {ord("\n"): " ", ord("\t"): " "}
_BLANKS: Final = re.compile(r"\s+")
# Characters that show nothing or turn the reading direction. `clean` drops control characters.
_UNSEEN: Final = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
_NUMBER: Final = re.compile(r"\d[\d.,]*\d|\d")


def plain_line(text: str) -> str:
    """Return a message as one line of visible text.

    A line break inside a message becomes a blank, so that no message can look like two.
    """
    text = text[:MOST_CHARACTERS]
    # Nearly all messages are plain ASCII: the same in a tenth of the time.
    if text.isascii() and text.translate(_LINES).isprintable():
        return " ".join(text.split())
    return _BLANKS.sub(" ", _UNSEEN.sub("", clean(text))).strip()


def tokens_about(text: str) -> int:
    """Return about how many tokens a model counts: four ASCII characters, else two bytes, each."""
    if text.isascii():
        return -(-len(text) // 4)
    size = len(text.encode("utf-8", "replace"))
    ascii_count = sum(character < "\x80" for character in text)
    return -(-ascii_count // 4) + -(-(size - ascii_count) // 2)


def cut_to_tokens(text: str, tokens: int) -> str:
    """Return the longest beginning of `text` of at most `tokens`, cut at a blank where one is near."""
    if tokens_about(text) <= tokens:
        return text
    low, high = 0, min(len(text), tokens * 4)
    while low < high:
        middle = (low + high + 1) // 2
        if tokens_about(text[:middle]) <= tokens:
            low = middle
        else:
            high = middle - 1
    kept = text[:low]
    blank = kept.rfind(" ")
    return kept[:blank] if blank > low - 40 and blank > 0 else kept


def quote(text: str, most: int = 160) -> str:
    """Return a short excerpt for people: addresses, phones, secrets and all numbers masked."""
    line = _NUMBER.sub("#", redact(plain_line(text)))
    return line if len(line) <= most else cut_to_tokens(line, most // 4).rstrip() + "\u2026"

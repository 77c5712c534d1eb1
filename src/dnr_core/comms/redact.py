"""Room: comms. Takes out of a text what looks like an address, phone, card or account number.

It errs on the side of taking out: a bare number of eight digits or more is taken for an account,
unless it is a day (20250131). Dates, times, amounts with thousands separators, decimal fractions,
versions of three parts, names of tables and hashes of commits stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

MAX_CHARS: Final = 20_000
"""Longer texts are cut there: nobody packs more of a message for a model."""

_URL: Final = re.compile(
    r"\b((?:https?|ftp)://)(?:[^\s/@<>]{1,200}@)?([^\s?#<>\"|]{1,400})[^\s<>\"|)]*", re.I
)
_MAIL: Final = re.compile(
    r"(?:mailto:)?[^\s@\uff20<>()\[\]{},;:\"'|]{1,64}\s?[@\uff20]\s?[\w\-]{1,63}(?:\.[\w\-]{1,63}){1,6}"
)
_OBFUSCATED: Final = re.compile(
    r"\b[\w.+\-]{1,64}\s?[\[({]\s?at\s?[\])}]\s?[\w\-]{1,63}"
    r"(?:(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)[\w\-]{1,63}){1,5}",
    re.I,
)
_SPOKEN: Final = re.compile(
    r"\b[\w.+\-]{1,64} at [\w\-]{1,63}(?:\.[\w\-]{1,63}){0,4}\."
    r"(?:com|org|net|edu|gov|io|dev|co|info|de|uk|fr|nl|ch|eu|jp|cn|ru|br|it|es|se|pl|at|ca|au|us)\b",
    re.I,
)
_SECRET: Final = re.compile(
    r"\b(?:xox[abposr]-[\w\-]{8,}|sk-[\w\-]{16,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{16}|eyJ[\w\-]{10,}\.[\w\-.]{10,})"
)
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]{4}){2,7}(?:[ \-]?[A-Z0-9]{1,3})?\b")
_IP: Final = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\d)"
    r"|(?<![\w:])(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}\b",
    re.I,
)
_STREET: Final = re.compile(
    r"\b\d{1,5}[a-z]?\s(?:[A-Z][\w'.]{0,30}\s){1,4}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Way|Place|Pl|Terrace)\b\.?"
    r"|\b[A-ZÄÖÜ][\wäöüß]{2,30}(?:straße|strasse|str\.|gasse|weg|platz)\s\d{1,4}[a-z]?\b",
)
_DIGITS: Final = re.compile(
    r"(?<![\w.,:$€£#])\+?\(?\d(?:[ \t\u00a0.()\-/]{0,2}\d){6,30}(?![\d:]|[.,]\d)"
)
_DATE: Final = re.compile(
    r"(?:19|20)\d\d([\-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d)|(?:0?[1-9]|[12]\d|3[01])([\-/.])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)\d\d(?!\d)"
)
_DAY: Final = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_INSIDE: Final = re.compile(r"[^\W_]*\d{8,}[^\W_]*")
_DIGIT: Final = re.compile(r"\d")
_LONG: Final = re.compile(r"\d{8}")
_HASH: Final = re.compile(r"(?=\d*[a-f])[0-9a-f]{20,}")
_POINT: Final = re.compile(r"\d\.$")
_FLOAT: Final = re.compile(r"\d+\.\d+")
_WORD: Final = re.compile(r"\w+")
_LONGEST_NAME: Final = 100
_WIDEST_GAP: Final = 3
_KEPT_CONTROLS: Final = {"\n", "\t"}


class Names:
    """Full names of people, two words at least: a first name alone may be a word like any other.

    A text is looked through once, however many names there are.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for name in sorted(set(names)):
            words = tuple(
                match.group().casefold() for match in _WORD.finditer(name[:_LONGEST_NAME])
            )
            if len(words) > 1 and any(word.isalpha() for word in words):
                self._by_first.setdefault(words[0], []).append(words)
        for known in self._by_first.values():
            known.sort(key=len, reverse=True)

    def remove(self, text: str) -> str:
        """Return the text with "[name]" for every one of the names, in any case."""
        if not self._by_first:
            return text
        found = list(_WORD.finditer(text))
        words = [match.group().casefold() for match in found]
        if self._by_first.keys().isdisjoint(words):
            return text
        parts: list[str] = []
        done = place = 0
        while place < len(words):
            length = self._length_at(text, found, words, place)
            if length:
                parts += [text[done : found[place].start()], "[name]"]
                done = found[place + length - 1].end()
            place += length or 1
        return "".join([*parts, text[done:]])

    def _length_at(
        self, text: str, found: list[re.Match[str]], words: list[str], place: int
    ) -> int:
        """Return how many words from `place` on are a name, standing close together; 0 for none."""
        for name in self._by_first.get(words[place], ()):
            end = place + len(name)
            if tuple(words[place:end]) == name and all(
                len(gap) <= _WIDEST_GAP and "\n" not in gap
                for gap in (
                    text[found[n].end() : found[n + 1].start()] for n in range(place, end - 1)
                )
            ):
                return len(name)
        return 0


def redact(text: str, names: Names | None = None) -> str:
    """Return the text without what looks like an address, phone, card, account or secret.

    `names` are people's names; each becomes "[name]".
    """
    text = clean(text)
    if "://" in text:
        text = _URL.sub(r"\1\2", text)
    if "@" in text or "\N{FULLWIDTH COMMERCIAL AT}" in text:
        text = _MAIL.sub("[address]", text)
    if "(" in text or "[" in text or "{" in text:
        text = _OBFUSCATED.sub("[address]", text)
    if " at " in text:
        text = _SPOKEN.sub("[address]", text)
    text = _SECRET.sub("[secret]", text)
    if names is not None:
        text = names.remove(text)
    if _DIGIT.search(text):
        text = _IBAN.sub("[account]", text)
        text = _STREET.sub("[address]", text)
        text = _IP.sub("[address]", text)
        text = _DIGITS.sub(_number, text)
        if _LONG.search(text):
            text = _INSIDE.sub(_inside, text)
    return text


def clean(text: str) -> str:
    """Return at most `MAX_CHARS` of the text, with no control, direction or broken characters."""
    text = text[:MAX_CHARS]
    # Nearly all texts have no other than these controls: one look at the whole tells.
    if text.replace("\n", " ").replace("\t", " ").isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(map(_clean_character, text))


def _clean_character(character: str) -> str:
    if character.isprintable() or character in _KEPT_CONTROLS:
        return character
    category = unicodedata.category(character)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return " " if category in {"Zs", "Zl", "Zp"} else ""


def _number(match: re.Match[str]) -> str:
    text = match.group()
    digits = "".join(character for character in text if character.isdigit())
    if _DATE.match(text):
        rest = text[_DATE.match(text).end() :]  # type: ignore[union-attr]
        # What follows a date on the same line is an hour or another number; each is looked at.
        return text[: len(text) - len(rest)] + (_DIGITS.sub(_number, rest) if rest else "")
    if text.isdigit() or _FLOAT.fullmatch(text):
        # A bare run is looked at later, with the word that it is in.
        return text
    if len(digits) >= 13:
        return "[card]" if len(digits) <= 19 else "[account]"
    return "[phone]"


def _inside(match: re.Match[str]) -> str:
    """Return a word with its long numbers taken out, unless it is a hash (of a commit, say)."""
    word = match.group()
    is_fraction = word.isdigit() and _POINT.search(match.string[: match.start()][-2:])
    if is_fraction or _HASH.fullmatch(word):
        return word
    return re.sub(r"\d{8,}", lambda run: _run(run.group()), word)


def _run(digits: str) -> str:
    if len(digits) < 8 or (len(digits) == 8 and _DAY.fullmatch(digits)):
        return digits
    return "[card]" if _is_card(digits) else "[account]"


def _is_card(digits: str) -> bool:
    if not 13 <= len(digits) <= 19:
        return False
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


PLACEHOLDERS: Final[Mapping[str, str]] = {
    "[address]": "an e-mail, network or street address",
    "[phone]": "a telephone number",
    "[card]": "a card number",
    "[account]": "an account number, or another long number",
    "[secret]": "a key or token",
    "[name]": "the name of a person who is in the export",
}
"""What stands where something was taken out."""

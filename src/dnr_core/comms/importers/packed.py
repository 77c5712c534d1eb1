"""Room: comms. Files that old programs pack into the text of a mail (uuencode)."""

from __future__ import annotations

import re
from typing import Final

_BEGIN: Final = re.compile(r"begin [0-7]{3,4} (\S.{0,254})")
_FULL_LINE: Final = re.compile(r"M[ -`]{60,61}\s?")
_LAST_LINE: Final = re.compile(r"[ -`]{1,62}\s?")


def without_packed_files(text: str) -> tuple[str, list[str]]:
    """Return a text without the files packed into it, and the names of those files.

    A block begins with its mode and name, has lines of 45 bytes each and a shorter one, and ends
    with "end", or with the text where that is cut.
    """
    if "begin " not in text:
        return text, []
    lines = text.splitlines()
    kept: list[str] = []
    names: list[str] = []
    place = 0
    while place < len(lines):
        begun = _BEGIN.fullmatch(lines[place])
        end = _end_of(lines, place + 1) if begun else None
        if begun is None or end is None:
            kept.append(lines[place])
            place += 1
        else:
            names.append(begun.group(1).strip())
            place = end
    return "\n".join(kept), names


def _end_of(lines: list[str], start: int) -> int | None:
    """Return the place after the block that starts at `start`; None where there is none."""
    place = start
    while place < len(lines) and _FULL_LINE.fullmatch(lines[place]):
        place += 1
    if place == len(lines):
        return place if place > start else None
    # At most a shorter line and the empty one stand before the end.
    for end in range(place, min(place + 3, len(lines))):
        if lines[end].rstrip() == "end":
            return end + 1 if end > start else None
        if not _LAST_LINE.fullmatch(lines[end]):
            return None
    return None

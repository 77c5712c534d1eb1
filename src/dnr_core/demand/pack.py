"""Room: demand. One thread as one text: what matters most, within a bound of tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from dnr_core.demand.text import cut_to_tokens, plain_line, tokens_about

MOST_TOKENS: Final = 900
MOST_MESSAGES: Final = 20
_MARK: Final = "- "
# A message of which fewer tokens would fit is left out: its beginning alone says nothing.
_LEAST_TOKENS: Final = 12


@frozen
class Message:
    """One message of an item.

    `ts_us` is microseconds since 1970, 0 where it has no time; `points` are the prefilter's for
    its words.
    """

    message_id: str
    ts_us: int
    text: str
    points: int = 0
    is_root: bool = False
    is_exec: bool = False


@frozen
class Packed:
    """The text of an item as a model reads it, and the messages that are in it, in that order."""

    text: str
    message_ids: tuple[str, ...]


def pack(
    messages: Iterable[Message],
    *,
    most_tokens: int = MOST_TOKENS,
    most_messages: int = MOST_MESSAGES,
) -> Packed:
    """Pack one item: root first, then every message of an exec, then best score, newest first.

    A message is one line, marked at its beginning; the first that does not fit is cut, and what
    comes after it is left out. The order of input does not matter.

    Args:
        messages: those of one item.
        most_tokens: bound of the whole text, by `tokens_about`.
        most_messages: bound of the messages.
    """
    ordered = sorted(
        messages,
        key=lambda m: (not m.is_root, not m.is_exec, -m.points, -m.ts_us, m.message_id),
    )
    if len(ordered) == 1:
        text = cut_to_tokens(plain_line(ordered[0].text), most_tokens)
        return Packed(text, (ordered[0].message_id,))
    lines: list[str] = []
    ids: list[str] = []
    left = most_tokens
    for message in ordered:
        if len(lines) == most_messages or left < _LEAST_TOKENS:
            break
        line = _MARK + plain_line(message.text)
        if line == _MARK:
            continue
        # The line break is a token of its own.
        cost = tokens_about(line) + 1
        if cost > left:
            line = cut_to_tokens(line, left - 1)
            cost = left
        lines.append(line)
        ids.append(message.message_id)
        left -= cost
    return Packed("\n".join(lines), tuple(ids))

"""Room: write. Lines with nested alternatives and slots, compiled once and expanded often.

`[late|[far|way] behind]` is a choice, `{metric}` a slot, `{n:3-9}` a slot with an argument.
A choice of one part, `[by the way]`, is an option: it is there or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen


class GrammarError(ValueError):
    """A line of a skeleton file that cannot be read."""


@frozen
class Slot:
    """A place that is filled when the line is used."""

    name: str
    argument: str


@frozen
class Choice:
    """Alternatives, one of which is taken."""

    options: tuple[Sequence, ...]


Node = str | Slot | Choice
Sequence = tuple[Node, ...]
EMPTY: Final[Sequence] = ("",)


def compile_line(line: str) -> Sequence:
    """Read a line.

    Raises:
        GrammarError: a bracket or brace is not closed, or stands alone.
    """
    sequence, end = _sequence(line, 0, nested=False)
    if end != len(line):
        raise GrammarError(f"']' or '|' stands alone at column {end + 1} of {line!r}")
    return sequence


def _sequence(line: str, at: int, *, nested: bool) -> tuple[Sequence, int]:
    nodes: list[Node] = []
    text = ""
    while at < len(line):
        char = line[at]
        if char in "]|" and nested:
            break
        if char not in "[{":
            if char in "]|}":
                raise GrammarError(f"{char!r} stands alone at column {at + 1} of {line!r}")
            text += char
            at += 1
            continue
        if text:
            nodes.append(text)
            text = ""
        node, at = _choice(line, at + 1) if char == "[" else _slot(line, at + 1)
        nodes.append(node)
    if text:
        nodes.append(text)
    return tuple(nodes), at


def _choice(line: str, at: int) -> tuple[Choice, int]:
    options: list[Sequence] = []
    while True:
        sequence, at = _sequence(line, at, nested=True)
        options.append(sequence)
        if at >= len(line):
            raise GrammarError(f"'[' is not closed in {line!r}")
        at += 1
        if line[at - 1] == "]":
            return Choice(tuple(options) if len(options) > 1 else (*options, EMPTY)), at


def _slot(line: str, at: int) -> tuple[Slot, int]:
    end = line.find("}", at)
    if end < 0:
        raise GrammarError(f"'{{' is not closed in {line!r}")
    name, _, argument = line[at:end].partition(":")
    if not name.replace("_", "").isalnum():
        raise GrammarError(f"{line[at:end]!r} is no name of a slot in {line!r}")
    return Slot(name, argument), end + 1


def slots(sequence: Sequence) -> set[str]:
    """Names of all slots of a line."""
    found: set[str] = set()
    for node in sequence:
        if isinstance(node, Slot):
            found.add(node.name)
        elif isinstance(node, Choice):
            for option in node.options:
                found |= slots(option)
    return found


def expand(sequence: Sequence, random: Callable[[], float], fill: Callable[[Slot], str]) -> str:
    """One text of a line; `random()` gives numbers in [0, 1), `fill(slot)` the slot's text."""
    parts: list[str] = []
    _expand(sequence, random, fill, parts)
    return "".join(parts)


def _expand(
    sequence: Sequence,
    random: Callable[[], float],
    fill: Callable[[Slot], str],
    parts: list[str],
) -> None:
    for node in sequence:
        if node.__class__ is str:
            parts.append(node)
        elif isinstance(node, Slot):
            parts.append(fill(node))
        elif isinstance(node, Choice):
            options = node.options
            _expand(options[int(random() * len(options))], random, fill, parts)

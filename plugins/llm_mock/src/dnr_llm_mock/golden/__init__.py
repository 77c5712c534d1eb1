"""Room: golden. Messages written by hand, with two labellings, and the scores measured on them.

A score on made talk flatters; this one is shown beside it, always. Nothing here is read when an
item is classified.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from attrs import frozen


@frozen
class Label:
    """One labelling of a message."""

    theme: str
    relevance: str
    tables: tuple[str, ...]


@frozen
class GoldenItem:
    """A message (or short thread, a line a message) as people write it.

    `group` is the writer's voice: the folds of cross-validation. `label` is what the two
    passes `first` and `second` were settled to; `tables` are those that the text itself names.
    """

    id: str
    group: str
    source: str
    lang: str
    text: str
    label: Label
    first: Label
    second: Label


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _label(value: dict[str, Any]) -> Label:
    return Label(value["theme"], value["relevance"], tuple(value["tables"]))


@cache
def items() -> tuple[GoldenItem, ...]:
    """All messages, in the order of the file."""
    rows = [json.loads(line) for line in _text("golden.jsonl").splitlines()]
    return tuple(
        GoldenItem(
            id=row["id"],
            group=row["group"],
            source=row["source"],
            lang=row["lang"],
            text=row["text"],
            label=_label(row),
            first=_label(row["first"]),
            second=_label(row["second"]),
        )
        for row in rows
    )


def dictionary() -> dict[str, Any]:
    """Tables of the two companies the messages are from, as a request for entities has them."""
    found: dict[str, Any] = json.loads(_text("dictionary.json"))
    return found


def scores() -> dict[str, Any]:
    """What `training/train.py` measured.

    On these messages by cross-validation over writers, and on made talk from skeletons that
    were never fitted.
    """
    found: dict[str, Any] = json.loads(_text("scores.json"))
    return found

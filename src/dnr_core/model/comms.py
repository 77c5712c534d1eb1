"""Room: model. Talk: the tables it is kept in, and the style in which it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    import pyarrow as pa


@frozen
class CommsStyle:
    """How people write.

    `vocabulary` fills slots ("greeting": ("hi", "hey")); `traits` are shares in [0, 1] of
    messages that show a habit ("lowercase", "typo", "no_punctuation").
    """

    name: str
    title: str
    vocabulary: Mapping[str, tuple[str, ...]] = field(factory=dict)
    traits: Mapping[str, float] = field(factory=dict)
    instructions: str = ""
    """What a real provider is told about the tone."""


@frozen
class CommsTables:
    """The four tables of talk, as Arrow; columns in `dnr_core.comms.tables`.

    A source that was not given has a table of no rows. Messages that are too many for memory
    may be an Arrow data set on disk (`pyarrow.dataset`) in place of a table.
    """

    slack: pa.Table
    email: pa.Table
    users: pa.Table
    nlq: pa.Table
    synthetic: bool = False
    unread: tuple[Mapping[str, str], ...] = ()
    """What an importer could not read: `{"where": ..., "why": ...}`."""

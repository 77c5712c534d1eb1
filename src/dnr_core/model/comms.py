"""Room: model. Talk: the tables it is kept in, and the style in which it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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

    def __str__(self) -> str:
        counts = {
            "Slack messages": _rows(self.slack),
            "emails": _rows(self.email),
            "questions": _rows(self.nlq),
            "people": _rows(self.users),
        }
        return ", ".join(f"{count:,} {what}" for what, count in counts.items())

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>"


def _rows(table: Any) -> int:
    # A data set counts from the files' footers, a table knows.
    return int(table.num_rows if hasattr(table, "num_rows") else table.count_rows())

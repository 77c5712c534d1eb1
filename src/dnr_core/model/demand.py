"""Room: model. What people ask for, as shares with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

if TYPE_CHECKING:
    import pyarrow as pa


@frozen
class ThemeShare:
    """Share of the demand: of one `source`, or of all with `source` "all".

    `table` is "" for the theme as a whole. `low` and `high` bound 80 % of the bootstrap.
    """

    source: str
    theme: str
    table: str
    share: float
    low: float
    high: float
    items: int


@frozen
class SourceCoverage:
    """How much of a source was looked at, and why it stopped.

    `decided` are items settled by provider or prefilter. `stopped` is "", "budget",
    "parse_errors" or "failed_calls"; `partial` marks a source some of whose calls failed.
    """

    source: str
    items: int
    kept: int
    sampled: int
    decided: int
    weight: float
    below_floor: bool
    partial: bool
    stopped: str

    @property
    def coverage(self) -> float:
        """Share of the items that were decided; 1 for a source of none."""
        return self.decided / self.items if self.items else 1.0


@frozen
class DemandResult:
    """What the messages say, as the report reads it.

    `predictions` holds every item: `item_id, source, theme, theme_confidence, relevance,
    relevance_confidence, prefilter_score, reasons, kept_by, decided_by`. `items` holds the items
    that count as demand (positive threads and mails, all NLQ): `item_id, source, thread_id, ts (UTC),
    day (local), theme, theme_confidence, table, weight, role, user_id, unmet, quote`, a row for each
    of the item's tables (`table` "" where none was named), `weight` summing to the item's share of all demand.
    `entities` holds `item_id, source, table, column, confidence, found_by`.
    """

    predictions: pa.Table
    items: pa.Table
    entities: pa.Table
    shares: tuple[ThemeShare, ...]
    coverage: tuple[SourceCoverage, ...]
    budget: Mapping[str, Any]
    provider: str
    model: str
    start: datetime | None
    end: datetime | None
    notes: tuple[str, ...] = field(default=(), kw_only=True)

"""Room: model. A candidate for the report, its score, and the ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from attrs import field, frozen

from dnr_core.model.schema import _names


@frozen
class Interval:
    """A figure with the bounds of the middle 80 % of its bootstrap."""

    value: float
    low: float
    high: float


@frozen
class Need:
    """A theme on a table with its evidence; everything a scorer reads.

    Money is cents per 30 days of the window, None where it is not measured. `value` and `slo`
    are the worst breached metric's, in its unit (percent or minutes). `demand_share` is the
    weighted share of the theme on this table; `days_since_peak` counts local days to the window's end.
    """

    theme: str
    table: str
    columns: tuple[str, ...] = field(converter=_names)
    metric: str
    affected_rows: int
    rows: int
    revenue_cents: float | None
    revenue_share: float | None
    table_revenue_share: float | None
    demand_share: float
    demand_items: int
    people: int
    roles: Mapping[str, int]
    value: float | None
    slo: float | None
    over_slo_last_week: bool
    peak: date | None
    days_since_peak: int
    has_broken_rows: bool
    class_confidence: float | None = None
    entity_confidence: float | None = None
    coverage: float | None = None
    agreement: float | None = None
    breach_probability: float | None = None


@frozen
class Score:
    """`parts` are the formula's terms in [0, 1], shown in the report."""

    value: float
    parts: Mapping[str, float]


@frozen
class Scorer:
    """How needs are weighed. `score(need, settings) -> Score`, the callable or its dotted path.

    It must not depend on the order of needs or the unit of money.
    """

    name: str
    title: str
    score: Callable[[Need, Any], Score] | str


@frozen
class RankedNeed:
    """A need in its place. `rank` is 0 for needs outside the top three and hidden ones.

    `certainty` is the share of bootstrap resamples in which it is among the top three.
    `hidden` gives the reason, "" where it is shown.
    """

    need: Need
    score: Score
    rank: int
    confidence: float
    confidence_parts: Mapping[str, float]
    certainty: float | None
    money: Interval | None
    demand: Interval | None
    hidden: str = ""
    rival: str = ""
    """Title of the need that most often takes its place, for a close call."""


@frozen
class Ranking:
    """All needs, best first; `top` are the ones on the cards.

    `total` is the money at risk a month over the top needs, each row once.
    """

    needs: tuple[RankedNeed, ...]
    total: Interval | None
    basis: str
    """What it stands on: "money, demand and severity", "rows and severity", ..."""
    notes: tuple[str, ...] = ()
    scorer: str = ""
    resamples: int = 0

    @property
    def top(self) -> tuple[RankedNeed, ...]:
        """The needs with a rank, in order."""
        return tuple(sorted((need for need in self.needs if need.rank), key=lambda need: need.rank))

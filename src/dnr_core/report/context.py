"""Room: report. What every part of the document is built from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from attrs import Factory, define

from dnr_core.config.settings import Settings
from dnr_core.health.drill import Drill
from dnr_core.model.archetype import Archetype
from dnr_core.model.demand import DemandResult
from dnr_core.model.health import HealthResult
from dnr_core.model.need import Need, RankedNeed, Ranking
from dnr_core.ranking import need_title, table_title
from dnr_core.ranking.measures import Measures
from dnr_core.ranking.talk import NO_THEME
from dnr_core.report import wording as say


@define(slots=False)
class Context:
    """The inputs of a report, and what is read from them once."""

    archetype: Archetype
    settings: Settings
    ranking: Ranking
    health: HealthResult | None
    demand: DemandResult | None
    drills: Mapping[tuple[str, str], Drill] = Factory(dict)

    @cached_property
    def measures(self) -> Measures | None:
        """Table-wide measures as arrays."""
        return Measures(self.health) if self.health else None

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """Items of demand that have a theme, in the order of time and id."""
        if self.demand is None:
            return []
        rows = [
            row for row in self.demand.items.to_pylist() if (row["theme"] or "") not in NO_THEME
        ]
        return sorted(
            rows,
            key=lambda row: (
                row["day"] or date.min,
                row["source"],
                row["item_id"],
                row["table"] or "",
            ),
        )

    @cached_property
    def items_by_need(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """The items of each theme and table."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self.items:
            found.setdefault((row["theme"], row["table"] or ""), []).append(row)
        return found

    @property
    def currency(self) -> str:
        """Currency of the company's money."""
        return self.archetype.currency

    @property
    def has_money(self) -> bool:
        """True where the ranking stands on money."""
        return bool(self.health and (self.health.revenue_monthly_median_cents or 0) > 0)

    @property
    def end(self) -> date | None:
        """Last local day of the window; without a warehouse, the last day with demand."""
        if self.health:
            return self.health.window_end
        days = [row["day"] for row in self.items if row["day"]]
        return max(days, default=None)

    def title(self, table: str) -> str:
        """Return what people call the table."""
        return table_title(self.archetype.schema, table)

    def need_title(self, need: Need) -> str:
        """Return the need in plain words."""
        return need_title(self.archetype.schema, need.theme, need.table)

    def talk_days(self) -> tuple[date, date] | None:
        """Return the local days of the first and the last message, None where there is none."""
        if self.demand is None or self.demand.start is None or self.demand.end is None:
            return None
        zone = ZoneInfo(self.health.tz if self.health else self.archetype.tz or "UTC")
        first, last = (at.astimezone(zone).date() for at in (self.demand.start, self.demand.end))
        return first, last

    def voices(self, need: Need) -> list[dict[str, Any]]:
        """Return the items that ask for this need."""
        return self.items_by_need.get((need.theme, need.table), [])

    def window_text(self) -> str:
        """Write the window's days."""
        if self.health is None:
            return ""
        return say.days_text(self.health.window_start, self.health.window_end)


def anchor(ranked: RankedNeed) -> str:
    """Return the id of a need on the page, made of its names alone."""
    text = f"{ranked.need.theme}-{ranked.need.table}".lower()
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in text)


def last_days(end: date, count: int) -> list[date]:
    """Return `count` days up to and with `end`."""
    return [end - timedelta(days=count - 1 - number) for number in range(count)]

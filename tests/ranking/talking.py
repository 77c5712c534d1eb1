"""Talk by hand: what demand would say of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from attrs import evolve

from dnr_core.demand.result import DEMAND_ITEMS
from dnr_core.model import DemandResult, SourceCoverage, ThemeShare


def demand(
    asks: Mapping[tuple[str, str], int],
    *,
    people: int = 12,
    confidence: float = 0.9,
    quote: str = "the numbers look off to me",
    items: int = 400,
    decided: int | None = None,
    source: str = "slack",
    start: date = date(2025, 4, 1),
) -> DemandResult:
    """Talk: so many items for each theme and table."""
    total = sum(asks.values())
    rows: list[dict[str, Any]] = []
    entities: list[dict[str, Any]] = []
    roles = ("data_eng", "finance", "bi")
    for (theme, table), count in asks.items():
        for _ in range(count):
            number = len(rows)
            day = start + timedelta(days=(number * 7) % 90)
            item = f"t{number:03d}"
            rows.append(
                {
                    "item_id": item,
                    "source": source,
                    "thread_id": item,
                    "ts": datetime(day.year, day.month, day.day, 18, tzinfo=UTC),
                    "day": day,
                    "theme": theme,
                    "theme_confidence": confidence,
                    "table": table,
                    "weight": 1.0 / total,
                    "role": roles[number % 3],
                    "user_id": f"u{number % people:03d}",
                    "unmet": number % 2 == 0,
                    "quote": quote,
                }
            )
            if table:
                entities.append(
                    {
                        "item_id": item,
                        "source": source,
                        "table": table,
                        "column": "",
                        "confidence": confidence,
                        "found_by": "rule",
                    }
                )
    shares = _shares(asks, source)
    done = items if decided is None else decided
    predictions = [
        {
            "item_id": row["item_id"],
            "source": source,
            "theme": row["theme"],
            "theme_confidence": confidence,
            "relevance": "positive",
            "relevance_confidence": confidence,
            "prefilter_score": 0.8,
            "reasons": ["data term"],
            "kept_by": "score",
            "decided_by": "provider",
        }
        for row in rows
    ]
    return DemandResult(
        predictions=pa.Table.from_pylist(predictions, schema=PREDICTIONS),
        items=pa.Table.from_pylist(rows, schema=DEMAND_ITEMS),
        entities=pa.Table.from_pylist(entities, schema=ENTITIES),
        shares=shares,
        coverage=(SourceCoverage(source, items, done, done, done, 1.0, False, False, ""),),
        budget={"cap_usd": 1.0, "spent_usd": 0.0, "estimate_usd": 0.0},
        provider="mock",
        model="mock",
        start=datetime(2025, 4, 1, 7, tzinfo=UTC),
        end=datetime(2025, 7, 1, 7, tzinfo=UTC),
    )


ENTITIES = pa.schema(
    [
        ("item_id", pa.string()),
        ("source", pa.string()),
        ("table", pa.string()),
        ("column", pa.string()),
        ("confidence", pa.float64()),
        ("found_by", pa.string()),
    ]
)
PREDICTIONS = pa.schema(
    [
        ("item_id", pa.string()),
        ("source", pa.string()),
        ("theme", pa.string()),
        ("theme_confidence", pa.float64()),
        ("relevance", pa.string()),
        ("relevance_confidence", pa.float64()),
        ("prefilter_score", pa.float64()),
        ("reasons", pa.list_(pa.string())),
        ("kept_by", pa.string()),
        ("decided_by", pa.string()),
    ]
)


def _shares(asks: Mapping[tuple[str, str], int], source: str) -> tuple[ThemeShare, ...]:
    total = sum(asks.values())
    by_theme: dict[str, int] = {}
    for (theme, _), count in asks.items():
        by_theme[theme] = by_theme.get(theme, 0) + count
    found = []
    for where in ("all", source):
        for theme, count in by_theme.items():
            share = count / total
            found.append(
                ThemeShare(where, theme, "", share, max(0, share - 0.03), share + 0.03, count)
            )
        for (theme, table), count in asks.items():
            share = count / total
            found.append(
                ThemeShare(where, theme, table, share, max(0, share - 0.03), share + 0.03, count)
            )
    return tuple(found)


def with_items(said: DemandResult, rows: list[dict[str, Any]]) -> DemandResult:
    """The same talk with other rows of items."""
    return evolve(said, items=pa.Table.from_pylist(rows, schema=DEMAND_ITEMS))


def with_entities(said: DemandResult, rows: list[dict[str, Any]]) -> DemandResult:
    """The same talk with other rows of entities."""
    return evolve(said, entities=pa.Table.from_pylist(rows, schema=ENTITIES))

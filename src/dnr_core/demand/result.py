"""Room: demand. The tables of a demand result: predictions, what counts as demand, entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from dnr_core.demand.ask import Finding
from dnr_core.demand.classify import DROPPED, NOT_SAMPLED, Verdict
from dnr_core.demand.entities import Mention
from dnr_core.demand.read import Item

PREDICTIONS: Final = pa.schema(
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
"""Every item. `theme` is null where the item is no demand, `relevance` where nobody decided and
for queries, which have none; `prefilter_score` is null for queries, which are not filtered."""

DEMAND_ITEMS: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("source", pa.string()),
        ("thread_id", pa.string()),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("theme", pa.string()),
        ("theme_confidence", pa.float64()),
        ("table", pa.string()),
        ("weight", pa.float64()),
        ("role", pa.string()),
        ("user_id", pa.string()),
        ("unmet", pa.bool_()),
        ("quote", pa.string()),
    ]
)

ENTITIES: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("source", pa.string()),
        ("table", pa.string()),
        ("column", pa.string()),
        ("confidence", pa.float64()),
        ("found_by", pa.string()),
        ("message_ids", pa.list_(pa.string())),
    ]
)
"""`column` is "" for the table itself; `message_ids` are the evidence."""


def predictions(items: pa.Table, kept: Sequence[Item], verdicts: Mapping[int, Verdict]) -> pa.Table:
    """Return what was said of every item, in the order of `items`."""
    said: list[Verdict] = [DROPPED] * items.num_rows
    for item in kept:
        said[item.row] = verdicts.get(item.row, NOT_SAMPLED)
    columns = {
        "item_id": items["item_id"],
        "source": items["source"],
        "theme": pa.array([v.theme for v in said], pa.string()),
        "theme_confidence": pa.array([v.theme_confidence for v in said], pa.float64()),
        "relevance": pa.array([v.relevance for v in said], pa.string()),
        "relevance_confidence": pa.array([v.relevance_confidence for v in said], pa.float64()),
        "prefilter_score": items["score"],
        "reasons": items["reasons"],
        "kept_by": items["kept_by"],
        "decided_by": pa.array([v.decided_by for v in said], pa.string()),
    }
    return pa.table([columns[name] for name in PREDICTIONS.names], PREDICTIONS.names).cast(
        PREDICTIONS
    )


def tables_of(mentions: Sequence[Mention]) -> tuple[str, ...]:
    """Return the tables of an item, each once, in order of mention."""
    return tuple(dict.fromkeys(mention.table for mention in mentions))


def demand_items(
    items: pa.Table,
    demanded: Sequence[Item],
    verdicts: Mapping[int, Verdict],
    findings: Mapping[int, Finding],
    mentions: Mapping[int, Sequence[Mention]],
    shares: Mapping[int, float],
) -> pa.Table:
    """Return the items that count as demand, a row for each table; `shares` are by row."""
    at: list[int] = []
    about: list[tuple[Any, ...]] = []
    for item in demanded:
        said, finding = verdicts[item.row], findings[item.row]
        tables = tables_of(mentions[item.row]) or ("",)
        weight = shares[item.row] / len(tables)
        for table in tables:
            at.append(item.row)
            about.append(
                (said.theme, said.theme_confidence, table, weight, finding.unmet, finding.quote)
            )
    names = ("theme", "theme_confidence", "table", "weight", "unmet", "quote")
    columns = zip(*about, strict=True) if about else ((),) * len(names)
    known = ("item_id", "source", "ts", "day", "role", "user_id")
    taken = items.select(known).take(pa.array(at, pa.int64()))
    found: dict[str, Any] = {name: taken[name] for name in known}
    threads = {item.row: item.thread_id for item in demanded}
    found["thread_id"] = pa.array([threads[row] for row in at], pa.string())
    found |= {
        name: pa.array(values, DEMAND_ITEMS.field(name).type)
        for name, values in zip(names, columns, strict=True)
    }
    return pa.table([found[name] for name in DEMAND_ITEMS.names], DEMAND_ITEMS.names).cast(
        DEMAND_ITEMS
    )


def entity_rows(demanded: Sequence[Item], mentions: Mapping[int, Sequence[Mention]]) -> pa.Table:
    """Return every mention of a table or column."""
    pairs = [(item, mention) for item in demanded for mention in mentions[item.row]]
    return pa.table(
        [
            pa.array([item.item_id for item, _ in pairs], pa.string()),
            pa.array([item.source for item, _ in pairs], pa.string()),
            pa.array([mention.table for _, mention in pairs], pa.string()),
            pa.array([mention.column for _, mention in pairs], pa.string()),
            pa.array([mention.confidence for _, mention in pairs], pa.float64()),
            pa.array([mention.found_by for _, mention in pairs], pa.string()),
            pa.array([list(m.message_ids) for _, m in pairs], pa.list_(pa.string())),
        ],
        schema=ENTITIES,
    )

"""Room: demand. The account of a run: coverage by source and bucket, money, why it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from dnr_core.config.settings import Settings
from dnr_core.demand.ask import Asked, SourceRun
from dnr_core.llm import Budget
from dnr_core.model import DemandResult, SourceCoverage
from dnr_core.model.themes import SOURCES

BUDGET_FORMAT: Final = 1
_DECIDED: Final = frozenset({"provider", "prefilter"})
_NAMES: Final[Mapping[str, str]] = {"slack": "Slack", "email": "E-mail", "nlq": "Queries"}


def coverage_of(
    predictions: pa.Table,
    runs: Mapping[str, SourceRun],
    weights: Mapping[str, float],
    floor_pct: float,
) -> tuple[SourceCoverage, ...]:
    """Return, for each source that has items, how much of it was decided."""
    counts = _counts(predictions, "source", "decided_by")
    found = []
    for source in SOURCES:
        own = {by: count for (of, by), count in counts.items() if of == source}
        if not own:
            continue
        run = runs.get(source, SourceRun(0))
        settled = sum(count for by, count in own.items() if by in _DECIDED)
        found.append(
            SourceCoverage(
                source=source,
                items=sum(own.values()),
                kept=run.wanted,
                sampled=run.sampled,
                decided=settled,
                weight=weights[source],
                below_floor=100 * settled < floor_pct * sum(own.values()),
                partial=bool(run.failed or run.stopped),
                stopped=run.stopped,
            )
        )
    return tuple(found)


def account(
    predictions: pa.Table,
    items: pa.Table,
    asked: Asked,
    coverage: Sequence[SourceCoverage],
    budget: Budget,
    entities: Mapping[str, Any],
    settings: Settings,
) -> Mapping[str, Any]:
    """Return the content of `budget.json`. Money is in US dollars.

    `offline_estimate_usd` was made before the first call, `estimate_usd` is the last one made
    (after a pilot, where there was one).

    `actual_usd` is what this run's calls were charged; `reserved_usd` is kept for calls that may
    have been charged and whose charge nobody told. Answers from the cache cost nothing.
    """
    buckets = _by_bucket(predictions, items)
    runs = asked.runs
    return {
        "format": BUDGET_FORMAT,
        "cap_usd": settings.classification.api_cap_usd,
        "safety_margin": settings.budget.safety_margin,
        "offline_estimate_usd": asked.offline_estimate_usd,
        "estimate_usd": asked.estimate_usd,
        "actual_usd": budget.spent_usd,
        "reserved_usd": budget.kept_usd,
        "stopped": next((c.stopped for c in coverage if c.stopped), ""),
        "coverage": {
            c.source: {
                "items": c.items,
                "kept": c.kept,
                "sampled": c.sampled,
                "decided": c.decided,
                "coverage": c.coverage,
                "weight": c.weight,
                "below_floor": c.below_floor,
                "partial": c.partial,
                "stopped": c.stopped,
                "reason": runs[c.source].reason if c.source in runs else "",
                "calls": runs[c.source].calls if c.source in runs else 0,
                "cached": runs[c.source].cached if c.source in runs else 0,
                "failed": runs[c.source].failed if c.source in runs else 0,
                "parse_errors": runs[c.source].parse_errors if c.source in runs else 0,
                "planned_item_usd": runs[c.source].planned_item_usd if c.source in runs else 0.0,
                "by_bucket": buckets[c.source],
            }
            for c in coverage
        },
        "entities": dict(entities),
    }


def _counts(table: pa.Table, *names: str) -> dict[tuple[Any, ...], int]:
    """Return the rows of each combination of values, counted without a Python object a row."""
    counted = table.select(names).group_by(list(names)).aggregate([([], "count_all")])
    columns = [counted[name].to_pylist() for name in (*names, "count_all")]
    return {tuple(values): count for *values, count in zip(*columns, strict=True)}


def _by_bucket(predictions: pa.Table, items: pa.Table) -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[str, list[int]]] = {}
    told = pa.table(
        {
            "source": items["source"],
            "bucket": items["bucket"],
            "kept_by": items["kept_by"],
            "decided_by": predictions["decided_by"],
        }
    )
    for (source, bucket, kept_by, decided), count in _counts(told, *told.column_names).items():
        row = counts.setdefault(source, {}).setdefault(bucket, [0, 0, 0])
        row[0] += count
        row[1] += count * (bool(kept_by) or source == "nlq")
        row[2] += count * (decided in _DECIDED)
    return {
        source: {
            bucket: {"items": n, "kept": kept, "decided": decided, "coverage": decided / n}
            for bucket, (n, kept, decided) in sorted(rows.items())
        }
        for source, rows in counts.items()
    }


def notes_of(
    coverage: Sequence[SourceCoverage], predictions: pa.Table, floor_pct: float
) -> tuple[str, ...]:
    """Return what a reader of the shares has to know, in plain words."""
    notes = []
    for found in coverage:
        name = _NAMES.get(found.source, found.source)
        seen = f"{found.decided:,} of {found.items:,} items ({found.coverage:.0%})"
        if found.below_floor:
            notes.append(
                f"{name}: only {seen} were looked at, under the floor of {floor_pct:g} %; its weight"
                " is unchanged"
            )
        elif found.decided < found.items:
            notes.append(f"{name}: {seen} were looked at")
        if found.stopped:
            notes.append(f"{name}: asking stopped early ({found.stopped.replace('_', ' ')})")
        elif found.partial:
            notes.append(f"{name}: some calls failed after all retries")
    fallback = _counts(predictions, "kept_by", "decided_by").get(("fallback", "not_sampled"), 0)
    if fallback:
        notes.append(f"{fallback:,} items without clear data words did not fit the budget")
    return tuple(notes)


def gate_failures(demand: DemandResult) -> tuple[str, ...]:
    """Return why a strict run fails: a source under its floor, or a budget that stopped it."""
    failures = [
        f"{c.source}: coverage {c.coverage:.0%} is under the floor"
        for c in demand.coverage
        if c.below_floor
    ]
    failures += [
        f"{c.source}: the budget stopped it early" for c in demand.coverage if c.stopped == "budget"
    ]
    return tuple(failures)

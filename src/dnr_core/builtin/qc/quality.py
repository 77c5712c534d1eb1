"""Room: builtin. Checks of defect rates, by SQL on the files, against the profile's own figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from dnr_core.builtin.qc.outcome import outcome, skipped
from dnr_core.model import CheckContext, CheckResult
from dnr_core.warehouse.measure import measure_table, opened

TOLERANCE_OF_TARGET = 0.25
"""A rate may be off by a quarter of its target: 2 % ± 0.5, 5 % ± 1.25, 0.7 % ± 0.18."""

ROUNDING_ROWS = 3
LAG_P95_MINUTES = (120.0, 240.0)

Measured = dict[tuple[str, str, str], tuple[float | None, int | None]]


def measured(context: CheckContext, kind: str) -> Measured:
    """Measure all tables of a kind by SQL: value and denominator by table, metric and column.

    Several checks of a run compare the same figures, which are measured once.
    """
    name = f"builtin.measured.{kind}"
    if name not in context.shared:
        context.shared[name] = _measure(context, kind)
    found: Measured = context.shared[name]
    return found


def _measure(context: CheckContext, kind: str) -> Measured:
    found: Measured = {}
    with TemporaryDirectory() as scratch:
        parts = {
            table.name: sorted((context.warehouse / table.name).glob("part-*.parquet"))
            for table in context.archetype.schema.tables
        }
        with opened(parts, Path(scratch), threads=2) as connection:
            for table in context.archetype.schema.tables:
                if table.kind != kind:
                    continue
                for metric, column, value, base in measure_table(
                    connection, context.archetype.schema, table
                ):
                    found[table.name, metric, column] = (value, base)
    return found


def _rate(context: CheckContext, table: str, metric: str) -> float:
    """Add up what the profile puts into a table that this metric sees."""
    kinds = context.catalogue.defect_kinds
    total = 0.0
    for rate in context.profile.rates:
        if kinds[rate.kind].metric != metric or rate.columns or rate.options.get("where"):
            continue
        if not rate.tables or table in rate.tables:
            total += rate.share
    return total


def rates(context: CheckContext) -> Iterator[CheckResult]:
    """Measure key nulls, FK failures and duplicates of every fact table."""
    narrowed = {
        rate.kind for rate in context.profile.rates if rate.columns or rate.options.get("where")
    }
    blurred = {context.catalogue.defect_kinds[kind].metric for kind in narrowed}
    for (table, metric, column), (value, base) in measured(context, "fact").items():
        if column or metric not in {"key_null", "fk_failure", "duplicate"} or value is None:
            continue
        name, where = "quality_targets", f"{table}, {metric}"
        if metric in blurred:
            yield skipped(
                name,
                f"{where}: the profile narrows it to columns or segments",
                "the profile's rate",
                where,
            )
            continue
        target = _rate(context, table, metric)
        rows = base or 0
        slack = max(
            target * TOLERANCE_OF_TARGET, (ROUNDING_ROWS / rows if rows and target else 0.0)
        )
        found = value / rows if rows else 0.0
        yield outcome(
            name,
            abs(found - target) <= slack,
            f"{where}: {found:.3%} ({value:,.0f} of {rows:,})",
            f"{target:.2%} ± {slack:.2%}",
            where,
        )


def lag(context: CheckContext) -> Iterator[CheckResult]:
    """Measure the 95th percentile of ingest lag of every fact table."""
    low, high = LAG_P95_MINUTES if context.profile.lag is not None else (0.0, 0.0)
    for (table, metric, _), (value, _base) in measured(context, "fact").items():
        if metric != "lag_p95_minutes" or value is None:
            continue
        yield outcome(
            "ingest_lag",
            low <= value <= high,
            f"{table}: p95 {value:.0f} min",
            f"{low:.0f} to {high:.0f} min",
            f"{table}, loaded_at",
        )


def dimensions(context: CheckContext) -> Iterator[CheckResult]:
    """Count violations in dimensions, which no profile of the core touches."""
    aimed = {
        name
        for rate in (*context.profile.rates, *context.profile.incidents)
        for name in rate.tables
    }
    for (table, metric, column), (value, _base) in measured(context, "dimension").items():
        if column or metric not in {"key_null", "fk_failure", "duplicate"} or table in aimed:
            continue
        yield outcome(
            "clean_keys",
            value == 0,
            f"{table}, {metric}: {value:,.0f} rows",
            "0 rows",
            f"{table}, {metric}",
        )

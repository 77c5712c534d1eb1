"""Room: health. The query behind a figure, in the backend's own dialect, and keys of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import evolve, frozen

from dnr_core.config.settings import Settings
from dnr_core.errors import ConfigError
from dnr_core.health.connect import Warehouse
from dnr_core.health.counts import NO_DAY, Counts
from dnr_core.health.dialect import Dialect
from dnr_core.health.examples import examples_of, named, other_columns
from dnr_core.health.lag import SHARES
from dnr_core.health.local_time import LocalClock, day_number
from dnr_core.health.longform import Measured, Span, share_metrics
from dnr_core.health.marks import all_of, any_of, judge
from dnr_core.health.marks import frame as prepare_frame
from dnr_core.health.once import LATEST, repeated, smallest
from dnr_core.health.printed import sql_of
from dnr_core.health.slo import Limits
from dnr_core.health.times import Timed, rows_since, timed
from dnr_core.model.health import Metric, Proof
from dnr_core.model.schema import Table
from dnr_core.suggestions import did_you_mean

if TYPE_CHECKING:
    import ibis.expr.types as ir

PROVABLE: Final[tuple[Metric, ...]] = (
    "rows",
    "key_null",
    "fk_failure",
    "fk_missing",
    "fk_temporal",
    "duplicate",
    "late",
    "lag_p50_minutes",
    "lag_p95_minutes",
)
FK_METRICS: Final[dict[str, tuple[str, ...]]] = {
    "fk_failure": ("missing", "temporal"),
    "fk_missing": ("missing",),
    "fk_temporal": ("temporal",),
}


@frozen
class Question:
    """Which figure is to be proved, and on which local days (None: on all, and on none)."""

    table: Table
    metric: Metric
    column: str
    first: int | None
    last: int


def proof(
    warehouse: Warehouse,
    clock: LocalClock,
    limits: Limits,
    asked: Question,
    examples: int,
    sample: ir.Table | None = None,
    *,
    whole_keys: bool = False,
) -> Proof:
    """Return the SQL of one figure, and up to `examples` keys of affected rows, latest first.

    `sample` are the affected rows where they are at hand, as the printed query would find them.
    `whole_keys` says that no row has a null in its business key, so that it names every row.
    """
    complete = whole_keys or asked.metric == "duplicate"
    others = None if complete else other_columns(asked.table)
    with warehouse.whole_queries():
        printed = evolve(clock, dialect=Dialect(warehouse.dialect.sql_name))
        figure, affected = _expressions(warehouse, printed, limits, asked)
        sql = sql_of(warehouse, figure)
        keys_sql = None
        keys: tuple[Mapping[str, Any], ...] = ()
        if affected is not None and asked.table.business_key and examples:
            keys_sql = sql_of(warehouse, examples_of(asked.table, affected, examples, others))
            if sample is None and printed.dialect.name != warehouse.dialect.name:
                # What is printed is another backend's, which this one cannot run.
                affected = _expressions(warehouse, clock, limits, asked)[1]
            at_hand = affected if sample is None else sample
            rows = warehouse.dicts(examples_of(asked.table, at_hand, examples, others))
            keys = tuple(named(asked.table, row) for row in rows)
    return Proof(asked.table.name, asked.column, asked.metric, sql, keys_sql, keys)


def proofs(
    warehouse: Warehouse,
    clock: LocalClock,
    limits: Limits,
    tables: list[Measured],
    span: Span,
    examples: int,
) -> tuple[Proof, ...]:
    """Prove the window's shares that are above zero, and each lag, of every table.

    The split of failures into missing and temporal ones is left to `explain`, as is the one key
    of a table that has no other: its figures are the table's.
    """
    found: list[Proof] = []
    for measured in tables:
        counts = measured.counts
        wanted: list[tuple[str, Metric]] = []
        for column, metric in share_metrics(counts):
            if metric in {"fk_missing", "fk_temporal"} or (column and _is_sole(counts, metric)):
                continue
            if counts.affected_rows([(column, metric)], span.window, span.last):
                wanted.append((column, metric))
        if measured.lags.window:
            wanted.append(("", "lag_p95_minutes"))
        marked = any(counts.affected_bits(metric, column) for column, metric in wanted)
        at_hand = marked and examples and warehouse.keeps
        late = limits.of_table(measured.name, "p95_ingest_lag_min")
        recent = _recent(warehouse, counts, clock, span, late) if at_hand else None
        whole = not counts.tally.any_of(counts.layout.bit("unkeyed")).any()
        for column, metric in wanted:
            asked = Question(counts.frame.table, metric, column, span.window, span.last)
            sample = _sample(counts, recent, column, metric, span)
            found.append(proof(warehouse, clock, limits, asked, examples, sample, whole_keys=whole))
    return tuple(found)


def _recent(
    warehouse: Warehouse, counts: Counts, clock: LocalClock, span: Span, late: float
) -> ir.Table | None:
    """Keep the window's keys, times and marks at hand, so that no example reads the table again."""
    frame = counts.frame
    if frame.layout.words > 1 or not frame.table.business_key:
        return None
    names = tuple(f"own_{name}" for name in frame.table.business_key)
    since = rows_since(warehouse, frame.table, clock, span.window)
    rows = frame.rows
    if since is not None:
        rows = prepare_frame(warehouse, frame.table, clock, late, source=since).rows
    rows = rows.filter(rows.day.between(span.window, span.last))
    rows = rows.select(
        *(f"own_{name}" for name in other_columns(frame.table)),
        "event_s",
        "loaded_s",
        **{n: rows[c] for n, c in zip(names, frame.key_columns, strict=True)},
        marks=rows.marks_0,
    )
    kinds = ("null", "missing", "temporal", "late")
    telling = sum(1 << p for p, mark in enumerate(frame.layout.marks) if mark.kind in kinds)
    key = f"recent:{frame.table.name}:{span.window}:{span.last}:{late}"
    return warehouse.scratch(key, rows.filter((rows.marks & telling) != 0))


def _sample(
    counts: Counts, recent: ir.Table | None, column: str, metric: Metric, span: Span
) -> ir.Table | None:
    if metric != "duplicate":
        bits = counts.affected_bits(metric, column)
        return None if recent is None else recent.filter((recent.marks & bits) != 0)
    copies, frame = counts.copies, counts.frame
    copies = copies.filter(copies.day.between(span.window, span.last))
    names = (f"own_{name}" for name in frame.table.business_key)
    return copies.select(
        **{n: copies[c] for n, c in zip(names, frame.key_columns, strict=True)},
        event_s=copies.loaded_s,
    )


def _is_sole(counts: Counts, metric: Metric) -> bool:
    table = counts.frame.table
    return len(table.required_keys if metric == "key_null" else counts.frame.keys) == 1


def _expressions(
    warehouse: Warehouse, clock: LocalClock, limits: Limits, asked: Question
) -> tuple[ir.Table, ir.Table | None]:
    """Return the figure `(numerator, denominator)` and the affected rows, as lean as can be."""
    if asked.metric in {"lag_p50_minutes", "lag_p95_minutes"}:
        return _lag_figure(warehouse, clock, asked), None
    late = limits.of_table(asked.table.name, "p95_ingest_lag_min")
    if asked.metric == "duplicate":
        return _copies_figure(warehouse, clock, asked)
    if asked.metric in FK_METRICS:
        rows = _key_rows(warehouse, clock, asked)
    else:
        rows = _plain_rows(warehouse, clock, late, asked)
    if asked.metric == "rows":
        return rows.agg(numerator=rows.count(), denominator=rows.count()), None
    figure = rows.agg(
        numerator=(rows.affected & rows.measured).sum(), denominator=rows.measured.sum()
    )
    return figure, rows.filter(rows.affected, rows.measured)


def _plain_rows(warehouse: Warehouse, clock: LocalClock, late: float, asked: Question) -> ir.Table:
    """Rows with `affected` and `measured`, for figures that need no parent."""
    table = asked.table
    yes, no = ibis.literal(value=True), ibis.literal(value=False)
    extra: dict[str, Any] = {}
    if asked.metric == "key_null":
        source = warehouse.table(table.name)
        names = (asked.column,) if asked.column else table.required_keys
        extra = {"affected": any_of([source[name].isnull() for name in names]), "measured": yes}
    own = (*table.business_key, *other_columns(table))
    base = timed(warehouse, table, clock, own=own, extra=extra, with_day=False)
    rows = _on_days(base, base.rows, asked, clock)
    if asked.metric == "late":
        lag = rows.loaded_s - rows.event_s
        late_rows = (lag > round(late * 60)).coalesce(no)
        rows = rows.mutate(affected=late_rows, measured=lag.notnull())
    return rows


def _key_rows(warehouse: Warehouse, clock: LocalClock, asked: Question) -> ir.Table:
    """Rows with `affected` and `measured`, joined to the parents that the figure needs."""
    labels = {k.label for k in asked.table.foreign_keys if asked.column in {"", k.label}}
    judged = judge(
        warehouse,
        asked.table,
        clock,
        0.0,
        with_money=False,
        only=frozenset(labels),
        with_day=False,
    )
    rows, kinds = judged.rows, FK_METRICS[asked.metric]
    found = [t for mark, t in judged.terms.items() if mark.kind in kinds and mark.label in labels]
    whole = [
        all_of([rows[f"own_{c}"].notnull() for c in key.columns])
        for key in judged.keys
        if key.label in labels
    ]
    no = ibis.literal(value=False)
    names = (*asked.table.business_key, *other_columns(asked.table))
    kept = {f"own_{name}": rows[f"own_{name}"] for name in names}
    rows = _on_days(judged.base, rows, asked, clock)
    return rows.select(
        "event_s",
        "loaded_s",
        **kept,
        affected=any_of(found).coalesce(no) if found else no,
        measured=any_of(whole) if whole else no,
    )


def _on_days(base: Timed, rows: ir.Table, asked: Question, clock: LocalClock) -> ir.Table:
    """Keep the rows of the days asked for; the days' ends are put in as they are in the zone."""
    if base.date_only:
        when, first, last = rows.day, asked.first, asked.last
    else:
        through = asked.table.event_time.through if asked.table.event_time else None
        when = ibis.coalesce(rows.event_s, rows.loaded_s) if through else rows.event_s
        first = None if asked.first is None else clock.day_start(asked.first)
        last = clock.day_start(asked.last + 1) - 1
    if first is None:
        return rows.filter(when.isnull() | (when <= last))
    return rows.filter(when.between(first, last))


def _lag_figure(warehouse: Warehouse, clock: LocalClock, asked: Question) -> ir.Table:
    base = timed(warehouse, asked.table, clock, with_day=False)
    rows = _on_days(base, base.rows, asked, clock)
    rows = rows.select(lag_s=rows.loaded_s - rows.event_s)
    rows = rows.filter(rows.lag_s.notnull())
    share = SHARES[0 if asked.metric == "lag_p50_minutes" else 1]
    if warehouse.dialect.lacks("quantiles"):
        return _interpolated(rows, share)
    return rows.agg(denominator=rows.count(), value=rows.lag_s.quantile(share) / 60)


def _interpolated(rows: ir.Table, share: float) -> ir.Table:
    """The quantile by the places of the sorted lags, where the backend has no function for it.

    Formula: that of `quantile_of_counts`, term by term, so that the last bit is the same.
    """
    ranked = rows.mutate(place=ibis.row_number().over(order_by=rows.lag_s))
    counted = rows.agg(denominator=rows.count())
    both = ranked.cross_join(counted)
    at = (both.denominator - 1).cast("float64") * share
    low = at.floor()
    beyond = at - low
    weight = ibis.cases(
        (both.place == low.cast("int64"), 1.0 - beyond),
        (both.place == low.cast("int64") + 1, beyond),
        else_=0.0,
    )
    # With one row, or exactly on a row, the place above is not there and weighs nothing.
    parts = both.select("denominator", part=both.lag_s.cast("float64") * weight)
    return parts.agg(denominator=parts.denominator.max(), value=parts.part.sum() / 60)


def _copies_figure(
    warehouse: Warehouse, clock: LocalClock, asked: Question
) -> tuple[ir.Table, ir.Table]:
    """Rows beyond the first of each business key; the first is the one that was loaded first."""
    table = asked.table
    base = timed(warehouse, table, clock, own=table.business_key)
    keys = repeated(warehouse, table)
    names = [f"own_{name}" for name in table.business_key]
    keys = keys.rename({f"r_{name}": f"key_{i}" for i, name in enumerate(table.business_key)})
    match = [base.rows[f"own_{name}"] == keys[f"r_{name}"] for name in table.business_key]
    joined = base.rows.inner_join(keys, match)
    copies = joined.select(
        **{name: joined[name] for name in names},
        loaded_s=joined.loaded_s.coalesce(LATEST),
        day=joined.day.coalesce(NO_DAY),
    )
    first = smallest(copies, tuple(names), ("loaded_s", "day"))
    low = NO_DAY if asked.first is None else asked.first
    kept = first.filter(first.day.between(low, asked.last))
    inside = copies.filter(copies.day.between(low, asked.last))
    everything = _on_days(base, base.rows, asked, clock)
    figure = (
        everything.agg(denominator=everything.count())
        .cross_join(inside.agg(copied=inside.count()))
        .cross_join(kept.agg(kept=kept.count()))
    )
    figure = figure.select(numerator=figure.copied - figure.kept, denominator=figure.denominator)
    affected = inside.select(**{name: inside[name] for name in names}, event_s=inside.loaded_s)
    return figure, affected


def explain(
    warehouse: Warehouse,
    settings: Settings,
    table: str,
    metric: str,
    *,
    day: date | None = None,
    column: str = "",
    as_of: datetime | None = None,
) -> Proof:
    """Return the query of one figure, over the window or on one local day, and affected keys.

    Raises:
        ConfigError: there is no such table, metric or column, or it is not measured.
    """
    from dnr_core.health.measure import prepare

    if table not in warehouse.archetype.schema or table not in warehouse:
        known = [name for name in warehouse.archetype.schema.names if name in warehouse]
        raise ConfigError(
            f"there is no table {table!r} to explain",
            hint=did_you_mean(table, known) or f"known: {', '.join(known)}",
        )
    if metric not in PROVABLE:
        raise ConfigError(
            f"there is no metric {metric!r} to explain",
            hint=did_you_mean(metric, PROVABLE) or f"known: {', '.join(PROVABLE)}",
        )
    schema = warehouse.archetype.schema[table]
    named = (*schema.required_keys, *(key.label for key in schema.foreign_keys))
    labels = ("", *dict.fromkeys(named))
    if column not in labels:
        raise ConfigError(
            f"{table}.{column} is no key of that table",
            hint=did_you_mean(column, labels) or f"known: {', '.join(labels[1:])}",
        )
    setup = prepare(warehouse, settings, as_of)
    last = setup.last_day
    length = settings.report.window_days
    first = None if length is None else last - length + 1
    if day is not None:
        first = last = day_number(day)
    asked = Question(schema, metric, column, first, last)
    return proof(warehouse, setup.clock, setup.limits, asked, settings.report.example_keys)

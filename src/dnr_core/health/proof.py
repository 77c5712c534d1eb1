"""Room: health. The query behind a figure, in the backend's own dialect, and keys of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import ibis
import sqlglot as sg
from attrs import frozen
from sqlglot import expressions as sge

from dnr_core.config.settings import Settings
from dnr_core.errors import ConfigError
from dnr_core.health.connect import Warehouse
from dnr_core.health.counts import NO_DAY, copied_rows
from dnr_core.health.lag import SHARES
from dnr_core.health.local_time import LocalClock, day_number
from dnr_core.health.longform import Measured, Span, share_metrics
from dnr_core.health.marks import Judged, frame, judge, timed
from dnr_core.health.once import repeated, smallest
from dnr_core.health.slo import Limits
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


@frozen
class Question:
    """Which figure is to be proved, and on which local days (None: on all, and on none)."""

    table: Table
    metric: Metric
    column: str
    first: int | None
    last: int


def proof(
    warehouse: Warehouse, clock: LocalClock, limits: Limits, asked: Question, examples: int
) -> Proof:
    """Return the SQL of one figure, and up to `examples` keys of affected rows, latest first."""
    with warehouse.whole_queries():
        figure, affected = _expressions(warehouse, clock, limits, asked)
        sql = sql_of(warehouse, figure)
        keys_sql = None
        keys: tuple[Mapping[str, Any], ...] = ()
        if affected is not None and asked.table.business_key and examples:
            named = _examples(asked.table, affected, examples)
            keys_sql = sql_of(warehouse, named)
            keys = tuple(
                {name: _shown(value) for name, value in row.items()}
                for row in warehouse.dicts(named)
            )
    return Proof(asked.table.name, asked.column, asked.metric, sql, keys_sql, keys)


def proofs(
    warehouse: Warehouse,
    clock: LocalClock,
    limits: Limits,
    tables: list[Measured],
    span: Span,
    examples: int,
) -> tuple[Proof, ...]:
    """Prove the window's shares that are above zero, and each lag, of every table."""
    found: list[Proof] = []
    for measured in tables:
        counts = measured.counts
        wanted: list[tuple[str, Metric]] = []
        for column, metric in share_metrics(counts):
            if counts.affected_rows([(column, metric)], span.window, span.last):
                wanted.append((column, metric))
        if measured.lags.window:
            wanted.append(("", "lag_p95_minutes"))
        for column, metric in wanted:
            asked = Question(counts.frame.table, metric, column, span.window, span.last)
            found.append(proof(warehouse, clock, limits, asked, examples))
    return tuple(found)


def _expressions(
    warehouse: Warehouse, clock: LocalClock, limits: Limits, asked: Question
) -> tuple[ir.Table, ir.Table | None]:
    """Return the figure `(numerator, denominator, value)` and the affected rows."""
    late = limits.of_table(asked.table.name, "p95_ingest_lag_min")
    if asked.metric in {"lag_p50_minutes", "lag_p95_minutes"}:
        return _lag_figure(warehouse, clock, asked), None
    if asked.metric == "duplicate":
        return _copies_figure(warehouse, clock, late, asked)
    judged = judge(warehouse, asked.table, clock, late, with_money=False, only=_needed(asked))
    rows, affected, measured = _terms(judged, asked)
    rows = rows.mutate(affected=affected, measured=measured)
    rows = _on_days(rows, asked)
    hit, base = rows.affected & rows.measured, rows.measured
    numerator = base.sum() if asked.metric == "rows" else hit.sum()
    figure = rows.agg(numerator=numerator, denominator=base.sum())
    return figure, rows.filter(hit) if asked.metric != "rows" else None


def _needed(asked: Question) -> frozenset[str]:
    """The foreign keys that this figure needs, so that its SQL joins no other."""
    if asked.metric not in {"fk_failure", "fk_missing", "fk_temporal"}:
        return frozenset()
    return frozenset(k.label for k in asked.table.foreign_keys if asked.column in {"", k.label})


def _terms(judged: Judged, asked: Question) -> tuple[ir.Table, Any, Any]:
    rows, terms = judged.rows, judged.terms
    yes, no = ibis.literal(value=True), ibis.literal(value=False)
    match asked.metric:
        case "key_null":
            names = (asked.column,) if asked.column else asked.table.required_keys
            return rows, _any([rows[f"own_{c}"].isnull() for c in names], no), yes
        case "fk_failure" | "fk_missing" | "fk_temporal":
            kinds = {
                "fk_failure": ("missing", "temporal"),
                "fk_missing": ("missing",),
                "fk_temporal": ("temporal",),
            }[asked.metric]
            keys = [k for k in judged.keys if asked.column in {"", k.label}]
            labels = {key.label for key in keys}
            found = [t for m, t in terms.items() if m.kind in kinds and m.label in labels]
            whole = [_all([rows[f"own_{c}"].notnull() for c in key.columns]) for key in keys]
            return rows, _any(found, no).coalesce(no), _any(whole, no)
        case "late":
            return rows, (rows.lag_s > judged.late_seconds).coalesce(no), rows.lag_s.notnull()
        case _:
            return rows, yes, yes


def _any(terms: list[Any], nothing: Any) -> Any:
    result = nothing
    for place, term in enumerate(terms):
        result = term if place == 0 else result | term
    return result


def _all(terms: list[Any]) -> Any:
    result = terms[0]
    for term in terms[1:]:
        result = result & term
    return result


def _on_days(rows: ir.Table, asked: Question) -> ir.Table:
    if asked.first is None:
        return rows.filter(rows.day.isnull() | (rows.day <= asked.last))
    return rows.filter(rows.day.between(asked.first, asked.last))


def _lag_figure(warehouse: Warehouse, clock: LocalClock, asked: Question) -> ir.Table:
    rows = timed(warehouse, asked.table, clock, {}).rows
    rows = _on_days(rows.filter(rows.lag_s.notnull()), asked)
    share = SHARES[0 if asked.metric == "lag_p50_minutes" else 1]
    if not warehouse.dialect.has_quantiles:
        # Without quantiles: rows by lag, from which the quantile is read off.
        return rows.group_by("lag_s").agg(rows=rows.count()).order_by("lag_s")
    return rows.agg(denominator=rows.count(), value=rows.lag_s.quantile(share) / 60)


def _copies_figure(
    warehouse: Warehouse, clock: LocalClock, late: float, asked: Question
) -> tuple[ir.Table, ir.Table]:
    table = asked.table
    prepared = frame(warehouse, table, clock, late, with_money=False, only=frozenset())
    keys = repeated(warehouse, table)
    copies = copied_rows(prepared, keys)
    first = smallest(copies, prepared.key_columns, prepared.ordering)
    copies, first = _sentinel_days(copies, asked), _sentinel_days(first, asked)
    everything = _on_days(prepared.rows, asked)
    figure = (
        everything.agg(denominator=everything.count())
        .cross_join(copies.agg(copied=copies.count()))
        .cross_join(first.agg(kept=first.count()))
    )
    figure = figure.select(numerator=figure.copied - figure.kept, denominator=figure.denominator)
    named = {f"own_{c}": copies[f"key_{i}"] for i, c in enumerate(asked.table.business_key)}
    affected = copies.select(**named, event_s=copies.loaded_s, day=copies.day)
    return figure, affected.distinct()


def _sentinel_days(rows: ir.Table, asked: Question) -> ir.Table:
    first = NO_DAY if asked.first is None else asked.first
    return rows.filter(rows.day.between(first, asked.last))


def _examples(table: Table, affected: ir.Table, examples: int) -> ir.Table:
    columns = {name: affected[f"own_{name}"] for name in table.business_key}
    rows = affected.select(**columns, dnr_order=affected.event_s.coalesce(-(2**62)))
    rows = rows.distinct()
    ordered = rows.order_by(
        [rows.dnr_order.desc(), *(rows[name].asc() for name in table.business_key)]
    )
    return ordered.limit(examples).select(*table.business_key)


def _shown(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def sql_of(warehouse: Warehouse, expression: Any) -> str:
    """Return an expression's SQL, laid out for reading, ready to paste.

    The tables of a folder of Parquet files are read by their paths, to be run in that folder.
    """
    dialect = warehouse.dialect.name
    # Spark's name in the SQL parser is not Ibis's.
    dialect = {"pyspark": "spark"}.get(dialect, dialect)
    tree = sg.parse_one(warehouse.connection.compile(expression), read=dialect)
    if warehouse.folder is not None:
        patterns = warehouse.patterns

        def read(node: sge.Expression) -> sge.Expression:
            if isinstance(node, sge.Table) and node.name in patterns:
                call = sge.Anonymous(
                    this="read_parquet", expressions=[sge.Literal.string(patterns[node.name])]
                )
                return sge.Table(this=call, alias=node.args.get("alias"))
            return node

        tree = tree.transform(read)
    return str(tree.sql(dialect=dialect, pretty=True))


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
    labels = ("", *schema.required_keys, *(key.label for key in schema.foreign_keys))
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
    asked = Question(schema, cast(Metric, metric), column, first, last)
    return proof(warehouse, setup.clock, setup.limits, asked, settings.report.example_keys)

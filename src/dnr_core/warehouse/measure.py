"""Room: warehouse. Measures finished files by SQL on DuckDB, for the manifest's calibration.

The statements follow the definitions of each rate; they read the files and know nothing of what
was put in.
"""

# ruff: noqa: S608 - identifiers come from the schema and are quoted; no value is pasted in

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow.parquet as pq
from attrs import asdict, frozen

from dnr_core.model import ForeignKey, Schema, Table, load
from dnr_core.warehouse.plan import Plan

_IBIS_TYPES: Final = {
    "timestamp": "timestamp(6)",
    "bool": "boolean",
    "decimal": "decimal(18, 2)",
    **{name: name for name in ("int64", "int32", "int16", "float64", "string", "date")},
}

MEMORY: Final = "160MB"
"""DuckDB's share of the memory, so that all of a run stays under 400 MB; what needs more goes to
its scratch folder."""

LARGE_ROWS: Final = 50_000_000
"""Companies of more rows are measured by one thread, with a smaller share."""

LARGE_MEMORY: Final = "96MB"
"""DuckDB takes up to 80 MB more than its share while it joins tables that do not fit into it."""

KEYS_AT_ONCE: Final = 1_000_000
"""Business keys are counted in slices of about so many, so that none has to spill."""


def quoted(name: str) -> str:
    """Return an identifier as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


@frozen
class Calibration:
    """A rate of one table: what was asked for, and what SQL finds in the finished files.

    `column` is "" for the whole table or a foreign key's label. `target` and `measured` are
    shares (minutes for lag), None where no target was set or nothing could be measured. `dated_rows`
    are rows of incidents of kinds with the same metric, which come on top of the target.
    """

    table: str
    metric: str
    column: str
    target: float | None
    measured: float | None
    numerator: int | None = None
    denominator: int | None = None
    dated_rows: int = 0


@contextmanager
def opened(
    files: Mapping[str, Sequence[Path]], scratch: Path, threads: int, memory: str = MEMORY
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory database with a view a table over its part files."""
    connection = duckdb.connect(
        ":memory:",
        config={"threads": threads, "memory_limit": memory, "temp_directory": str(scratch)},
    )
    try:
        connection.execute("SET enable_progress_bar = false")
        for table, paths in files.items():
            source = connection.read_parquet([str(path) for path in paths])
            source.create_view(table, replace=True)
        yield connection
    finally:
        connection.close()


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    found = connection.execute(sql).fetchone()
    return found if found is not None else ()


def event_sql(schema: Schema, table: Table) -> tuple[str, str]:
    """Return the event time's expression and the join that it needs."""
    event = table.event_time
    if event is None:
        return "NULL::TIMESTAMP", ""
    if event.through is None:
        return "coalesce(" + ", ".join(f"t.{quoted(c)}" for c in event.columns) + ")", ""
    key = next(key for key in table.foreign_keys if key.to == event.through)
    names = ", ".join(quoted(c) for c in key.to_columns)
    times = ", ".join(f"any_value({quoted(c)}) AS {quoted(c)}" for c in event.columns)
    on = " AND ".join(
        f"t.{quoted(mine)} = e.{quoted(theirs)}"
        for mine, theirs in zip(key.columns, key.to_columns, strict=True)
    )
    join = (
        f"LEFT JOIN (SELECT {names}, {times} FROM {quoted(event.through)} GROUP BY ALL) e ON {on}"
    )
    del schema
    return "coalesce(" + ", ".join(f"e.{quoted(c)}" for c in event.columns) + ")", join


def _key_sql(number: int, key: ForeignKey) -> tuple[str, str, str, str]:
    """Return join, and expressions for keyed, missing and temporal, of one foreign key."""
    names = ", ".join(quoted(c) for c in key.to_columns)
    since = f"min({quoted(key.parent_time)})" if key.parent_time else "NULL::TIMESTAMP"
    alias = f"p{number}"
    on = " AND ".join(
        f"t.{quoted(mine)} = {alias}.{quoted(theirs)}"
        for mine, theirs in zip(key.columns, key.to_columns, strict=True)
    )
    join = (
        f"LEFT JOIN (SELECT {names}, {since} AS since, TRUE AS here FROM {quoted(key.to)} "
        f"GROUP BY {names}) {alias} ON {on}"
    )
    keyed = "(" + " AND ".join(f"t.{quoted(c)} IS NOT NULL" for c in key.columns) + ")"
    missing = f"({keyed} AND {alias}.here IS NULL)"
    return join, keyed, missing, f"({keyed} AND {alias}.since > event_us)"


def measure_table(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    table: Table,
    files: Sequence[Path] = (),
) -> Iterator[tuple[str, str, int | float | None, int | None]]:
    """Yield `(metric, column, numerator or value, denominator)` of one table.

    `files` are the table's; by their statistics business keys are cut into ranges, so that each is
    read about once.
    """
    name = quoted(table.name)
    rows = int(_row(connection, f"SELECT count(*) FROM {name}")[0])
    yield "rows", "", rows, None
    if table.required_keys:
        each = [f"count(*) FILTER ({quoted(c)} IS NULL)" for c in table.required_keys]
        any_null = " OR ".join(f"{quoted(c)} IS NULL" for c in table.required_keys)
        found = _row(
            connection,
            f"SELECT count(*) FILTER ({any_null}), {', '.join(each)} FROM {name}",
        )
        for column, count in zip(("", *table.required_keys), found, strict=True):
            yield "key_null", column, int(count), rows
    if table.business_key:
        slices = key_ranges(table, files) or _by_hash(table, rows)
        yield "duplicate", "", _copies(connection, table, slices), rows
    if table.foreign_keys:
        yield from _measure_keys(connection, schema, table)
    if table.loaded_at and table.event_time:
        event, join = event_sql(schema, table)
        lag = f"(epoch_us(t.{quoted(table.loaded_at)}) - epoch_us({event})) // 1000000"
        seconds = connection.execute(
            f"SELECT {lag} AS lag, count(*) AS n FROM {name} t {join} GROUP BY lag "
            "HAVING lag IS NOT NULL ORDER BY lag"
        ).fetchnumpy()
        yield "lag_p95_minutes", "", _percentile_minutes(seconds["lag"], seconds["n"], 95), None


def key_ranges(table: Table, files: Sequence[Path]) -> list[str]:
    """Return conditions that cut a table by its first business key, an integer, about evenly.

    Rows lie mostly in the order of their keys, so a range is in few row groups, which the
    statistics tell. Empty where the files do not tell enough.
    """
    name = table.business_key[0]
    if table.column(name).type not in {"int64", "int32", "int16"}:
        return []
    groups: list[tuple[int, int]] = []
    for path in files:
        with pq.ParquetFile(path) as file:
            place = file.schema_arrow.get_field_index(name)
            for number in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(number)
                told = group.column(place).statistics
                if told is None or not told.has_min_max:
                    return []
                groups.append((int(told.min), group.num_rows))
    cuts, held = [], 0
    for lowest, rows in sorted(groups):
        if held + rows > KEYS_AT_ONCE and held:
            cuts.append(lowest)
            held = 0
        held += rows
    if not cuts:
        return ["TRUE"] if groups else []
    ends = [f"{quoted(name)} < {cut}" for cut in cuts]
    starts = [f"{quoted(name)} >= {cut}" for cut in cuts]
    middle = [f"{start} AND {end}" for start, end in zip(starts, ends[1:], strict=False)]
    return [ends[0], *middle, starts[-1]]


def _by_hash(table: Table, rows: int) -> list[str]:
    keys = ", ".join(quoted(c) for c in table.business_key)
    slices = max(1, -(-rows // KEYS_AT_ONCE))
    return [f"hash({keys}) % {slices} = {number}" for number in range(slices)]


def _copies(connection: duckdb.DuckDBPyConnection, table: Table, slices: Sequence[str]) -> int:
    """Return rows less distinct business keys, over rows whose business key has no null."""
    keys = ", ".join(quoted(c) for c in table.business_key)
    full = " AND ".join(f"{quoted(c)} IS NOT NULL" for c in table.business_key)
    found = 0
    for mine in slices:
        found += int(
            _row(
                connection,
                f"SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM "
                f"{quoted(table.name)} WHERE {full} AND ({mine}) GROUP BY {keys})",
            )[0]
        )
    return found


def _percentile_minutes(seconds: Any, counts: Any, percent: int) -> float | None:
    """Return the least lag that so many percent of the rows do not exceed, from a histogram."""
    if not len(seconds):
        return None
    upto = np.cumsum(counts)
    place = int(np.searchsorted(upto, -(-int(upto[-1]) * percent // 100)))
    return float(seconds[place]) / 60


def _measure_keys(
    connection: duckdb.DuckDBPyConnection, schema: Schema, table: Table
) -> Iterator[tuple[str, str, int, int]]:
    event, event_join = event_sql(schema, table)
    joins, keyed, missing, temporal = zip(
        *(_key_sql(number, key) for number, key in enumerate(table.foreign_keys)), strict=True
    )
    late = [expression.replace("event_us", event) for expression in temporal]

    def count(condition: str) -> str:
        return f"count(*) FILTER ({condition})"

    wanted = [
        count(" OR ".join(keyed)),
        count(" OR ".join((*missing, *late))),
        count(" OR ".join(missing)),
        count(" OR ".join(late)),
    ]
    for parts in zip(keyed, missing, late, strict=True):
        wanted += [count(part) for part in parts]
    found = [
        int(value)
        for value in _row(
            connection,
            f"SELECT {', '.join(wanted)} FROM {quoted(table.name)} t {event_join} {' '.join(joins)}",
        )
    ]
    yield "fk_failure", "", found[1], found[0]
    yield "fk_missing", "", found[2], found[0]
    yield "fk_temporal", "", found[3], found[0]
    for place, key in enumerate(table.foreign_keys):
        base, gone, early = found[4 + 3 * place : 7 + 3 * place]
        yield "fk_failure", key.label, gone + early, base
        yield "fk_missing", key.label, gone, base
        yield "fk_temporal", key.label, early, base


def calibrate(
    plan: Plan,
    files: Mapping[str, Sequence[Path]],
    dated: Mapping[str, int],
    *,
    scratch: Path,
    threads: int,
) -> list[dict[str, Any]]:
    """Measure every fact table and set the profile's targets beside it, as plain values."""
    found: list[Calibration] = []
    memory = MEMORY
    if plan.expected_rows > LARGE_ROWS:
        threads, memory = 1, LARGE_MEMORY
    for table in plan.archetype.schema.facts:
        targets: dict[str, float] = {}
        for target in plan.targets:
            metric = target.kind.metric
            whole = not target.rate.columns and not target.rate.options.get("where")
            if target.table == table.name and metric and whole:
                targets[metric] = targets.get(metric, 0.0) + target.rate.share
        within = {
            incident.kind
            for incident in plan.incidents
            if incident.table == table.name and plan.rates[incident.id].within_rate
        }
        on_top: dict[str, int] = {}
        for name, count in dated.items():
            where, kind = name.split("/", 1)
            metric = plan.kinds[kind].metric
            if where == table.name and metric and kind not in within:
                on_top[metric] = on_top.get(metric, 0) + count
        # A connection a table: what DuckDB keeps of one would add to what the next one needs.
        with opened(files, scratch, threads, memory) as connection:
            told = list(measure_table(connection, plan.archetype.schema, table, files[table.name]))
        for metric, column, value, base in told:
            share = metric not in {"rows", "lag_p95_minutes"}
            measured = (value / base if base else None) if share and value is not None else value
            found.append(
                Calibration(
                    table=table.name,
                    metric=metric,
                    column=column,
                    target=targets.get(metric) if not column else None,
                    measured=measured,
                    numerator=int(value) if share and value is not None else None,
                    denominator=base,
                    dated_rows=on_top.get(metric, 0) if not column else 0,
                )
            )
    with opened(files, scratch, threads, memory) as connection:
        found += _found_by_kinds(plan, connection)
    return [asdict(entry) for entry in found]


def _found_by_kinds(plan: Plan, connection: duckdb.DuckDBPyConnection) -> Iterator[Calibration]:
    """Yield what the own queries of kinds find that no metric sees, under the kind's name."""
    schema = plan.archetype.schema
    for target in plan.targets:
        if target.kind.finds is None or target.kind.metric is not None:
            continue
        import ibis

        tables = {
            table.name: ibis.table(
                {column.name: _IBIS_TYPES[column.type] for column in table.columns}, table.name
            )
            for table in schema.tables
        }
        query: Any = load(target.kind.finds)(
            tables, schema, schema[target.table], target.rate
        ).count()
        [[rows]] = connection.execute(f"SELECT count(*) FROM {quoted(target.table)}").fetchall()
        [[broken]] = connection.execute(str(ibis.to_sql(query, dialect="duckdb"))).fetchall()
        narrowed = target.rate.options.keys() & {"where", "from", "until"}
        yield Calibration(
            table=target.table,
            metric=target.kind.name,
            column="",
            target=None if narrowed else target.rate.share,
            measured=broken / rows if rows else None,
            numerator=int(broken),
            denominator=int(rows),
        )

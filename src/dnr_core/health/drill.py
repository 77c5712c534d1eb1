"""Room: health. Where the broken rows of one figure concentrate, told only where it is no chance.

The rows of the window are cut by local day, by hour and weekday of the event, by day and hour of
the load, by each column with few values, and by the ids that the table points to. A value is
named where it holds more broken rows than its share of all rows explains, day by day, after
allowing for every value that was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Literal

import ibis
from attrs import evolve, field, frozen

from dnr_core.config.settings import Settings
from dnr_core.errors import InputError
from dnr_core.health.connect import Warehouse
from dnr_core.health.local_time import LocalClock, day_number
from dnr_core.health.marks import Judged, Mark, all_of, any_of, judge
from dnr_core.health.measure import Setup, prepare
from dnr_core.health.once import repeated
from dnr_core.health.printed import sql_of
from dnr_core.health.times import event_columns, first_of, rows_since
from dnr_core.model.health import HealthResult
from dnr_core.model.schema import Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

Kind = Literal["day", "weekday", "hour", "load_day", "load_hour", "column", "id"]

FALSE_FINDINGS: Final = 0.01
"""Chance that anything is named of a table whose broken rows lie at random, over all its cuts."""
LEAST_LIFT: Final = 1.5
"""A value is named only with so many times its share of all rows."""
LEAST_SHARE: Final = 0.25
"""What a cut's named values must hold of the broken rows, together."""
LEAST_ROWS: Final = 20
FEW_VALUES: Final = 30
"""A column with more values than this is no segment."""
MOST_COLUMNS: Final = 12
MOST_IDS: Final = 5
SEGMENT_TYPES: Final = ("string", "bool", "int64", "int32", "int16")


@frozen
class Cut:
    """One way to cut the rows. `column` is "" for those by time."""

    kind: Kind
    column: str = ""

    @property
    def label(self) -> str:
        """The cut's name in an Ibis table."""
        return f"{self.kind}_{self.column}" if self.column else self.kind


@frozen
class Concentration:
    """Values of one cut that hold more broken rows than their share of all rows.

    `values` are days since 1970, hours, weekdays (0 is Monday), or the column's own as text, and
    None for an empty one. `sql` counts broken and all rows by the cut, in the backend's dialect.
    """

    cut: Cut
    values: tuple[int | str | None, ...]
    broken: int
    rows: int
    broken_share: float
    rows_share: float
    sql: str = ""

    @property
    def lift(self) -> float:
        """How many times the broken rows' share is the share of all rows."""
        return self.broken_share / self.rows_share if self.rows_share else 0.0


@frozen
class Drill:
    """What was looked at for one figure, and what was found, the most telling first.

    `looked` counts values over all cuts; `why_not` says why nothing could be looked at.
    """

    table: str
    metric: str
    broken: int = 0
    rows: int = 0
    cuts: tuple[Cut, ...] = ()
    looked: int = 0
    found: tuple[Concentration, ...] = field(default=())
    why_not: str = ""


@frozen
class _Group:
    cut: int
    value: Any
    day: int
    rows: int
    broken: int


def drill(
    warehouse: Warehouse,
    settings: Settings,
    health: HealthResult,
    targets: Iterable[tuple[str, str]],
) -> dict[tuple[str, str], Drill]:
    """Look where the broken rows of each `(table, metric)` lie, over the window of `health`.

    Metrics are "key_null", "fk_failure", "duplicate" and "late". A table that cannot be looked
    into says why; no other figure suffers.
    """
    found: dict[tuple[str, str], Drill] = {}
    setup: Setup | None = None
    for name, metric in dict.fromkeys(targets):
        if name not in warehouse.archetype.schema or name not in warehouse:
            continue
        try:
            setup = setup or prepare(warehouse, settings, health.as_of)
            found[name, metric] = _drill(warehouse, setup, health, name, metric)
        except InputError as error:
            found[name, metric] = Drill(name, metric, why_not=str(error))
    return found


def _drill(
    warehouse: Warehouse, setup: Setup, health: HealthResult, name: str, metric: str
) -> Drill:
    table = warehouse.archetype.schema[name]
    segments = _segments(warehouse, table)
    first, last = day_number(health.window_start), day_number(health.window_end)

    def rows_of() -> ir.Table:
        return _rows(warehouse, setup, table, metric, segments, (first, last))

    rows = warehouse.scratch(f"drill:{name}:{metric}:{first}:{last}", rows_of())
    kept = _few_valued(warehouse, rows, segments)
    cuts = [*_time_cuts(rows, table), *(Cut("column", c) for c in kept)]
    groups = _groups(warehouse, rows, cuts)
    broken = sum(g.broken for g in groups if g.cut == 0)
    total = sum(g.rows for g in groups if g.cut == 0)
    if not broken or broken == total:
        return Drill(name, metric, broken, total, tuple(cuts))
    by_cut = [[g for g in groups if g.cut == place] for place in range(len(cuts))]
    looked = sum(len({g.value for g in mine}) for mine in by_cut)
    ids = [(Cut("id", c), *_ids(warehouse, rows, Cut("id", c))) for c in _id_columns(table, metric)]
    looked += sum(distinct for _, distinct, _ in ids)
    least = NormalDist().inv_cdf(1.0 - FALSE_FINDINGS / max(1, looked))
    found = [
        concentration
        for cut, mine in [*zip(cuts, by_cut, strict=True), *((cut, m) for cut, _, m in ids)]
        if (concentration := _concentrated(cut, mine, broken, total, least))
    ]
    found.sort(key=lambda c: (-c.broken_share + c.rows_share, c.cut.label))
    with warehouse.whole_queries():
        told = [evolve(c, sql=sql_of(warehouse, _counted(rows_of(), c.cut))) for c in found]
    cuts += [cut for cut, _, _ in ids]
    return Drill(name, metric, broken, total, tuple(cuts), looked, tuple(told))


def _segments(warehouse: Warehouse, table: Table) -> tuple[str, ...]:
    """Columns that may cut the rows: of a type with few values, no key, no time, no money."""
    taken = {c for key in table.foreign_keys for c in key.columns}
    taken |= {*table.primary_key, *table.business_key}
    for stream in warehouse.archetype.streams:
        if stream.table == table.name:
            taken |= set(stream.amount.product_of)
    there = set(warehouse.table(table.name).columns)
    names = [
        column.name
        for column in table.columns
        if column.type in SEGMENT_TYPES and column.name not in taken and column.name in there
    ]
    return tuple(names[:MOST_COLUMNS])


def _id_columns(table: Table, metric: str) -> tuple[str, ...]:
    """The columns whose ids are looked at: those of foreign keys of one column."""
    own = table.primary_key if len(table.primary_key) == 1 else ()
    names = [
        key.columns[0]
        for key in table.foreign_keys
        if len(key.columns) == 1 and (metric == "fk_failure" or key.columns[0] not in own)
    ]
    return tuple(dict.fromkeys(names))


def _rows(
    warehouse: Warehouse,
    setup: Setup,
    table: Table,
    metric: str,
    segments: tuple[str, ...],
    days: tuple[int, int],
) -> ir.Table:
    """The window's rows that the metric is measured on, each with its cuts and `broken`."""
    late = setup.limits.of_table(table.name, "p95_ingest_lag_min")
    # Rows keep the columns of their business key: with the segments among them, those too.
    wide = evolve(table, business_key=tuple(dict.fromkeys((*table.business_key, *segments))))
    source = _recent(warehouse, setup, table, days)
    judged = judge(warehouse, wide, setup.clock, late, with_money=False, source=source)
    rows, broken, measured = _broken(warehouse, table, judged, metric)
    columns: dict[str, Any] = {
        "day": rows.day,
        "broken": broken.coalesce(ibis.literal(value=False)),
    }
    columns |= {Cut("column", c).label: rows[f"own_{c}"].cast("string") for c in segments}
    columns |= {
        Cut("id", c).label: rows[f"own_{c}"].cast("string") for c in _id_columns(table, metric)
    }
    if judged.base.has_event and not judged.base.date_only:
        columns["hour"] = _hour(setup.clock, rows.event_s)
    if table.loaded_at:
        columns["load_day"] = setup.clock.day_of_seconds(rows.loaded_s)
        columns["load_hour"] = _hour(setup.clock, rows.loaded_s)
    kept = rows.filter(rows.day.between(*days))
    if measured is not None:
        kept = kept.filter(measured)
    return kept.select(**columns)


def _recent(
    warehouse: Warehouse, setup: Setup, table: Table, days: tuple[int, int]
) -> ir.Table | None:
    """Return the rows of the window, so that no other is joined; None where a parent has the time."""
    columns = event_columns(table)
    if not columns:
        return None
    source = rows_since(warehouse, table, setup.clock, days[0])
    source = warehouse.table(table.name) if source is None else source
    when = first_of(source, columns)
    if when.type().is_date():
        return source.filter(setup.clock.day(when).between(*days))
    start, end = setup.clock.day_start(days[0]), setup.clock.day_start(days[1] + 1)
    return source.filter(setup.clock.seconds(when).between(start, end - 1))


def _hour(clock: LocalClock, seconds: Any) -> Any:
    local = clock.local_seconds(seconds)
    day = clock.day_of_seconds(seconds)
    return clock.dialect.floor_divide(local - day * 86_400, 3600).cast("int64")


def _broken(
    warehouse: Warehouse, table: Table, judged: Judged, metric: str
) -> tuple[ir.Table, Any, Any]:
    """Return the rows, which of them are broken, and which are measured (None: all)."""
    rows, terms, no = judged.rows, judged.terms, ibis.literal(value=False)
    if metric == "key_null":
        return rows, any_of([rows[f"own_{c}"].isnull() for c in table.required_keys]), None
    if metric == "late":
        return rows, terms.get(Mark("late"), no), terms.get(Mark("lagged"), no)
    if metric == "fk_failure":
        failed = [term for mark, term in terms.items() if mark.kind in {"missing", "temporal"}]
        whole = [all_of([rows[f"own_{c}"].notnull() for c in k.columns]) for k in judged.keys]
        return rows, any_of(failed) if failed else no, any_of(whole) if whole else no
    keys = repeated(warehouse, table)
    keys = keys.select(**{f"r_{i}": keys[f"key_{i}"] for i in range(len(table.business_key))})
    match = [rows[f"own_{c}"] == keys[f"r_{i}"] for i, c in enumerate(table.business_key)]
    joined = rows.left_join(keys, match)
    kept = joined.select(
        **{name: joined[name] for name in rows.columns}, copied=joined.r_0.notnull()
    )
    return kept, kept.copied, None


def _time_cuts(rows: ir.Table, table: Table) -> list[Cut]:
    cuts = [Cut("day"), *([Cut("weekday")] if table.kind == "fact" else [])]
    times: tuple[Kind, ...] = ("hour", "load_day", "load_hour")
    return cuts + [Cut(kind) for kind in times if kind in rows.columns]


def _few_valued(warehouse: Warehouse, rows: ir.Table, segments: tuple[str, ...]) -> tuple[str, ...]:
    if not segments:
        return ()
    labels = [Cut("column", c).label for c in segments]
    counts = rows.agg(**{f"n_{i}": rows[label].nunique() for i, label in enumerate(labels)})
    found = warehouse.rows(counts.select(*(f"n_{i}" for i in range(len(labels)))))[0]
    return tuple(
        c for c, count in zip(segments, found, strict=True) if 1 <= int(count or 0) <= FEW_VALUES
    )


def _counted(rows: ir.Table, cut: Cut) -> ir.Table:
    """Broken and all rows by the cut's value and by day, the query that proves a finding."""
    value = (rows.day + 3) % 7 if cut.kind == "weekday" else rows[cut.label]
    keyed = rows.select(value=value.cast("string"), day=rows.day, broken=rows.broken)
    groups = ["value"] if cut.kind == "id" else ["value", "day"]
    return keyed.group_by(groups).agg(rows=keyed.count(), broken=keyed.broken.sum())


def _groups(warehouse: Warehouse, rows: ir.Table, cuts: Sequence[Cut]) -> list[_Group]:
    """Count every cut in one query."""
    parts = []
    for place, cut in enumerate(cuts):
        part = _counted(rows, cut)
        parts.append(
            part.select(
                cut=ibis.literal(place, "int64"),
                value=part.value,
                day=part.day,
                rows=part.rows,
                broken=part.broken.coalesce(0).cast("int64"),
            )
        )
    fetched = warehouse.rows(ibis.union(*parts) if len(parts) > 1 else parts[0])
    whole = [
        _Group(int(cut), value, int(day), int(count), int(broken or 0))
        for cut, value, day, count, broken in fetched
    ]
    return sorted(whole, key=lambda g: (g.cut, g.value is not None, g.value or "", g.day))


def _ids(warehouse: Warehouse, rows: ir.Table, cut: Cut) -> tuple[int, list[_Group]]:
    """Return how many ids there are, and those with most broken rows, each as one group."""
    counted = _counted(rows.filter(rows[cut.label].notnull()), cut)
    distinct = int(warehouse.rows(counted.agg(ids=counted.count()))[0][0] or 0)
    worst = counted.order_by([counted.broken.desc(), counted.value.asc()]).limit(MOST_IDS)
    return distinct, [
        _Group(-1, value, 0, int(count), int(broken or 0))
        for value, count, broken in warehouse.rows(worst.select("value", "rows", "broken"))
    ]


def _concentrated(
    cut: Cut, groups: list[_Group], broken: int, total: int, least: float
) -> Concentration | None:
    """Return the values of a cut that hold too many broken rows, where together they matter."""
    whole_days: dict[int, tuple[int, int]] = {}
    if cut.kind in {"day", "id"}:
        # A day cannot be compared within itself, and ids are too many to be counted by day.
        groups = [evolve(g, day=0) for g in groups]
        whole_days[0] = (total, broken)
    else:
        for g in groups:
            rows, bad = whole_days.get(g.day, (0, 0))
            whole_days[g.day] = (rows + g.rows, bad + g.broken)
    by_value: dict[Any, list[_Group]] = {}
    for g in groups:
        by_value.setdefault(g.value, []).append(g)
    named: list[tuple[Any, int, int]] = []
    for value, mine in by_value.items():
        rows, bad = sum(g.rows for g in mine), sum(g.broken for g in mine)
        lift = bad * total / (broken * rows) if rows else 0.0
        if bad >= LEAST_ROWS and lift >= LEAST_LIFT and _score(mine, whole_days) > least:
            named.append((value, rows, bad))
    rows, bad = sum(n[1] for n in named), sum(n[2] for n in named)
    if not named or bad < LEAST_SHARE * broken:
        return None
    if bad * total < LEAST_LIFT * broken * rows:
        return None
    as_number = cut.kind not in {"column", "id"}
    values = tuple(int(v) if as_number and v is not None else v for v, _, _ in named)
    if as_number:
        values = tuple(sorted(values, key=lambda v: -1 if v is None else int(v)))
    return Concentration(cut, values, bad, rows, bad / broken, rows / total)


def _score(mine: list[_Group], whole_days: dict[int, tuple[int, int]]) -> float:
    """Standard errors by which a value's broken rows exceed what its days let expect.

    Formula: Mantel and Haenszel's, with days as strata: the excess summed over days, by the root
    of the larger of its hypergeometric variance and the sum of its squares by day, so that rows
    that break together on a day count as one event.
    """
    excess = chance = scatter = 0.0
    for g in mine:
        rows, bad = whole_days[g.day]
        if rows < 2:
            continue
        over = g.broken - bad * g.rows / rows
        excess += over
        scatter += over * over
        chance += bad * (rows - bad) * g.rows * (rows - g.rows) / (rows * rows * (rows - 1))
    spread = max(chance, scatter if len(mine) > 1 else 0.0)
    return excess / sqrt(spread) if spread > 0 else 0.0

"""Room: health. A table's times: seconds, local day and lag, beside the columns that are asked for.

Also the joins: distinct keys of a parent, and which foreign keys can be judged at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import frozen

from dnr_core.health.connect import Warehouse, family_of
from dnr_core.health.dialect import SECONDS_PER_DAY
from dnr_core.health.local_time import (
    PLAUSIBLE_FROM,
    PLAUSIBLE_TO,
    LocalClock,
    instant_of,
    is_naive,
    sound,
)
from dnr_core.model.health import NotMeasured
from dnr_core.model.schema import ForeignKey, Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOST_LISTED: Final = 150_000
"""Parents up to so many have their times in a list. DuckDB copies it for every 2,048 rows that look
into it: beyond, a join is cheaper."""
FIRST_DAY: Final = PLAUSIBLE_FROM // SECONDS_PER_DAY
LAST_DAY: Final = PLAUSIBLE_TO // SECONDS_PER_DAY


@frozen
class Timed:
    """A table with its times in seconds and its local day; `parents` says which joins are made."""

    rows: ir.Table
    parents: frozenset[str]
    has_event: bool
    has_lag: bool
    date_only: bool
    not_measured: tuple[NotMeasured, ...]


def event_columns(table: Table) -> tuple[str, ...]:
    """The columns that say when a row of the table itself happened."""
    if table.event_time and not table.event_time.through:
        return table.event_time.columns
    if table.event_time:
        return ()
    if table.kind == "snapshot":
        # A snapshot is of the day that its key names.
        dates = (c for c in table.primary_key if table.column(c).type in {"date", "timestamp"})
        return tuple(dates)[:1]
    return (table.created_at,) if table.created_at else ()


def naive_columns(warehouse: Warehouse) -> tuple[str, ...]:
    """Return the time columns in use that are stored without a zone, as `table.column`."""
    found: list[str] = []
    for table in warehouse.archetype.schema.tables:
        if table.name not in warehouse:
            continue
        rows = warehouse.table(table.name)
        own = (c.name for c in table.columns if c.type == "timestamp")
        used = warehouse.used[table.name]
        found += [f"{table.name}.{c}" for c in own if c in used and is_naive(rows[c])]
    return tuple(found)


def first_of(table: ir.Table, columns: tuple[str, ...]) -> Any:
    """The first value of the columns that is not null."""
    if len(columns) == 1:
        return table[columns[0]]
    return ibis.coalesce(*(table[name] for name in columns))


def rows_since(warehouse: Warehouse, table: Table, clock: LocalClock, day: int) -> ir.Table | None:
    """The table's rows from a local day on, by the event time as it lies in the files.

    A filter on the column itself lets the reader skip whole parts of a table that is in order of
    time; one on days computed from it cannot. None where the day is not of one such column.
    """
    source, events = warehouse.table(table.name), event_columns(table)
    if len(events) != 1 or not clock.is_plain(table.name, events):
        return None
    column = source[events[0]]
    if not column.type().is_timestamp() or clock.stored:
        return None
    begin = instant_of(clock.day_start(day))
    begin = begin if column.type().timezone else begin.replace(tzinfo=None)
    return source.filter(column >= ibis.literal(begin, column.type()))


def parent_keys(
    warehouse: Warehouse, key: ForeignKey, events: tuple[str, ...], clock: LocalClock
) -> ir.Table:
    """Return a parent's distinct keys, with `since_s`, and `happened_s` of the columns `events`."""
    parent = warehouse.table(key.to)
    columns: dict[str, Any] = {f"p_{i}": parent[c] for i, c in enumerate(key.to_columns)}
    wanted = {"since_s": (key.parent_time,) if key.parent_time else (), "happened_s": events}
    wanted = {name: times for name, times in wanted.items() if times}
    # A time that is wanted under two names, or by two tables, is kept once; where it is printed,
    # the name that says what it is for is better.
    kept = {times: name for name, times in wanted.items()}
    if warehouse.keeps:
        kept = {times: f"time_{place}" for place, times in enumerate(kept)}
    for times, name in kept.items():
        plain = clock.is_plain(key.to, times)
        columns[name] = clock.seconds(first_of(parent, times), plain=plain)
    names = [f"p_{i}" for i in range(len(key.to_columns))]
    known = parent.select(**columns)
    known = known.filter(*(known[name].notnull() for name in names))
    # A parent that is there twice exists since the earlier of its times.
    earliest = {name: known[name].min() for name in kept.values()}
    distinct = known.group_by(names).agg(**earliest) if earliest else known.distinct()
    distinct = warehouse.scratch(f"parent:{key.to}:{key.to_columns}:{tuple(kept)}", distinct)
    named = {name: distinct[kept[times]] for name, times in wanted.items()}
    return distinct.select(*names, **named)


def unbroken(
    warehouse: Warehouse, key: ForeignKey, known: ir.Table, rows: ir.Table
) -> tuple[int, int] | None:
    """Return the first and last of a parent's keys where it has every whole number between them.

    Then a key is a parent's where it lies between the two, and no join is needed to tell. None
    where some are missing, keys are no whole numbers, or rows cannot be kept in memory.
    """
    if not warehouse.keeps or len(key.columns) > 1:
        return None
    kinds = (known.p_0.type(), rows[f"own_{key.columns[0]}"].type())
    if not all(kind.is_integer() for kind in kinds):
        return None

    def ends() -> tuple[int, int] | None:
        found = known.agg(n=known.count(), low=known.p_0.min(), high=known.p_0.max())
        n, low, high = warehouse.rows(found.select("n", "low", "high"))[0]
        return (int(low), int(high)) if n and int(n) == int(high) - int(low) + 1 else None

    return warehouse.remember(f"unbroken:{key.to}:{key.to_columns}", ends)


def meet(
    warehouse: Warehouse,
    key: ForeignKey,
    known: ir.Table,
    rows: ir.Table,
    place: int,
    wanted: Mapping[str, tuple[str, tuple[str, ...]]],
) -> ir.Table:
    """Give rows `parent_{place}`, and those of the parent's times that are wanted.

    `wanted` says under which name, and of which columns of the parent, each time of `known` is.
    Where its keys have no gap, by looking at the ends and into a list of the times; by a join else.
    """
    own = tuple(f"own_{c}" for c in key.columns)
    ends = unbroken(warehouse, key, known, rows)
    # Lists are looked into on DuckDB, which is also where bits are counted.
    listed = not warehouse.dialect.lacks("bit_sets") and ends and ends[1] - ends[0] < MOST_LISTED
    if ends is None or (wanted and not listed):
        return left_join(rows, known, place, own, {name: new for name, (new, _) in wanted.items()})
    column, (low, high) = rows[own[0]], ends
    there = column.notnull() & column.between(low, high)
    found: dict[str, Any] = {f"parent_{place}": there}
    for name, (new, columns) in wanted.items():
        times = known.agg(times=known[name].collect(order_by=known.p_0, include_null=True))
        times = warehouse.scratch(f"listed:{key.to}:{key.to_columns}:{columns}", times)
        at = warehouse.dialect.list_at(times.times.as_scalar(), column.cast("int64") - (low - 1))
        found[new] = ibis.ifelse(there, at, ibis.null("int64"))
    return rows.mutate(**found)


def left_join(
    rows: ir.Table, keys: ir.Table, place: int, own: tuple[str, ...], wanted: dict[str, str]
) -> ir.Table:
    """Left join `rows` to distinct parent keys as columns `parent_{place}` and those wanted."""
    parent = keys.rename({f"j{place}_{name}": name for name in keys.columns})
    predicates = [rows[column] == parent[f"j{place}_p_{part}"] for part, column in enumerate(own)]
    joined = rows.left_join(parent, predicates)
    kept: dict[str, Any] = {name: joined[name] for name in rows.columns}
    kept[f"parent_{place}"] = joined[f"j{place}_p_0"].notnull()
    kept |= {new: joined[f"j{place}_{old}"] for old, new in wanted.items()}
    return joined.select(**kept)


def judged_keys(
    warehouse: Warehouse, table: Table
) -> tuple[tuple[ForeignKey, ...], list[NotMeasured]]:
    """Split a table's foreign keys into those that can be judged and reasons for the others."""
    judged: list[ForeignKey] = []
    reasons: list[NotMeasured] = []
    for key in table.foreign_keys:
        if key.to not in warehouse:
            why = f"the table {key.to} it names is not there"
            reasons.append(NotMeasured(table.name, key.label, "fk_failure", why))
            continue
        mine, theirs = warehouse.table(table.name), warehouse.table(key.to)
        clash = next(
            (
                (own, other)
                for own, other in zip(key.columns, key.to_columns, strict=True)
                if not _comparable(mine[own].type(), theirs[other].type())
            ),
            None,
        )
        if clash:
            own, other = clash
            why = (
                f"{table.name}.{own} is {mine[own].type()} and {key.to}.{other} is "
                f"{theirs[other].type()}: such keys cannot be compared"
            )
            reasons.append(NotMeasured(table.name, key.label, "fk_failure", why))
            continue
        judged.append(key)
    return tuple(judged), reasons


def _comparable(one: Any, other: Any) -> bool:
    families = {family_of(one), family_of(other)}
    return len(families) == 1 or families == {"whole number", "number"}


def timed(
    warehouse: Warehouse,
    table: Table,
    clock: LocalClock,
    *,
    own: tuple[str, ...] = (),
    extra: dict[str, Any] | None = None,
    with_day: bool = True,
    source: ir.Table | None = None,
) -> Timed:
    """Give a table `event_s`, `loaded_s`, `day` and `timed`: whether it says when it happened.

    `own` are columns to carry as `own_...`, `extra` further expressions on the table. Without
    days, `day` is left out where it would have to be computed from seconds. `source` are some of
    the table's rows; all of them, unless given.
    """
    source = warehouse.table(table.name) if source is None else source
    through = table.event_time.through if table.event_time else None
    key = next((k for k in table.foreign_keys if k.to == through), None)
    if key and key not in judged_keys(warehouse, table)[0]:
        key = None
    carried = dict.fromkeys((*own, *(key.columns if key else ())))
    columns: dict[str, Any] = {f"own_{name}": source[name] for name in carried} | (extra or {})
    none = ibis.null("int64")
    direct = event_columns(table)
    date_only = bool(direct) and first_of(source, direct).type().is_date()
    columns["event_s"] = none
    if direct:
        columns["timed"] = first_of(source, direct).notnull()
        if date_only:
            day = clock.dialect.day_of_date(first_of(source, direct), checked=True)
            columns["day"] = ibis.ifelse(day.between(FIRST_DAY, LAST_DAY), day, none)
        else:
            plain = clock.is_plain(table.name, direct)
            columns["event_s"] = clock.sound_seconds(first_of(source, direct), plain=plain)
    loaded = table.loaded_at
    loads_plain = loaded is not None and clock.is_plain(table.name, (loaded,))
    columns["loaded_s"] = clock.sound_seconds(source[loaded], plain=loads_plain) if loaded else none
    rows = source.select(**columns)
    if key and table.event_time:
        rows = _through(warehouse, table, key, clock, rows)
    elif "timed" not in columns:
        rows = rows.mutate(timed=ibis.literal(value=False))
    if with_day and not date_only:
        events = table.event_time.columns if through and table.event_time else direct
        plain = clock.is_plain(through or table.name, events)
        day = clock.day_of_seconds(rows.event_s, plain=plain)
        if through:
            # An item whose order is not found happened on the day on which it was loaded.
            day = ibis.coalesce(day, clock.day_of_seconds(rows.loaded_s, plain=loads_plain))
        rows = rows.mutate(day=day)
    has_event = bool(direct) or key is not None
    has_lag = has_event and not date_only and loaded is not None
    why = "" if has_lag else _no_lag(table, date_only=date_only, reachable=not through or bool(key))
    reasons = [
        NotMeasured(table.name, "", metric, why)
        for metric in ("late", "lag_p95_minutes")
        if why and table.kind == "fact"
    ]
    parents = frozenset({key.label} if key else ())
    return Timed(rows, parents, has_event, has_lag, date_only, tuple(reasons))


def _through(
    warehouse: Warehouse, table: Table, key: ForeignKey, clock: LocalClock, rows: ir.Table
) -> ir.Table:
    place = table.foreign_keys.index(key)
    events = table.event_time.columns if table.event_time else ()
    wanted = {"happened_s": ("happened_s", events)}
    if key.parent_time:
        wanted["since_s"] = (f"since_{place}", (key.parent_time,))
    known = parent_keys(warehouse, key, events, clock)
    rows = meet(warehouse, key, known, rows.drop("event_s"), place, wanted)
    happened = rows.happened_s
    if not clock.is_plain(key.to, events):
        happened = sound(happened)
    return rows.mutate(event_s=happened, timed=rows.happened_s.notnull())


def _no_lag(table: Table, *, date_only: bool, reachable: bool) -> str:
    if not reachable:
        return "its event time lies in a table that cannot be reached"
    if table.loaded_at is None:
        return "no load time on this table"
    return (
        "its events have a date and no time of day" if date_only else "no event time on this table"
    )

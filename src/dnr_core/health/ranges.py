"""Room: health. From when to when the times of a warehouse run, and which columns need no care."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from dnr_core.config.zones import zone_of
from dnr_core.health.connect import Warehouse
from dnr_core.health.dialect import SECONDS_PER_DAY
from dnr_core.health.footers import noted_ends
from dnr_core.health.local_time import (
    PLAUSIBLE_FROM,
    PLAUSIBLE_TO,
    LocalClock,
    is_naive,
    utc_of_wall,
    wall_offsets,
)
from dnr_core.health.times import event_columns
from dnr_core.model.schema import Table


@frozen
class Range:
    """Earliest and latest plausible second of any time, and the latest event of a fact table.

    `plain` are the columns all of whose times lie between 1970 and 2100.
    """

    first: int
    last: int
    last_event: int | None
    plain: frozenset[tuple[str, str]]


def range_of_times(warehouse: Warehouse) -> Range:
    """Ask for the ends of every column of times, or read them off the files that are read."""
    first, last = PLAUSIBLE_TO, PLAUSIBLE_FROM
    last_event: int | None = None
    plain: set[tuple[str, str]] = set()
    stored = warehouse.archetype.stored_tz
    walls = wall_offsets(zone_of(stored), PLAUSIBLE_FROM, PLAUSIBLE_TO) if stored else ()
    for table in present_tables(warehouse):
        columns = _times(warehouse, table)
        if not columns:
            continue
        source = warehouse.table(table.name)
        row, whole = _noted(warehouse, table, columns) or _bounds(warehouse, source, columns, walls)
        own = event_columns(table) if table.kind == "fact" else ()
        for place, name in enumerate(columns):
            low, high = row[2 * place], row[2 * place + 1]
            if low is None:
                continue
            if walls and is_naive(source[name]) and not _tells_zone(warehouse, source[name]):
                low, high = utc_of_wall(int(low), walls), utc_of_wall(int(high), walls)
            first, last = min(first, int(low)), max(last, int(high))
            # Two days off 1970, so that no zone's clock is before it either.
            if whole and low >= 2 * SECONDS_PER_DAY:
                plain.add((table.name, name))
            if name in own:
                last_event = max(int(high), last_event if last_event is not None else int(high))
    if first > last:
        first = last = 0
    return Range(first, last, last_event, frozenset(plain))


def _tells_zone(warehouse: Warehouse, instant: Any) -> bool:
    """True where each time says by itself whether it is an instant or a wall's."""
    return warehouse.dialect.names_zone(instant) is not None


def _noted(
    warehouse: Warehouse, table: Table, columns: tuple[str, ...]
) -> tuple[tuple[Any, ...], bool] | None:
    """The same as `_bounds`, of what is noted in files; None where that will not do."""
    found = noted_ends(warehouse, table, columns)
    if found is None:
        return None
    ends = [end for name in columns for end in (found[name].low, found[name].high)]
    row = tuple(None if end is None else end // 1_000_000 for end in ends)
    plausible = all(end is None or PLAUSIBLE_FROM <= end <= PLAUSIBLE_TO for end in row)
    return (row, True) if plausible else None


def _bounds(
    warehouse: Warehouse,
    source: Any,
    columns: tuple[str, ...],
    walls: tuple[tuple[int, int], ...],
) -> tuple[tuple[Any, ...], bool]:
    """Earliest and latest plausible second of each column, and whether all others are plausible.

    They are of the clock on which the column is stored; in UTC where each time tells its own.
    """
    seconds = warehouse.dialect.epoch_seconds
    if not warehouse.dialect.lacks("time_order"):
        # Times are compared as they are, and only the ends turned into seconds.
        ends: dict[str, Any] = {}
        for place, name in enumerate(columns):
            ends |= {f"low_{place}": source[name].min(), f"high_{place}": source[name].max()}
        found = source.agg(**ends)
        row = warehouse.rows(found.select(**{name: seconds(found[name]) for name in ends}))[0]
        # An infinite time has no second: then one end is none, and the other is there.
        sides = all(
            (low is None) == (high is None) for low, high in zip(row[::2], row[1::2], strict=True)
        )
        if sides and all(end is None or PLAUSIBLE_FROM <= end <= PLAUSIBLE_TO for end in row):
            return row, True
    bounds = {}
    clock = LocalClock("UTC", warehouse.dialect, (), walls)
    for place, name in enumerate(columns):
        tells = walls and _tells_zone(warehouse, source[name])
        second = clock.seconds(source[name]) if tells else seconds(source[name])
        sound = second.between(PLAUSIBLE_FROM, PLAUSIBLE_TO)
        bounds[f"low_{place}"] = second.min(where=sound)
        bounds[f"high_{place}"] = second.max(where=sound)
    return warehouse.rows(source.agg(**bounds))[0], False


def _times(warehouse: Warehouse, table: Table) -> tuple[str, ...]:
    names = [*event_columns(table), *(c for c in (table.loaded_at, table.created_at) if c)]
    for other in warehouse.archetype.schema.tables:
        if other.event_time and other.event_time.through == table.name:
            names += other.event_time.columns
        names += [k.parent_time for k in other.foreign_keys if k.to == table.name and k.parent_time]
    names += [s.time for s in warehouse.archetype.streams if s.table == table.name and s.time]
    return tuple(dict.fromkeys(names))


def present_tables(warehouse: Warehouse) -> list[Table]:
    """Return the archetype's tables that are there."""
    return [t for t in warehouse.archetype.schema.tables if t.name in warehouse]

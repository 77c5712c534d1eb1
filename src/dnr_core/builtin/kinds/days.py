"""Room: builtin. Whole days that are wrong: rows that never came, a snapshot that stood still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from dnr_core.builtin.kinds.times import happenings
from dnr_core.model import CellChange, DefectOutcome, DefectTask, RowRemovals

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dnr_core.model import Schema, Table

_SILENT_HOURS: Final = 2
_RARE: Final = 0.999
_FEW_CHANGES: Final = 0.1


def cut_off(task: DefectTask) -> DefectOutcome:
    """Remove the rows: what happened after some hour of the day never came."""
    return DefectOutcome(removals=[RowRemovals(task.rows, "missing")])


def long_silence(tables: Any, schema: Schema, table: Table, rate: Any) -> ir.Table:
    """Return the times `at_` after which no row of the table happened for an unusual while.

    Unusual is over two hours and longer than all but one in a thousand of the table's pauses: a
    table with few rows a day is silent for hours anyway, and nothing is found in it.
    """
    import ibis

    del schema, rate
    times = happenings(tables, table)
    if times is None:
        return tables[table.name].limit(0)
    at = times.filter(times["at_"].notnull()).distinct()
    following = at.mutate(next_=at["at_"].lead().over(ibis.window(order_by=at["at_"])))
    following = following.filter(following["next_"].notnull())
    pause = following["next_"].epoch_seconds() - following["at_"].epoch_seconds()
    paused = following.mutate(pause_=pause)
    usual = paused.agg(usual_=paused["pause_"].quantile(_RARE))
    found = paused.cross_join(usual)
    long = (found["pause_"] > _SILENT_HOURS * 3600) & (found["pause_"] > found["usual_"])
    return found.filter(long).select("at_", "next_")


def stand_still(task: DefectTask) -> DefectOutcome:
    """Give each row the values that its key had `size` days before; rows that are new keep theirs."""
    day = task.table.snapshot_day
    if day is None:
        return DefectOutcome()
    days = _numbers(task.clean.column(day))
    keys = [name for name in task.table.business_key if name != day]
    changes: list[CellChange] = []
    for here in np.unique(days[task.rows]).tolist():
        rows = task.rows[days[task.rows] == here]
        before = _rows_of(task, day, here - round(task.size))
        place = _places(task.clean.take(pa.array(rows)), before, keys)
        known = pc.is_valid(place).to_numpy(zero_copy_only=False)
        rows, place = rows[known], place.drop_null()
        for name in task.columns:
            stale = _whole(before.column(name).take(place))
            true = _whole(task.clean.column(name).take(pa.array(rows)))
            same = pc.fill_null(pc.equal(stale, true), False)
            both_null = pc.and_(pc.is_null(stale), pc.is_null(true))
            other = ~pc.or_(same, both_null).to_numpy(zero_copy_only=False)
            if other.any():
                values = stale.filter(pa.array(other))
                changes.append(CellChange(name, rows[other], values, "stale"))
    return DefectOutcome(changes)


def _whole(values: pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _numbers(days: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int32]]:
    numbers: np.ndarray[Any, np.dtype[np.int32]] = (
        days.combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False)
    )
    return numbers


def _places(rows: pa.Table, before: pa.Table, keys: list[str]) -> pa.Array:
    """Return where in `before` each row's key stands; null where it does not."""

    def told(table: pa.Table) -> pa.Array:
        columns = [_whole(table.column(name)) for name in keys]
        if len(columns) == 1:
            return columns[0]
        texts = [column.cast(pa.string()) for column in columns]
        return pc.binary_join_element_wise(*texts, "|")

    if not keys:
        return pa.array([0 if before.num_rows else None] * rows.num_rows, pa.int32())
    return pc.index_in(told(rows), value_set=told(before))


def _rows_of(task: DefectTask, day: str, wanted: int) -> pa.Table:
    """Return the clean rows of a day, from this chunk or from those that have it.

    Where this chunk has the day, it has it for the same keys. Else chunks before it are looked
    through until the days lie before the wanted one; which days a chunk has is remembered.
    """
    own = _of_day(task.clean, day, wanted)
    if own.num_rows:
        return own
    mine = _extent(task, task.clean, day)
    found = [own]
    for chunk in range(task.chunk - 1, -1, -1):
        # The name of the table too, because a family may make several snapshots.
        mark = ("stale_snapshot", task.table.name, chunk)
        rows = None
        if mark not in task.shared:
            rows = task.elsewhere(chunk)
            task.shared[mark] = None if rows is None else _extent(task, rows, day)
        extent = task.shared[mark]
        if extent is None or mine is None:
            continue
        if extent.last_day < wanted:
            break
        if extent.first_day <= wanted and extent.meets(mine):
            rows = task.elsewhere(chunk) if rows is None else rows
            if rows is not None:
                found.append(_of_day(rows, day, wanted))
    return pa.concat_tables(found)


@frozen
class Extent:
    """The days of a chunk, and its keys from least to largest where they are one integer."""

    first_day: int
    last_day: int
    keys: tuple[int, int] | None

    def meets(self, other: Extent) -> bool:
        """Return whether both may have the same key."""
        if self.keys is None or other.keys is None:
            return True
        return self.keys[0] <= other.keys[1] and other.keys[0] <= self.keys[1]


def _extent(task: DefectTask, rows: pa.Table, day: str) -> Extent | None:
    if not rows.num_rows:
        return None
    days = _numbers(rows.column(day))
    names = [name for name in task.table.business_key if name != day]
    keys = None
    if len(names) == 1 and pa.types.is_integer(rows.schema.field(names[0]).type):
        ends = pc.min_max(rows.column(names[0]))
        keys = (ends["min"].as_py(), ends["max"].as_py())
    return Extent(int(days.min()), int(days.max()), keys)


def _of_day(rows: pa.Table, day: str, wanted: int) -> pa.Table:
    return rows.filter(pa.array(_numbers(rows.column(day)) == wanted))


def days_like_before(tables: Any, schema: Schema, table: Table, rate: Any) -> ir.Table:
    """Return the rows of days on which next to nothing changed since the day `size` days before.

    Next to nothing is under a tenth of what changes between days otherwise (their median), keys
    that both days have being compared.
    """
    del schema
    rows, day = tables[table.name], table.snapshot_day
    keys = [name for name in table.business_key if name != day]
    values = [n for n in table.column_names if n not in table.business_key]
    values = [n for n in values if not rate.columns or n in rate.columns]
    if day is None or not keys or not values:
        return rows.limit(0)
    named = {f"k{n}_": rows[name] for n, name in enumerate(keys)}
    named |= {f"v{n}_": rows[name] for n, name in enumerate(values)}
    here = rows.select(day_=rows[day].cast("date"), **named)
    past = here.mutate(day_=here["day_"] + _days(rate.size)).view()
    past = past.rename({f"was{n}_": f"v{n}_" for n in range(len(values))})
    pairs = here.join(past, ["day_", *(f"k{n}_" for n in range(len(keys)))])
    changed: Any = None
    for number in range(len(values)):
        other = ~pairs[f"v{number}_"].identical_to(pairs[f"was{number}_"])
        changed = other if changed is None else changed | other
    by_day = pairs.mutate(changed_=changed.cast("int64")).group_by("day_")
    by_day = by_day.agg(share_=lambda t: t["changed_"].mean())
    usual = by_day.agg(usual_=by_day["share_"].median())
    stale = by_day.cross_join(usual)
    stale = stale.filter(stale["share_"] < stale["usual_"] * _FEW_CHANGES).select("day_")
    return rows.filter(rows[day].cast("date").isin(stale["day_"]))


def _days(size: float) -> Any:
    import ibis

    return ibis.interval(days=round(size))

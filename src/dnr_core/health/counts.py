"""Room: health. Rows and money of one table by local day and set of marks, and sums over them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from dnr_core.health.connect import Warehouse
from dnr_core.health.local_time import LocalClock
from dnr_core.health.marks import BITS, PART_BITS, Frame, Layout
from dnr_core.health.marks import frame as prepare_frame
from dnr_core.health.once import LATEST, repeated_keys, repeated_rows, smallest
from dnr_core.model.health import Metric
from dnr_core.model.schema import Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

Ints = npt.NDArray[np.int64]
Exact = npt.NDArray[np.object_]
"""Python integers: sums of money never overflow."""

NO_DAY: Final = -(2**31)
"""Stands for rows without a local day."""


@frozen(eq=False)
class Tally:
    """Groups of rows that share a day and a set of marks, in order of days.

    `money` is revenue in the purse's common unit; `streams` has a column for each stream, each
    in its own unit.
    """

    days: Ints
    marks: Exact
    rows: Ints
    money: Exact
    streams: Exact

    def having(self, chosen: npt.NDArray[np.bool_]) -> Tally:
        """Return the groups that are chosen."""
        return Tally(
            self.days[chosen],
            self.marks[chosen],
            self.rows[chosen],
            self.money[chosen],
            self.streams[chosen],
        )

    def any_of(self, bits: int) -> npt.NDArray[np.bool_]:
        """Groups with at least one of the marks."""
        return np.asarray((self.marks & bits) != 0, dtype=bool)

    def between(self, first: int, last: int) -> Tally:
        """Return the groups of the days from `first` to `last`."""
        return self.having((self.days >= first) & (self.days <= last))


@frozen(eq=False)
class Counts:
    """Everything counted on one table. `extra` are the copies: rows beyond the first of a key.

    `newest` is the latest event by local day, in seconds since 1970.
    """

    frame: Frame
    tally: Tally
    extra: Tally
    newest: dict[int, int] = field(factory=dict)
    copies: Any = None
    """The rows of repeated keys (`key_0` ..., `loaded_s`, `day`); None where there are none."""
    parts: Any = None
    """Rows by `day`, marks and `part` of the lag, where they can be kept; None elsewhere."""

    @property
    def layout(self) -> Layout:
        """The marks of the table."""
        return self.frame.layout

    @property
    def has_money(self) -> bool:
        """True where some revenue reaches the table."""
        return self.frame.purse.has_revenue

    def affected_bits(self, metric: Metric | str, column: str) -> int:
        """Marks of which a row affected by the metric has at least one; 0 for copies and rows."""
        layout, table = self.layout, self.frame.table
        labels = tuple(key.label for key in self.frame.keys)
        match metric:
            case "key_null":
                return layout.bits("null", (column,) if column else table.required_keys)
            case "fk_missing":
                return layout.bits("missing", (column,) if column else labels)
            case "fk_temporal":
                return layout.bits("temporal", (column,) if column else labels)
            case "fk_failure":
                return self.affected_bits("fk_missing", column) | self.affected_bits(
                    "fk_temporal", column
                )
            case "late":
                return layout.bit("late")
            case _:
                return 0

    def judged(self, metric: Metric | str, column: str) -> npt.NDArray[np.bool_]:
        """Groups of rows that the metric is measured on: its denominator."""
        everything = np.ones(len(self.tally.days), dtype=bool)
        match metric:
            case "fk_failure" | "fk_missing" | "fk_temporal":
                whole = ~everything
                for key in self.frame.keys:
                    if not column or key.label == column:
                        whole = whole | ~self.tally.any_of(self.layout.bits("null", key.columns))
                return whole
            case "late":
                return self.tally.any_of(self.layout.bit("lagged"))
            case _:
                return everything

    def affected_rows(self, chosen: Iterable[tuple[str, str]], first: int, last: int) -> int:
        """Rows of the days that are affected by any of `(column, metric)`, each once."""
        bits, copies = self._wanted(chosen)
        tally, extra = self.tally.between(first, last), self.extra.between(first, last)
        total = int(tally.rows[tally.any_of(bits)].sum())
        return total + (int(extra.rows[~extra.any_of(bits)].sum()) if copies else 0)

    def _wanted(self, chosen: Iterable[tuple[str, str]]) -> tuple[int, bool]:
        bits, copies = 0, False
        for column, metric in chosen:
            bits |= self.affected_bits(metric, column)
            copies = copies or metric == "duplicate"
        return bits, copies

    def money_of(self, chosen: Iterable[tuple[str, str]], first: int, last: int) -> int | None:
        """Money of the days on rows affected by any of `(column, metric)`, each row once.

        None where no money reaches the table.
        """
        if not self.has_money:
            return None
        bits, copies = self._wanted(chosen)
        tally = self.tally.between(first, last)
        total = int(sum(tally.money[tally.any_of(bits)]))
        if copies:
            extra = self.extra.between(first, last)
            total += int(sum(extra.money[~extra.any_of(bits)]))
        return total


def count(
    warehouse: Warehouse,
    table: Table,
    clock: LocalClock,
    late_minutes: float,
    *,
    with_lag: bool = True,
) -> Counts:
    """Read the table once (and the rows of repeated keys once more) and count.

    `with_lag` counts by parts of the lag as well, from which quantiles are made.
    """
    frame = prepare_frame(warehouse, table, clock, late_minutes)
    groups = ["day", *frame.mark_columns]
    rows, parts = frame.rows, None
    if with_lag and frame.has_lag and warehouse.keeps:
        # The quantiles of the lag need it by day, and so does nothing but this read.
        lag = rows.loaded_s - rows.event_s
        rows = rows.mutate(part=warehouse.dialect.part_of(lag, PART_BITS))
        parts = _grouped(frame, rows, [*groups, "part"], rows.count(), rows.event_s)
        parts = warehouse.scratch(f"parts:{table.name}:{late_minutes}", parts)
        grouped = _grouped(frame, parts, groups, parts["rows"].sum(), parts.newest)
    else:
        grouped = _grouped(frame, rows, groups, rows.count(), rows.event_s)
    fetched = warehouse.rows(grouped)
    newest: dict[int, int] = {}
    at = len(groups)
    for row in fetched:
        if row[0] is not None and row[at + 1] is not None:
            newest[row[0]] = max(row[at + 1], newest.get(row[0], row[at + 1]))
    plain = [(row[0], _joined(row[1:at]), row[at], row[at + 2 :]) for row in fetched]
    mean = _link_means(frame, plain)
    copies = _copied_rows(warehouse, frame, clock, late_minutes)
    extra = [] if copies is None else _beyond_first(warehouse, frame, copies)
    tally = _linked(frame, plain, mean)
    return Counts(frame, tally, _linked(frame, extra, mean), newest, copies, parts)


def _grouped(frame: Frame, rows: ir.Table, groups: list[str], number: Any, times: Any) -> ir.Table:
    """Group with the number of rows, the newest of the times, and the money."""
    sums = {name: rows[name].sum() for name in frame.amount_columns}
    grouped = rows.group_by(groups).agg(rows=number, newest=times.max(), **sums)
    return grouped.select(*groups, "rows", "newest", *frame.amount_columns)


def _joined(words: tuple[int, ...]) -> int:
    return sum(int(word) << (BITS * place) for place, word in enumerate(words))


Plain = list[tuple[Any, int, int, tuple[Any, ...]]]
"""Day or None, marks, rows, sums of the streams."""


def _tally(frame: Frame, plain: Plain) -> Tally:
    factors = frame.purse.factors
    ordered = sorted(plain, key=lambda row: (_day(row[0]), row[1]))
    streams = np.empty((len(ordered), len(factors)), dtype=object)
    marks, money = np.empty(len(ordered), dtype=object), np.empty(len(ordered), dtype=object)
    for place, (_, mark, _, sums) in enumerate(ordered):
        amounts = [int(amount or 0) for amount in sums]
        marks[place] = mark
        streams[place, :] = amounts
        money[place] = sum(a * f for a, f in zip(amounts, factors, strict=True))
    return Tally(
        np.array([_day(row[0]) for row in ordered], dtype=np.int64),
        marks,
        np.array([row[2] for row in ordered], dtype=np.int64),
        money,
        streams,
    )


def _day(day: Any) -> int:
    return NO_DAY if day is None else int(day)


def _link_means(frame: Frame, plain: Plain) -> tuple[int, ...]:
    """Mean amount of the linked rows, by stream; 0 for streams that lie in the table itself."""
    means: list[int] = []
    for place, reach in enumerate(frame.purse.reaches):
        bit = frame.layout.bit("unlinked", reach.stream.name)
        linked = [row for row in plain if not row[1] & bit]
        rows = sum(row[2] for row in linked)
        total = sum(int(row[3][place] or 0) for row in linked)
        means.append(total // rows if reach.shared and rows else 0)
    return tuple(means)


def _linked(frame: Frame, plain: Plain, means: tuple[int, ...]) -> Tally:
    """Give rows whose link is broken the mean of the others, and count."""
    bits = [frame.layout.bit("unlinked", reach.stream.name) for reach in frame.purse.reaches]
    filled: Plain = []
    for day, marks, rows, sums in plain:
        mended = tuple(
            rows * mean if marks & bit else amount
            for amount, bit, mean in zip(sums, bits, means, strict=True)
        )
        filled.append((day, marks, rows, mended))
    return _tally(frame, filled)


def _copied_rows(warehouse: Warehouse, frame: Frame, clock: LocalClock, late_minutes: float) -> Any:
    """Return the rows of repeated keys with what orders them, None where no key is repeated."""
    keys = repeated_keys(warehouse, frame.table)
    if keys is None:
        return None
    # Only these rows go through the joins a second time.
    source = repeated_rows(warehouse, frame.table, keys)
    rows = prepare_frame(warehouse, frame.table, clock, late_minutes, source=source).rows
    columns: dict[str, Any] = {c: rows[c] for c in frame.key_columns}
    columns |= {c: rows[c].coalesce(0) for c in frame.ordering}
    columns["loaded_s"] = rows.loaded_s.coalesce(LATEST)
    columns["day"] = rows.day.coalesce(NO_DAY)
    key = f"copies:{frame.table.name}:{late_minutes}"
    return warehouse.scratch(key, rows.select(**columns))


def _beyond_first(warehouse: Warehouse, frame: Frame, copies: Any) -> Plain:
    """Count the rows but for the first of each key: by load time, day, marks and money."""
    first = smallest(copies, frame.key_columns, frame.ordering)
    words = frame.layout.words
    return _minus(_by_marks(warehouse, frame, copies), _by_marks(warehouse, frame, first), words)


def _by_marks(warehouse: Warehouse, frame: Frame, rows: Any) -> list[tuple[Any, ...]]:
    groups = ["day", *frame.mark_columns]
    sums = {name: rows[name].sum() for name in frame.amount_columns}
    grouped = rows.group_by(groups).agg(rows=rows.count(), **sums)
    return warehouse.rows(grouped.select(*groups, "rows", *frame.amount_columns))


def _minus(everything: list[tuple[Any, ...]], first: list[tuple[Any, ...]], words: int) -> Plain:
    left: dict[tuple[int, int], list[int]] = {}
    for sign, rows in ((1, everything), (-1, first)):
        for row in rows:
            key = (int(row[0]), _joined(row[1 : words + 1]))
            sums = left.setdefault(key, [0] * (len(row) - words - 1))
            for place, value in enumerate(row[words + 1 :]):
                sums[place] += sign * int(value or 0)
    return [
        (day, marks, sums[0], tuple(sums[1:]))
        for (day, marks), sums in sorted(left.items())
        if any(sums)
    ]

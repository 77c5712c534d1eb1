"""Room: warehouse. One table of one chunk while it is being broken."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import define, field

from dnr_core.errors import DnrError, PluginError
from dnr_core.model import (
    CellChange,
    DefectKind,
    DefectOutcome,
    DefectTask,
    ForeignKey,
    Incident,
    Table,
    load,
)
from dnr_core.synth import ARROW_TYPES
from dnr_core.synth.draw import Flags, Indices, dithered, generator
from dnr_core.warehouse.arrow import plain
from dnr_core.warehouse.calendar import day_starts_us
from dnr_core.warehouse.chunks import clean_chunk
from dnr_core.warehouse.plan import Plan
from dnr_core.warehouse.tally import WHOLE_ROW, Tally, whole_rows

_NONE = np.empty(0, dtype=np.int64)
_NEVER: Final = 1 << 62
_FIXED_WIDTH: Final = frozenset(
    ARROW_TYPES[name] for name in ("int64", "int32", "int16", "float64", "timestamp", "date")
)


def times_us(values: pa.Array | pa.ChunkedArray) -> Indices:
    """Return instants without nulls as microseconds since the epoch."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    numbers: Indices = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def instants(values: Indices) -> pa.Array:
    """Return microseconds since the epoch as instants."""
    return pa.array(values).cast(pa.timestamp("us"))


def event_times(table: Table, clean: pa.Table, tz: str) -> Indices | None:
    """Return when each clean row happened; None for tables without a time of their own.

    A snapshot's row happened when its local day began.
    """
    if table.snapshot_day is not None:
        return day_starts_us(clean.column(table.snapshot_day), tz)
    if table.loaded_at:
        return times_us(clean.column(table.loaded_at))
    names: tuple[str, ...] = ()
    if table.event_time and not table.event_time.through:
        names = table.event_time.columns
    elif table.created_at:
        names = (table.created_at,)
    if not names:
        return None
    found = pc.coalesce(*(clean.column(name) for name in names))
    if found.null_count:
        return None
    return times_us(found.cast(pa.timestamp("us")))


@define
class Work:
    """The state of a table between kinds.

    `free` rows may still be given to a kind that changes values, `sound` ones may be copied.
    """

    plan: Plan
    table: Table
    chunk: int
    clean: pa.Table
    siblings: Mapping[str, pa.Table]
    event_us: Indices | None
    loaded_us: Indices | None
    free: Flags
    sound: Flags
    tally: Tally
    written: dict[str, list[tuple[Indices, pa.Array]]] = field(factory=dict)
    copy_rows: Indices = field(default=_NONE)
    copy_us: Indices | None = None
    present: Flags | None = None
    """Which rows are not removed; None means all."""
    finished_siblings: Mapping[str, pa.Table] = field(factory=dict)
    """Tables of the chunk that are finished already: children come before their parents."""
    _plain: pa.Table | None = None
    _extents: dict[str, tuple[int, int]] = field(factory=dict)

    @property
    def plain(self) -> pa.Table:
        """The clean rows with categories as text, unpacked when first asked for."""
        if self._plain is None:
            self._plain = plain(self.clean)
        return self._plain

    def extent(self, of: Literal["events", "loads"]) -> tuple[int, int]:
        """Return the first and the last of the rows' times: most incidents are of other chunks."""
        if of not in self._extents:
            times = self.event_us if of == "events" else self.loaded_us
            if times is None or not len(times):
                return _NEVER, -_NEVER
            self._extents[of] = int(times.min()), int(times.max())
        return self._extents[of]

    def changed(self, column: str) -> Indices:
        """Return the rows whose value in a column was changed so far."""
        pieces = [rows for rows, _ in self.written.get(column, ())]
        return np.concatenate(pieces) if pieces else _NONE

    def untouched(self, columns: tuple[str, ...]) -> Flags:
        """Return the rows in which none of the columns was changed so far."""
        flags: Flags = np.ones(self.clean.num_rows, dtype=np.bool_)
        for column in columns:
            flags[self.changed(column)] = False
        return flags

    def parent_times(self, key: ForeignKey) -> tuple[Indices, Flags] | None:
        """Return each row's parent's time and whether it is known, from the same chunk."""
        parents = self.siblings.get(key.to)
        if parents is None or key.parent_time is None or len(key.columns) != 1:
            return None
        place = places(self.clean.column(key.columns[0]), parents.column(key.to_columns[0]))
        found = pc.take(parents.column(key.parent_time), place)
        known = pc.is_valid(found).combine_chunks().to_numpy(zero_copy_only=False)
        return times_us(pc.fill_null(found.cast(pa.int64()), 0)), known

    def rounded(self, amount: Fraction, *path: str | int) -> int:
        """Round a number of rows without bias over chunks."""
        company = self.plan.company
        return dithered(
            amount, company.seed, self.chunk, company.archetype, "rounded", self.table.name, *path
        )

    def rng(self, *path: str | int) -> np.random.Generator:
        """Return the generator for one use on this table and chunk."""
        company = self.plan.company
        return generator(
            company.seed, company.archetype, "defect", self.table.name, *path, self.chunk
        )

    def run(
        self,
        kind: DefectKind,
        rows: Indices,
        *,
        columns: tuple[str, ...],
        size: float,
        options: Mapping[str, Any],
        path: tuple[str | int, ...],
        incident: Incident | None = None,
        times: tuple[Indices | None, Indices | None] | None = None,
    ) -> DefectOutcome:
        """Let a kind break its rows, and check that it kept to them."""
        event_us, loaded_us = times or (self.event_us, self.loaded_us)
        task = DefectTask(
            company=self.plan.company,
            schema=self.plan.archetype.schema,
            table=self.table,
            clean=self.clean if kind.takes_codes else self.plain,
            rows=rows,
            columns=columns,
            size=size,
            options=options,
            rng=self.rng(kind.name, *path),
            event_us=event_us,
            loaded_us=loaded_us,
            incident=incident,
            parents=self.plan.synthesis.parents,
            changed=self.changed,
            parent_times=self.parent_times,
            child_loads=self.child_loads,
            chunk=self.chunk,
            elsewhere=self.elsewhere,
            shared=self.plan.shared,
            rounded=lambda amount, name: self.rounded(amount, kind.name, *path, name),
        )
        where = f"defect kind {kind.name!r} on {self.table.name}"
        try:
            outcome = load(kind.apply)(task)
        except DnrError:
            raise
        except MemoryError:
            raise
        except Exception as error:
            raise PluginError(f"{where}: {type(error).__name__}: {error}") from error
        if not isinstance(outcome, DefectOutcome):
            raise PluginError(f"{where}: gave {type(outcome).__name__} instead of DefectOutcome")
        given = np.zeros(self.clean.num_rows, dtype=np.bool_)
        given[rows] = True
        for change in outcome.changes:
            self._check(change, given, where)
        if not all(_within(copies.rows, given) for copies in outcome.copies):
            raise PluginError(f"{where}: copied rows that it was not given")
        if outcome.removals and kind.stage != "removals":
            raise PluginError(f"{where}: removes rows in the stage {kind.stage!r}")
        if not all(_within(removal.rows, given) for removal in outcome.removals):
            raise PluginError(f"{where}: removed rows that it was not given")
        return outcome

    def _check(self, change: CellChange, given: Flags, where: str) -> None:
        if change.column not in self.table.column_names:
            raise PluginError(f"{where}: there is no column {change.column!r}")
        if len(change.rows) != len(change.values) or not _within(change.rows, given):
            raise PluginError(f"{where}: changed rows of {change.column} that it was not given")
        wanted = ARROW_TYPES[self.table.column(change.column).type]
        if change.values.type != wanted:
            raise PluginError(
                f"{where}: values for {change.column} are {change.values.type}, not {wanted}"
            )

    def write(self, kind: DefectKind, outcome: DefectOutcome, incident: Incident | None) -> None:
        """Take over a kind's changes: values and load times."""
        for change in outcome.changes:
            rows = np.asarray(change.rows, dtype=np.int64)
            if change.column == self.table.loaded_at and self.loaded_us is not None:
                original = instants(self.loaded_us[rows])
                self.loaded_us[rows] = times_us(change.values)
                self._extents.pop("loads", None)
            else:
                original = pc.take(self.clean.column(change.column), pa.array(rows))
                self.written.setdefault(change.column, []).append((rows, change.values))
                if kind.exclusive:
                    self.free[rows] = False
            self.sound[rows] = False
            self.tally.note(
                rows=rows,
                clean_rows=rows,
                column=change.label or change.column,
                kind=kind.name,
                subkind=change.subkind,
                incident_id=incident.id if incident else None,
                original=original,
            )

    def remove(self, kind: DefectKind, outcome: DefectOutcome, incident: Incident) -> None:
        """Take rows out of the table; nothing else is done to them."""
        present = np.ones(self.clean.num_rows, dtype=np.bool_)
        if self.present is not None:
            present &= self.present
        for removal in outcome.removals:
            rows = np.sort(np.asarray(removal.rows, dtype=np.int64))
            present[rows] = False
            self.tally.note(
                rows=rows,
                clean_rows=rows,
                column=WHOLE_ROW,
                kind=kind.name,
                subkind=removal.subkind,
                incident_id=incident.id,
                original=whole_rows(self.plain, rows),
            )
        self.present = present
        self.free &= present
        self.sound &= present

    def child_loads(self) -> tuple[Indices, Flags]:
        """Return when each row's first child was loaded, and whether it has any in this chunk."""
        count = self.clean.num_rows
        first = np.full(count, _NEVER, dtype=np.int64)
        for name, rows in self.finished_siblings.items():
            child = self.plan.archetype.schema[name]
            for key in child.foreign_keys:
                if key.to == self.table.name and len(key.columns) == 1 and child.loaded_at:
                    self._first_of(first, child, key, rows)
        return first, first < _NEVER

    def _first_of(self, first: Indices, child: Table, key: ForeignKey, rows: pa.Table) -> None:
        place = pc.index_in(
            rows.column(key.columns[0]), value_set=self.clean.column(key.to_columns[0])
        )
        known = pc.is_valid(place).combine_chunks().to_numpy(zero_copy_only=False)
        at = pc.fill_null(place, 0).combine_chunks().to_numpy().astype(np.int64)
        event = child.event_time
        if event is not None and event.through is None and self.event_us is not None:
            # Children of a later parent are orphans, not children that it came too late for.
            happened = pc.coalesce(*(rows.column(n) for n in event.columns)).cast(pa.int64())
            known &= pc.fill_null(happened, 0).combine_chunks().to_numpy() >= self.event_us[at]
        loads = times_us(rows.column(child.loaded_at or ""))
        np.minimum.at(first, at[known], loads[known])

    def elsewhere(self, chunk: int) -> pa.Table | None:
        """Return this table's clean rows in another chunk of its family."""
        family = next(f for f in self.plan.synthesis.families if self.table.name in f.tables)
        if not 0 <= chunk < self.plan.chunks[family.name]:
            return None
        return plain(clean_chunk(self.plan, family, chunk)[self.table.name])

    def finished(self) -> pa.Table:
        """Return the table with all changes in it, copies at its end."""
        columns = []
        for name in self.table.column_names:
            values = self.clean.column(name)
            if name == self.table.loaded_at and self.loaded_us is not None:
                values = pa.chunked_array([instants(self.loaded_us)])
            elif name in self.written:
                values = _scattered(values, self.written[name], self.clean.num_rows)
            columns.append(values)
        table = pa.Table.from_arrays(columns, names=list(self.table.column_names))
        whole = table
        if self.present is not None:
            table = table.filter(pa.array(self.present))
        if not len(self.copy_rows):
            return table
        copies = whole.take(pa.array(self.copy_rows))
        if self.copy_us is not None:
            place = table.column_names.index(self.table.loaded_at or "")
            copies = copies.set_column(place, table.schema.field(place), instants(self.copy_us))
        return pa.concat_tables([table, copies])


def places(keys: pa.ChunkedArray, among: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return where each key lies among others, null where it does not.

    Parents of one chunk mostly have ids that follow one another, which needs no hash table.
    """
    if pa.types.is_integer(keys.type) and pa.types.is_integer(among.type) and len(among):
        ids = among.combine_chunks()
        numbers = ids.to_numpy(zero_copy_only=False) if not ids.null_count else _NONE
        if len(numbers) and bool((np.diff(numbers) == 1).all()):
            place = pc.subtract(keys.cast(pa.int64()), int(numbers[0]))
            inside = pc.and_(pc.greater_equal(place, 0), pc.less(place, len(numbers)))
            return place if pc.all(inside).as_py() else pc.if_else(inside, place, None)
    return pc.index_in(keys, value_set=among)


def _within(rows: Indices, given: Flags) -> bool:
    """Return whether all positions are in range and flagged."""
    if not len(rows):
        return True
    in_range = int(rows.min()) >= 0 and int(rows.max()) < len(given)
    return in_range and bool(given[rows].all())


def _scattered(
    values: pa.ChunkedArray, pieces: list[tuple[Indices, pa.Array]], count: int
) -> pa.ChunkedArray:
    """Return values with those of the pieces at their rows; the last one counts."""
    rows = np.concatenate([rows for rows, _ in pieces])
    fresh = pa.concat_arrays([values for _, values in pieces])
    whole = values.cast(fresh.type).combine_chunks()
    if fresh.type in _FIXED_WIDTH:
        return pa.chunked_array([_set_fixed(whole, rows, fresh)])
    mask = np.zeros(count, dtype=np.bool_)
    mask[rows] = True
    # Where each row's value lies, in the order of the rows: cheaper than sorting them.
    place = np.zeros(count, dtype=np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    ordered = pc.take(fresh, pa.array(place[mask]))
    return pa.chunked_array([pc.replace_with_mask(whole, pa.array(mask), ordered)])


def _set_fixed(whole: pa.Array, rows: Indices, fresh: pa.Array) -> pa.Array:
    """Set values of a fixed width in a copy: a few writes, where Arrow would copy by mask."""
    numbers, flags = _values_and_flags(whole)
    new_numbers, new_flags = _values_and_flags(fresh)
    numbers = numbers.copy()
    numbers[rows] = new_numbers
    valid = np.ones(len(whole), dtype=np.bool_) if flags is None else flags.copy()
    valid[rows] = True if new_flags is None else new_flags
    bitmap = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(whole.type, len(whole), [bitmap, pa.py_buffer(numbers)])


def _values_and_flags(values: pa.Array) -> tuple[Indices, Flags | None]:
    """Return the numbers behind values, anything where they are null, and which are not null."""
    _, data = values.buffers()
    width = values.type.bit_width // 8
    numbers = np.frombuffer(
        data, dtype=f"i{width}", count=len(values), offset=values.offset * width
    )
    flags = values.is_valid().to_numpy(zero_copy_only=False) if values.null_count else None
    return numbers, flags

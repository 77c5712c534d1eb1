"""Room: model. The contract of defect kinds: what one is given of a chunk, and what it gives back.

A kind's `apply(task)` is pure: it draws from `task.rng` only and looks at nothing but the task.
The planner chose `task.rows`; no other kind that changes values has any of them. What the
kind returns is written into the table and, cell by cell, into the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from attrs import frozen

from dnr_core.model.incident import Incident
from dnr_core.model.schema import ForeignKey, Schema, Table
from dnr_core.model.synthesis import Company, Parent

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Indices = np.ndarray[Any, np.dtype[np.int64]]
    Flags = np.ndarray[Any, np.dtype[np.bool_]]


@frozen
class CellChange:
    """New values for `column` in `rows` (positions in the chunk, any order, each once).

    `label` is what the ledger names as the column, where that is a foreign key of several.
    """

    column: str
    rows: Indices
    values: pa.Array
    subkind: str = ""
    label: str = ""


@frozen
class RowCopies:
    """Extra copies of `rows` (a row may come more than once), each loaded `delay_us` after its original."""

    rows: Indices
    delay_us: Indices
    subkind: str = "copy"


@frozen
class RowRemovals:
    """Rows (each once) that are missing from the finished table. The ledger keeps their content."""

    rows: Indices
    subkind: str = "removed"


@frozen
class DefectOutcome:
    """What a kind did to its rows."""

    changes: Sequence[CellChange] = ()
    copies: Sequence[RowCopies] = ()
    removals: Sequence[RowRemovals] = ()


@frozen
class DefectTask:
    """One kind's work on one table of one chunk.

    `clean` holds the chunk's rows as they were generated; `rows` are the positions to break.
    `event_us` and `loaded_us` are microseconds since the epoch, one a row (`loaded_us` with the base
    lag and earlier kinds' delays in it). `columns` are those that may be broken: column names, or
    labels of foreign keys. `size` is the rate's share or the incident's size.
    """

    company: Company
    schema: Schema
    table: Table
    clean: pa.Table
    rows: Indices
    columns: tuple[str, ...]
    size: float
    options: Mapping[str, Any]
    rng: np.random.Generator
    event_us: Indices | None
    loaded_us: Indices | None
    incident: Incident | None
    parents: Mapping[str, Parent]
    changed: Callable[[str], Indices]
    """Rows whose value in a column was changed by a kind before this one."""
    parent_times: Callable[[ForeignKey], tuple[Indices, Flags] | None]
    """For each row the time of its clean parent, and whether it is known: parents of the same
    family lie in the same chunk. None where the parent is made elsewhere."""
    child_loads: Callable[[], tuple[Indices, Flags]]
    """For each row when the first of its children was loaded (in the finished tables of this chunk,
    children that happened before it aside), and whether it has any."""
    chunk: int
    """The chunk's number in its family."""
    elsewhere: Callable[[int], pa.Table | None]
    """The clean rows of this table in another chunk of the family; None where there is no such one.
    They are made anew at each call."""
    shared: dict[Any, Any]
    """Kept for as long as this process makes the company: for what every chunk would find out
    again and depends on the company alone. Keys of yours begin with your kind's name."""
    rounded: Callable[[Fraction, str], int]
    """Round a number of rows up or down, without bias over the chunks; the text names what for."""

    def foreign_key(self, label: str) -> ForeignKey | None:
        """Return the table's foreign key of that label."""
        return next((key for key in self.table.foreign_keys if key.label == label), None)

    @property
    def window_us(self) -> tuple[int, int] | None:
        """The incident's window, start and end in microseconds since the epoch."""
        if self.incident is None:
            return None
        start, end = self.incident.start, self.incident.end
        return (
            int(start.timestamp()) * 1_000_000 + start.microsecond,
            int(end.timestamp()) * 1_000_000 + end.microsecond,
        )

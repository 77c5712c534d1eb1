"""Room: warehouse. Which rows of a chunk each defect gets: disjoint, and as many as the rate asks.

The measured rate is a share of the finished table, so the numbers are solved together. With N
clean rows and copies of share c of the finished rows, M = N / (1 - c) rows are finished. A kind
whose denominator is "rows" breaks share x M of them. Rows that lose their only key leave the
denominator of "keyed_rows": there it is M less those rows, the dated ones among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnr_core.model import Table
from dnr_core.synth.draw import Flags, Indices
from dnr_core.warehouse.incidents import period_of
from dnr_core.warehouse.mix import Target

Window = tuple[int, int]


def micros(moment: datetime) -> int:
    """Return an instant as microseconds since the epoch, exactly."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def inside(times_us: Indices, window: Window) -> Flags:
    """Return which times lie in the window (its end is outside)."""
    flags: Flags = (times_us >= window[0]) & (times_us < window[1])
    return flags


def has_values(table: Table, clean: pa.Table, columns: Iterable[str]) -> Flags | None:
    """Return the rows in which every one of the columns (or keys) has a value; None means all."""
    names: set[str] = set()
    for column in columns:
        key = next((key for key in table.foreign_keys if key.label == column), None)
        names |= set(key.columns if key else (column,))
    flags: Flags | None = None
    for name in sorted(names & set(table.column_names)):
        values = clean.column(name)
        if values.null_count:
            here = pc.is_valid(values).combine_chunks().to_numpy(zero_copy_only=False)
            flags = here if flags is None else flags & here
    return flags


def segment(
    options: Mapping[str, Any], clean: pa.Table, event_us: Indices | None, tz: str
) -> Flags | None:
    """Return the rows that the options `where`, `from` and `until` are about; None means all.

    Planning has seen that the columns are there, and a time where a period is asked for.
    """
    flags: Flags | None = None
    for name, wanted in dict(options.get("where", {})).items():
        if name not in clean.column_names:
            # Another table of the rate has it; this one is not meant.
            return np.zeros(clean.num_rows, dtype=np.bool_)
        values = clean.column(name)
        allowed = wanted if isinstance(wanted, list | tuple) else [wanted]
        here = pc.is_in(values, value_set=pa.array(allowed).cast(values.type))
        found = here.combine_chunks().to_numpy(zero_copy_only=False)
        flags = found if flags is None else flags & found
    low, high = period_of(options, tz)
    if (low or high) and event_us is not None:
        found = inside(
            event_us,
            (micros(low) if low else -(1 << 62), micros(high) if high else 1 << 62),
        )
        flags = found if flags is None else flags & found
    return flags


def wanted_rows(
    target: Target,
    mine: Iterable[Target],
    table: Table,
    rows: int,
    unkeyed_by_date: int,
) -> Fraction:
    """Return how many rows of a chunk a target must break, exactly.

    Args:
        target: the rate to solve for.
        mine: all targets of the table.
        table: the table.
        rows: clean rows of the chunk that the rate is for.
        unkeyed_by_date: rows among them that lost their only key to a dated kind.
    """
    mine = tuple(mine)
    copied = sum((t.share for t in mine if t.kind.stage == "copies"), Fraction(0))
    finished = Fraction(rows) / (1 - copied)
    if target.kind.denominator == "keyed_rows":
        base = finished - unkeyed_by_date
        if len(key_columns(table)) == 1:
            base -= finished * sum((t.share for t in mine if t.kind.nulls_keys), Fraction(0))
        return target.share * base
    return target.share * finished


def key_columns(table: Table) -> tuple[str, ...]:
    """Return the columns of all foreign keys of a table, once each."""
    return tuple(dict.fromkeys(c for key in table.foreign_keys for c in key.columns))

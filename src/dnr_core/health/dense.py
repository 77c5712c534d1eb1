"""Room: health. Keys that are there twice, found without a group for every key.

Most keys are dense: numbers given out one after the other, or a listing's number with each of
its days. Such keys are counted as bits. Sixty-two neighbours share one group, which keeps how
many rows it has, which keys it has seen (an OR of bits), and which an odd number of times (an
XOR); what was seen and is not odd came twice. A group-by of the keys themselves needs a group for
each row: it takes several times as long, and memory that grows with the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import frozen

from dnr_core.health.connect import Warehouse
from dnr_core.health.dialect import SECONDS_PER_DAY, bit_count
from dnr_core.health.footers import noted_ends
from dnr_core.model.schema import Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

BITS: Final = 62
"""Keys in one group: so many bits leave a number of 64 positive."""
SPARSEST: Final = 8
"""Up to so many numbers for each key that is there, groups of bits are the cheaper way."""


@frozen
class Digit:
    """One column of the key as a digit of a whole number: `value - low`, of `base` possible ones."""

    name: str
    low: int
    base: int
    is_date: bool
    type: Any


def repeated_dense(
    warehouse: Warehouse, rows: ir.Table, names: list[str], table: Table
) -> ir.Table | None:
    """Return the keys (columns `names`, none null) with several rows, and `copies`.

    None where the keys are not dense whole numbers or dates, or the backend cannot keep rows in
    memory; `table` is where they are from.
    """
    if not warehouse.keeps or warehouse.dialect.lacks("bit_sets"):
        return None
    digits = _digits(warehouse, rows, names, table)
    if digits is None:
        return None
    code: Any = ibis.literal(0, "int64")
    for digit in digits:
        code = code * digit.base + (_number(warehouse, rows[digit.name], digit) - digit.low)
    coded = rows.select(code=code)
    bucket = warehouse.dialect.floor_divide(coded.code, BITS, positive=True)
    coded = coded.select(bucket=bucket, place=coded.code - bucket * BITS)
    bit = ibis.literal(1, "int64") << coded.place
    seen = coded.group_by("bucket").agg(n=coded.count(), seen=bit.bit_or(), odd=bit.bit_xor())
    # Rows beyond the first of a key are as many as the keys that came twice only where no key
    # came more often than that.
    extra = seen.seen - seen.odd
    beyond = seen.n - bit_count(seen.seen)
    full = seen.select("bucket", extra=extra, beyond=beyond, sure=bit_count(extra) == beyond)
    full = warehouse.scratch(f"buckets:{table.name}", full.filter(full.beyond > 0))
    places = ibis.range(BITS).unnest().name("place").as_table()
    sure = full.filter(full.sure).cross_join(places)
    sure = sure.filter((sure.extra >> sure.place) % 2 == 1)
    twice = _decoded(warehouse, sure.bucket * BITS + sure.place, digits, sure)
    unsure = full.filter(~full.sure).select(unsure="bucket")
    if not int(warehouse.rows(unsure.agg(n=unsure.count()))[0][0]):
        return twice
    more = rows.mutate(bucket=warehouse.dialect.floor_divide(code, BITS, positive=True))
    more = more.inner_join(unsure, more.bucket == unsure.unsure)
    counted = more.group_by(names).agg(copies=more.count())
    return twice.union(counted.filter(counted.copies > 1), distinct=False)


def _digits(
    warehouse: Warehouse, rows: ir.Table, names: list[str], table: Table
) -> list[Digit] | None:
    """How a key is read as one number; None where that would leave too many numbers unused."""
    types = [rows[name].type() for name in names]
    if not names or not all(kind.is_integer() or kind.is_date() for kind in types):
        return None
    noted = noted_ends(warehouse, table, table.business_key)
    if noted is None:
        n, *bounds = _read_ends(warehouse, rows, names)
    else:
        # Rows whose key has a null elsewhere are among them, which can only make them more.
        n = max(ends.rows for ends in noted.values())
        bounds = []
        for kind, column in zip(types, table.business_key, strict=True):
            ends = noted[column]
            if ends.low is None or ends.high is None:
                return None
            unit = SECONDS_PER_DAY * 1_000_000 if kind.is_date() else 1
            bounds += [ends.low // unit, ends.high // unit]
    if not n:
        return None
    digits = [
        Digit(name, int(low), int(high) - int(low) + 1, kind.is_date(), kind)
        for name, kind, low, high in zip(names, types, bounds[::2], bounds[1::2], strict=True)
    ]
    numbers_possible = 1
    for digit in digits:
        numbers_possible *= digit.base
    return digits if numbers_possible <= SPARSEST * int(n) else None


def _read_ends(warehouse: Warehouse, rows: ir.Table, names: list[str]) -> tuple[Any, ...]:
    """Rows, and the first and last of each part of their key as numbers."""
    ends: dict[str, Any] = {}
    for place, name in enumerate(names):
        ends |= {f"low_{place}": rows[name].min(), f"high_{place}": rows[name].max()}
    found = rows.agg(n=rows.count(), **ends)
    numbers = [
        warehouse.dialect.day_of_date(found[name], checked=True)
        if found[name].type().is_date()
        else found[name]
        for name in ends
    ]
    return warehouse.rows(found.select("n", **dict(zip(ends, numbers, strict=True))))[0]


def _number(warehouse: Warehouse, column: Any, digit: Digit) -> Any:
    if digit.is_date:
        return warehouse.dialect.day_of_date(column, checked=True)
    return column.cast("int64")


def _decoded(warehouse: Warehouse, code: Any, digits: list[Digit], rows: ir.Table) -> ir.Table:
    """Return the columns of the keys with these numbers; each is there twice."""
    columns: dict[str, Any] = {}
    for digit in reversed(digits):
        rest = warehouse.dialect.floor_divide(code, digit.base, positive=True)
        value = code - rest * digit.base + digit.low
        if digit.is_date:
            value = warehouse.dialect.date_of_day(value)
        columns[digit.name] = value.cast(digit.type)
        code = rest
    ordered = {digit.name: columns[digit.name] for digit in digits}
    return rows.select(**ordered, copies=ibis.literal(2, "int64"))

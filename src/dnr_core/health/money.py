"""Room: health. Money on rows: whole numbers in SQL, one division at the end.

A stream's amount on a row is the product of its columns, an integer. Columns that are not whole
numbers make the product a number of micro-units, rounded row by row, so that no sum depends on
the order of threads. An amount that is null, not a number or beyond 10^12 units counts as none.

A table without a stream of its own shares the amounts that its link key reaches, evenly over
its rows with that key, in micro-units, rounded down. Rows whose link is null or leads nowhere
carry the mean of the linked rows: the money is there, only the link is not.
"""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import frozen

from dnr_core.model.archetype import Archetype, Condition, RevenueStream
from dnr_core.model.schema import Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

MICRO: Final = 1_000_000
_LARGEST: Final = 1e12


def condition(table: ir.Table, where: tuple[Condition, ...]) -> Any:
    """Return the conditions as one boolean column; null counts as not."""
    holds: Any = ibis.literal(value=True)
    for one in where:
        column = table[one.column]
        value: Any = one.value
        match one.op:
            case "eq":
                term = column == value
            case "ne":
                term = column != value
            case "in":
                term = column.isin(list(value or ()))
            case "ge":
                term = column >= value
            case "gt":
                term = column > value
            case "le":
                term = column <= value
            case "lt":
                term = column < value
            case "not_null":
                term = column.notnull()
        holds = holds & term
    return holds


def is_whole(table: ir.Table, stream: RevenueStream) -> bool:
    """True where every column of the amount is a whole number."""
    return all(table[name].type().is_integer() for name in stream.amount.product_of)


def row_amount(table: ir.Table, stream: RevenueStream) -> Any:
    """Return the stream's amount on each row of its table as an integer column; 0 for no money."""
    whole = is_whole(table, stream)
    product: Any = None
    for name in stream.amount.product_of:
        column = table[name].cast("int64" if whole else "float64")
        product = column if product is None else product * column
    if not whole:
        product = ibis.ifelse(
            product.abs() < _LARGEST, (product * MICRO).round().cast("int64"), ibis.null("int64")
        )
    amount = product.coalesce(0)
    if not stream.where:
        return amount
    return ibis.ifelse(condition(table, stream.where), amount, 0)


def unit_of(table: ir.Table, stream: RevenueStream) -> int:
    """How many units of `row_amount` make one unit of the currency."""
    factor = 1 if is_whole(table, stream) else MICRO
    return stream.amount.divide_by * stream.amount.minor_units * factor


@frozen
class Reach:
    """How one stream's money reaches the rows of a table.

    `per_cent` units of the integer amount make a currency unit; `shared` says that the money
    comes through a link key and is shared.
    """

    stream: RevenueStream
    units: int
    shared: bool

    def cents(self, amount: int) -> float:
        """Turn a sum of integer amounts into cents."""
        return amount * 100 / self.units


@frozen
class Purse:
    """Sums of several streams added exactly, as whole numbers over one common unit."""

    reaches: tuple[Reach, ...]

    @property
    def has_revenue(self) -> bool:
        """True where some of it is revenue."""
        return any(reach.stream.is_revenue for reach in self.reaches)

    @property
    def units(self) -> int:
        """The common number of units that make a currency unit."""
        return lcm(*(reach.units for reach in self.reaches)) if self.reaches else 1

    @property
    def factors(self) -> tuple[int, ...]:
        """What each stream's sum is multiplied by to be in the common unit; 0 for no revenue."""
        common = self.units
        return tuple(common // r.units if r.stream.is_revenue else 0 for r in self.reaches)

    def cents(self, amount: int) -> float:
        """Turn a sum in the common unit into cents."""
        return amount * 100 / self.units


def own_streams(archetype: Archetype, table: Table) -> tuple[RevenueStream, ...]:
    """Streams that lie in the table itself, those that are no revenue among them."""
    return tuple(s for s in archetype.streams if s.table == table.name)


def linked_streams(archetype: Archetype, table: Table) -> tuple[RevenueStream, ...]:
    """Revenue streams of other tables whose link key the table has; none where it has its own."""
    if any(stream.is_revenue for stream in own_streams(archetype, table)):
        return ()
    return tuple(
        stream
        for stream in archetype.revenue_streams
        if stream.keyed_by and set(stream.keyed_by) <= set(table.column_names)
    )

"""Room: health. Business keys that are there more than once, and a table with each row once.

Keys come first: one group-by finds the keys with several rows, and only their rows are looked
at again. No window, anti join or scalar subquery: each fails or crawls on some backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ibis

from dnr_core.health.connect import Warehouse
from dnr_core.health.dense import repeated_dense
from dnr_core.model.schema import Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

LATEST: Final = 2**62
"""Stands for a load time that is not known: such a row is the last of its copies."""


def repeated(warehouse: Warehouse, table: Table) -> ir.Table:
    """Return the business keys with several rows as `key_0` ..., with how many as `copies`.

    Keys with a null part are no keys.
    """
    if warehouse.keeps:
        return warehouse.remember(f"repeated:{table.name}", lambda: _repeated(warehouse, table))
    return _repeated(warehouse, table)


def _repeated(warehouse: Warehouse, table: Table) -> ir.Table:
    source = warehouse.table(table.name)
    names = [f"key_{place}" for place in range(len(table.business_key))]
    columns: dict[str, Any] = {
        name: source[column] for name, column in zip(names, table.business_key, strict=True)
    }
    rows = source.select(**columns)
    rows = rows.filter(*(rows[name].notnull() for name in names))
    keys = repeated_dense(warehouse, rows, names, table)
    if keys is None:
        grouped = rows.group_by(names).agg(copies=rows.count())
        keys = grouped.filter(grouped.copies > 1)
    return warehouse.scratch(f"repeated:{table.name}", keys)


def repeated_keys(warehouse: Warehouse, table: Table) -> ir.Table | None:
    """Return `repeated`, or None where no key is there twice or the table has no business key."""
    if not table.business_key:
        return None
    keys = repeated(warehouse, table)
    there = warehouse.remember(f"repeats:{table.name}", lambda: _count(warehouse, keys))
    return keys if there else None


def repeated_rows(warehouse: Warehouse, table: Table, keys: ir.Table) -> ir.Table:
    """Return the table's rows whose business key is among `keys`, those of `repeated_keys`.

    Few rows, of which all columns are read: kept at hand, because they are asked for again.
    """
    source = warehouse.table(table.name)
    wanted = keys.select(**{f"r_{c}": keys[c] for c in keys.columns})
    match = [
        source[column] == wanted[f"r_key_{place}"]
        for place, column in enumerate(table.business_key)
    ]
    rows = source.inner_join(wanted, match).select(*source.columns)
    return warehouse.scratch(f"repeated rows:{table.name}", rows)


def _count(warehouse: Warehouse, rows: ir.Table) -> int:
    return int(warehouse.rows(rows.agg(n=rows.count()))[0][0])


def smallest(rows: ir.Table, group: tuple[str, ...], order: tuple[str, ...]) -> ir.Table:
    """Return of each group the row that comes first by the columns of `order`, all not null.

    The last column is settled first: within equal earlier columns its smallest value stays, and
    each step then keeps what belongs to the smallest value of the column before.
    """
    result = rows
    for place in reversed(range(len(order))):
        column, carried = order[place], order[place + 1 :]
        aggregates = {name: result[name].argmin(result[column]) for name in carried}
        aggregates[column] = result[column].min()
        result = result.group_by([*group, *order[:place]]).agg(**aggregates)
    return result


def once(warehouse: Warehouse, table: Table) -> ir.Table:
    """Return a table of the archetype with a row once: the earliest loaded of its business key.

    Rows with a null in their key are all kept. Where copies were loaded at the same moment, each
    column has its smallest value, so that the answer does not depend on the order of reading.
    """
    source = warehouse.table(table.name)
    found = repeated_keys(warehouse, table)
    if found is None:
        return source
    keys = found.select(**{f"r_{c}": found[c] for c in found.columns})
    match = [
        source[column] == keys[f"r_key_{place}"] for place, column in enumerate(table.business_key)
    ]
    joined = source.left_join(keys, match)
    single = joined.filter(joined.r_copies.isnull()).select(*source.columns)
    copies = repeated_rows(warehouse, table, found)
    if table.loaded_at:
        names = list(table.business_key)
        first = copies.group_by(names).agg(first_load=copies[table.loaded_at].min())
        first = first.rename({f"f_{c}": c for c in first.columns})
        joined = copies.inner_join(first, [copies[c] == first[f"f_{c}"] for c in names])
        earliest = joined[table.loaded_at] == joined.f_first_load
        copies = joined.filter(earliest | joined.f_first_load.isnull()).select(*source.columns)
    others = [c for c in source.columns if c not in table.business_key]
    kept = copies.group_by(list(table.business_key)).agg(**{c: _least(copies[c]) for c in others})
    kept = warehouse.scratch(f"kept:{table.name}", kept.select(*source.columns))
    return single.union(kept, distinct=False)


def _least(column: Any) -> Any:
    kind = column.type()
    if kind.is_boolean():
        return ibis.cases((column, 1), (~column, 0)).min() == 1
    orderable = kind.is_numeric() or kind.is_string() or kind.is_temporal()
    return column.min() if orderable else column.arbitrary()

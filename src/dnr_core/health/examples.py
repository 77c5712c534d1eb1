"""Room: health. Keys of a few affected rows; of rows whose key has a null, what else names them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import ibis

from dnr_core.health.local_time import instant_of
from dnr_core.model.schema import Table

if TYPE_CHECKING:
    import ibis.expr.types as ir


def other_columns(table: Table) -> tuple[str, ...]:
    """Columns that tell rows apart whose business key has a null: the table's other keys."""
    own = dict.fromkeys(column for key in table.foreign_keys for column in key.columns)
    return tuple(name for name in own if name not in table.business_key)


SECONDS: Final = {"event_s": "event_seconds", "loaded_s": "loaded_seconds"}
"""What stands for a row's times where its key has a null: seconds since 1970."""


def examples_of(
    table: Table, affected: ir.Table, examples: int, others: tuple[str, ...] | None
) -> ir.Table:
    """Return up to `examples` rows that are affected, latest first, by what names them.

    `others` are columns beside the business key; with them come the row's times.
    """
    names = table.business_key
    columns = {name: affected[f"own_{name}"] for name in (*names, *(others or ()))}
    if others is not None:
        columns |= {shown: affected[name] for name, shown in SECONDS.items()}
    known = [affected[name] for name in SECONDS if name in affected.columns]
    rows = affected.select(**columns, dnr_order=ibis.coalesce(*known, -(2**62)))
    rows = rows.distinct()
    # By every column, so that the examples do not depend on the order of reading.
    ordered = rows.order_by([rows.dnr_order.desc(), *(rows[name].asc() for name in columns)])
    return ordered.limit(examples).select(*columns)


def named(table: Table, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what names a row: its business key or, where that has a null, what else is known of it."""
    key = {name: _shown(row[name]) for name in table.business_key}
    if len(row) == len(key) or all(value is not None for value in key.values()):
        return key
    known = {name: _shown(value) for name, value in row.items() if value is not None}
    times = {"event_seconds": "event time", "loaded_seconds": "load time"}
    return {
        times.get(name, name): instant_of(int(value)).isoformat() if name in times else value
        for name, value in known.items()
    }


def _shown(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)

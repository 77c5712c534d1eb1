"""Room: builtin. When rows happened, as the kinds' own queries see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dnr_core.model import Table


def own_time(rows: ir.Table, table: Table) -> Any:
    """Return a row's event time where its own columns tell it, else None."""
    import ibis

    event = table.event_time
    if event is not None and event.through is None:
        return ibis.coalesce(*(rows[name] for name in event.columns))
    return rows[table.created_at] if table.created_at else None


def happenings(tables: Any, table: Table) -> ir.Table | None:
    """Return the times `at_` of a table's rows, through its parent where they are that one's."""
    import ibis

    rows = tables[table.name]
    own = own_time(rows, table)
    if own is not None:
        return rows.select(at_=own)
    event = table.event_time
    if event is None or event.through is None:
        return None
    key = next(key for key in table.foreign_keys if key.to == event.through)
    parent = tables[event.through]
    since = ibis.coalesce(*(parent[name] for name in event.columns))
    known = parent.group_by(key_=parent[key.to_columns[0]]).agg(at_=since.min())
    return rows.select(key_=rows[key.columns[0]]).join(known, "key_").select("at_")

"""Room: builtin. Parents that are loaded long after their children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from dnr_core.builtin.kinds.times import own_time
from dnr_core.errors import ConfigError
from dnr_core.model import CellChange, DefectOutcome, DefectTask
from dnr_core.synth.draw import below_each

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dnr_core.model import Schema, Table

LEAST_HOURS: Final = 12
"""No base lag is longer, so nothing that only loads in its own time comes so late."""
MOST_HOURS: Final = 48
_HOUR_S: Final = 3600


def come_late(task: DefectTask) -> DefectOutcome:
    """Load each row `least_hours` to `most_hours` after the first of its children."""
    if task.table.loaded_at is None:
        return DefectOutcome()
    least = int(task.options.get("least_hours", LEAST_HOURS))
    most = int(task.options.get("most_hours", max(MOST_HOURS, least + 1)))
    if most <= least:
        raise ConfigError(
            f"late_parent: most_hours {most} is not above least_hours {least}",
            hint="a late parent comes so many hours after its first child",
        )
    first, _ = task.child_loads()
    seconds = least * _HOUR_S + 1 + below_each(task.rng, (most - least) * _HOUR_S, len(task.rows))
    loads = pa.array(first[task.rows] + seconds * 1_000_000).cast(pa.timestamp("us"))
    return DefectOutcome([CellChange(task.table.loaded_at, task.rows, loads, "late")])


def later_than_children(tables: Any, schema: Schema, table: Table, rate: Any) -> ir.Table:
    """Return the rows that were loaded over `least_hours` after the first of their children.

    Children that happened before their parent do not count: they are orphans.
    """
    import ibis

    rows, name = tables[table.name], table.primary_key[0]
    since = own_time(rows, table)
    # A row that came twice came when it came first.
    aggregated = {"load_": rows[table.loaded_at].min()}
    if since is not None:
        aggregated["since_"] = since.min()
    parents = rows.group_by(key_=rows[name]).agg(**aggregated)
    hours = ibis.interval(hours=int(rate.options.get("least_hours", LEAST_HOURS)))
    late: Any = None
    for child in schema.children(table.name):
        own, at = tables[child.name], own_time(tables[child.name], child)
        for key in child.foreign_keys:
            if key.to != table.name or key.to_columns != (name,) or not child.loaded_at:
                continue
            shown = {"key_": own[key.columns[0]], "child_load_": own[child.loaded_at]}
            timed = since is not None and at is not None
            if timed:
                shown["at_"] = at
            pairs = parents.join(own.select(**shown), "key_")
            found = pairs.filter(pairs["child_load_"] + hours < pairs["load_"])
            if timed:
                found = found.filter(found["at_"] >= found["since_"])
            found = found.select("key_")
            late = found if late is None else late.union(found)
    if late is None:
        return rows.limit(0)
    return rows.filter(rows[name].isin(late.distinct()["key_"]))

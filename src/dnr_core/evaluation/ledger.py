"""Room: evaluation. Counts of broken rows: those that health measured beside those in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnr_core.catalogue import Catalogue
from dnr_core.errors import InputError
from dnr_core.evaluation.runs import Company
from dnr_core.model import Archetype, HealthResult, Table
from dnr_core.warehouse.truth import LEDGER

_COMPARED: Final = ("key_null", "fk_failure", "fk_missing", "fk_temporal", "duplicate")
_COLUMNS: Final = ["table", "part", "row", "column", "kind", "subkind"]


def compared_counts(
    health: HealthResult, archetype: Archetype, company: Company
) -> list[dict[str, Any]]:
    """Return, by fact table, column and metric, the rows that health and the ledger count.

    A row whose event time lies in a parent that its broken key does not reach is on the day on
    which it was loaded; where that is after the as-of, health leaves it out, and so does this.

    Raises:
        InputError: the ledger is missing or damaged.
    """
    path = company.meta / LEDGER
    try:
        ledger = pq.read_table(path, columns=_COLUMNS)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    late: dict[str, set[tuple[int, int]]] = {
        table.name: _loaded_after(company.warehouse, table, health.as_of)
        for table in archetype.schema.facts
        if table.event_time and table.event_time.through and table.loaded_at
    }
    told = _told(_without(ledger, late, archetype), company.catalogue)
    facts = {table.name for table in archetype.schema.facts}
    found: list[dict[str, Any]] = []
    for row in health.totals.to_pylist():
        table, column, metric = row["table"], row["column"], row["metric"]
        if row["scope"] != "history" or metric not in _COMPARED or table not in facts:
            continue
        # Broken keys are counted by table: a composite key is broken in one of its columns.
        if column and metric != "key_null":
            continue
        found.append(
            {
                "table": table,
                "column": column,
                "metric": metric,
                "measured": row["numerator"],
                "ledger": told.get((table, column, metric), 0),
                "rows": row["denominator"],
            }
        )
    return found


def _loaded_after(warehouse: Path, table: Table, as_of: datetime) -> set[tuple[int, int]]:
    """Return part and row of the rows that were loaded at the as-of or later."""
    end = as_of.astimezone(UTC).replace(tzinfo=None)
    found: set[tuple[int, int]] = set()
    for path in sorted((warehouse / table.name).glob("part-*.parquet")):
        part = int(path.stem.removeprefix("part-"))
        loads = pq.read_table(path, columns=[table.loaded_at])[table.loaded_at]
        after = pc.greater_equal(loads.cast(pa.timestamp("us")), pa.scalar(end, pa.timestamp("us")))
        places = pc.indices_nonzero(pc.fill_null(after, False)).to_pylist()
        found |= {(part, place) for place in places}
    return found


def _without(
    ledger: pa.Table, late: Mapping[str, set[tuple[int, int]]], archetype: Archetype
) -> pa.Table:
    """Return the ledger without the rows of a broken way to their event time that came too late."""
    keep = [True] * ledger.num_rows
    for name, rows in late.items():
        if not rows:
            continue
        table = next(table for table in archetype.schema.facts if table.name == name)
        through = table.event_time.through if table.event_time else None
        keys = {c for key in table.foreign_keys if key.to == through for c in key.columns}
        for place in pc.indices_nonzero(pc.equal(ledger["table"], name)).to_pylist():
            at = (ledger["part"][place].as_py(), ledger["row"][place].as_py())
            if at not in rows or ledger["column"][place].as_py() not in keys:
                continue
            # A key of another, later parent still leads to a parent, and to its time.
            keep[place] = ledger["subkind"][place].as_py() == "temporal"
    return ledger.filter(pa.array(keep, pa.bool_()))


def _told(ledger: pa.Table, catalogue: Catalogue) -> dict[tuple[str, str, str], int]:
    """Count different rows of the ledger by table, column ("" for all) and metric."""
    metrics = {name: kind.metric for name, kind in catalogue.defect_kinds.items()}
    kinds = ledger["kind"].combine_chunks().dictionary_encode()
    by_code = pa.array([metrics.get(name) for name in kinds.dictionary.to_pylist()], pa.string())
    ledger = ledger.append_column("metric", by_code.take(kinds.indices))
    broken_keys = ledger.filter(pc.equal(ledger["metric"], "fk_failure"))
    counts: dict[tuple[str, str, str], int] = {}
    for row in _different_rows(ledger, "table", "metric"):
        counts[row["table"], "", row["metric"] or ""] = row["count_all"]
    for row in _different_rows(ledger, "table", "metric", "column"):
        if row["column"]:
            counts[row["table"], row["column"], row["metric"] or ""] = row["count_all"]
    for row in _different_rows(broken_keys, "table", "subkind"):
        counts[row["table"], "", f"fk_{row['subkind']}"] = row["count_all"]
    return counts


def _different_rows(ledger: pa.Table, *names: str) -> list[dict[str, Any]]:
    each = ledger.group_by([*names, "part", "row"]).aggregate([])
    counted: list[dict[str, Any]] = (
        each.group_by(list(names)).aggregate([([], "count_all")]).to_pylist()
    )
    return counted

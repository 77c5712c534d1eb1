"""Room: warehouse. How many rows a local day has, by SQL on the finished files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import numpy as np

from dnr_core.errors import InputError, first_line
from dnr_core.model import Schema, Table
from dnr_core.warehouse.calendar import History
from dnr_core.warehouse.incidents import company_of
from dnr_core.warehouse.measure import event_sql, opened, quoted
from dnr_core.workspace import Manifest

_SLOT_SECONDS: Final = 900
"""Every zone's days begin at a quarter of an hour."""
_DAY_SECONDS: Final = 86_400


def rows_by_day(folder: Path, manifest: Manifest, schema: Schema) -> dict[str, tuple[int, ...]]:
    """Return the rows of each local day of the history, by table that has a time of its own.

    A row belongs to the day on which it happened, copies included; a snapshot's row to its day.
    Rows whose event is not known (an order item without its order) belong to none.

    Raises:
        InputError: a file is damaged.
    """
    history = History.of(company_of(manifest))
    files: dict[str, list[Path]] = {}
    for relative in sorted(manifest.files):
        files.setdefault(relative.split("/", 1)[0], []).append(folder / relative)
    wanted = [
        table
        for table in schema.tables
        if table.name in files and (table.kind == "fact" or table.snapshot_day)
    ]
    with TemporaryDirectory() as scratch:
        try:
            with opened(files, Path(scratch), threads=2) as connection:
                return {
                    table.name: tuple(_counted(connection, schema, table, history))
                    for table in wanted
                    if table.snapshot_day or table.event_time
                }
        except duckdb.Error as error:
            raise InputError(
                f"cannot read {folder}: {first_line(error)}",
                hint="generate the warehouse again",
            ) from None


def _counted(
    connection: duckdb.DuckDBPyConnection, schema: Schema, table: Table, history: History
) -> Sequence[int]:
    starts = np.array(
        [int(history.instant(day).timestamp()) for day in range(history.days + 1)], dtype=np.int64
    )
    if table.snapshot_day:
        first = (history.first.toordinal() - 719_163) * _DAY_SECONDS
        sql = (
            f"SELECT epoch({quoted(table.snapshot_day)})::BIGINT AS slot, count(*) AS n "  # noqa: S608
            f"FROM {quoted(table.name)} GROUP BY 1"
        )
        starts = first + np.arange(history.days + 1, dtype=np.int64) * _DAY_SECONDS
    else:
        event, join = event_sql(schema, table)
        sql = (
            f"SELECT epoch_us({event}) // {_SLOT_SECONDS}000000 * {_SLOT_SECONDS} AS slot, "  # noqa: S608
            f"count(*) AS n FROM {quoted(table.name)} t {join} GROUP BY 1 HAVING slot IS NOT NULL"
        )
    found: Mapping[str, np.ndarray] = connection.execute(sql).fetchnumpy()
    day = np.searchsorted(starts, np.asarray(found["slot"], dtype=np.int64), side="right") - 1
    counts = np.zeros(history.days, dtype=np.int64)
    inside = (day >= 0) & (day < history.days)
    np.add.at(counts, day[inside], np.asarray(found["n"], dtype=np.int64)[inside])
    return [int(count) for count in counts]

"""Room: warehouse. The ledger of a chunk as it is written, and its Arrow schema."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import define, field

from dnr_core.model import Table
from dnr_core.synth.draw import Flags, Indices
from dnr_core.warehouse.arrow import CODED

LEDGER_SCHEMA: Final = pa.schema(
    [
        ("table", CODED),
        ("part", pa.int32()),
        ("row", pa.int64()),
        ("business_key", pa.string()),
        ("column", CODED),
        ("kind", CODED),
        ("subkind", CODED),
        ("incident_id", CODED),
        ("original", pa.string()),
    ]
)
"""One row a broken cell, or a copied row (`column` "" and `original` null). What is the same in
many rows is codes on its way to the file, and text there.

`part` and `row` (from 0) find the row in `<table>/part-<part>.parquet`; `business_key` is the clean
one, its columns joined by "|"; `original` is the clean value as text, null where it was null.

A row that is missing has `column` "*" and the whole clean row in `original`, as a JSON object of
texts by column; its `row` is its place in the repaired part, since the broken one has none for it.
"""

WHOLE_ROW: Final = "*"
"""The ledger's `column` of a row that is missing."""

INCIDENTS_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("table", pa.string()),
        ("columns", pa.list_(pa.string())),
        ("start", pa.timestamp("us")),
        ("end", pa.timestamp("us")),
        ("size", pa.float64()),
    ]
)


def as_text(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return values as text that casts back to exactly them."""
    text = pc.cast(values, pa.string())
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def business_keys(table: Table, clean: pa.Table, rows: Indices) -> pa.Array:
    """Return the clean business keys of rows as text; null where the table has none."""
    if not table.business_key:
        return pa.nulls(len(rows), pa.string())
    parts = [as_text(pc.take(clean.column(name), pa.array(rows))) for name in table.business_key]
    if len(parts) == 1:
        return parts[0]
    return pc.binary_join_element_wise(*parts, "|", null_handling="replace", null_replacement="")


@define
class Tally:
    """Collects a chunk's ledger rows. `clean_rows` find the clean row of each finished `rows`."""

    table: Table
    clean: pa.Table
    _pieces: list[pa.Table] = field(factory=list)

    def note(
        self,
        *,
        rows: Indices,
        clean_rows: Indices,
        column: str,
        kind: str,
        subkind: str,
        incident_id: str | None,
        original: pa.Array | None,
    ) -> None:
        """Note one defect a row. `part` is filled in when the part is written."""
        count = len(rows)
        if not count:
            return
        text = pa.nulls(count, pa.string()) if original is None else as_text(original)
        self._pieces.append(
            pa.Table.from_arrays(
                [
                    _all(self.table.name, count),
                    pa.repeat(pa.scalar(0, pa.int32()), count),
                    pa.array(np.asarray(rows, dtype=np.int64)),
                    business_keys(self.table, self.clean, clean_rows),
                    _all(column, count),
                    _all(kind, count),
                    _all(subkind, count),
                    pa.nulls(count, CODED) if incident_id is None else _all(incident_id, count),
                    text,
                ],
                schema=LEDGER_SCHEMA,
            )
        )

    def ledger(self, present: Flags | None = None) -> pa.Table:
        """Return what was noted, with rows as they stand once those that are not `present` are gone."""
        if not self._pieces:
            return LEDGER_SCHEMA.empty_table()
        noted = pa.concat_tables(self._pieces)
        if present is None or present.all():
            return noted
        rows = noted.column("row").to_numpy()
        lost = len(present) - int(np.count_nonzero(present))
        stands = np.cumsum(present) - 1
        moved = np.where(
            rows < len(present), stands[np.minimum(rows, len(present) - 1)], rows - lost
        )
        gone = pc.equal(noted.column("column"), WHOLE_ROW).to_numpy()
        return noted.set_column(2, "row", pa.array(np.where(gone, rows, moved)))


def _all(text: str, count: int) -> pa.DictionaryArray:
    """Return a column that says the same in each row."""
    return pa.DictionaryArray.from_arrays(np.zeros(count, dtype=np.int32), [text])


def whole_rows(clean: pa.Table, rows: Indices) -> pa.Array:
    """Return rows as JSON objects of texts by column, null where the value is null."""
    taken = clean.take(pa.array(rows))
    names = taken.column_names
    texts = [as_text(taken.column(name)).to_pylist() for name in names]
    return pa.array(
        [
            json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False)
            for values in zip(*texts, strict=True)
        ],
        pa.string(),
    )


def rows_from(originals: pa.Array | pa.ChunkedArray, schema: pa.Schema) -> pa.Table:
    """Return the rows that `whole_rows` told, in the types of a schema."""
    told = [json.loads(text) for text in originals.to_pylist()]
    return pa.Table.from_arrays(
        [
            pc.cast(pa.array([row[field.name] for row in told], pa.string()), field.type)
            for field in schema
        ],
        schema=schema,
    )

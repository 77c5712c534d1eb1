"""Room: warehouse. The ledger of a chunk as it is written, and its Arrow schema."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import define, field, frozen

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


@frozen
class Note:
    """One defect a row: where it lies among the finished and the clean rows, and what was there."""

    rows: Indices
    clean_rows: Indices
    column: str
    kind: str
    subkind: str
    incident_id: str | None
    original: pa.Array | None


@define
class Tally:
    """Collects a chunk's ledger rows. `clean_rows` find the clean row of each finished `rows`.

    They become a table only in the end, all at once and in their order: many small tables, and
    sorting their texts, would take as long as breaking the rows.
    """

    table: Table
    clean: pa.Table
    notes: list[Note] = field(factory=list)

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
        """Note one defect a row."""
        if len(rows):
            note = Note(rows, clean_rows, column, kind, subkind, incident_id, original)
            self.notes.append(note)

    @property
    def lacks_rows(self) -> bool:
        """Whether rows are missing."""
        return any(note.column == WHOLE_ROW for note in self.notes)

    def dated(self) -> dict[str, int]:
        """Return how many ledger rows each kind has through its incidents."""
        counts: dict[str, int] = {}
        for note in self.notes:
            if note.incident_id is not None:
                counts[note.kind] = counts.get(note.kind, 0) + len(note.rows)
        return counts

    def ledger(
        self, present: Flags | None, *, part: int, rows_before: int, clean_rows_before: int
    ) -> pa.RecordBatch:
        """Return what was noted, in the order of rows, then kinds, then notes.

        Rows are those of the part, before whose chunk others lie. A row that is missing has its
        place among the clean rows, others among the finished ones, which are `present`.
        """
        counts = [len(note.rows) for note in self.notes]
        rows = _joined([note.rows for note in self.notes])
        gone = np.repeat([note.column == WHOLE_ROW for note in self.notes], counts).astype(np.bool_)
        if present is not None and not present.all():
            lost = len(present) - int(np.count_nonzero(present))
            stands = np.cumsum(present) - 1
            moved = np.where(
                rows < len(present), stands[np.minimum(rows, len(present) - 1)], rows - lost
            )
            rows = np.where(gone, rows, moved)
        rows = rows + np.where(gone, clean_rows_before, rows_before)
        ranks = {kind: at for at, kind in enumerate(sorted({note.kind for note in self.notes}))}
        order = _in_order(rows, np.repeat([ranks[note.kind] for note in self.notes], counts))
        clean_rows = _joined([note.clean_rows for note in self.notes])[order]

        def coded(texts: list[str | None]) -> pa.DictionaryArray:
            known = {text: None for text in texts if text is not None}
            codes = {text: code for code, text in enumerate(known)}
            numbers = [-1 if text is None else codes[text] for text in texts]
            each = np.repeat(np.array(numbers, dtype=np.int32), counts)[order]
            indices = pa.array(each, mask=each < 0) if None in texts else pa.array(each)
            return pa.DictionaryArray.from_arrays(indices, pa.array(list(known), pa.string()))

        originals = [
            pa.nulls(count, pa.string()) if note.original is None else as_text(note.original)
            for note, count in zip(self.notes, counts, strict=True)
        ]
        return pa.RecordBatch.from_arrays(
            [
                coded([self.table.name] * len(counts)),
                pa.repeat(pa.scalar(part, pa.int32()), len(rows)),
                pa.array(rows[order], pa.int64()),
                business_keys(self.table, self.clean, clean_rows),
                coded([note.column for note in self.notes]),
                coded([note.kind for note in self.notes]),
                coded([note.subkind for note in self.notes]),
                coded([note.incident_id for note in self.notes]),
                pc.take(pa.concat_arrays(originals), pa.array(order)),
            ],
            schema=LEDGER_SCHEMA,
        )


def _joined(pieces: list[Indices]) -> Indices:
    return np.concatenate(pieces).astype(np.int64, copy=False)


def _in_order(rows: Indices, ranks: Indices) -> Indices:
    """Return the order by row, then by rank, then as they come."""
    place_bits, rank_bits = len(rows).bit_length(), int(ranks.max(initial=0)).bit_length()
    if int(rows.max(initial=0)).bit_length() + rank_bits + place_bits > 62:
        return np.lexsort((ranks, rows))
    # One number a row sorts many times as fast as an order is found.
    packed = ((rows << rank_bits) + ranks << place_bits) + np.arange(len(rows))
    packed.sort()
    order: Indices = packed & ((1 << place_bits) - 1)
    return order


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

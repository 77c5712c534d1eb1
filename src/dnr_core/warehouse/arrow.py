"""Room: warehouse. How the model's column types lie in Arrow and Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import frozen

from dnr_core.model import Column, Table
from dnr_core.synth import ARROW_TYPES
from dnr_core.workspace import whole_file

WIDTH_BYTES: Final[dict[str, int]] = {
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "float64": 8,
    "decimal": 16,
    "string": 8,
    "bool": 1,
    "timestamp": 8,
    "date": 4,
}

CODED: Final = pa.dictionary(pa.int32(), pa.string())
"""A category on its way to a file: a code a row, and the texts once."""


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema in which a table is read back."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def is_category(column: Column) -> bool:
    """Return whether a column is one of few texts that the schema lists."""
    return column.type == "string" and bool(column.values)


@lru_cache(maxsize=256)
def _listed(values: tuple[str, ...]) -> pa.Array:
    return pa.array(values, pa.string())


def as_declared(column: Column, values: pa.ChunkedArray | pa.Array) -> Any:
    """Return values in the declared type, where only their wrapping differs; else None.

    Categories stay codes where their dictionary is the one that the schema lists; other
    dictionaries are unpacked. Instants in UTC lose their zone.
    """
    wanted = ARROW_TYPES.get(column.type)
    if wanted is None:
        return None
    if values.type == wanted:
        return values
    if pa.types.is_dictionary(values.type) and values.type.value_type == wanted:
        return values if is_coded(column, values) else pc.cast(values, wanted)
    if (
        pa.types.is_timestamp(values.type)
        and pa.types.is_timestamp(wanted)
        and values.type.tz in {"UTC", "Etc/UTC", "+00:00"}
        and values.type.unit == "us"
    ):
        return values.cast(pa.int64()).cast(wanted)
    if pa.types.is_large_string(values.type) and pa.types.is_string(wanted):
        return pc.cast(values, wanted)
    return None


def is_coded(column: Column, values: pa.ChunkedArray | pa.Array) -> bool:
    """Return whether values are codes beside exactly the texts that the schema lists."""
    if values.type != CODED or not is_category(column):
        return False
    pieces = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    return all(piece.dictionary.equals(_listed(column.values)) for piece in pieces)


def plain(rows: pa.Table) -> pa.Table:
    """Return rows with categories as text, as everybody but the writer takes them."""
    for index, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            text = rows.column(index).cast(field.type.value_type)
            rows = rows.set_column(index, field.with_type(field.type.value_type), text)
    return rows


def _coded(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a category as codes: of the listed texts, then of others in order of appearance.

    The result depends on nothing but the values, so that a column gives the same bytes
    whether it came as text or as codes.
    """
    if is_coded(column, values):
        return values
    text, listed = values.cast(pa.string()), _listed(column.values)
    codes = pc.index_in(text, value_set=listed)
    if codes.null_count > text.null_count:
        seen = pc.drop_null(pc.unique(text))
        others = seen.filter(pc.invert(pc.is_in(seen, value_set=listed)))
        listed = pa.concat_arrays([listed, others])
        codes = pc.index_in(text, value_set=listed)
    whole = codes.combine_chunks() if codes.num_chunks != 1 else codes.chunk(0)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(whole, listed)])


def write_options(table: Table) -> dict[str, Any]:
    """Return the Parquet options of a table: small, and quick to skip through.

    64-bit integers and instants are delta encoded (sorted ones take next to nothing), strings and
    shorter integers, which hold few different values, by dictionary; everything is compressed by
    zstd.
    """
    by_dictionary = [c.name for c in table.columns if c.type in {"string", "int32", "int16"}]
    by_delta = [c.name for c in table.columns if c.type in {"int64", "timestamp", "date"}]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": by_dictionary or False,
        "column_encoding": dict.fromkeys(by_delta, "DELTA_BINARY_PACKED") or None,
        "store_schema": False,
        "version": "2.6",
        "data_page_version": "1.0",
        "write_statistics": True,
    }


@contextmanager
def parquet_file(path: Path, schema: pa.Schema, **options: Any) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file so that it appears whole or not at all."""
    with whole_file(path) as handle:
        writer = pq.ParquetWriter(handle, schema, **options)
        try:
            yield writer
            writer.close()
        finally:
            # One whose footer could not be written would try again when it is collected.
            writer.is_open = False


@frozen
class TableFile:
    """A table's part file, open for row groups."""

    table: Table
    writer: pq.ParquetWriter

    def write_group(self, rows: pa.Table) -> None:
        """Write rows as one row group. Its bytes depend on their values and pieces alone."""
        if not rows.num_rows:
            return
        columns = [
            _coded(column, values) if is_category(column) else values
            for column, values in zip(self.table.columns, rows.columns, strict=True)
        ]
        whole = pa.Table.from_arrays(columns, schema=self.writer.schema)
        self.writer.write_table(whole, row_group_size=whole.num_rows)


@contextmanager
def table_file(path: Path, table: Table) -> Iterator[TableFile]:
    """Write a table's part file, with the table's types and options, whole or not at all."""
    schema = pa.schema(
        [(c.name, CODED if is_category(c) else ARROW_TYPES[c.type]) for c in table.columns]
    )
    with parquet_file(path, schema, **write_options(table)) as writer:
        yield TableFile(table, writer)

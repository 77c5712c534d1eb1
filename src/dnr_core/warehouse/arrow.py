"""Room: warehouse. How the model's column types lie in Arrow and Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

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


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema in which a table is written."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def as_declared(column: Column, values: pa.ChunkedArray | pa.Array) -> Any:
    """Return values in the declared type, where only their wrapping differs; else None.

    Dictionaries are unpacked, and instants in UTC lose their zone.
    """
    wanted = ARROW_TYPES.get(column.type)
    if wanted is None:
        return None
    if values.type == wanted:
        return values
    if pa.types.is_dictionary(values.type) and values.type.value_type == wanted:
        return pc.cast(values, wanted)
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


def write_options(table: Table) -> dict[str, Any]:
    """Return the Parquet options of a table: small, and quick to skip through.

    Integers and instants are delta encoded (sorted ones take next to nothing), strings and
    16-bit codes by dictionary, everything compressed by zstd.
    """
    by_dictionary = [c.name for c in table.columns if c.type in {"string", "int16"}]
    by_delta = [c.name for c in table.columns if c.type in {"int64", "int32", "timestamp", "date"}]
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


def table_file(path: Path, table: Table) -> Any:
    """Write a table's part file: `parquet_file` with the table's schema and options."""
    return parquet_file(path, arrow_schema(table), **write_options(table))

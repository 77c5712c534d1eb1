"""Room: comms. Rows of values as Arrow tables; times are microseconds since 1970 in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dnr_core.comms.tables import TABLES

_ROWS_OF_A_GROUP: Final = 50_000


def table_of(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table of that schema."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [
        pa.array(values, type=pa.int64()).cast(field.type)
        if pa.types.is_timestamp(field.type)
        else pa.array(values, type=field.type)
        for values, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


class ParquetInMemory:
    """A table of talk as Parquet, grown part by part and held compressed until all could be read."""

    def __init__(self, name: str) -> None:
        self.rows = 0
        self._schema = TABLES[name]
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._waiting: list[pa.Table] = []

    def add(self, part: pa.Table) -> None:
        """Put rows below those that are there. Small parts are written together."""
        self.rows += part.num_rows
        self._waiting.append(part)
        if sum(each.num_rows for each in self._waiting) >= _ROWS_OF_A_GROUP:
            self._write()

    def content(self) -> bytes:
        """Return the bytes of the file. Nothing can be added after that."""
        self._write()
        self._writer.close()
        return bytes(memoryview(self._sink.getvalue()))

    def _write(self) -> None:
        self._writer.write_table(pa.concat_tables([self._schema.empty_table(), *self._waiting]))
        self._waiting = []

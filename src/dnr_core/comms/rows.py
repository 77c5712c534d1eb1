"""Room: comms. Rows of values as Arrow tables; times are microseconds since 1970 in UTC."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from dnr_core.comms.tables import TABLES
from dnr_core.workspace import disk_errors, whole_file

_ROWS_OF_A_GROUP: Final = 50_000
_BLOCK_BYTES: Final = 1 << 20


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


class GrowingParquet:
    """A table of talk as Parquet, grown part by part beside the folder until all could be read.

    Args:
        name: of the table.
        folder: where the file lies meanwhile; it has no name and goes with the process.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.rows = 0
        self._folder = folder
        self._schema = TABLES[name]
        self._waiting: list[pa.Table] = []
        with disk_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  see `__exit__`
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()

    def add(self, part: pa.Table) -> None:
        """Put rows below those that are there. Small parts are written together."""
        self.rows += part.num_rows
        self._waiting.append(part)
        if sum(each.num_rows for each in self._waiting) >= _ROWS_OF_A_GROUP:
            self._write()

    def move_to(self, path: Path) -> str:
        """Write the whole file to `path` and return its SHA-256. Nothing can be added after that."""
        self._write()
        with disk_errors(self._folder):
            self._writer.close()
            self._file.seek(0)
        found = hashlib.sha256()
        with whole_file(path) as handle:
            while block := self._file.read(_BLOCK_BYTES):
                found.update(block)
                handle.write(block)
        return found.hexdigest()

    def _write(self) -> None:
        with disk_errors(self._folder):
            self._writer.write_table(pa.concat_tables([self._schema.empty_table(), *self._waiting]))
        self._waiting = []

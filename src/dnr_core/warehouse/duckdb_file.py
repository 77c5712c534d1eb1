"""Room: warehouse. A DuckDB file of a finished warehouse, for those who want one file."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from dnr_core.errors import FolderError, InternalError
from dnr_core.model import Archetype
from dnr_core.warehouse.measure import quoted
from dnr_core.workspace import disk_errors, read_manifest


def duckdb_path(folder: Path, archetype: str) -> Path:
    """Return where a warehouse's DuckDB file lies."""
    return folder / f"{archetype}.duckdb"


def write_duckdb(archetype: Archetype, folder: Path, threads: int) -> Path:
    """Write a finished warehouse's tables into a DuckDB file in its folder, whole or not at all.

    Tables, not views: a view holds paths, which end where the folder is moved. The file is in no
    manifest, because DuckDB does not write the same bytes twice.

    Raises:
        FolderError: the disk is full or the folder read-only.
    """
    target = duckdb_path(folder, archetype.name)
    temporary = folder / f".{target.name}.{os.getpid()}.tmp"
    files = read_manifest(folder).files
    with disk_errors(folder):
        try:
            temporary.unlink(missing_ok=True)
            with duckdb.connect(str(temporary), config={"threads": threads}) as connection:
                connection.execute("SET enable_progress_bar = false")
                for name in archetype.schema.names:
                    parts = [str(folder / f) for f in sorted(files) if f.startswith(f"{name}/")]
                    connection.read_parquet(parts).create(quoted(name))
            temporary.replace(target)
        except duckdb.IOException as error:
            raise FolderError(
                f"could not write {target}: {error}", hint="free some space and run it again"
            ) from error
        except duckdb.Error as error:
            raise InternalError(f"could not write {target}: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)
            temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)
    return target

"""Room: health. A folder of Parquet files as a warehouse: on DuckDB, or on another engine by its URL."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

import ibis

from dnr_core.errors import InputError, UnfinishedError, WarehouseError, first_line, let_through
from dnr_core.workspace import MANIFEST, Manifest, read_manifest

MEMORY_LIMIT: Final = "1GB"
"""What DuckDB may hold before it spills to the temporary folder."""
_PARQUET_MAGIC: Final = b"PAR1"
Files = Mapping[str, tuple[str, ...]]
"""Paths of Parquet files by table."""


def manifest_of(folder: Path, *, made: bool) -> Manifest | None:
    """Return the manifest of a folder; None where dnr did not make it.

    Raises:
        InputError: it holds something else than a warehouse.
        UnfinishedError: `made` is true, and there is no manifest.
    """
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        if manifest.kind != "warehouse":
            raise InputError(
                f"{folder} holds a {manifest.kind}, not a warehouse",
                hint="give the folder that gen-warehouse wrote",
            )
        return manifest
    if made:
        raise UnfinishedError(
            f"{folder} has no {MANIFEST}: what made it did not finish, or it is not a folder of dnr",
            hint="run gen-warehouse again, or describe your own Parquet files in a schema file",
        )
    return None


DUCKDB_SESSION: Final = "SET TimeZone = 'UTC'; SET enable_progress_bar = false"
"""What is set once a connection of dnr is open: DuckDB would draw a bar of its own over ours."""


def duckdb_settings() -> dict[str, Any]:
    """What every DuckDB connection of dnr is opened with."""
    return {
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(Path(gettempdir()) / f"dnr-spill-{os.getpid()}"),
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
    }


def connect_folder(engine: str, folder: Path, files: Files) -> Any:
    """Return a connection of an engine on which each table of the folder can be read.

    Raises:
        InputError: a file cannot be read.
        ImportError: the engine is not installed.
    """
    connection, read = ENGINES[engine]()
    for table, paths in files.items():
        try:
            read(connection, table, paths)
        except Exception as error:  # noqa: BLE001 - each engine raises its own
            let_through(error)
            raise InputError(
                f"cannot read table {table!r} of {folder}: {first_line(error)}",
                hint="make the folder again, or replace the damaged file",
            ) from None
    return connection


Reader = Callable[[Any, str, tuple[str, ...]], None]


def _duckdb() -> tuple[Any, Reader]:
    connection = ibis.duckdb.connect(**duckdb_settings())
    connection.raw_sql(DUCKDB_SESSION)

    def read(connection: Any, table: str, paths: tuple[str, ...]) -> None:
        connection.read_parquet(list(paths), table_name=table, union_by_name=True)

    return connection, read


def _polars() -> tuple[Any, Reader]:
    import polars as pl

    def read(connection: Any, table: str, paths: tuple[str, ...]) -> None:
        # Ibis reads several files by way of pyarrow, which does not push filters down.
        frame = pl.scan_parquet(list(paths), missing_columns="insert", extra_columns="ignore")
        frame.collect_schema()
        connection.create_table(table, frame)

    return ibis.polars.connect(), read


def _datafusion() -> tuple[Any, Reader]:
    def read(connection: Any, table: str, paths: tuple[str, ...]) -> None:
        import pyarrow.dataset

        if len(paths) == 1:
            connection.con.register_parquet(table, paths[0])
        else:
            connection.con.register_dataset(table, pyarrow.dataset.dataset(list(paths)))

    return ibis.datafusion.connect(), read


def _spark() -> tuple[Any, Reader]:
    def read(connection: Any, table: str, paths: tuple[str, ...]) -> None:
        frame = connection._session.read.option("mergeSchema", "true").parquet(*paths)
        frame.createOrReplaceTempView(table)

    return spark_connection(), read


def spark_connection(master: str | None = None, database: str | None = None) -> Any:
    """Return a connection on Spark; `stop_spark` ends what this started.

    Where a session runs already, a new one is made beside it: its views and settings are its own.
    """
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    with warnings.catch_warnings():
        # Of the newest pandas, which Spark does not support and dnr does not use.
        warnings.simplefilter("ignore")
        if running is None:
            builder = SparkSession.builder.appName("dnr")
            session = (builder.master(master) if master else builder).getOrCreate()
        else:
            session = running.newSession()
        connection = ibis.pyspark.connect(session)
    connection.dnr_started = running is None
    if database:
        session.catalog.setCurrentDatabase(database)
    return connection


def stop_spark(connection: Any) -> None:
    """Stop the Spark that `spark_connection` started; one that ran before goes on."""
    if getattr(connection, "dnr_started", False):
        connection.disconnect()


ENGINES: Final[Mapping[str, Callable[[], tuple[Any, Reader]]]] = {
    "duckdb": _duckdb,
    "polars": _polars,
    "datafusion": _datafusion,
    "pyspark": _spark,
}
"""Engines that read a folder of Parquet files, by their Ibis names."""


def parquet_files(folder: Path, manifest: Manifest | None) -> dict[str, tuple[str, ...]]:
    """Return the folder's Parquet files by table: one file a table, or a folder of them.

    Raises:
        InputError: a file is cut off, or one that the manifest names is missing.
        WarehouseError: there are none.
    """
    found: dict[str, tuple[str, ...]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            parts = tuple(str(p) for p in sorted(entry.rglob("*.parquet")) if p.is_file())
            if parts:
                found[entry.name] = parts
        elif entry.suffix == ".parquet":
            found[entry.stem] = (str(entry),)
    if manifest:
        for relative in sorted(manifest.files):
            if not (folder / relative).is_file():
                raise InputError(
                    f"{folder} lacks {relative}, which its manifest names",
                    hint="run gen-warehouse again; it makes what is missing",
                )
    elif not found:
        raise WarehouseError(
            f"{folder} holds no Parquet files",
            hint="one folder of *.parquet files a table, or one file a table, is expected",
        )
    for paths in found.values():
        for path in paths:
            _check_whole(Path(path))
    return found


def _check_whole(path: Path) -> None:
    """Refuse a file that does not begin and end as Parquet does: it was cut off."""
    try:
        with path.open("rb") as handle:
            start = handle.read(4)
            handle.seek(-min(4, path.stat().st_size), os.SEEK_END)
            end = handle.read(4)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    if start != _PARQUET_MAGIC or end != _PARQUET_MAGIC:
        raise InputError(
            f"{path} is cut off or no Parquet file",
            hint="make the folder again, or replace the damaged file",
        )

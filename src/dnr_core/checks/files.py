"""Room: checks. A view a file over a company's folders, in DuckDB, read-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnr_core.errors import InputError, first_line
from dnr_core.model import Schema
from dnr_core.workspace import Manifest

if TYPE_CHECKING:
    import duckdb

Sql = Callable[..., list[dict[str, Any]]]


@contextmanager
def opened(
    schema: Schema, folders: Mapping[str, Path | None], manifests: Mapping[str, Manifest]
) -> Iterator[Sql]:
    """Yield `sql(query, **parameters) -> rows as dicts` over all Parquet files of the folders.

    Tables of the warehouse have two more columns: `filename` (the part's name) and
    `file_row_number`, by which the ledger addresses rows.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config={"memory_limit": "1GB", "threads": 2})
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        _views(connection, schema, folders, manifests)

        def sql(query: str, **parameters: Any) -> list[dict[str, Any]]:
            cursor = connection.execute(query, parameters or None)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        yield sql
    finally:
        connection.close()


def _views(
    connection: duckdb.DuckDBPyConnection,
    schema: Schema,
    folders: Mapping[str, Path | None],
    manifests: Mapping[str, Manifest],
) -> None:
    import duckdb

    for name, manifest in manifests.items():
        folder = folders[name]
        if folder is None:
            continue
        listed = sorted(manifest.files)
        if name == "meta":
            # Ledger and labels are written by different commands, each with a manifest of its own.
            listed = sorted(path.name for path in folder.glob("*.parquet"))
        for view, paths in _files_by_view(name, listed, schema).items():
            files = [str(folder / path) for path in paths]
            try:
                # The relational API takes paths as values, so no name is ever pasted into SQL.
                relation = connection.read_parquet(
                    files, filename=name == "warehouse", file_row_number=name == "warehouse"
                )
                relation.create_view(view, replace=True)
            except duckdb.Error as error:
                raise InputError(
                    f"cannot read {view} in {folder}: {first_line(error)}",
                    hint="the files are damaged; make the folder again",
                ) from None


def _files_by_view(kind: str, listed: list[str], schema: Schema) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in listed:
        if not path.endswith(".parquet"):
            continue
        table = path.split("/", 1)[0]
        if kind == "warehouse":
            if table in schema:
                found.setdefault(table, []).append(path)
        else:
            found.setdefault(Path(path).stem, []).append(path)
    return found

"""Room: comms. Reads a folder of talk back, and says what is wrong with one that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from dnr_core.comms.tables import TABLES, empty
from dnr_core.errors import CommsError
from dnr_core.model import CommsTables
from dnr_core.workspace import read_manifest

UNREAD: Final = "unread.json"
KIND: Final = "comms"
_REMAKE: Final = "make it again with `dnr gen-comms` or `dnr import-comms`"
LARGE_BYTES: Final = 256 * 2**20
"""A larger file is not read into memory, but opened: who needs its rows reads them as a stream."""

_OWN_ID: Final = {
    "slack_messages": "message_id",
    "email_messages": "message_id",
    "comms_users": "user_id",
    "nlq": "query_id",
}


def read_comms(folder: Path) -> CommsTables:
    """Read the four tables of a folder that `generate_comms` or `import_comms` finished.

    A missing table of a source is a table of no rows only where the manifest does not list it.
    Where a file is larger than `LARGE_BYTES` and has the very types of its table, it is
    handed on as an Arrow data set, unread.

    Raises:
        UnfinishedError: the folder has no manifest.
        CommsError: a file is missing, truncated, or lacks columns, or has wrong types.
    """
    manifest = read_manifest(folder)
    if manifest.kind != KIND:
        raise CommsError(
            f"{folder} holds a {manifest.kind}, not comms",
            hint="give the folder that `dnr gen-comms` or `dnr import-comms` wrote",
        )
    tables = {
        name: _open_or_read(folder / f"{name}.parquet", name)
        if f"{name}.parquet" in manifest.files
        else empty(name)
        for name in TABLES
    }
    return CommsTables(
        slack=tables["slack_messages"],
        email=tables["email_messages"],
        users=tables["comms_users"],
        nlq=tables["nlq"],
        synthetic=bool(manifest.extra.get("synthetic", False)),
        unread=_read_unread(folder / UNREAD),
    )


def read_table(path: Path, name: str) -> pa.Table:
    """Read one table and hold it to its schema, whatever width or zone its types have.

    Raises:
        CommsError: the file is missing, truncated, or does not fit.
    """
    schema = TABLES[name]
    try:
        found = pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise CommsError(f"{path} is missing", hint=_REMAKE) from None
    except (pa.ArrowException, OSError) as error:
        raise CommsError(
            f"{path} is no Parquet file that can be read: {_first_line(error)}", hint=_REMAKE
        ) from None
    missing = [column for column in schema.names if column not in found.column_names]
    if missing:
        raise CommsError(
            f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"it has {', '.join(found.column_names) or 'none'}",
            hint=f"the columns of {name} are {', '.join(schema.names)}",
        )
    columns = [_cast(found.column(field.name), field, path) for field in schema]
    table = pa.Table.from_arrays(columns, schema=schema)
    own = _OWN_ID[name]
    if table.column(own).null_count:
        raise CommsError(
            f"{path} has {table.column(own).null_count} rows without a {own}", hint=_REMAKE
        )
    return table


def _open_or_read(path: Path, name: str) -> Any:
    if path.is_file() and path.stat().st_size > LARGE_BYTES:
        try:
            found = ds.dataset(path, format="parquet")
        except (pa.ArrowException, OSError):
            # Reading it says what is wrong with it.
            return read_table(path, name)
        if found.schema.equals(TABLES[name]):
            return found
    return read_table(path, name)


def _cast(column: pa.ChunkedArray, field: pa.Field, path: Path) -> pa.ChunkedArray:
    if column.type == field.type:
        return column
    kinds = (_kind(column.type), _kind(field.type))
    if kinds[0] in {kinds[1], "null"}:
        try:
            return column.cast(field.type)
        except (pa.ArrowException, ValueError) as error:
            raise CommsError(
                f"{path}: column {field.name} cannot be read as {field.type}: {_first_line(error)}",
                hint=_REMAKE,
            ) from None
    raise CommsError(
        f"{path}: column {field.name} is {column.type}, and should be {field.type}", hint=_REMAKE
    )


def _kind(kind: pa.DataType) -> str:
    """Return a name that types have in common which differ in width or zone only."""
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _kind(kind.value_type)
        return "list" if inner in {"text", "null"} else f"list of {inner}"
    for name, fits in _KINDS:
        if fits(kind):
            return name
    return str(kind)


_KINDS: Final = (
    ("null", pa.types.is_null),
    ("text", lambda t: pa.types.is_string(t) or pa.types.is_large_string(t)),
    ("time", pa.types.is_timestamp),
    ("number", pa.types.is_integer),
    ("flag", pa.types.is_boolean),
)


def _read_unread(path: Path) -> tuple[dict[str, str], ...]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise CommsError(f"cannot read {path}: {_first_line(error)}", hint=_REMAKE) from None
    return tuple(
        {"where": str(entry.get("where", "")), "why": str(entry.get("why", ""))}
        for entry in content.get("unread", ())
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

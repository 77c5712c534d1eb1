"""Room: testing. What usually breaks a property of a made company: rows lost, keys nulled, texts changed.

Each way changes one Parquet file (or removes one) and corrects its hash in the manifest, as a
faulty generator would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import evolve, frozen

from dnr_core.workspace import MANIFEST, read_manifest, sha256_of, write_manifest

Change = Callable[[pa.Table], pa.Table]

_LATER_PART: Final = re.compile(r"part-\d*[1-9]\d*\.parquet")
LONG: Final = "and so on, and so on, "


@frozen
class Break:
    """One way to break a company: its name, and what it does to the folders."""

    name: str
    apply: Callable[[], None]


def rewrite(folder: Path, relative: str, change: Change) -> None:
    """Change one Parquet file, and its hash in the folder's manifest.

    Args:
        folder: of the warehouse, the messages, the truth or the report.
        relative: the file's path in it.
        change: gets the rows, returns the rows.
    """
    path = folder / relative
    pq.write_table(change(pq.read_table(path)), path)
    rehash(folder, relative)


def rehash(folder: Path, relative: str) -> None:
    """Tell the folder's manifest, where it has one, what a file is now."""
    if not (folder / MANIFEST).exists():
        return
    manifest = read_manifest(folder)
    if relative in manifest.files:
        files = {**manifest.files, relative: sha256_of(folder / relative)}
        write_manifest(folder, evolve(manifest, files=files))


def replaced(rows: pa.Table, column: str, values: Any) -> pa.Table:
    """Return the rows with another column in the place of one, in its type."""
    place = rows.schema.get_field_index(column)
    field = rows.schema.field(place)
    return rows.set_column(place, field, values.cast(field.type))


def usual_breaks(folders: dict[str, Path]) -> Iterator[Break]:
    """Yield ways to break a company whose folders these are: one a file, then another, and so on."""
    files: list[Iterator[Break]] = []
    for name, folder in folders.items():
        # Of a table of many parts the first will do.
        tables = sorted(p for p in folder.rglob("*.parquet") if not _LATER_PART.fullmatch(p.name))
        files += [_of_table(name, folder, path) for path in tables]
        others = sorted(path for path in folder.rglob("*.json") if path.name != MANIFEST)
        files += [_of_json(name, path) for path in others]
    while files:
        going = []
        for file in files:
            way = next(file, None)
            if way is not None:
                yield way
                going.append(file)
        files = going


def _of_table(name: str, folder: Path, path: Path) -> Iterator[Break]:
    relative = path.relative_to(folder).as_posix()
    changes = list(_changes(pq.read_schema(path)))
    for what, change in changes:
        yield Break(f"{name}/{relative}: {what}", _bound(rewrite, folder, relative, change))
    yield Break(f"{name}/{relative}: bytes that the manifest does not know", _bound(_touch, path))


def _of_json(name: str, path: Path) -> Iterator[Break]:
    told = json.loads(path.read_text(encoding="utf-8"))
    for key, value in told.items() if isinstance(told, dict) else ():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Break(f"{name}/{path.name}: {key} grown", _bound(_grow, path, key))


def _grow(path: Path, key: str) -> None:
    told = json.loads(path.read_text(encoding="utf-8"))
    told[key] = told[key] * 1000 + 1000
    path.write_text(json.dumps(told), encoding="utf-8")
    rehash(path.parent, path.name)


def _touch(path: Path) -> None:
    rows = pq.read_table(path)
    pq.write_table(rows, path, compression="none")


def _bound(call: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: call(*arguments)


def _changes(schema: pa.Schema) -> Iterator[tuple[str, Change]]:
    yield "two of three rows lost", lambda t: t.filter(_every(t, 3))
    yield "rows twice", lambda t: pa.concat_tables([t, t.slice(0, 1 + t.num_rows // 3)])
    yield "the first column as text", _as_text
    for field in schema:
        for what, change in _of_column(field):
            yield f"{field.name} {what}", _of(field.name, change)


def _of_column(field: pa.Field) -> Iterator[tuple[str, Callable[[pa.ChunkedArray], Any]]]:
    kind = field.type
    yield "nulled in every third row", lambda v: pc.if_else(_each(v, 3), None, v)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield "the same everywhere", lambda v: pa.array(["kit"] * len(v), v.type)
        yield "made long", lambda v: pc.binary_join_element_wise(v, LONG * 60, " ")
        yield (
            "with an address",
            lambda v: pc.binary_join_element_wise(v, "jane.doe@kit-test.org", " "),
        )
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        yield "times a thousand", lambda v: pc.multiply(v.cast(pa.float64()), 1000.0)
        yield "plus one", lambda v: pc.add(v, pa.scalar(1, v.type))
    elif pa.types.is_timestamp(kind):
        days = pa.scalar(timedelta(days=40), pa.duration(kind.unit))
        yield "forty days later", lambda v: pc.add(v, days)
        yield "spread evenly over the whole time", _spread


def _spread(values: pa.ChunkedArray) -> pa.Array:
    numbers = values.cast(pa.int64())
    ends = pc.min_max(numbers).as_py()
    first, last = ends["min"] or 0, ends["max"] or 0
    step = (last - first) // max(1, len(values) - 1)
    even = pa.array([first + step * place for place in range(len(values))], pa.int64())
    return even.cast(values.type)


def _of(name: str, change: Callable[[pa.ChunkedArray], Any]) -> Change:
    return lambda rows: replaced(rows, name, change(rows.column(name)))


def _as_text(rows: pa.Table) -> pa.Table:
    field = rows.schema.field(0)
    return rows.set_column(0, field.name, rows.column(0).cast(pa.string()))


def _every(rows: pa.Table, step: int) -> pa.Array:
    return pa.array([row % step == 0 for row in range(rows.num_rows)])


def _each(values: pa.ChunkedArray, step: int) -> pa.Array:
    return pa.array([row % step == 0 for row in range(len(values))])

"""Room: warehouse. Undoes every defect by the ledger: the clean company, byte for byte.

Each part is repaired on its own, row group by row group, because both the ledger and the row
groups of a part depend on nothing outside it. Load times are set back to the event; where the
event's time is a parent's, the parent lies in the same part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import evolve, frozen

from dnr_core.errors import InputError, WarehouseError
from dnr_core.model import Archetype, Family, Table, load
from dnr_core.progress import Progress, Silent
from dnr_core.synth.draw import Indices
from dnr_core.warehouse.arrow import arrow_schema, table_file
from dnr_core.warehouse.engines.local import worker_count
from dnr_core.warehouse.generate import KIND, WarehouseFolder, staged
from dnr_core.warehouse.parts import part_path
from dnr_core.warehouse.tally import WHOLE_ROW, rows_from
from dnr_core.warehouse.truth import LEDGER, ROW_GROUPS
from dnr_core.workspace import (
    claim,
    disk_errors,
    held,
    publish,
    read_manifest,
    sha256_of,
)

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

CLEAN: str = "clean"


def repair(
    warehouse: Path,
    meta: Path,
    out: Path,
    catalogue: Catalogue,
    *,
    archetype: Archetype | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> WarehouseFolder:
    """Write the clean company of a made warehouse to `out`, which has no defect and no lag.

    Its part files are byte for byte those that the profile `clean` gives with the same settings.

    Args:
        warehouse: folder of the broken company.
        meta: folder of its ledger.
        out: folder for the clean one.
        catalogue: where the archetype is found by the manifest's name.
        archetype: the archetype, where it is in no catalogue.
        workers: threads; 0 is one for each core.
        progress: told of parts as they are finished.

    Raises:
        InputError: a folder is unfinished or not what it should be, or the ledger is not this
            warehouse's.
    """
    progress = progress or Silent()
    manifest = read_manifest(warehouse)
    if manifest.kind != KIND or manifest.extra.get("dry_run"):
        raise InputError(f"{warehouse} holds no made warehouse")
    truth = read_manifest(meta)
    mark = truth.extra.get(KIND, {}).get("fingerprint")
    if mark != manifest.extra.get("fingerprint"):
        raise InputError(
            f"the ledger in {meta} is of another company than {warehouse}",
            hint="give the --meta folder that was written with this warehouse",
        )
    if out.resolve() in {warehouse.resolve(), meta.resolve()}:
        raise InputError(
            "a repaired company needs a folder of its own", hint="choose another --out"
        )
    kind = archetype or catalogue.archetype(manifest.archetype)
    sizes = truth.extra.get(KIND, {}).get(ROW_GROUPS, {})
    claim(out, KIND)
    parts = _parts(kind, manifest.files)
    progress.start("repair", len(parts), "parts")
    with held(out), disk_errors(out):
        stage = staged(out, f"repair of {manifest.extra.get('fingerprint')}")
        files: dict[str, str] = {}
        rows: dict[str, int] = {}

        def one(part: tuple[Family, int]) -> dict[str, int]:
            try:
                counts = _repair_part(kind, *part, warehouse, meta / LEDGER, stage, sizes)
            except (pa.ArrowException, LookupError, TypeError, ValueError) as error:
                raise InputError(
                    f"part {part[1]} of {part[0].name} cannot be repaired: {error}",
                    hint=f"a file in {warehouse} or {meta} is damaged: make the company again",
                ) from error
            progress.advance("repair")
            return counts

        with ThreadPoolExecutor(worker_count(workers)) as pool:
            for counts in pool.map(one, parts):
                for name, count in counts.items():
                    rows[name] = rows.get(name, 0) + count
        files = {name: sha256_of(stage / name) for name in manifest.files}
        fixed = evolve(
            manifest,
            files=files,
            settings={**manifest.settings, "quality": CLEAN},
            extra={"rows": rows, "repaired": manifest.extra.get("fingerprint")},
        )
        publish(out, fixed)
    progress.done("repair", f"{sum(rows.values()):,} rows")
    return WarehouseFolder(out, None, kind.name, fixed)


def _parts(archetype: Archetype, files: Mapping[str, str]) -> list[tuple[Family, int]]:
    """Return the parts that the manifest lists, by family."""
    if archetype.synthesis is None:
        raise InputError(f"archetype {archetype.name!r} describes a real company: nothing was made")
    found: list[tuple[Family, int]] = []
    for family in load(archetype.synthesis).families:
        part = 0
        while part_path(family.tables[0], part) in files:
            found.append((family, part))
            part += 1
    return found


def _repair_part(
    archetype: Archetype,
    family: Family,
    part: int,
    warehouse: Path,
    ledger: Path,
    stage: Path,
    sizes: Mapping[str, Sequence[int]],
) -> dict[str, int]:
    tables = [archetype.schema[name] for name in family.tables]
    # Parents first: a row whose time is its parent's needs them repaired.
    order = sorted(tables, key=lambda table: bool(table.event_time and table.event_time.through))
    repaired: dict[str, list[pa.Table]] = {}
    for table in order:
        wrong = pq.read_table(
            ledger, filters=[("table", "=", table.name), ("part", "=", part)]
        ).drop_columns(["table", "part"])
        gone = pc.equal(wrong.column("column"), WHOLE_ROW)
        lost, wrong = wrong.filter(gone), wrong.filter(pc.invert(gone))
        relative = part_path(table.name, part)
        times = _parent_times(table, repaired)
        groups: list[pa.Table] = []
        try:
            source = pq.ParquetFile(warehouse / relative)
        except (OSError, pa.ArrowInvalid) as error:
            raise WarehouseError(f"cannot read {warehouse / relative}: {error}") from error
        with table_file(stage / relative, table) as writer:
            first = 0
            for index, missing in _groups(source, lost, sizes.get(relative)):
                rows = arrow_schema(table).empty_table()
                if index is not None:
                    rows = source.read_row_group(index).cast(arrow_schema(table)).combine_chunks()
                whole = _repair_rows(table, rows, first, wrong, missing, times)
                first += rows.num_rows
                groups.append(whole)
                writer.write_group(whole)
        source.close()
        repaired[table.name] = groups
    return {name: sum(group.num_rows for group in groups) for name, groups in repaired.items()}


@frozen
class Missing:
    """Rows to put back into a row group: where they stand in it, and what they are."""

    places: Indices
    originals: pa.ChunkedArray


def _groups(
    source: pq.ParquetFile, lost: pa.Table, sizes: Sequence[int] | None
) -> Iterator[tuple[int | None, Missing | None]]:
    """Yield the clean row groups: the broken group (None where all its rows are gone), and what it lacks."""
    if sizes is None:
        for index in range(source.num_row_groups):
            yield index, None
        return
    lost = lost.sort_by("row")
    rows = lost.column("row").to_numpy()
    index = first = 0
    for size in sizes:
        low, high = np.searchsorted(rows, [first, first + size])
        missing = Missing(rows[low:high] - first, lost.column("original")[low:high])
        if high - low < size:
            yield index, missing
            index += 1
        else:
            yield None, missing
        first += size


Times = Callable[[pa.Table], pa.ChunkedArray]


def _parent_times(table: Table, repaired: Mapping[str, list[pa.Table]]) -> Times | None:
    """Return what finds the event times of repaired rows; None for tables without loads."""
    event = table.event_time
    if table.loaded_at is None or event is None:
        return None
    if event.through is None:
        return lambda rows: pc.coalesce(*(rows.column(name) for name in event.columns))
    key = next(key for key in table.foreign_keys if key.to == event.through)
    if event.through not in repaired or len(key.columns) != 1:
        raise InputError(
            f"{table.name} takes its time from {event.through}, which is made in another family"
        )
    parents = pa.concat_tables(repaired[event.through])
    ids = parents.column(key.to_columns[0]).combine_chunks()
    when = pc.coalesce(*(parents.column(name) for name in event.columns))

    def found(rows: pa.Table) -> pa.ChunkedArray:
        place = pc.index_in(rows.column(key.columns[0]), value_set=ids)
        return pc.take(when, place)

    return found


def _repair_rows(
    table: Table,
    rows: pa.Table,
    first: int,
    wrong: pa.Table,
    missing: Missing | None,
    times: Times | None,
) -> pa.Table:
    """Return a row group without its copies, with missing rows, values and load times set back."""
    place = wrong.column("row").to_numpy()
    here = wrong.filter(pa.array((place >= first) & (place < first + rows.num_rows)))
    at = here.column("row").to_numpy() - first
    labels = np.asarray(here.column("column").to_pylist(), dtype=object)
    for label in dict.fromkeys(labels.tolist()):
        name = _column(table, label)
        if not label or name == table.loaded_at:
            continue
        mine = labels == label
        order = np.argsort(at[mine], kind="stable")
        original = here.column("original").filter(pa.array(mine)).take(pa.array(order))
        mask = np.zeros(rows.num_rows, dtype=np.bool_)
        mask[at[mine]] = True
        index = rows.column_names.index(name)
        field = rows.schema.field(index)
        values = pc.replace_with_mask(
            rows.column(name).combine_chunks(), pa.array(mask), _typed(original, field.type)
        )
        rows = rows.set_column(index, field, values)
    keep = np.ones(rows.num_rows, dtype=np.bool_)
    keep[at[labels == ""]] = False
    rows = rows.filter(pa.array(keep)) if not keep.all() else rows
    if missing is not None and len(missing.places):
        rows = _with_missing(rows, missing)
    if times is not None and table.loaded_at:
        index = rows.column_names.index(table.loaded_at)
        rows = rows.set_column(index, rows.schema.field(index), times(rows))
    return rows.combine_chunks()


def _with_missing(rows: pa.Table, missing: Missing) -> pa.Table:
    count = rows.num_rows + len(missing.places)
    is_back = np.zeros(count, dtype=np.bool_)
    is_back[missing.places] = True
    # Kept rows come first in what is joined, missing ones after them, each in order.
    at = np.where(is_back, rows.num_rows + np.cumsum(is_back) - 1, np.cumsum(~is_back) - 1)
    return pa.concat_tables([rows, rows_from(missing.originals, rows.schema)]).take(pa.array(at))


def _typed(text: pa.ChunkedArray, wanted: pa.DataType) -> pa.Array:
    values = pc.cast(text, wanted)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _column(table: Table, label: str) -> str:
    """Return the column that a ledger's label stands for."""
    key = next((key for key in table.foreign_keys if key.label == label), None)
    return key.columns[0] if key else label

"""Room: warehouse. Part files: some chunks of a family, generated, broken and written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from attrs import asdict, define, field, frozen

from dnr_core.model import Family
from dnr_core.warehouse.apply import Finished, corrupt_chunk
from dnr_core.warehouse.arrow import TableFile, table_file
from dnr_core.warehouse.chunks import clean_chunk
from dnr_core.warehouse.memory import give_back
from dnr_core.warehouse.plan import Plan, part_chunks
from dnr_core.warehouse.tally import LEDGER_SCHEMA
from dnr_core.workspace import sha256_of, whole_file, write_json

ROW_GROUP_ROWS: Final = 65_536
"""A row group is closed at the first chunk's end at or over so many clean rows: a chunk of a large
table is one, with no need to put pieces together, and small tables have few."""

_PARTS_A_TRIM: Final = 4
"""How often all freed memory goes back to the system: getting it anew after each part would take
two percent of the time."""

RECORDS: Final = ".parts"
LEDGER_PIECES: Final = ".ledger"


class Stopped(Exception):  # noqa: N818 - a request, not a fault
    """The run was asked to stop; what is finished is kept."""


def part_path(table: str, part: int) -> str:
    """Return where a part of a table lies in its warehouse."""
    return f"{table}/part-{part:05d}.parquet"


def piece_path(family: str, part: int) -> str:
    """Return where a part's piece of the ledger lies in the truth's staging folder."""
    return f"{LEDGER_PIECES}/{family}-{part:05d}.arrow"


@contextmanager
def piece_file(path: Path) -> Iterator[pa.RecordBatchWriter]:
    """Write a piece of the ledger, whole or not at all.

    Pieces are read once, to be joined, so they are plain Arrow files: encoding them as Parquet
    twice, or packing them, would take longer than making them.
    """
    with (
        whole_file(path) as handle,
        # Not the file format, in which all batches have the same dictionaries.
        pa.ipc.new_stream(handle, LEDGER_SCHEMA) as writer,
    ):
        yield writer


@frozen
class PartRecord:
    """What a finished part is. `files` maps paths to SHA-256, `rows` tables to finished rows.

    `dated` counts the rows of incidents by table and kind, as `"table/kind"`.
    """

    family: str
    part: int
    files: Mapping[str, str]
    rows: Mapping[str, int]
    clean_rows: Mapping[str, int]
    dated: Mapping[str, int]
    ledger: str
    """SHA-256 of the part's piece of the ledger."""
    row_groups: Mapping[str, tuple[int, ...]] = field(factory=dict)
    """Clean rows of each row group, by file, of files that lack rows: `repair` puts them back there."""


@define
class TableWriter:
    """Writes one table's part. Row groups depend on clean rows alone, so that repair can keep them."""

    _file: TableFile
    rows: int = 0
    _pending: list[pa.Table] = field(factory=list)
    _pending_clean: int = 0
    clean_rows: int = 0
    groups: list[int] = field(factory=list)
    """Clean rows of the row groups so far."""

    def add(self, rows: pa.Table, clean_rows: int) -> None:
        """Take a chunk's rows."""
        self.rows += rows.num_rows
        self._pending.append(rows)
        self._pending_clean += clean_rows
        self.clean_rows += clean_rows
        if self._pending_clean >= ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        """Close the row group."""
        if self._pending_clean:
            self.groups.append(self._pending_clean)
        if len(self._pending) == 1:
            # Clean rows are one piece. Copies are another, which saves putting all in one place.
            self._file.write_group(self._pending[0])
        elif self._pending:
            # One piece a column: page borders must not depend on how the chunks came.
            self._file.write_group(pa.concat_tables(self._pending).combine_chunks())
        self._pending, self._pending_clean = [], 0


def build_part(
    plan: Plan,
    family: Family,
    part: int,
    *,
    stage: Path,
    truth: Path,
    stopped: Callable[[], bool],
    written: Callable[[int], None],
) -> PartRecord:
    """Make one part of every table of a family, whole or not at all, and return its record.

    Args:
        plan: the company.
        family: whose chunks are made.
        part: which ones.
        stage: folder in which the part files appear.
        truth: folder in which the piece of the ledger appears.
        stopped: asked between chunks whether to give up.
        written: told of rows as they are finished.
    """
    paths = {name: stage / part_path(name, part) for name in family.tables}
    ledger_path = truth / piece_path(family.name, part)
    dated: dict[str, int] = {}
    lacking: set[str] = set()
    with ExitStack() as stack:
        writers = {
            name: TableWriter(stack.enter_context(table_file(path, plan.archetype.schema[name])))
            for name, path in paths.items()
        }
        ledger = stack.enter_context(piece_file(ledger_path))
        for chunk in part_chunks(plan.chunks[family.name], part):
            if stopped():
                raise Stopped
            for name, done in corrupt_chunk(plan, chunk, clean_chunk(plan, family, chunk)).items():
                _write_ledger(ledger, done, part, writers[name])
                if done.tally.lacks_rows:
                    lacking.add(name)
                for kind, count in done.tally.dated().items():
                    dated[f"{name}/{kind}"] = dated.get(f"{name}/{kind}", 0) + count
                writers[name].add(done.rows, done.clean_rows)
                written(done.rows.num_rows)
        for writer in writers.values():
            writer.flush()
    if part % _PARTS_A_TRIM == _PARTS_A_TRIM - 1:
        give_back()
    else:
        pa.default_memory_pool().release_unused()
    return PartRecord(
        family=family.name,
        part=part,
        files={part_path(name, part): sha256_of(path) for name, path in paths.items()},
        rows={name: writer.rows for name, writer in writers.items()},
        clean_rows={name: writer.clean_rows for name, writer in writers.items()},
        dated=dated,
        ledger=sha256_of(ledger_path),
        row_groups={part_path(name, part): tuple(writers[name].groups) for name in sorted(lacking)},
    )


def _write_ledger(
    writer: pa.RecordBatchWriter, done: Finished, part: int, before: TableWriter
) -> None:
    """Write a chunk's ledger with rows as they lie in the part."""
    if done.tally.notes:
        writer.write_batch(
            done.tally.ledger(
                done.present,
                part=part,
                rows_before=before.rows,
                clean_rows_before=before.clean_rows,
            )
        )


def record_path(stage: Path, family: str, part: int) -> Path:
    """Return where the record of a finished part lies."""
    return stage / RECORDS / f"{family}-{part:05d}.json"


def save_record(stage: Path, record: PartRecord) -> None:
    """Write the record, which makes the part finished."""
    write_json(record_path(stage, record.family, record.part), asdict(record))


def finished_part(
    folder: Path, stage: Path, truth: Path, family: Family, part: int, *, need_ledger: bool
) -> PartRecord | None:
    """Return the record of a part that an earlier run finished, if its files are still as it says."""
    path = record_path(stage, family.name, part)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        record = PartRecord(**content)
        for relative, digest in record.files.items():
            # A run that was killed while publishing has moved some files to their place.
            lies = stage / relative if (stage / relative).exists() else folder / relative
            if sha256_of(lies) != digest:
                return None
        piece = truth / piece_path(family.name, part)
        if need_ledger and sha256_of(piece) != record.ledger:
            return None
    except (OSError, ValueError, TypeError):
        return None
    return record

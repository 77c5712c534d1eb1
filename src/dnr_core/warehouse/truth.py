"""Room: warehouse. Writes the truth: the ledger and the incidents, apart from the data."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dnr_core.errors import DnrError
from dnr_core.model import Incident
from dnr_core.warehouse.arrow import parquet_file
from dnr_core.warehouse.parts import PartRecord, piece_path
from dnr_core.warehouse.plan import Plan
from dnr_core.warehouse.tally import INCIDENTS_SCHEMA, LEDGER_SCHEMA
from dnr_core.workspace import (
    MANIFEST,
    Manifest,
    read_manifest,
    sha256_of,
    whole_file,
    write_manifest,
)

LEDGER: Final = "ledger.parquet"
INCIDENTS: Final = "incidents.parquet"
KIND: Final = "meta"
SECTION: Final = "warehouse"
ROW_GROUPS: Final = "row_groups"
"""Clean rows of each row group, by file, of the files from which rows were removed."""
_LEDGER_OPTIONS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["table", "part", "column", "kind", "subkind", "incident_id"],
    "column_encoding": {"row": "DELTA_BINARY_PACKED"},
    "store_schema": False,
}


def incidents_table(incidents: Sequence[Incident]) -> pa.Table:
    """Return incidents as they are written, instants in UTC."""
    rows = [
        {
            "id": incident.id,
            "kind": incident.kind,
            "table": incident.table,
            "columns": list(incident.columns),
            "start": incident.start.replace(tzinfo=None),
            "end": incident.end.replace(tzinfo=None),
            "size": incident.size,
        }
        for incident in incidents
    ]
    return pa.Table.from_pylist(rows, schema=INCIDENTS_SCHEMA)


def _row_groups(records: Sequence[PartRecord]) -> dict[str, list[int]]:
    return {file: list(sizes) for record in records for file, sizes in record.row_groups.items()}


def truth_is_there(meta: Path, fingerprint: str) -> bool:
    """Return whether the folder holds the whole truth of the plan with that fingerprint."""
    try:
        manifest = read_manifest(meta)
        ours = manifest.extra.get(SECTION, {})
        return bool(ours.get("fingerprint") == fingerprint) and all(
            sha256_of(meta / name) == manifest.files.get(name) for name in (LEDGER, INCIDENTS)
        )
    except (DnrError, OSError):
        return False


def write_truth(plan: Plan, records: Sequence[PartRecord], meta: Path, stage: Path) -> None:
    """Join the ledger's pieces in the order of the parts, and publish it with the incidents.

    Not by `publish`, which removes what it does not know: others keep labels in the folder.
    """
    with parquet_file(stage / LEDGER, LEDGER_SCHEMA, **_LEDGER_OPTIONS) as writer:
        for record in records:
            path = stage / piece_path(record.family, record.part)
            with path.open("rb") as source, pa.ipc.open_stream(source) as piece:
                for batch in piece:
                    rows = pa.Table.from_batches([batch])
                    writer.write_table(rows, row_group_size=rows.num_rows)
    with whole_file(stage / INCIDENTS) as handle:
        pq.write_table(incidents_table(plan.incidents), handle, compression="zstd")
    files = {name: sha256_of(stage / name) for name in (LEDGER, INCIDENTS)}
    (meta / MANIFEST).unlink(missing_ok=True)
    for name in files:
        (stage / name).replace(meta / name)
    write_manifest(
        meta,
        Manifest(
            kind=KIND,
            version=plan.versions["dnr-core"],
            settings=plan.settings,
            files=files,
            archetype=plan.archetype.name,
            seed=plan.company.seed,
            extra={SECTION: {"fingerprint": plan.fingerprint, ROW_GROUPS: _row_groups(records)}},
        ),
    )
    # Only now: until the manifest stands, a killed run goes on from the pieces.
    shutil.rmtree(stage, ignore_errors=True)

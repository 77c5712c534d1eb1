"""Room: demand. The prediction files that lie beside a report."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dnr_core.model import DemandResult
from dnr_core.model.themes import SOURCES
from dnr_core.workspace import sha256_of, whole_file


def write_predictions(demand: DemandResult, folder: Path) -> dict[str, str]:
    """Write `predictions_{slack,email,nlq}.parquet` and `entities.parquet`, each whole.

    Returns:
        SHA-256 by file name, for the manifest.

    Raises:
        FolderError: the folder cannot be written.
    """
    tables = {
        f"predictions_{source}.parquet": demand.predictions.filter(
            pc.equal(demand.predictions["source"], source)
        )
        for source in SOURCES
    }
    tables["entities.parquet"] = demand.entities
    hashes = {}
    for name, table in tables.items():
        path = folder / name
        with whole_file(path) as handle:
            pq.write_table(_single_chunk(table), handle, compression="zstd")
        hashes[name] = sha256_of(path)
    return hashes


def _single_chunk(table: pa.Table) -> pa.Table:
    # Chunks leave traces in a Parquet file, and how many there are depends on the machine.
    return table.combine_chunks()

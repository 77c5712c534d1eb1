"""Room: builtin. Checks of files: bytes, columns, types, row counts."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq

from dnr_core.builtin.qc.outcome import outcome, quoted, skipped
from dnr_core.model import CheckContext, CheckResult
from dnr_core.warehouse.arrow import arrow_schema
from dnr_core.warehouse.incidents import expected_volumes
from dnr_core.workspace import sha256_of

VOLUME_TOLERANCE_SHARE = 0.10
STATED_MONTHS = 18
STATED_TRAJECTORY = "T1"


def files(context: CheckContext) -> Iterator[CheckResult]:
    """Compare every file with the SHA-256 in its folder's manifest."""
    folders = {
        "warehouse": context.warehouse,
        "comms": context.comms,
        "meta": context.meta,
        "reports": context.reports,
    }
    for name, manifest in context.manifests.items():
        folder = folders[name]
        if folder is None:
            continue
        wrong = [
            path
            for path, digest in sorted(manifest.files.items())
            if not (folder / path).is_file() or sha256_of(folder / path) != digest
        ]
        yield outcome(
            "files",
            not wrong,
            f"{name}: {len(manifest.files) - len(wrong)} of {len(manifest.files)} files as written",
            "every file has the SHA-256 of its manifest",
            ", ".join(wrong[:5]) or str(folder.name),
        )


def schema_types(context: CheckContext) -> Iterator[CheckResult]:
    """Compare names, order and types of columns in every part with the archetype's."""
    for table in context.archetype.schema.tables:
        declared = arrow_schema(table)
        parts = sorted((context.warehouse / table.name).glob("part-*.parquet"))
        wrong = [
            f"{table.name}/{part.name}"
            for part in parts
            if not pq.read_schema(part).equals(declared, check_metadata=False)
        ]
        yield outcome(
            "schema_types",
            bool(parts) and not wrong,
            f"{table.name}: {len(parts) - len(wrong)} of {len(parts)} parts fit",
            f"{len(table.columns)} columns as declared in every part",
            ", ".join(wrong[:5]) or table.name,
        )


def volumes(context: CheckContext) -> Iterator[CheckResult]:
    """Compare row counts with the archetype's volumes times the scale."""
    company = context.company
    if (company.months, company.trajectory) != (STATED_MONTHS, STATED_TRAJECTORY):
        yield skipped(
            "volumes",
            f"not judged: volumes are stated for {STATED_MONTHS} months of {STATED_TRAJECTORY}, "
            f"this is {company.months} months of {company.trajectory}",
            "rows within 10 % of the archetype's volumes",
            "the archetype's volumes",
        )
        return
    wanted = expected_volumes(context.archetype, company)
    for name, rows in wanted.items():
        found = context.sql(f"SELECT count(*) AS n FROM {quoted(name)}")[0]["n"]
        # Arrivals are random: four standard deviations of a Poisson count, where that is more.
        slack = max(rows * VOLUME_TOLERANCE_SHARE, 4 * rows**0.5)
        if name in context.archetype.fixed_tables:
            slack = 0
        yield outcome(
            "volumes",
            abs(found - rows) <= slack,
            f"{name}: {found:,} rows",
            f"{rows:,} ± {slack:,.0f}",
            name,
        )

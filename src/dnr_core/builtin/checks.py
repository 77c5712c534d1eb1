"""Room: builtin. The QC checks that hold for every archetype; what they do is in `builtin.qc`."""

from __future__ import annotations

from typing import Final

from dnr_core.model import Check

_QC: Final = "dnr_core.builtin.qc"

CHECKS: Final[tuple[Check, ...]] = (
    Check("files", "Every file is what the manifest says", run=f"{_QC}.tables:files"),
    Check(
        "schema_types",
        "Columns and types as the archetype declares",
        run=f"{_QC}.tables:schema_types",
    ),
    Check("volumes", "Rows within 10 % of the archetype's volumes", run=f"{_QC}.tables:volumes"),
    Check(
        "clean_keys",
        "Dimensions have no null, orphan or duplicate",
        run=f"{_QC}.quality:dimensions",
    ),
    Check("quality_targets", "Defect rates are the profile's", run=f"{_QC}.quality:rates"),
    Check("ingest_lag", "The 95th percentile of lag is the profile's", run=f"{_QC}.quality:lag"),
    Check(
        "incidents_visible",
        "Planned incidents can be seen in the tables",
        run=f"{_QC}.events:visible",
    ),
    Check(
        "incidents_detected",
        "The report found the incidents",
        run=f"{_QC}.events:detected",
        needs=("meta", "reports"),
    ),
    Check(
        "ledger",
        "The ledger explains every violation, and holds nothing else",
        run=f"{_QC}.truth:ledger",
        needs=("meta",),
    ),
    Check(
        "comms_volumes",
        "Threads, mails and questions within 5 % of what was asked",
        run=f"{_QC}.talk:volumes",
        needs=("comms",),
    ),
    Check(
        "comms_people",
        "Roles and buckets in their shares, synthetic ids only",
        run=f"{_QC}.talk:people",
        needs=("comms",),
    ),
    Check(
        "comms_lengths",
        "No message is longer than its kind may be",
        run=f"{_QC}.talk:lengths",
        needs=("comms",),
    ),
    Check(
        "nlq_sql",
        "At least 95 % of the questions' SQL parses",
        run=f"{_QC}.talk:sql_parses",
        needs=("comms",),
    ),
    Check(
        "taxonomy",
        "Labels are themes and relevances that exist, one an item",
        run=f"{_QC}.labels:taxonomy",
        needs=("comms", "meta"),
    ),
    Check(
        "theme_mix",
        "Themes and relevance in their shares",
        run=f"{_QC}.labels:mix",
        needs=("comms", "meta"),
    ),
    Check(
        "incident_correlation",
        "Threads caused by incidents start within a day of them",
        run=f"{_QC}.labels:incidents",
        needs=("comms", "meta"),
    ),
    Check(
        "reproducible",
        "A sample of parts, made again, has the same bytes",
        run=f"{_QC}.again:warehouse",
    ),
    Check(
        "reproducible_comms",
        "The messages, made again, have the same bytes",
        run=f"{_QC}.again:comms",
        needs=("comms",),
    ),
    Check("spend", "No spend is over its cap", run=f"{_QC}.spend:caps", needs=("comms",)),
)

"""Room: evaluation. What health says of one made company, beside the truth, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyarrow.compute as pc
from attrs import evolve

from dnr_core.catalogue import Catalogue
from dnr_core.config.settings import Settings
from dnr_core.evaluation.ledger import compared_counts
from dnr_core.evaluation.matching import (
    GROUPS,
    Truth,
    errors_hours,
    matched,
    plain_truth,
    truths,
)
from dnr_core.evaluation.runs import Company, Job, made, recipe_of
from dnr_core.health import measure, open_warehouse
from dnr_core.model import Archetype, DetectedIncident, HealthResult
from dnr_core.warehouse import read_incidents
from dnr_core.workspace import read_manifest

DAYS_A_QUARTER: Final = 365.25 / 4
_NEAR_DAYS: Final = 14


def observe_made(
    job: Job, settings: Settings, catalogue: Catalogue, folder: Path
) -> dict[str, Any]:
    """Make a company, measure it, and hold what was detected against what was planned."""
    recipe = recipe_of(job)
    keep = bool(job.given["keep"])
    with made(recipe, settings, catalogue, folder, keep=keep) as company:
        return observe(company)


def observe_given(
    job: Job, settings: Settings, catalogue: Catalogue, folder: Path
) -> dict[str, Any]:
    """Do the same with a company that is there."""
    del folder
    given = job.given
    return observe(Company(Path(given["warehouse"]), Path(given["meta"]), settings, catalogue))


def observe(company: Company) -> dict[str, Any]:
    """Measure a made company from its warehouse alone, then open its truth and compare.

    Raises:
        InputError: the warehouse or the truth is missing, unfinished or damaged.
    """
    settings, catalogue = company.settings, company.catalogue
    report = evolve(settings.report, example_keys=0)
    with open_warehouse(company.warehouse, catalogue=catalogue) as warehouse:
        health = measure(warehouse, evolve(settings, report=report))
        archetype = warehouse.archetype
    told = read_manifest(company.warehouse).settings
    planned = truths(read_incidents(company.meta), catalogue, health.tz)
    sizes = rows_by_day(health, archetype)
    least = settings.eval.health_gates.rows_a_day
    match = matched(planned, health.incidents)
    first, last = health.history_start, health.history_end
    days = (last - first).days + 1 if first and last else 0
    return {
        "archetype": archetype.name,
        "quality": str(told.get("quality", "")),
        "scale": float(told.get("scale", 0)),
        "seed": int(told.get("seed", 0)),
        "trajectory": str(told.get("trajectory", "")),
        "days": days,
        "quarters": days / DAYS_A_QUARTER,
        "planned": [
            _planned(truth, match.found[at], health, sizes, least)
            for at, truth in enumerate(planned)
        ],
        "detected": [
            _detected(incident, at, match.false, match.repeats, sizes, least)
            for at, incident in enumerate(health.incidents)
        ],
        "rates": compared_counts(health, archetype, company),
        "column_days_tested": health.column_days_tested,
        "false_flags_expected": health.false_flags_expected,
        "rows_a_day": {name: median(rows.values()) for name, rows in sorted(sizes.items()) if rows},
    }


def rows_by_day(health: HealthResult, archetype: Archetype) -> dict[str, dict[date, int]]:
    """Return the rows of each fact table by local day, as health measured them."""
    facts = {table.name for table in archetype.schema.facts}
    lines = health.measures.filter(
        pc.and_(pc.equal(health.measures["metric"], "rows"), pc.is_valid(health.measures["day"]))
    )
    found: dict[str, dict[date, int]] = {name: {} for name in facts}
    for table, day, rows in zip(
        lines["table"].to_pylist(),
        lines["day"].to_pylist(),
        lines["numerator"].to_pylist(),
        strict=True,
    ):
        if table in facts:
            found[table][day] = rows
    return found


def usual_rows(rows: Mapping[date, int], first: date, last: date) -> float:
    """Return the median rows of the days around a span of days, itself left out."""
    near = [first - timedelta(n) for n in range(1, _NEAR_DAYS + 1)]
    near += [last + timedelta(n) for n in range(1, _NEAR_DAYS + 1)]
    known = [rows[day] for day in near if day in rows]
    return float(median(known)) if known else 0.0


def _planned(
    truth: Truth,
    at: int | None,
    health: HealthResult,
    sizes: Mapping[str, Mapping[date, int]],
    least: int,
) -> dict[str, Any]:
    rows = usual_rows(sizes.get(truth.table, {}), truth.first, truth.last)
    smallest = _smallest(health, truth)
    promised = rows >= least
    if at is not None:
        outcome = "found"
    elif not promised and (smallest is None or truth.size < smallest):
        outcome = "not_detectable"
    else:
        outcome = "missed"
    line = {
        **plain_truth(truth),
        "rows_a_day": rows,
        "promised": promised,
        "detectable_from": smallest,
        "outcome": outcome,
        "start_error_hours": None,
        "end_error_hours": None,
    }
    if at is not None:
        start, end = errors_hours(truth, health.incidents[at])
        line |= {"start_error_hours": round(start, 2), "end_error_hours": round(end, 2)}
    return line


def _smallest(health: HealthResult, truth: Truth) -> float | None:
    """Return what the report says could have been seen; None where it was not judged."""
    for line in health.detectable:
        if (line.kind, line.table) == (truth.kind, truth.table) and (
            not line.column or line.column == truth.column
        ):
            return line.smallest
    return None


def _detected(
    incident: DetectedIncident,
    at: int,
    false: tuple[int, ...],
    repeats: tuple[int, ...],
    sizes: Mapping[str, Mapping[date, int]],
    least: int,
) -> dict[str, Any]:
    rows = usual_rows(sizes.get(incident.table, {}), incident.start, incident.end)
    verdict = "false" if at in false else "repeat" if at in repeats else "true"
    return {
        "kind": incident.kind,
        "group": GROUPS[incident.kind],
        "table": incident.table,
        "column": incident.column,
        "start": incident.start.isoformat(),
        "end": incident.end.isoformat(),
        "value": incident.value,
        "usual": incident.usual,
        "p_value": incident.p_value,
        "noise_factor": incident.noise_factor,
        "rows_a_day": rows,
        "promised": rows >= least,
        "verdict": verdict,
    }

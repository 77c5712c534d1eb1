"""Room: api. What the command does, as a few typed calls; names in, objects out.

import dnr_core as dnr

dnr.generate_warehouse("neobank", scale="tiny")
dnr.generate_comms("data/neobank")
report = dnr.run_report("data/neobank", comms="comms/neobank")
report.save("reports/neobank")
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnr_core.context import Context, open_context
from dnr_core.errors import ConfigError, UnfinishedError, UnknownNameError
from dnr_core.progress import Progress, Silent
from dnr_core.workspace import MANIFEST, read_manifest

if TYPE_CHECKING:
    from dnr_core.checks import QcSummary
    from dnr_core.comms import CommsFolder
    from dnr_core.evaluation import LabelScores
    from dnr_core.health import Warehouse
    from dnr_core.model import Archetype, CommsTables, HealthResult
    from dnr_core.model.health import Proof
    from dnr_core.report import Report
    from dnr_core.warehouse import WarehouseDescription, WarehouseFolder

_LOG = logging.getLogger(__name__)


def generate_warehouse(
    archetype: str,
    *,
    out: Path | str | None = None,
    meta: Path | str | None = None,
    scale: str | float | None = None,
    quality: str | None = None,
    trajectory: str | None = None,
    months: int | None = None,
    seed: int | None = None,
    snapshot_days: int | None = None,
    as_of: datetime | str | None = None,
    workers: int | None = None,
    duckdb: bool = False,
    dry_run: bool = False,
    context: Context | None = None,
    progress: Progress | None = None,
) -> WarehouseFolder:
    """Make a synthetic company's warehouse, with defects and, apart, their ledger.

    The same settings give the same bytes, whatever the number of workers; a run that was killed
    goes on from its finished parts when it is called again.

    Args:
        archetype: name of an installed archetype.
        out: folder of the tables; None means `paths.data`/archetype.
        meta: folder of the truth; None means `paths.meta`/archetype.
        scale: "tiny", "evaluation", or what to multiply its volumes by.
        quality: name of a defect profile ("typical", "clean", "severe", or a plugin's).
        trajectory: "T1" steady, "T2" growth, "T3" decline, "T4" shock and recovery.
        months: local months of history.
        seed: same seed, same bytes.
        snapshot_days: local days that snapshot tables keep.
        as_of: the instant at which history ends.
        workers: threads; 0 means one a core.
        duckdb: also write a DuckDB file with the tables.
        dry_run: write empty tables with their types, and nothing else.
        context: plugins and settings; None opens them.
        progress: what to report to.

    Raises:
        ConfigError: a name or value that is not allowed, or a mix of defects that cannot hold.
        FolderError, FolderHeldError: the folder cannot be written, or another run holds it.
    """
    from dnr_core import warehouse

    context = (context or open_context()).with_flags(
        {
            "warehouse.scale": None if scale is None else str(scale),
            "warehouse.quality": quality,
            "warehouse.trajectory": trajectory,
            "warehouse.months": months,
            "warehouse.seed": seed,
            "warehouse.snapshot_days": snapshot_days,
            "warehouse.as_of": as_of,
            "warehouse.workers": workers,
        }
    )
    kind = context.catalogue.archetype(archetype)
    paths = context.settings.paths
    return warehouse.generate_warehouse(
        kind,
        context.settings,
        context.catalogue,
        out=Path(out) if out is not None else paths.data / archetype,
        meta=Path(meta) if meta is not None else paths.meta / archetype,
        progress=progress or Silent(),
        dry_run=dry_run,
        duckdb_file=duckdb,
    )


def generate_comms(
    warehouse: Path | str,
    *,
    out: Path | str | None = None,
    meta: Path | str | None = None,
    slack: int | None = None,
    email: int | None = None,
    nlq: int | None = None,
    style: str | None = None,
    provider: str | None = None,
    seed: int | None = None,
    api_cap_usd: float | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> CommsFolder:
    """Make the messages of a synthetic company; labels go apart, into `meta`.

    Args:
        warehouse: folder that `generate_warehouse` made; only its manifest is read.
        out: folder of the messages; None means `paths.comms`/archetype.
        meta: folder of the truth; None means `paths.meta`/archetype.
        slack, email, nlq: threads, mails and questions.
        style: name of a comms style.
        provider: name of the LLM provider that writes.
        seed: same seed, same messages.
        api_cap_usd: most that may be spent.
        context: plugins and settings; None opens them.
        progress: what to report to.

    Raises:
        InputError: the folder is no finished warehouse of dnr.
        ConfigError: a name or value that is not allowed.
    """
    from dnr_core import comms

    context = (context or open_context()).with_flags(
        {
            "comms.slack_threads": slack,
            "comms.emails": email,
            "comms.nlq": nlq,
            "comms.style": style,
            "comms.provider": provider,
            "comms.seed": seed,
            "comms.api_cap_usd": api_cap_usd,
        }
    )
    name = read_manifest(Path(warehouse)).archetype
    paths = context.settings.paths
    return comms.generate_comms(
        context.catalogue.archetype(name),
        context.settings,
        context.catalogue,
        warehouse=Path(warehouse),
        out=Path(out) if out is not None else paths.comms / name,
        meta=Path(meta) if meta is not None else paths.meta / name,
        progress=progress or Silent(),
    )


def read_comms(folder: Path | str) -> CommsTables:
    """Read messages that `generate_comms` or `import_comms` wrote.

    Raises:
        CommsError: a file or column is missing, of a wrong type, or damaged.
    """
    from dnr_core import comms

    return comms.read_comms(Path(folder))


def resolve_archetype(
    archetype: str | Path | Archetype | None, warehouse: Path | str | None, context: Context
) -> Archetype:
    """Return the archetype that was meant.

    An object, a schema file, a name, or else the one that the warehouse's manifest names.

    Raises:
        ConfigError: none was given and the warehouse does not say; or there is no such one.
    """
    from dnr_core.model import Archetype as ArchetypeClass

    if isinstance(archetype, ArchetypeClass):
        return archetype
    if archetype is not None:
        if str(archetype).endswith((".yaml", ".yml")):
            from dnr_core.health import read_schema

            return read_schema(Path(archetype))
        return context.catalogue.archetype(str(archetype))
    if (
        warehouse is not None
        and "://" not in str(warehouse)
        and (Path(warehouse) / MANIFEST).exists()
    ):
        return context.catalogue.archetype(read_manifest(Path(warehouse)).archetype)
    if (
        warehouse is not None
        and "://" not in str(warehouse)
        and (Path(warehouse) / ".partial").exists()
    ):
        raise UnfinishedError(
            f"{warehouse} is an unfinished warehouse",
            hint="run `dnr gen-warehouse` again; it goes on from where it stopped",
        )
    raise ConfigError(
        "which archetype is this? The warehouse does not say",
        hint="give --archetype NAME or a schema FILE.yaml; `dnr init --from URL` drafts one",
    )


def open_warehouse(
    location: Path | str,
    *,
    archetype: str | Path | Archetype | None = None,
    context: Context | None = None,
) -> Warehouse:
    """Open a warehouse, read-only: a folder of dnr, a folder of Parquet, or any URL of Ibis.

    Use it as a context manager; it closes its connection.

    Raises:
        WarehouseError: it cannot be reached, or lacks what the archetype says.
    """
    from dnr_core import health

    context = context or open_context()
    return health.open_warehouse(location, resolve_archetype(archetype, location, context))


def measure_health(
    location: Path | str,
    *,
    archetype: str | Path | Archetype | None = None,
    as_of: datetime | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> HealthResult:
    """Measure data health alone: no messages, no ranking.

    Raises:
        WarehouseError: the warehouse cannot be reached, or lacks what the archetype says.
    """
    from dnr_core import health

    context = context or open_context()
    with open_warehouse(location, archetype=archetype, context=context) as warehouse:
        return health.measure(
            warehouse, context.settings, as_of=as_of, progress=progress or Silent()
        )


def run_report(
    warehouse: Path | str | None,
    *,
    comms: Path | str | None = None,
    archetype: str | Path | Archetype | None = None,
    out: Path | str | None = None,
    window_days: int | str | None = None,
    as_of: datetime | str | None = None,
    provider: str | None = None,
    model: str | None = None,
    api_cap_usd: float | None = None,
    price_usd_per_million: tuple[float, float] | None = None,
    scorer: str | None = None,
    no_llm: bool = False,
    context: Context | None = None,
    progress: Progress | None = None,
) -> Report:
    """Rank a company's data problems. Nothing of the truth (`meta`) is read.

    Args:
        warehouse: a folder, a URL of Ibis, or None for messages alone.
        comms: folder of messages; None ranks on money and severity.
        archetype: name, schema file or object; None takes what the warehouse's manifest says.
        out: folder to write the report to; None writes nothing (`Report.save` does).
        window_days: local days before the as-of that the page looks at, or "all".
        as_of: the instant that counts as now; None takes the manifest's, or the end of the last
            local day that has events.
        provider, model: who classifies the messages.
        api_cap_usd: most that classification may spend.
        price_usd_per_million: price of prompt and completion tokens of a model without a known one.
        scorer: name of a scorer.
        no_llm: leave the messages out; themes are marked as skipped.
        context: plugins and settings; None opens them.
        progress: what to report to.

    Raises:
        WarehouseError, CommsError: what was given cannot be read.
        ConfigError: a name or value that is not allowed.
    """
    from dnr_core import ranking, report

    context = (context or open_context()).with_flags(
        {
            "report.window_days": window_days,
            "report.scorer": scorer,
            "warehouse.as_of": as_of,
            "classification.provider": provider,
            "entities.provider": provider,
            "classification.model": model,
            "entities.model": model,
            "classification.api_cap_usd": api_cap_usd,
            "classification.price_usd_per_million": price_usd_per_million,
        }
    )
    progress = progress or Silent()
    if warehouse is None and comms is None:
        raise ConfigError("there is nothing to report on", hint="give --warehouse, --comms or both")
    kind = resolve_archetype(archetype, warehouse, context)
    settings = context.settings
    health = demand = None
    if warehouse is not None:
        health = measure_health(
            warehouse,
            archetype=kind,
            as_of=settings.warehouse.as_of,
            context=context,
            progress=progress,
        )
    if comms is not None and not no_llm:
        from dnr_core.demand import measure_demand

        demand = measure_demand(
            read_comms(comms), kind, settings, context.catalogue, health=health, progress=progress
        )
    ranked = ranking.rank(kind, settings, context.catalogue, health=health, demand=demand)
    result = report.assemble(
        kind,
        settings,
        ranked,
        health=health,
        demand=demand,
        source=_source(warehouse, comms),
        synthetic=_is_synthetic(warehouse, comms),
    )
    if out is not None:
        result.save(Path(out))
        report.write_index(Path(out).parent)
    _LOG.info("report made", extra={"data": {"archetype": kind.name, "needs": len(ranked.needs)}})
    return result


def _source(warehouse: Path | str | None, comms: Path | str | None) -> str:
    """Name the data without the machine's folders, so that a moved copy makes the same bytes."""
    from dnr_core.config.secrets import mask

    parts = []
    for given in (warehouse, comms):
        if given is not None:
            text = str(given)
            parts.append(mask(text).rsplit("/", 1)[-1] if "://" in text else Path(text).name)
    return ", ".join(dict.fromkeys(parts))


def _is_synthetic(warehouse: Path | str | None, comms: Path | str | None) -> bool:
    for given in (warehouse, comms):
        if given is not None and "://" not in str(given) and (Path(given) / MANIFEST).exists():
            manifest = read_manifest(Path(given))
            return manifest.kind == "warehouse" or bool(manifest.extra.get("synthetic"))
    return False


def validate(
    warehouse: Path | str,
    *,
    comms: Path | str | None = None,
    meta: Path | str | None = None,
    reports: Path | str | None = None,
    out: Path | str | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> QcSummary:
    """Check that a made company is what it was asked to be.

    Args:
        warehouse: folder that `generate_warehouse` made.
        comms, meta, reports: the company's other folders; checks that need one are left out
            where it is not given.
        out: folder for `qc_summary.json` and `qc_checks.csv`; None writes nothing.
        context: plugins and settings; None opens them.
        progress: what to report to.
    """
    from dnr_core import checks

    context = context or open_context()
    return checks.validate(
        Path(warehouse),
        comms=_path(comms),
        meta=_path(meta),
        reports=_path(reports),
        out=_path(out),
        settings=context.settings,
        catalogue=context.catalogue,
        progress=progress or Silent(),
    )


def evaluate_labels(
    predictions: Path | str,
    labels: Path | str,
    *,
    out: Path | str | None = None,
    context: Context | None = None,
) -> LabelScores:
    """Score a report's predictions against the true labels, joined by id.

    Args:
        predictions: a report's folder.
        labels: the company's `meta` folder.
        out: folder for the scores; None writes nothing.
        context: plugins and settings; None opens them.
    """
    from dnr_core import evaluation

    context = context or open_context()
    return evaluation.evaluate_labels(
        Path(predictions), Path(labels), context.settings, out=_path(out)
    )


def describe(folder: Path | str, *, meta: Path | str | None = None) -> WarehouseDescription:
    """Show what a made warehouse holds: tables, rows, period, targets beside measured rates."""
    from dnr_core import warehouse

    return warehouse.describe(Path(folder), meta=_path(meta))


def repair(
    folder: Path | str,
    meta: Path | str,
    out: Path | str,
    *,
    context: Context | None = None,
    progress: Progress | None = None,
) -> WarehouseFolder:
    """Give back the clean company, byte for byte, from a broken one and its ledger."""
    from dnr_core import warehouse

    context = context or open_context()
    return warehouse.repair(
        Path(folder),
        Path(meta),
        Path(out),
        catalogue=context.catalogue,
        progress=progress or Silent(),
    )


def explain(
    location: Path | str,
    table: str,
    metric: str,
    *,
    column: str = "",
    day: str | None = None,
    archetype: str | Path | Archetype | None = None,
    context: Context | None = None,
) -> Proof:
    """Return the SQL behind a figure, in the backend's dialect, and keys of affected rows."""
    from dnr_core import health

    context = context or open_context()
    with open_warehouse(location, archetype=archetype, context=context) as warehouse:
        return health.explain(warehouse, context.settings, table, metric, column=column, day=day)


def draft_schema(url: str) -> str:
    """Draft the schema file (YAML) of a real warehouse: declared keys, and guesses, marked as such."""
    from dnr_core import health

    return health.draft_schema(url)


def installed_archetypes(context: Context) -> tuple[str, ...]:
    """Return the archetypes to make: the settings' list, or all installed that can be made.

    Raises:
        UnknownNameError: none is installed.
    """
    names: Mapping[str, Any] = context.catalogue.archetypes
    chosen = context.settings.warehouse.archetypes or tuple(
        name for name in sorted(names) if names[name].synthesis is not None
    )
    if not chosen:
        raise UnknownNameError(
            "no archetype is installed, so there is no company to make",
            hint="pip install 'dnr-core[all]' brings the ones made with dnr",
        )
    return tuple(context.catalogue.archetype(name).name for name in chosen)


def _path(value: Path | str | None) -> Path | None:
    return None if value is None else Path(value)

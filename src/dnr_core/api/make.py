"""Room: api. Calls that make: companies, their messages, real messages, the clean company."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnr_core.api.context import Context, open_context, optional_path
from dnr_core.errors import UnknownNameError
from dnr_core.model import DefectProfile
from dnr_core.progress import Progress, Silent
from dnr_core.workspace import read_manifest

if TYPE_CHECKING:
    from dnr_core.comms import CommsFolder, ImportedFolder
    from dnr_core.warehouse import WarehouseFolder


def generate_warehouse(
    archetype: str,
    *,
    out: Path | str | None = None,
    meta: Path | str | None = None,
    scale: str | float | None = None,
    quality: str | Path | DefectProfile | None = None,
    trajectory: str | None = None,
    months: int | None = None,
    seed: int | None = None,
    snapshot_days: int | None = None,
    as_of: datetime | str | None = None,
    workers: int | None = None,
    engine: str | None = None,
    master: str | None = None,
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
        out: folder of the tables, or a URI of one that `pyarrow.fs` reaches, such as
            "s3://bucket/neobank"; None means `paths.data`/archetype.
        meta: folder of the truth; None means `paths.meta`/archetype.
        scale: "tiny", "evaluation", or what to multiply its volumes by.
        quality: name of a defect profile ("typical", "clean", "severe", or a plugin's), the path of
            a profile's YAML file, or a `DefectProfile` of your own.
        trajectory: "T1" steady, "T2" growth, "T3" decline, "T4" shock and recovery.
        months: local months of history.
        seed: same seed, same bytes.
        snapshot_days: local days that snapshot tables keep.
        as_of: the instant at which history ends.
        workers: threads; 0 means one a core.
        engine: "local" (threads) or "spark" (executors of `dnr-core[spark]`): the bytes are equal.
        master: Spark's master; a SparkContext that is active is used as it is.
        duckdb: also write a DuckDB file with the tables.
        dry_run: write empty tables with their types, and nothing else.
        context: plugins and settings; None opens them.
        progress: what to report to.

    Raises:
        ConfigError: a name or value that is not allowed, or a mix of defects that cannot hold.
        FolderError, FolderHeldError: the folder cannot be written, or another run holds it.
    """
    from dnr_core import warehouse

    context = context or open_context()
    if isinstance(quality, DefectProfile):
        context = context.with_profile(quality)
        quality = quality.name
    context = context.with_flags(
        {
            "warehouse.scale": None if scale is None else str(scale),
            "warehouse.quality": None if quality is None else str(quality),
            "warehouse.trajectory": trajectory,
            "warehouse.months": months,
            "warehouse.seed": seed,
            "warehouse.snapshot_days": snapshot_days,
            "warehouse.as_of": as_of,
            "warehouse.workers": workers,
            "warehouse.engine": engine,
            "warehouse.master": master,
        }
    )
    kind = context.catalogue.archetype(archetype)
    paths = context.settings.paths
    return warehouse.generate_warehouse(
        kind,
        context.settings,
        context.catalogue,
        out=out if out is not None else paths.data / archetype,
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
    model: str | None = None,
    seed: int | None = None,
    api_cap_usd: float | None = None,
    price_usd_per_million: tuple[float, float] | None = None,
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
        model: the provider's model; None means its default.
        seed: same seed, same messages.
        api_cap_usd: most that may be spent.
        price_usd_per_million: price of prompt and completion tokens of a model without a known one.
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
            "comms.model": model,
            "comms.seed": seed,
            "comms.api_cap_usd": api_cap_usd,
            "classification.price_usd_per_million": price_usd_per_million,
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


def import_comms(
    out: Path | str,
    *,
    slack: Path | str | None = None,
    mail: Path | str | None = None,
    nlq: Path | str | None = None,
    include_dms: bool = False,
    roles: Path | str | None = None,
    channels: Mapping[str, str] | None = None,
    nlq_columns: Mapping[str, str] | None = None,
    pseudonymise: bool = True,
    key_file: Path | str | None = None,
    progress: Progress | None = None,
) -> ImportedFolder:
    """Read real messages, in place, into a folder that `run_report` reads.

    People become keyed hashes whose key stays with the user; texts lose what looks like an
    address, phone, card or account number. What could not be read is counted and listed.

    Args:
        out: folder of the messages.
        slack: a Slack export, zip or folder.
        mail: an mbox, a Maildir, a folder of `.eml` files, or one such file.
        nlq: a log of questions or queries: CSV, JSONL or Parquet.
        include_dms: read direct messages too.
        roles: a CSV or JSON file that says who has which role; everyone else is "other".
        channels: bucket by name of a channel or list, or by a word in it.
        nlq_columns: names of the log's columns by those of `nlq`.
        pseudonymise: False keeps ids and addresses of people as they are.
        key_file: where the key of the hashes is; None keeps it in the user's data folder.
        progress: what to report to.

    Raises:
        CommsError: an export cannot be read, or nothing in it can.
        ConfigError: no export was given, or a map names something unknown.
    """
    from dnr_core import comms

    return comms.import_comms(
        slack=optional_path(slack),
        mail=optional_path(mail),
        nlq=optional_path(nlq),
        out=Path(out),
        include_dms=include_dms,
        channels=channels,
        roles=optional_path(roles),
        nlq_columns=nlq_columns,
        pseudonymise=pseudonymise,
        key_file=optional_path(key_file),
        progress=progress or Silent(),
    )


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

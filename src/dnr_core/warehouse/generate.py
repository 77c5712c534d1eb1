"""Room: warehouse. Makes a company's warehouse: plan, parts, truth, measurement, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from dnr_core.config.profiles import profile_as_dict
from dnr_core.config.settings import Settings
from dnr_core.errors import ConfigError, DnrError
from dnr_core.model import Archetype, Family
from dnr_core.progress import Progress, Silent
from dnr_core.warehouse.arrow import table_file
from dnr_core.warehouse.disk import refuse_what_does_not_fit
from dnr_core.warehouse.engines import Engine, Order
from dnr_core.warehouse.engines.local import LocalEngine, worker_count
from dnr_core.warehouse.incidents import PROFILE
from dnr_core.warehouse.measure import calibrate
from dnr_core.warehouse.memory import give_back
from dnr_core.warehouse.parts import PartRecord, finished_part, part_path
from dnr_core.warehouse.plan import Plan, company_from, make_plan
from dnr_core.warehouse.store import Store, located
from dnr_core.warehouse.truth import KIND as META_KIND
from dnr_core.warehouse.truth import truth_is_there, write_truth
from dnr_core.workspace import (
    Manifest,
    claim,
    disk_errors,
    held,
    publish,
    read_manifest,
    sha256_of,
    staging,
    write_text,
)

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

KIND: Final = "warehouse"
PLAN_FILE: Final = ".plan"
OUTGOING: Final = ".outgoing"


@frozen
class WarehouseFolder:
    """A finished warehouse: where it lies, where its truth lies, and its manifest.

    Of one in a store `uri` says where it lies, and `path` where it was built; that folder is gone.
    """

    path: Path
    meta: Path | None
    archetype: str
    manifest: Manifest
    uri: str = ""

    def __str__(self) -> str:
        if self.uri:
            rows = sum(self.manifest.extra["rows"].values())
            files = len(self.manifest.files)
            return f"{self.uri}: {self.archetype}, {rows:,} rows in {files:,} files"
        from dnr_core.warehouse.describe import describe

        return f"{self.path}: {describe(self.path)}"

    def _repr_html_(self) -> str:
        if self.uri:
            return f"<p>{escape(str(self))}</p>"
        from dnr_core.warehouse.describe import describe

        return describe(self.path)._repr_html_()


def generate_warehouse(
    archetype: str | Archetype,
    settings: Settings,
    catalogue: Catalogue,
    *,
    out: Path | str,
    meta: Path,
    progress: Progress | None = None,
    dry_run: bool = False,
    duckdb_file: bool = False,
    scale: str | float | None = None,
) -> WarehouseFolder:
    """Make a company's warehouse in `out` and its truth in `meta`.

    The bytes depend on the settings, versions and archetype alone. A run that was killed is gone
    on with by the same call; a finished warehouse of the same plan is left as it is.

    Args:
        archetype: name in the catalogue, or the object.
        settings: all settings; those under `warehouse` are used.
        catalogue: where profile and defect kinds are found.
        out: folder of the data, or the URI of one in a store that `pyarrow.fs` reaches; in it will
            be a folder a table and `manifest.json`. For a store the files are made in the folder
            `.outgoing` of `paths.data`, and go from there when they are sent.
        meta: folder of the ledger and the incidents.
        progress: told of rows as they are finished.
        dry_run: write the empty tables with their types, and no truth.
        duckdb_file: add `<archetype>.duckdb` with the tables; it is outside the manifest, because
            a DuckDB file does not repeat byte for byte.
        scale: overrides the settings' scale.

    Raises:
        ConfigError: a setting or mix of rates that cannot be used; nothing was written.
        PluginError: the archetype or a kind is faulty.
        FolderHeldError: another run writes to the folder.
        FolderError: a folder or store cannot be written, or the disk is full; finished parts are
            kept.
    """
    progress = progress or Silent()
    place = located(out)
    if isinstance(place, str):
        if duckdb_file:
            raise ConfigError(
                "a DuckDB file is made in a folder only, not in a store",
                hint="leave --duckdb out, or choose a folder as --out",
            )
        return _make_in_store(
            archetype, settings, catalogue, place, meta, progress, dry_run=dry_run, scale=scale
        )
    out = place
    kind = archetype if isinstance(archetype, Archetype) else catalogue.archetype(archetype)
    if not dry_run:
        # Before planning, which counts chunks: an absurd scale should fail at the first question.
        company = company_from(kind, settings.warehouse, scale)
        refuse_what_does_not_fit(kind, company, out)
    plan = make_plan(kind, settings.warehouse, catalogue, scale=scale)
    workers = worker_count(settings.warehouse.workers)
    engine = _engine(settings, catalogue, scale, workers)
    claim(out, KIND)
    if dry_run:
        with held(out):
            return _write_empty(plan, catalogue, out)
    claim(meta, META_KIND)
    with held(out), held(meta):
        manifest = _finished(plan, out, meta)
        if manifest is None:
            manifest = _make(plan, catalogue, out, meta, engine, workers, progress)
        if duckdb_file:
            from dnr_core.warehouse.duckdb_file import write_duckdb

            write_duckdb(plan.archetype, out, workers)
    return WarehouseFolder(out, meta, plan.archetype.name, manifest)


def _make_in_store(
    archetype: str | Archetype,
    settings: Settings,
    catalogue: Catalogue,
    uri: str,
    meta: Path,
    progress: Progress,
    *,
    dry_run: bool,
    scale: str | float | None,
) -> WarehouseFolder:
    """Make the warehouse in a folder of its own, send it, and remove the folder."""
    store = Store.of(uri)
    kind = archetype if isinstance(archetype, Archetype) else catalogue.archetype(archetype)
    out = settings.paths.data / OUTGOING / f"{kind.name}-{store.mark}"
    company = company_from(kind, settings.warehouse, scale)
    refuse_what_does_not_fit(kind, company, out)
    plan = make_plan(kind, settings.warehouse, catalogue, scale=scale)
    store.claim(KIND)
    manifest = store.finished(plan.fingerprint)
    if dry_run or manifest is None or not truth_is_there(meta, plan.fingerprint):
        store.announce()
        made = generate_warehouse(
            kind,
            settings,
            catalogue,
            out=out,
            meta=meta,
            progress=progress,
            dry_run=dry_run,
            scale=scale,
        )
        manifest = made.manifest
        with held(out):
            store.receive(out, manifest, progress)
        shutil.rmtree(out, ignore_errors=True)
    return WarehouseFolder(out, None if dry_run else meta, kind.name, manifest, store.uri)


def _engine(
    settings: Settings, catalogue: Catalogue, scale: str | float | None, workers: int
) -> Engine:
    if settings.warehouse.engine == "spark":
        from dnr_core.warehouse.engines.spark import SparkEngine

        return SparkEngine.of(settings.warehouse, catalogue, scale)
    return LocalEngine(workers)


def _finished(plan: Plan, out: Path, meta: Path) -> Manifest | None:
    """Return the manifest of an earlier run of the same plan whose files are all as it says."""
    try:
        manifest = read_manifest(out)
        same = manifest.extra.get("fingerprint") == plan.fingerprint
        if same and truth_is_there(meta, plan.fingerprint):
            whole = all(sha256_of(out / name) == sha for name, sha in manifest.files.items())
            return manifest if whole else None
    except (DnrError, OSError):
        pass
    return None


def staged(folder: Path, fingerprint: str) -> Path:
    """Return the staging folder, emptied where it was begun for another plan."""
    stage = staging(folder)
    with disk_errors(folder):
        told = stage / PLAN_FILE
        if not told.exists() or told.read_text(encoding="utf-8") != fingerprint:
            # The folder itself stays: it shows that what lies beside it is ours.
            for entry in stage.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            write_text(told, fingerprint)
        # Temporary files of a killed run, also of one killed while publishing.
        for leftover in (*stage.rglob(".*.tmp"), *folder.glob(".*.tmp")):
            leftover.unlink()
    return stage


def _make(
    plan: Plan,
    catalogue: Catalogue,
    out: Path,
    meta: Path,
    engine: Engine,
    workers: int,
    progress: Progress,
) -> Manifest:
    stage = staged(out, plan.fingerprint)
    know_truth = truth_is_there(meta, plan.fingerprint)
    truth = stage if know_truth else staged(meta, plan.fingerprint)
    order = Order(plan, out, stage, truth)
    records = _make_parts(order, engine, progress, know_truth=know_truth)
    if not know_truth:
        with disk_errors(meta):
            write_truth(plan, records, meta, truth)
    progress.start("measure", None, "tables")
    # What generating has left would add to what measuring needs.
    give_back()
    dated: dict[str, int] = {}
    for record in records:
        for name, count in record.dated.items():
            dated[name] = dated.get(name, 0) + count
    with disk_errors(out):
        calibration = calibrate(
            plan, _files(records, out, stage), dated, scratch=stage / ".scratch", threads=workers
        )
    progress.done("measure")
    rows: dict[str, int] = {}
    for record in records:
        for name, count in record.rows.items():
            rows[name] = rows.get(name, 0) + count
    manifest = _manifest(
        plan,
        catalogue,
        {name: digest for record in records for name, digest in record.files.items()},
        {"fingerprint": plan.fingerprint, "rows": rows, "calibration": calibration, **_told(plan)},
    )
    publish(out, manifest)
    return manifest


def _make_parts(
    order: Order, engine: Engine, progress: Progress, *, know_truth: bool
) -> list[PartRecord]:
    """Make the parts that are missing, and return the records of all in order."""
    plan = order.plan
    task = f"{plan.archetype.name} rows"
    records: dict[tuple[str, int], PartRecord] = {}
    missing: list[tuple[Family, int]] = []
    for family, part in plan.parts:
        record = finished_part(
            order.folder, order.stage, order.truth, family, part, need_ledger=not know_truth
        )
        if record is None:
            missing.append((family, part))
        else:
            records[family.name, part] = record
    progress.start(task, plan.expected_rows or None, "rows")
    progress.advance(task, sum(sum(record.rows.values()) for record in records.values()))
    for record in engine.make(order, missing, lambda rows: progress.advance(task, rows)):
        records[record.family, record.part] = record
    progress.done(task, f"{sum(sum(r.rows.values()) for r in records.values()):,} rows")
    return [records[family.name, part] for family, part in plan.parts]


def _files(records: list[PartRecord], out: Path, stage: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for record in records:
        for relative in record.files:
            staged = stage / relative
            lies = staged if staged.exists() else out / relative
            files.setdefault(relative.split("/", 1)[0], []).append(lies)
    return files


def _manifest(
    plan: Plan, catalogue: Catalogue, files: Mapping[str, str], extra: Mapping[str, Any]
) -> Manifest:
    return Manifest(
        kind=KIND,
        version=plan.versions["dnr-core"],
        settings=plan.settings,
        files=files,
        archetype=plan.archetype.name,
        seed=plan.company.seed,
        plugins=catalogue.versions,
        extra=extra,
    )


def _told(plan: Plan) -> dict[str, Any]:
    """What was asked for, so that nothing has to be looked up when the warehouse is read."""
    return {PROFILE: profile_as_dict(plan.profile), "notes": list(plan.notes)}


def _write_empty(plan: Plan, catalogue: Catalogue, out: Path) -> WarehouseFolder:
    """Write each table's first part with its types and no rows."""
    stage = staged(out, f"dry run of {plan.fingerprint}")
    files: dict[str, str] = {}
    for table in plan.archetype.schema.tables:
        relative = part_path(table.name, 0)
        with table_file(stage / relative, table):
            pass
        files[relative] = sha256_of(stage / relative)
    rows = dict.fromkeys(plan.archetype.schema.names, 0)
    manifest = _manifest(plan, catalogue, files, {"rows": rows, "dry_run": True, **_told(plan)})
    publish(out, manifest)
    return WarehouseFolder(out, None, plan.archetype.name, manifest)

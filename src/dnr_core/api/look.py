"""Room: api. Calls that look: warehouses, messages, health, the SQL behind a figure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from attrs import evolve

from dnr_core.api.context import Context, Location, local_folder, open_context, optional_path
from dnr_core.errors import ConfigError, UnfinishedError
from dnr_core.progress import Progress, Silent
from dnr_core.workspace import MANIFEST, STAGING, Manifest, read_manifest

if TYPE_CHECKING:
    from dnr_core.health import Warehouse
    from dnr_core.model import Archetype, CommsTables, HealthResult
    from dnr_core.model.health import Proof
    from dnr_core.report.volume_figure import Picture
    from dnr_core.warehouse import WarehouseDescription


def read_comms(folder: Path | str) -> CommsTables:
    """Read messages that `generate_comms` or `import_comms` wrote.

    Raises:
        CommsError: a file or column is missing, of a wrong type, or damaged.
    """
    from dnr_core import comms

    return comms.read_comms(Path(folder))


def read_schema(path: Path | str) -> Archetype:
    """Return the company that a schema file describes, such as `dnr init --from URL` drafts.

    It is cheap, so that a plugin's hook may return what a file of its package describes.

    Raises:
        ConfigError: the file cannot be read, or fields are wrong: each with its path and value.
    """
    from dnr_core.config import schema_file

    return schema_file.read_schema(Path(path))


def resolve_archetype(
    archetype: str | Path | Archetype | None, warehouse: Location | None, context: Context
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
            return read_schema(archetype)
        return context.catalogue.archetype(str(archetype))
    folder = local_folder(warehouse)
    if folder is not None and (folder / MANIFEST).exists():
        return context.catalogue.archetype(read_manifest(folder).archetype)
    if folder is not None and (folder / STAGING).exists():
        raise UnfinishedError(
            f"{warehouse} is an unfinished warehouse",
            hint="run `dnr gen-warehouse` again; it goes on from where it stopped",
        )
    raise ConfigError(
        "which archetype is this? The warehouse does not say",
        hint="give --archetype NAME or a schema FILE.yaml; `dnr init --from URL` drafts one",
    )


def open_warehouse(
    location: Location,
    *,
    archetype: str | Path | Archetype | None = None,
    context: Context | None = None,
) -> Warehouse:
    """Open a warehouse, read-only: a folder of dnr, a folder of Parquet, or any URL of Ibis.

    Use it as a context manager; it closes its connection. An open connection of Ibis is taken as
    it is, and stays open.

    Raises:
        WarehouseError: it cannot be reached, or lacks what the archetype says.
    """
    from dnr_core import health

    context = context or open_context()
    return health.open_warehouse(location, resolve_archetype(archetype, location, context))


def measure_health(
    location: Location,
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


def describe(
    folder: Path | str, *, meta: Path | str | None = None, context: Context | None = None
) -> WarehouseDescription:
    """Show what a made warehouse holds: tables, period, targets beside measured rates, incidents.

    Its `figure()` is a picture of the rows by local day, with the incidents marked.

    Args:
        folder: the warehouse.
        meta: its truth; without it the incidents are planned anew from the manifest, where the
            archetype is installed.
        context: plugins and settings; None opens them.

    Raises:
        InputError: the folder is no finished warehouse of dnr.
    """
    from dnr_core import warehouse

    described = warehouse.describe(Path(folder), meta=optional_path(meta))
    context = context or open_context()
    kind = context.catalogue.archetypes.get(described.archetype)
    if kind is None:
        return described
    manifest = read_manifest(Path(folder))
    if described.incidents is None:
        planned = warehouse.planned_incidents(manifest, kind, context.catalogue)
        described = evolve(described, incidents=planned)
    return evolve(described, picture=_picture_of(manifest, kind, context))


def _picture_of(
    manifest: Manifest, kind: Archetype, context: Context
) -> Callable[[WarehouseDescription], Picture]:
    """Return what draws a warehouse, once however often it is asked."""
    from dnr_core.report.volume_figure import Mark, Picture, volume_chart, volume_lanes
    from dnr_core.warehouse import rows_by_day

    drawn: list[Picture] = []

    def draw(described: WarehouseDescription) -> Picture:
        if not drawn:
            rows = rows_by_day(described.folder, manifest, kind.schema)
            zone = ZoneInfo(str(described.settings["tz"]))
            kinds = context.catalogue.defect_kinds
            marks: dict[str, list[Mark]] = {}
            for incident in described.incidents or ():
                title = kinds[incident.kind].title if incident.kind in kinds else incident.kind
                # The end is outside: a day that ends at midnight has its last day before it.
                last = (incident.end - timedelta(microseconds=1)).astimezone(zone).date()
                first = incident.start.astimezone(zone).date()
                marks.setdefault(incident.table, []).append(Mark(title, first, last))
            titles = {table.name: table.name for table in kind.schema.tables}
            lanes = volume_lanes(rows, titles, marks)
            first_day = described.start.astimezone(zone).date()
            drawn.append(Picture(volume_chart(described.title, first_day, lanes)))
        return drawn[0]

    return draw


def explain(
    location: Location,
    table: str,
    metric: str,
    *,
    column: str = "",
    day: date | str | None = None,
    archetype: str | Path | Archetype | None = None,
    context: Context | None = None,
) -> Proof:
    """Return the SQL behind a figure, in the backend's dialect, and keys of affected rows.

    Args:
        location: a folder, a URL of Ibis, or an open connection of Ibis.
        table, metric: which figure; a metric of `data_health.json`.
        column: a column or a foreign key's label; "" for the table as a whole.
        day: a local day, as a date or YYYY-MM-DD; None for the whole history.
        archetype: name, schema file or object; None takes what the warehouse's manifest says.
        context: plugins and settings; None opens them.

    Raises:
        ConfigError: there is no such table, metric or column, or the day is none.
    """
    from dnr_core import health

    context = context or open_context()
    if isinstance(day, str):
        try:
            day = date.fromisoformat(day)
        except ValueError:
            raise ConfigError(f"{day!r} is not a day such as 2025-06-30") from None
    with open_warehouse(location, archetype=archetype, context=context) as warehouse:
        return health.explain(warehouse, context.settings, table, metric, column=column, day=day)


def draft_schema(location: Location) -> str:
    """Draft the schema file (YAML) of a real warehouse: declared keys, and guesses, marked as such.

    Args:
        location: a folder, a file, a URL of Ibis, or an open connection of Ibis.

    Raises:
        WarehouseError: it cannot be reached.
    """
    from dnr_core import health

    return health.draft_schema(location)

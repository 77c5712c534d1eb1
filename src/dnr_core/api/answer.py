"""Room: api. The call that answers: which data problems to fix first."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnr_core.api.context import Context, Location, local_folder, open_context
from dnr_core.api.look import open_warehouse, read_comms, resolve_archetype
from dnr_core.api.make import import_comms
from dnr_core.beside import Beside
from dnr_core.errors import ConfigError
from dnr_core.progress import Progress, Silent
from dnr_core.workspace import MANIFEST, read_manifest

if TYPE_CHECKING:
    from dnr_core.model import Archetype, CommsTables, DemandResult, DetectedIncident, Ranking
    from dnr_core.report import Report

_LOG = logging.getLogger(__name__)


def run_report(
    warehouse: Location | None,
    *,
    comms: Path | str | None = None,
    slack: Path | str | None = None,
    mail: Path | str | None = None,
    nlq: Path | str | None = None,
    archetype: str | Path | Archetype | None = None,
    out: Path | str | None = None,
    window_days: int | str | None = None,
    as_of: datetime | str | None = None,
    provider: str | None = None,
    model: str | None = None,
    api_cap_usd: float | None = None,
    price_usd_per_million: tuple[float, float] | None = None,
    batch: bool | None = None,
    scorer: str | None = None,
    no_llm: bool = False,
    compare_to: Path | str | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> Report:
    """Rank a company's data problems. Nothing of the truth (`meta`) is read.

    Args:
        warehouse: a folder, a URL of Ibis, an open connection of Ibis (it is left open), or None
            for messages alone.
        comms: folder of messages; None ranks on money and severity.
        slack, mail, nlq: real exports instead, imported into `paths.comms`/archetype first.
        archetype: name, schema file or object; None takes what the warehouse's manifest says.
        out: folder to write the report to; None writes nothing (`Report.save` does).
        window_days: local days before the as-of that the page looks at, or "all".
        as_of: the instant that counts as now; None takes the manifest's, or the end of the last
            local day that has events.
        provider, model: who classifies the messages.
        api_cap_usd: most that classification may spend.
        price_usd_per_million: price of prompt and completion tokens of a model without a known one.
        batch: ask by jobs of the provider's service, themes first, then names: half the price, up to a
            day each.
        scorer: name of a scorer.
        no_llm: leave the messages out; themes are marked as skipped.
        compare_to: folder of an earlier report of the same company: the new one says what is new,
            better, worse and solved since, and what the fix was worth.
        context: plugins and settings; None opens them.
        progress: what to report to.

    Raises:
        WarehouseError, CommsError: what was given cannot be read.
        InputError: the earlier report is none, damaged, of another company or of no earlier day.
        ConfigError: a name or value that is not allowed.
    """
    from dnr_core import ranking, report
    from dnr_core.health import drill, measure

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
            "classification.batch": batch,
        }
    )
    progress = progress or Silent()
    exports = [given for given in (slack, mail, nlq) if given is not None]
    if comms is not None and exports:
        raise ConfigError(
            "messages were given twice: as a folder, and as exports to import",
            hint="give either --comms, or --slack, --mail and --nlq",
        )
    if warehouse is None and comms is None and not exports:
        raise ConfigError("there is nothing to report on", hint="give --warehouse, --comms or both")
    kind = resolve_archetype(archetype, warehouse, context)
    settings = context.settings
    earlier = None
    if compare_to is not None:
        # Read before anything is measured, so that a wrong folder is told at once.
        earlier = report.read_earlier(Path(compare_to), kind.name)
        if out is not None and Path(out).resolve() == Path(compare_to).resolve():
            raise ConfigError(
                f"the new report would replace {compare_to}, the one it compares with",
                hint="give --out another folder",
            )
    if exports and not no_llm:
        folder = settings.paths.comms / kind.name
        comms = import_comms(folder, slack=slack, mail=mail, nlq=nlq, progress=progress).path
    health = None
    talks: list[Beside[DemandResult]] = []
    with ExitStack() as stack:

        def listen(incidents: tuple[DetectedIncident, ...]) -> None:
            """Measure the talk, beside what else health measures."""
            if comms is not None and not no_llm:
                work = partial(_heard, comms, kind, context, incidents, progress)
                talks.append(stack.enter_context(Beside(work, "dnr-talk")))

        if warehouse is None:
            listen(())
        else:
            # Open until the top needs are known, whose rows are looked into then.
            opened = stack.enter_context(open_warehouse(warehouse, archetype=kind, context=context))
            as_of = settings.warehouse.as_of
            health = measure(opened, settings, as_of=as_of, on_incidents=listen, progress=progress)
        demand = talks[0].result() if talks else None
        ranked = ranking.rank(kind, settings, context.catalogue, health=health, demand=demand)
        drills = drill(opened, settings, health, _broken(ranked)) if health else {}
    result = report.assemble(
        kind,
        settings,
        ranked,
        health=health,
        demand=demand,
        source=_source(warehouse, comms),
        synthetic=_is_synthetic(warehouse, comms),
        earlier=earlier,
        drills=drills,
    )
    if out is not None:
        result.save(Path(out))
        report.write_index(Path(out).parent)
    _LOG.info("report made", extra={"data": {"archetype": kind.name, "needs": len(ranked.needs)}})
    return result


def _heard(
    comms: Path | str,
    kind: Archetype,
    context: Context,
    incidents: tuple[DetectedIncident, ...],
    progress: Progress,
) -> DemandResult:
    from dnr_core.demand import measure_demand

    settings = context.settings
    talk = written_before(read_comms(comms), settings.warehouse.as_of)
    return measure_demand(
        talk, kind, settings, context.catalogue, incidents=incidents, progress=progress
    )


def _broken(ranked: Ranking) -> list[tuple[str, str]]:
    """Table and metric of the top needs that have broken rows."""
    return [(n.need.table, n.need.metric) for n in ranked.top if n.need.has_broken_rows]


def written_before(messages: CommsTables, as_of: datetime | None) -> CommsTables:
    """Leave out what was written after the as-of that was given: it was not known then."""
    if as_of is None:
        return messages
    from attrs import evolve

    moment = as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    return evolve(
        messages,
        slack=_rows_before(messages.slack, moment),
        email=_rows_before(messages.email, moment),
        nlq=_rows_before(messages.nlq, moment),
    )


def _rows_before(rows: Any, moment: datetime) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if "ts" not in rows.schema.names:
        return rows
    kind = rows.schema.field("ts").type
    return rows.filter(pc.field("ts") < pa.scalar(moment, type=kind))


def _source(warehouse: Location | None, comms: Path | str | None) -> str:
    """Name the data without the machine's folders, so that a moved copy makes the same bytes."""
    from dnr_core.config.secrets import mask

    parts = []
    for given in (warehouse, comms):
        if given is None:
            continue
        if not isinstance(given, str | Path):
            parts.append(f"a {given.name} connection")
        elif "://" in (text := str(given)):
            # A query may hold a password as well, and says nothing of the data.
            parts.append(mask(text.split("?", 1)[0]).rsplit("/", 1)[-1])
        else:
            parts.append(Path(given).name)
    return ", ".join(dict.fromkeys(parts))


def _is_synthetic(warehouse: Location | None, comms: Path | str | None) -> bool:
    for given in (warehouse, comms):
        folder = local_folder(given)
        if folder is not None and (folder / MANIFEST).exists():
            manifest = read_manifest(folder)
            return manifest.kind == "warehouse" or bool(manifest.extra.get("synthetic"))
    return False

"""Room: demand. From talk to the shares of the demand, for at most the cap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dnr_core.config.settings import Settings
from dnr_core.demand.account import account, coverage_of, notes_of
from dnr_core.demand.ask import Asked, Asker
from dnr_core.demand.classify import Verdict
from dnr_core.demand.confidence import Confidences, confidences
from dnr_core.demand.corpus import open_corpus
from dnr_core.demand.entities import Dictionary, Mention
from dnr_core.demand.lexicon import build_lexicon
from dnr_core.demand.naming import name_entities
from dnr_core.demand.prefilter import all_items, let_go, prefilter
from dnr_core.demand.read import Item, hold_texts, kept_items
from dnr_core.demand.result import (
    demand_items,
    entity_rows,
    predictions,
    tables_of,
)
from dnr_core.demand.shares import Heard, theme_shares
from dnr_core.demand.weights import item_weights, source_weights
from dnr_core.errors import BudgetError, ConfigError
from dnr_core.llm import Budget, Cache, make_provider
from dnr_core.model import (
    Archetype,
    BatchProvider,
    CommsTables,
    DemandResult,
    DetectedIncident,
    Price,
    Provider,
    load,
)
from dnr_core.model.themes import SOURCES
from dnr_core.progress import Progress, Silent

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

_SILENT: Final = Silent()


def measure_demand(
    comms: CommsTables,
    archetype: Archetype,
    settings: Settings,
    catalogue: Catalogue,
    *,
    incidents: Iterable[DetectedIncident] = (),
    progress: Progress = _SILENT,
    cache_dir: Path | None = None,
) -> DemandResult:
    """Measure what people ask for: prefilter, sample to fit, classify, name, weigh.

    Args:
        comms: the talk.
        archetype: its tables are the dictionary; its time zone wins over the settings'.
        settings: `classification`, `entities`, `budget`, `cache` and, of `report`, the
            weights of the sources, the resamples and the seed.
        catalogue: where the providers are looked up.
        incidents: what health detected; they lift talk near them.
        progress: is told of each source.
        cache_dir: where answers are kept, instead of `settings.cache.dir`.

    Returns:
        Every item with what was decided of it, the demand with its shares and intervals, and
        what it cost. The same input gives the same result, in any order of rows.

    Raises:
        BudgetError: the provider costs money and its model has no price.
        CommsError: the talk lacks a column.
        ConfigError: a setting, the provider, or the calibration cannot be used.
    """
    tz = archetype.tz or settings.warehouse.tz
    lexicon = build_lexicon(settings.classification.prefilter, archetype.schema)
    provider, price = _provider(catalogue, settings, settings.classification)
    sure = _confidences(catalogue, settings, provider)
    namer, namer_price = _provider(catalogue, settings, settings.entities)
    if settings.classification.batch:
        price = _batch_price(provider)
    # Names follow the choice where their provider, which may be another, takes jobs.
    names_by_batch = settings.classification.batch and _takes_jobs(namer)
    if names_by_batch:
        namer_price = _batch_price(namer)
    with ExitStack() as stack:
        connection = stack.enter_context(open_corpus(comms))
        cache = None
        if settings.cache.enabled and not (provider.local and namer.local):
            cache = stack.enter_context(Cache.open(cache_dir or settings.cache.dir))
        prefilter(
            connection,
            lexicon,
            settings.classification.prefilter,
            threshold=settings.classification.prefilter_threshold,
            tz=tz,
            incidents=incidents,
        )
        items = all_items(connection)
        let_go(connection)
        kept = kept_items(items)
        items = items.drop_columns(["thread_id", "root_id", "channel", "succeeded"])
        hold_texts(connection, kept)
        weights = _source_weights(items, settings)
        budget = Budget(settings.classification.api_cap_usd, price)
        asked = Asker(
            connection,
            lexicon,
            Dictionary.of(archetype.schema),
            settings,
            provider,
            price,
            budget,
            cache,
            weights,
            progress,
            sure,
        ).ask(kept)
        demanded = [item for item in kept if item.row in asked.findings]
        named = name_entities(
            demanded,
            asked.findings,
            archetype.schema,
            settings,
            namer,
            price=namer_price,
            cache=cache,
            weights=weights,
            progress=progress,
            ask=not asked.fatal,
            batch=names_by_batch,
        )
    item_shares, heard = _weigh(kept, asked, named.mentions, weights)
    said = predictions(items, kept, asked.verdicts)
    coverage = coverage_of(said, asked.runs, weights, settings.budget.coverage_floor_pct)
    start, end = _span(items)
    return DemandResult(
        predictions=said,
        items=demand_items(
            items, demanded, asked.verdicts, asked.findings, named.mentions, item_shares
        ),
        entities=entity_rows(demanded, named.mentions),
        shares=theme_shares(
            heard, weights, resamples=settings.report.resamples, seed=settings.report.seed
        ),
        coverage=coverage,
        budget={
            **account(said, items, asked, coverage, budget, named.account, settings),
            "provider": settings.classification.provider,
            "model": provider.model,
            "confidences": dict(sure.told),
        },
        provider=settings.classification.provider,
        model=provider.model,
        start=start,
        end=end,
        notes=(*notes_of(coverage, said, settings.budget.coverage_floor_pct), sure.note),
    )


def _provider(
    catalogue: Catalogue, settings: Settings, chosen: Any
) -> tuple[Provider, Price | None]:
    classification = settings.classification
    provider = make_provider(
        catalogue,
        chosen.provider,
        chosen.model,
        settings={
            "base_url": classification.base_url,
            "env_key_var": classification.env_key_var,
            "price_usd_per_million": classification.price_usd_per_million,
            "timeout_seconds": classification.timeout_seconds,
        },
    )
    if provider.local:
        return provider, provider.price
    given = classification.price_usd_per_million
    price = Price(*given) if given else provider.price
    if price is None:
        raise BudgetError(
            f"the price of the model {provider.model!r} is not known, so its cost cannot be capped",
            hint="give the price of a million prompt and completion tokens with --price",
        )
    return provider, price


def _confidences(catalogue: Catalogue, settings: Settings, provider: Provider) -> Confidences:
    chosen = settings.classification
    spec = catalogue.providers.get(chosen.provider)
    measured = load(spec.measured)() if spec is not None and spec.measured else None
    path = Path(chosen.calibration) if chosen.calibration else None
    return confidences(path, chosen.provider, provider.model, measured)


def _takes_jobs(provider: Provider) -> bool:
    return isinstance(provider, BatchProvider) and provider.batch_price is not None


def _batch_price(provider: Provider) -> Price:
    if not isinstance(provider, BatchProvider):
        raise ConfigError(
            f"the provider of the model {provider.model!r} takes no batches",
            hint="leave out --batch, or choose another --provider",
        )
    if provider.batch_price is None:
        raise BudgetError(
            f"the price of the model {provider.model!r} is not known, so its cost cannot be capped",
            hint="give the price of a million prompt and completion tokens with --price",
        )
    return provider.batch_price


def _source_weights(items: pa.Table, settings: Settings) -> dict[str, float]:
    counted = pc.value_counts(items["source"]).to_pylist()
    present = {row["values"]: row["counts"] for row in counted}
    volumes: dict[str, int] = {source: present.get(source, 0) for source in SOURCES}
    return source_weights(
        settings.report.demand_base_weights, volumes, settings.report.demand_weight_caps
    )


def _weigh(
    kept: Sequence[Item],
    asked: Asked,
    mentions: Mapping[int, Sequence[Mention]],
    weights: Mapping[str, float],
) -> tuple[dict[int, float], list[Heard]]:
    """Return each demanded item's share of all demand, by row, and the items to resample."""
    decided = [_is_decided(asked.verdicts.get(item.row)) for item in kept]
    numbers = item_weights([item.stratum for item in kept], decided)
    heard = [
        Heard(
            item.source,
            item.thread_id,
            number,
            asked.verdicts[item.row].theme or "",
            tables_of(mentions.get(item.row, ())),
        )
        for item, number, is_decided in zip(kept, numbers, decided, strict=True)
        if is_decided
    ]
    totals: dict[str, int] = {}
    by_row = {item.row: number for item, number in zip(kept, numbers, strict=True)}
    for item in kept:
        if item.row in asked.findings:
            totals[item.source] = totals.get(item.source, 0) + by_row[item.row]
    every = math.fsum(weights[source] for source in totals)
    shares = {
        item.row: by_row[item.row] * weights[item.source] / (totals[item.source] * every)
        for item in kept
        if item.row in asked.findings and totals[item.source] and every
    }
    return shares, heard


def _is_decided(said: Verdict | None) -> bool:
    return said is not None and said.decided_by in {"provider", "prefilter"}


def _span(items: pa.Table) -> tuple[datetime | None, datetime | None]:
    bounds = pc.min_max(items["ts"])
    return bounds["min"].as_py(), bounds["max"].as_py()

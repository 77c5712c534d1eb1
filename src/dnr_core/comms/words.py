"""Room: comms. Has all words of a plan written within one cap, and says what was lost to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from dnr_core.comms.threads import Planned
from dnr_core.comms.write import Briefs, Written, instructions, read_answer
from dnr_core.errors import FatalProviderError, ProviderError
from dnr_core.llm import Budget, Cache, Completed, Keys, complete_all, make_provider
from dnr_core.model import Price, Provider, Request
from dnr_core.progress import Progress

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue
    from dnr_core.config import Settings


_PATIENCE_SECONDS: Final = 60.0
"""A thread is a longer answer than a label, so it may take longer."""


@frozen
class Words:
    """What was written: by source and key of the plan. `lost` are counts by source."""

    written: Mapping[str, Mapping[int, Written]]
    lost: Mapping[str, int]
    budget: Mapping[str, Any]
    notes: tuple[str, ...]
    prompt_sha256: str


def write_words(
    briefs: Briefs,
    plan: Mapping[str, Sequence[Planned]],
    settings: Settings,
    catalogue: Catalogue,
    progress: Progress,
) -> Words:
    """Ask the chosen provider for the words of every item.

    What an earlier run paid for words of this plan counts against the cap, so that a run
    that was killed and started again spends no more than one that was not.

    Raises:
        ConfigError: the provider is unknown or refuses its settings.
        ProviderError: the service failed, or its answers were of no use, many times in a row.
        FatalProviderError: the account is exhausted or the key is wrong.
    """
    comms = settings.comms
    provider = make_provider(
        catalogue, comms.provider, comms.model, settings=_provider_settings(settings)
    )
    # By seed, so that a cap that is reached takes its share from every source, theme and month.
    items = sorted(
        (item for source in plan.values() for item in source), key=lambda item: item.seed
    )
    requests = [briefs.request(item) for item in items]
    price = _price(provider, settings)
    uses_cache = settings.cache.enabled and not provider.local
    with Cache.open(settings.cache.dir) if uses_cache else nullcontext() as cache:
        paid_usd = _paid_before(requests, provider.model, cache, price)
        completed = complete_all(
            requests,
            provider,
            budget=Budget(max(0.0, comms.api_cap_usd - paid_usd), price),
            cache=cache,
            concurrency=settings.classification.concurrency,
            timeout_seconds=max(_PATIENCE_SECONDS, settings.classification.timeout_seconds),
            progress=progress,
            task="comms",
        )
    if completed.stopped and completed.stopped != "budget":
        # Half a company is of no use, and the half that is written waits in the cache.
        fault = FatalProviderError if completed.stopped == "fatal" else ProviderError
        raise fault(
            f"the words could not be written: {completed.reason}",
            hint="what was paid for is kept: the same command goes on from there",
        )
    return _words(plan, items, completed, provider, comms.provider, comms.api_cap_usd, paid_usd)


def _words(
    plan: Mapping[str, Sequence[Planned]],
    items: Sequence[Planned],
    completed: Completed,
    provider: Provider,
    provider_name: str,
    cap_usd: float,
    paid_usd: float,
) -> Words:
    written: dict[str, dict[int, Written]] = {source: {} for source in plan}
    for outcome in completed.outcomes:
        item = items[outcome.index]
        words = None
        if outcome.value is not None:
            words = read_answer(item, outcome.value, made_up=provider.local)
        if words is not None:
            written[item.source][item.key] = words
    lost = {source: len(plan[source]) - len(written[source]) for source in plan}
    digest = hashlib.sha256(instructions().encode()).hexdigest()
    budget = {
        "version": 1,
        "purpose": "write",
        "provider": provider_name,
        "model": provider.model,
        "cap_usd": cap_usd,
        "actual_usd": round(paid_usd + completed.spent_usd, 9),
        "kept_usd": round(completed.kept_usd, 9),
        "asked": {source: len(planned) for source, planned in plan.items()},
        "written": {source: len(found) for source, found in written.items()},
        "lost": lost,
        "stopped": completed.stopped,
    }
    return Words(written, lost, budget, _notes(plan, lost, completed), digest)


def _notes(
    plan: Mapping[str, Sequence[Planned]], lost: Mapping[str, int], completed: Completed
) -> tuple[str, ...]:
    if not any(lost.values()):
        return ()
    why = "the cap was reached" if completed.stopped else "their answers could not be used"
    parts = [f"{count} of {len(plan[source])} {source}" for source, count in lost.items() if count]
    return (f"not written: {', '.join(parts)} ({why})",)


def _paid_before(
    requests: Sequence[Request], model: str, cache: Cache | None, price: Price | None
) -> float:
    if cache is None or price is None:
        return 0.0
    keys = Keys(model)
    found = cache.get_many([keys.of(request) for request in requests]).values()
    return sum(price.cost_usd(reply.usage) for reply in found if reply.usage is not None)


def _price(provider: Provider, settings: Settings) -> Price | None:
    given = settings.classification.price_usd_per_million
    if provider.price is None and given is not None:
        return Price(*given)
    return provider.price


def _provider_settings(settings: Settings) -> dict[str, Any]:
    classification = settings.classification
    return {
        "base_url": classification.base_url,
        "env_key_var": classification.env_key_var,
        "price_usd_per_million": classification.price_usd_per_million,
        "timeout_seconds": classification.timeout_seconds,
    }

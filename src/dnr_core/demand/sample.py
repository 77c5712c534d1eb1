"""Room: demand. Sample to fit: how a cap on money becomes quotas, and who is drawn.

Everything is a function of counts, the seed and the items' ids: the order of input, and which
other sources there are, change no draw inside a stratum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from attrs import frozen

LEAST_PER_STRATUM: Final = 2
"""Items of each local day and bucket that has any, before the rest is shared in proportion."""

Key = TypeVar("Key", bound=Hashable)


@frozen
class Candidate:
    """An item that may be asked about. `first` marks those kept by score, who are served first."""

    item_id: str
    stratum: tuple[str, str]
    """Local day and bucket."""
    first: bool = True


def affordable(
    usable_usd: float,
    wanted: Mapping[str, int],
    cost_usd: Mapping[str, float],
    weights: Mapping[str, float],
) -> dict[str, int]:
    """Share money over sources by their weights; what one does not need goes to the others.

    Args:
        usable_usd: what may be planned with: the cap less its safety margin.
        wanted: items by source.
        cost_usd: planned cost of one item by source; at 0 all its items are affordable.
        weights: the sources' weights in the demand.

    Returns:
        Items by source, at most what is wanted, whose planned cost is at most `usable_usd`.
    """
    granted = {source: wanted[source] for source in wanted if cost_usd[source] <= 0}
    open_sources = sorted(source for source in wanted if source not in granted)
    left = usable_usd
    while open_sources:
        total = sum(weights.get(source, 0.0) for source in open_sources)
        parts = {
            source: left * weights.get(source, 0.0) / total
            if total > 0
            else left / len(open_sources)
            for source in open_sources
        }
        filled = [s for s in open_sources if wanted[s] * cost_usd[s] <= parts[s]]
        if not filled:
            granted.update(
                {s: min(wanted[s], max(0, int(parts[s] / cost_usd[s]))) for s in open_sources}
            )
            break
        for source in filled:
            granted[source] = wanted[source]
            left -= wanted[source] * cost_usd[source]
        open_sources = [source for source in open_sources if source not in filled]
    return {source: granted[source] for source in wanted}


def quotas(
    counts: Mapping[Key, int], total: int, seed: int, *, least: int = LEAST_PER_STRATUM
) -> dict[Key, int]:
    """Share `total` draws over strata: `least` each, the rest in proportion to what is left.

    Where not even the least fits, strata get one draw each, then the next, in an order drawn by seed.

    Returns:
        Draws by stratum, at most its count; their sum is `min(total, sum of counts)`.
    """
    order = sorted(counts, key=lambda key: (_place(seed, repr(key)), repr(key)))
    total = min(total, sum(counts.values()))
    given = dict.fromkeys(counts, 0)
    left = total
    for _ in range(least):
        for key in order:
            if left and given[key] < counts[key]:
                given[key] += 1
                left -= 1
    rest = {key: counts[key] - given[key] for key in counts}
    room = sum(rest.values())
    if not left or not room:
        return given
    # Largest remainder in whole numbers; ties go by the drawn order.
    for key in counts:
        given[key] += left * rest[key] // room
    spare = left - sum(left * rest[key] // room for key in counts)
    for key in sorted(order, key=lambda k: -(left * rest[k] % room)):
        if spare and given[key] < counts[key]:
            given[key] += 1
            spare -= 1
    return given


def draw(candidates: Sequence[Candidate], total: int, seed: int, source: str) -> frozenset[str]:
    """Draw the items of one source to ask about.

    Items kept by score are served first, whole or by quota; what is left over goes to the others.

    Returns:
        Ids of exactly `min(total, len(candidates))` items.
    """
    if total >= len(candidates):
        return frozenset(candidate.item_id for candidate in candidates)
    chosen: set[str] = set()
    for first in (True, False):
        tier = [candidate for candidate in candidates if candidate.first is first]
        strata: dict[tuple[str, str], list[str]] = {}
        for candidate in tier:
            strata.setdefault(candidate.stratum, []).append(candidate.item_id)
        shares = quotas({key: len(ids) for key, ids in strata.items()}, total - len(chosen), seed)
        for key, ids in strata.items():
            chosen.update(in_drawn_order(ids, seed, source)[: shares[key]])
    return frozenset(chosen)


def in_drawn_order(ids: Iterable[str], seed: int, source: str) -> list[str]:
    """Return ids in an order that depends on the seed and the ids alone."""
    return sorted(ids, key=lambda item_id: (_place(seed, f"{source}\x1f{item_id}"), item_id))


def _place(seed: int, name: str) -> bytes:
    text = f"dnr-sample/{seed}/{name}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()

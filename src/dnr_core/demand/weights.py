"""Room: demand. From sampled items to shares of the demand: source weights and post-strata."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from attrs import frozen

from dnr_core.config.settings import WeightCaps

SCALE: Final = 1024
"""Weights are kept as whole numbers of this part, so that their sums are exact in any order."""


def source_weights(
    base: Mapping[str, float], volumes: Mapping[str, int], caps: WeightCaps
) -> dict[str, float]:
    """Weigh the sources: base x volume, normalised, held within the caps, adding up to 1.

    Those at a cap stay there and the others are rescaled, which is the one factor f for which
    the sum of `clip(f x base x volume)` is 1. A source without items, or of base 0, has weight
    0; a source alone has 1; caps that the number of sources makes impossible are not applied.
    Source: definitions, "Demand": 1,000 NLQ, 3,000 threads, 800 mails give .304, .546, .150.
    """
    raw = {s: base.get(s, 0.0) * n for s, n in volumes.items() if n > 0 and base.get(s, 0.0) > 0}
    weights = dict.fromkeys(volumes, 0.0)
    if not raw:
        return weights
    low = caps.min if caps.min * len(raw) <= 1 else 0.0
    high = max(caps.max, low) if caps.max * len(raw) >= 1 else 1.0

    def clipped(factor: float) -> dict[str, float]:
        return {source: min(max(factor * value, low), high) for source, value in raw.items()}

    # The sum grows with the factor and is straight between the points where a source meets a cap.
    turns = sorted({bound / value for value in raw.values() for bound in (low, high)})
    below = max((t for t in turns if math.fsum(clipped(t).values()) <= 1), default=turns[0])
    held = clipped(below)
    # A hair of slack, so that rounding at a turn does not misplace the source that turns there.
    hair = 1 - 1e-12
    free = [s for s, v in raw.items() if low * hair <= below * v < high * hair]
    rest = 1 - math.fsum(held[s] for s in raw if s not in free)
    total = math.fsum(raw[s] for s in free)
    if total > 0:
        held.update({s: rest * raw[s] / total for s in free})
    weights.update(held)
    return weights


@frozen
class Stratum:
    """Where an item stands in the corpus: `tier` is how the prefilter kept it."""

    source: str
    tier: str
    bucket: str
    month: int
    """12 x year + month - 1 of the local day, or 0 where the item has no time."""
    day: int
    """The local day as days since 1970, or 0."""


def item_weights(kept: Sequence[Stratum], decided: Sequence[bool]) -> list[int]:
    """Weigh each decided item for the kept items that it stands for, in `1 / SCALE` items.

    First each bucket-day's decided items stand for all of it (they were drawn by it), then
    source x tier x bucket x month cells are brought to their counts in the corpus, and cells
    that nobody was drawn from are shared over their source and tier. A tier of which nothing was
    decided stands for nothing: how its items would answer is not known.

    Args:
        kept: every item that the prefilter kept, and every query.
        decided: which of them a provider decided.

    Returns:
        One weight for each kept item, 0 for those not decided. Within a source and tier
        with any decided item they add up to about its count.
    """
    all_days: dict[Hashable, int] = {}
    seen_days: dict[Hashable, int] = {}
    cells: dict[Hashable, int] = {}
    tiers: dict[Hashable, int] = {}
    for stratum, is_decided in zip(kept, decided, strict=True):
        day, cell, tier = _keys(stratum)
        all_days[day] = all_days.get(day, 0) + 1
        cells[cell] = cells.get(cell, 0) + 1
        tiers[tier] = tiers.get(tier, 0) + 1
        if is_decided:
            seen_days[day] = seen_days.get(day, 0) + 1
    # A bucket-day stands for its whole count as soon as one of its items was decided.
    stood_for: dict[Hashable, int] = {}
    covered: dict[Hashable, int] = {}
    counted: set[Hashable] = set()
    for stratum in kept:
        day, cell, tier = _keys(stratum)
        if day in seen_days and day not in counted:
            counted.add(day)
            if cell not in stood_for:
                covered[tier] = covered.get(tier, 0) + cells[cell]
            stood_for[cell] = stood_for.get(cell, 0) + all_days[day]
    weights = []
    for stratum, is_decided in zip(kept, decided, strict=True):
        if not is_decided:
            weights.append(0)
            continue
        day, cell, tier = _keys(stratum)
        # One fraction of whole numbers, rounded once, halves up: exact on every machine.
        over = all_days[day] * cells[cell] * tiers[tier] * SCALE
        under = seen_days[day] * stood_for[cell] * covered[tier]
        weights.append((2 * over + under) // (2 * under))
    return weights


def _keys(stratum: Stratum) -> tuple[Hashable, Hashable, Hashable]:
    tier = (stratum.source, stratum.tier)
    cell = (*tier, stratum.bucket, stratum.month)
    return (*cell, stratum.day), cell, tier

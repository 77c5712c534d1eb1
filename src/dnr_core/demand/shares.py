"""Room: demand. Theme shares with intervals: a bootstrap over threads, in whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.model import THEMES, ThemeShare
from dnr_core.synth.seeds import stream

_SPLIT: Final = 2520
"""Divides evenly by 1 to 10: an item's weight is split over its tables without a remainder."""

_TAIL: Final = 10
"""Percent of the resamples left out at each end: the interval is the middle 80 %."""

I64 = NDArray[np.int64]


@frozen
class Heard:
    """One decided item.

    `cluster` is its thread, which is resampled as a whole; `weight` is in `weights.SCALE`;
    `theme` is "" where it is no demand; `tables` has at most ten.
    """

    source: str
    cluster: str
    weight: int
    theme: str
    tables: tuple[str, ...] = ()


def theme_shares(
    heard: Sequence[Heard], weights: Mapping[str, float], *, resamples: int, seed: int
) -> tuple[ThemeShare, ...]:
    """Return the share of each theme, and of each theme on each table, by source and over "all".

    A share of a source is weight of the theme over weight of all its demand. Shares over all are
    those of the sources, weighted by `weights` over the sources that have any demand.

    Args:
        heard: the decided items; those that are no demand take part in the resampling.
        weights: the sources' weights.
        resamples: how many resamples the intervals stand on.
        seed: of the resampling. The order of `heard` has no influence.
    """
    columns = _columns(heard)
    place = {column: index for index, column in enumerate(columns)}
    sources = [s for s in weights if any(h.source == s and h.theme for h in heard)]
    total = math.fsum(weights[source] for source in sources)
    if not sources or total <= 0:
        return ()
    values: dict[str, NDArray[np.float64]] = {}
    drawn: dict[str, NDArray[np.float64]] = {}
    for source in sources:
        own = [h for h in heard if h.source == source]
        profiles, of_cluster = _clusters(own, place)
        values[source] = _ratio(_sums(profiles, _counts(of_cluster, len(profiles)), len(columns)))[
            0
        ]
        drawn[source] = _ratio(
            _resample(profiles, of_cluster, len(columns), resamples, seed, source)
        )
    result: list[ThemeShare] = []
    for source in sources:
        result += _rows(source, columns, values[source], drawn[source], _item_counts(heard, source))
    # Added source by source in one fixed order.
    everything = np.zeros(len(columns))
    everything_drawn = np.zeros((resamples, len(columns)))
    for source in sources:
        everything = everything + values[source] * (weights[source] / total)
        everything_drawn = everything_drawn + drawn[source] * (weights[source] / total)
    result += _rows("all", columns, everything, everything_drawn, _item_counts(heard, None))
    return tuple(result)


def _columns(heard: Iterable[Heard]) -> list[tuple[str, str]]:
    """Every theme as a whole, then each theme and table that occurs; the last is the total."""
    pairs = sorted({(h.theme, table) for h in heard if h.theme for table in h.tables})
    return [*((theme, "") for theme in THEMES), *pairs, ("", "")]


def _clusters(
    heard: Iterable[Heard], place: Mapping[tuple[str, str], int]
) -> tuple[list[tuple[tuple[int, int], ...]], I64]:
    """Group items by thread, and threads by what they add: profiles, and each thread's profile."""
    threads: dict[str, dict[int, int]] = {}
    for item in heard:
        added = threads.setdefault(item.cluster, {})
        if not item.theme:
            continue
        full = item.weight * _SPLIT
        for column in ((item.theme, ""), ("", "")):
            added[place[column]] = added.get(place[column], 0) + full
        for table in item.tables:
            at = place[item.theme, table]
            added[at] = added.get(at, 0) + full // len(item.tables)
    profiles: dict[tuple[tuple[int, int], ...], int] = {}
    keys = sorted((tuple(sorted(added.items())), cluster) for cluster, added in threads.items())
    of_cluster = [profiles.setdefault(key, len(profiles)) for key, _ in keys]
    return list(profiles), np.array(of_cluster, dtype=np.int64)


def _counts(of_cluster: I64, profiles: int) -> I64:
    return np.bincount(of_cluster, minlength=profiles).astype(np.int64)[np.newaxis, :]


def _sums(profiles: Sequence[tuple[tuple[int, int], ...]], counts: I64, width: int) -> I64:
    """Add up profiles by column: rows are resamples."""
    by_column: dict[int, tuple[list[int], list[int]]] = {}
    for index, profile in enumerate(profiles):
        for column, amount in profile:
            at, amounts = by_column.setdefault(column, ([], []))
            at.append(index)
            amounts.append(amount)
    result = np.zeros((counts.shape[0], width), dtype=np.int64)
    for column, (at, amounts) in by_column.items():
        result[:, column] = (counts[:, at] * np.array(amounts, dtype=np.int64)).sum(axis=1)
    return result


def _resample(
    profiles: Sequence[tuple[tuple[int, int], ...]],
    of_cluster: I64,
    width: int,
    resamples: int,
    seed: int,
    source: str,
) -> I64:
    many = len(of_cluster)
    draws = stream(seed, "demand", source)
    counts = np.empty((resamples, len(profiles)), dtype=np.int64)
    places = np.arange(many, dtype=np.int64)
    for row in range(resamples):
        chosen = of_cluster[draws.below(places + row * many, many)]
        counts[row] = np.bincount(chosen, minlength=len(profiles))
    return _sums(profiles, counts, width)


def _ratio(sums: I64) -> NDArray[np.float64]:
    totals = sums[:, -1:]
    return np.divide(sums, totals, out=np.zeros(sums.shape), where=totals > 0)


def _item_counts(heard: Iterable[Heard], source: str | None) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for item in heard:
        if item.theme and source in {None, item.source}:
            for table in ("", *item.tables):
                counts[item.theme, table] = counts.get((item.theme, table), 0) + 1
    return counts


def _rows(
    source: str,
    columns: Sequence[tuple[str, str]],
    values: NDArray[np.float64],
    drawn: NDArray[np.float64],
    counts: Mapping[tuple[str, str], int],
) -> list[ThemeShare]:
    ordered = np.sort(drawn, axis=0)
    cut = len(ordered) * _TAIL // 100
    low, high = ordered[cut], ordered[len(ordered) - 1 - cut]
    rows = []
    for index, (theme, table) in enumerate(columns[:-1]):
        items = counts.get((theme, table), 0)
        if table and not items:
            continue
        share = float(values[index])
        rows.append(
            ThemeShare(
                source,
                theme,
                table,
                share,
                min(share, float(low[index])),
                max(share, float(high[index])),
                items,
            )
        )
    return rows

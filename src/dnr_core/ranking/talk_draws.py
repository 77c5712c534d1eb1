"""Room: ranking. The talk resampled: whole threads, and what one person asks the data in a day.

Messages of one thread are about one thing, so they come or stay away together. Each resample reads
the drawn talk as the talk itself was read: what guesses are worth and where a theme's demand lies
is found anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dnr_core.ranking.meaning import believed, fitted
from dnr_core.ranking.measures import Floats, Ints
from dnr_core.ranking.talk import Talk, Voice

MAX_CLUSTERS: Final = 20_000
"""Beyond so many threads of a source, so many random blocks of them are drawn."""
AT_ONCE: Final = 50
"""Resamples that are read together; their arrays fit into a processor's cache."""


class TalkDraws:
    """How often each resample drew each thread, and what the talk then says."""

    def __init__(self, talk: Talk, resamples: int, seed: int) -> None:
        self._talk = talk
        rng = np.random.default_rng([seed, 1])
        group, group_source = _groups(talk, rng)
        self._group_of: Ints = group[talk.cluster_of]
        sources = range(len(talk.sources))
        members = [np.flatnonzero(group_source == source) for source in sources]
        self.times: npt.NDArray[np.int32] = np.zeros((resamples, group_source.size), np.int32)
        for draw in range(resamples):
            for mine in members:
                chosen = rng.integers(0, mine.size, mine.size)
                self.times[draw, mine] = np.bincount(chosen, minlength=mine.size)

    def shares(self, voices: Sequence[Voice]) -> Floats:
        """Return each voice's share of all demand (columns) in each resample (rows).

        The weight of a source stays as it is; what it says is that of its drawn threads.
        """
        talk = self._talk
        named = talk.table_of != talk.unnamed
        trust = believed(talk.weights / talk.total_weight, talk.confidences, named)
        sure, guessed, whole = (
            self._cells(rows)
            for rows in (
                named & (talk.confidences >= 1),
                named & (talk.confidences < 1),
                np.ones(named.size, dtype=bool),
            )
        )
        themes = np.array([talk.themes[voice.theme] for voice in voices], np.int64)
        tables = np.array([talk.tables[voice.table] for voice in voices], np.int64)
        result = np.zeros((len(self.times), len(voices)))
        for start in range(0, len(self.times), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            factor = self._source_factors(whole, part)
            all_of_theme = _drawn(whole, self.times[part], factor).sum(axis=-1)
            _, lies = fitted(
                _drawn(sure, self.times[part], factor),
                _drawn(guessed, self.times[part], factor),
                trust,
            )
            # Where nobody names a table, all of the theme's demand lies on none.
            lies[..., talk.unnamed] = ~lies.any(axis=-1)
            result[part] = lies[:, themes, tables] * all_of_theme[:, themes]
        return result

    def by_day(self, voice: Voice, first: int, last: int) -> Floats:
        """Return the voice's messages by day from `first` to `last` in each resample."""
        talk = self._talk
        days = talk.day_of[voice.rows]
        rows = voice.rows[(days >= first) & (days <= last)]
        rows = rows[np.argsort(talk.day_of[rows], kind="stable")]
        daily = np.zeros((len(self.times), last - first + 1))
        if rows.size:
            present, starts = np.unique(talk.day_of[rows], return_index=True)
            drawn = self.times[:, self._group_of[rows]]
            daily[:, present - first] = np.add.reduceat(drawn, starts, axis=1)
        return daily

    def _cells(self, chosen: npt.NDArray[np.bool_]) -> _Cells:
        """Add up the chosen rows' weight by what is drawn, source, theme and table."""
        talk = self._talk
        shape = (len(talk.sources), len(talk.themes), len(talk.tables))
        cell = np.ravel_multi_index(
            (talk.source_of[chosen], talk.theme_of[chosen], talk.table_of[chosen]), shape
        )
        size = int(np.prod(shape))
        keys, place = np.unique(self._group_of[chosen] * size + cell, return_inverse=True)
        own = talk.weights[chosen].astype(np.float64)
        weight = np.bincount(place, weights=own, minlength=keys.size).astype(np.float64)
        return _Cells(keys // size, keys % size, weight, shape)

    def _source_factors(self, whole: _Cells, part: slice) -> Floats:
        """Return by resample what brings each source to its weight, in parts of all demand."""
        talk = self._talk
        count = len(talk.sources)
        own = np.bincount(talk.source_of, weights=talk.weights, minlength=count)
        drawn = _summed(whole, self.times[part]).sum(axis=(-2, -1))
        return np.asarray(own / np.maximum(drawn, 1.0) / talk.total_weight)


@frozen
class _Cells:
    """Weights by group and cell (source, theme, table), as far as they are not 0."""

    groups: Ints
    cells: Ints
    weights: Floats
    shape: tuple[int, int, int]


def _summed(cells: _Cells, times: npt.NDArray[np.int32]) -> Floats:
    """Return weights by resample, source, theme and table; whole numbers, so exact in any order."""
    size = int(np.prod(cells.shape))
    found = np.empty((len(times), size))
    for number, row in enumerate(times):
        found[number] = np.bincount(cells.cells, row[cells.groups] * cells.weights, size)
    return found.reshape(len(times), *cells.shape)


def _drawn(cells: _Cells, times: npt.NDArray[np.int32], factor: Floats) -> Floats:
    """Return parts of all demand by resample, theme and table."""
    by_source = _summed(cells, times)
    total = np.zeros((len(times), *cells.shape[1:]))
    # A fixed, left-to-right sum over sources: the same last bit on every machine.
    for source in range(cells.shape[0]):
        total += by_source[:, source] * factor[:, source, np.newaxis, np.newaxis]
    return total


def _groups(talk: Talk, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Map each cluster to what is drawn: itself, or its block where its source has too many."""
    group = np.zeros(talk.cluster_source.size, np.int64)
    sources: list[Ints] = []
    used = 0
    for source in range(len(talk.sources)):
        mine = np.flatnonzero(talk.cluster_source == source)
        count = min(mine.size, MAX_CLUSTERS)
        blocks = np.arange(mine.size, dtype=np.int64) % max(count, 1)
        group[mine] = used + rng.permutation(blocks)
        sources.append(np.full(count, source, np.int64))
        used += count
    return group, np.concatenate(sources) if sources else np.empty(0, np.int64)

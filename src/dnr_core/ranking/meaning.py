"""Room: ranking. Which table a message means where it does not say so in plain words.

A table named exactly is meant. A guess, read from everyday words, may be wrong, and some messages
name none. But people who ask about one thing ask about the same tables: how a theme's sure
mentions spread over tables tells how likely a guess is, and where the rest belongs. The model is a
mixture of two: a guess is right with chance q, and then falls on a table as the theme's demand
does; else it falls anywhere, as wrong guesses do. Its parts are found by expectation and
maximisation (A. P. Dempster, N. M. Laird and D. B. Rubin 1977) on weights alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dnr_core.ranking.measures import Floats, Ints

ROUNDS: Final = 40
PRIOR_WEIGHT: Final = 0.02
"""How much the provider's own confidence counts, in parts of all demand, against what is seen."""
SMOOTHING: Final = 1e-3
"""Part of the wrong guesses that is spread evenly over the tables, so that none is impossible."""


@frozen
class Meaning:
    """What guesses are worth, and where the demand of a theme lies.

    `trust` is by theme and table the chance that a guess is right; `lies` the shares of a theme's
    demand over its named tables, adding up to 1.
    """

    trust: Mapping[tuple[int, int], float]
    lies: Mapping[tuple[int, int], float]


def meaning(
    themes: Ints, tables: Ints, weights: Floats, confidences: Floats, *, unnamed: int
) -> Meaning:
    """Find what guesses are worth.

    Args:
        themes, tables: numbers of each row's theme and table.
        weights: each row's part of all demand; they add up to 1.
        confidences: 1 for a table that was named exactly, what the provider says for a guess.
        unnamed: the number of the table that stands for none.
    """
    named = tables != unnamed
    shape = (int(themes.max(initial=-1)) + 1, int(tables.max(initial=-1)) + 1)
    sure = _summed(shape, themes, tables, weights, named & (confidences >= 1))
    guessed = _summed(shape, themes, tables, weights, named & (confidences < 1))
    trust, lies = fitted(sure, guessed, believed(weights, confidences, named))
    return Meaning(
        {(int(a), int(b)): float(trust[a, b]) for a, b in np.argwhere(guessed > 0)},
        {(int(a), int(b)): float(lies[a, b]) for a, b in np.argwhere(sure + guessed > 0)},
    )


def believed(weights: Floats, confidences: Floats, named: npt.NDArray[np.bool_]) -> float:
    """Return what guesses are worth by the provider's own confidence, 1 where there is none."""
    doubtful = np.asarray(named & (confidences < 1))
    total = float(weights[doubtful].sum())
    return float((weights * confidences)[doubtful].sum()) / total if total > 0 else 1.0


def fitted(sure: Floats, guessed: Floats, believed: float) -> tuple[Floats, Floats]:
    """Find what guesses are worth and where demand lies, for one talk or for many resamples of it.

    Args:
        sure, guessed: weight by theme and table along the last two axes, in parts of all demand.
        believed: what guesses are worth by the provider's own confidence.

    Returns:
        The chance that a guess is right, and the shares of a theme's demand over its tables, in
        the shape of what was given.
    """
    total = guessed.sum(axis=(-2, -1), keepdims=True)
    used = (sure + guessed).sum(axis=-2, keepdims=True) > 0
    even = SMOOTHING * used / np.maximum(used.sum(axis=-1, keepdims=True), 1)
    is_guessed = guessed > 0
    trust = np.where(is_guessed, believed, 0.0)
    for _ in range(ROUNDS if is_guessed.any() else 0):
        right = guessed * trust
        lies = _rows_to_one(sure + right)
        heard = right.sum(axis=(-2, -1), keepdims=True)
        chance = (heard + PRIOR_WEIGHT * believed) / (total + PRIOR_WEIGHT)
        columns = (guessed - right).sum(axis=-2, keepdims=True)
        spread = columns.sum(axis=-1, keepdims=True)
        stray = even + (1 - SMOOTHING) * columns / np.maximum(spread, 1e-300)
        hit, miss = chance * lies, (1 - chance) * stray
        trust = np.where(is_guessed, hit / np.maximum(hit + miss, 1e-12), 0.0)
    return trust, _rows_to_one(sure + guessed * trust)


def _summed(
    shape: tuple[int, int],
    themes: Ints,
    tables: Ints,
    weights: Floats,
    chosen: npt.NDArray[np.bool_],
) -> Floats:
    cells = themes[chosen] * shape[1] + tables[chosen]
    flat = np.bincount(cells, weights=weights[chosen], minlength=shape[0] * shape[1])
    return np.asarray(flat.reshape(shape), dtype=np.float64)


def _rows_to_one(values: Floats) -> Floats:
    return np.asarray(values / np.maximum(values.sum(axis=-1, keepdims=True), 1e-12))

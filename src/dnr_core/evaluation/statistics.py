"""Room: evaluation. Scores of a classifier from counts, with intervals, in NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.synth.seeds import Stream

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)

_TAIL_PERCENT: Final = 10


@frozen
class ClassScore:
    """One class: shares in [0, 1], 0 where they have no denominator; `support` counts true items."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@frozen
class Calibrated:
    """How far confidence is from being right, before and after a fit that is tested held out."""

    ece: float
    ece_held_out: float | None
    items: int


def confusion(truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> I64:
    """Return counts: rows are the true class, columns the predicted one, in order of `classes`.

    Raises:
        ValueError: a label that is none of the classes, or sequences of unequal length.
    """
    place = {name: index for index, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for true, said in zip(truth, predicted, strict=True):
        if true not in place or said not in place:
            raise ValueError("a label is none of the classes")
        counts[place[true], place[said]] += 1
    return counts


def class_scores(counts: I64, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return precision, recall and F1 of each class, one against the rest."""
    hits = np.diagonal(counts)
    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    return tuple(
        ClassScore(
            name,
            _share(int(hits[i]), int(predicted[i])),
            _share(int(hits[i]), int(support[i])),
            _share(2 * int(hits[i]), int(support[i] + predicted[i])),
            int(support[i]),
            int(predicted[i]),
        )
        for i, name in enumerate(classes)
    )


def accuracy(counts: I64) -> float:
    """Return the share of items whose class was found."""
    return _share(int(np.trace(counts)), int(counts.sum()))


def macro_f1(counts: I64) -> float | None:
    """Return the mean F1 of the classes that have true items; None where there are none."""
    value = macro_f1_of_each(counts[np.newaxis])[0]
    return None if math.isnan(value) else float(value)


def macro_f1_of_each(counts: I64) -> F64:
    """Return the macro-F1 of each confusion matrix of a stack; NaN for one of no items."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    support, predicted = counts.sum(axis=2), counts.sum(axis=1)
    whole = support + predicted
    f1 = np.divide(2 * hits, whole, out=np.zeros(hits.shape), where=whole > 0)
    present = support > 0
    some = present.sum(axis=1)
    total = np.where(present, f1, 0.0).sum(axis=1)
    means: F64 = np.divide(total, some, out=np.full(total.shape, np.nan), where=some > 0)
    return means


def cluster_interval(
    truth: Sequence[str],
    predicted: Sequence[str],
    classes: Sequence[str],
    clusters: Sequence[str],
    *,
    resamples: int,
    draws: Stream,
) -> tuple[float, float] | None:
    """Return the middle 80 % of macro-F1 over resamples of whole clusters.

    Items of one cluster (a thread, a skeleton) are not independent; resampling them one by one
    would make the interval too narrow.

    Returns:
        The bounds, or None where there are fewer than two clusters.
    """
    names = sorted(set(clusters))
    if len(names) < 2:
        return None
    of_cluster = {name: index for index, name in enumerate(names)}
    place = {name: index for index, name in enumerate(classes)}
    width = len(classes)
    table = np.zeros((len(names), width * width), dtype=np.int64)
    for true, said, cluster in zip(truth, predicted, clusters, strict=True):
        table[of_cluster[cluster], place[true] * width + place[said]] += 1
    # Alike clusters are one row with a multiplicity: matrices stay small, sums stay exact.
    rows, of_row = np.unique(table, axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    many = len(names)
    places = np.arange(many, dtype=np.int64)
    values = np.empty(resamples)
    for index in range(resamples):
        chosen = of_row[draws.below(places + index * many, many)]
        weight = np.bincount(chosen, minlength=len(rows)).astype(np.int64)
        summed = (weight[:, np.newaxis] * rows).sum(axis=0).reshape(1, width, width)
        values[index] = macro_f1_of_each(summed)[0]
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return None
    cut = len(ordered) * _TAIL_PERCENT // 100
    return float(ordered[cut]), float(ordered[len(ordered) - 1 - cut])


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Return the expected calibration error over `bins` of equal width on [0, 1].

    The mean over items of |share right - mean confidence| of their bin (Naeini et al. 2015).
    """
    groups: dict[int, tuple[list[float], list[bool]]] = {}
    for value, is_right in zip(confidence, right, strict=True):
        values, rights = groups.setdefault(min(int(value * bins), bins - 1), ([], []))
        values.append(value)
        rights.append(is_right)
    if not groups:
        return 0.0
    off = math.fsum(abs(sum(rights) - math.fsum(values)) for values, rights in groups.values())
    return off / len(confidence)


def isotonic(confidence: Sequence[float], right: Sequence[bool]) -> tuple[F64, F64]:
    """Fit a rising step function from confidence to the share right (pool adjacent violators).

    Returns:
        Ascending confidences and the values at them; between two it is straight, beyond the ends
        flat (`numpy.interp`).

    Raises:
        ValueError: there is nothing to fit.
    """
    if not confidence:
        raise ValueError("there is nothing to fit")
    pairs: dict[float, list[int]] = {}
    for value, is_right in zip(confidence, right, strict=True):
        pair = pairs.setdefault(float(value), [0, 0])
        pair[0] += bool(is_right)
        pair[1] += 1
    # Each block: its points, how many are right, how many there are.
    blocks: list[tuple[list[float], int, int]] = []
    for value in sorted(pairs):
        points, hits, many = [value], *pairs[value]
        while blocks and blocks[-1][1] * many >= hits * blocks[-1][2]:
            before = blocks.pop()
            points, hits, many = before[0] + points, before[1] + hits, before[2] + many
        blocks.append((points, hits, many))
    x = [point for points, _, _ in blocks for point in points]
    y = [hits / many for points, hits, many in blocks for _ in points]
    return np.array(x), np.array(y)


def calibration(
    confidence: Sequence[float],
    right: Sequence[bool],
    groups: Sequence[str],
    *,
    folds: int = 5,
) -> Calibrated:
    """Return the calibration error, and that of an isotonic fit tested on groups it never saw.

    Groups go to folds in the order of their names, so that no group is on both sides of a fit.
    """
    ece = calibration_error(confidence, right)
    names = sorted(set(groups))
    if len(names) < folds:
        return Calibrated(ece, None, len(confidence))
    fold_of = {name: index % folds for index, name in enumerate(names)}
    after: list[float] = []
    rights: list[bool] = []
    for fold in range(folds):
        inside = [fold_of[group] != fold for group in groups]
        fitted = isotonic(
            [c for c, use in zip(confidence, inside, strict=True) if use],
            [r for r, use in zip(right, inside, strict=True) if use],
        )
        tested = [c for c, use in zip(confidence, inside, strict=True) if not use]
        after += np.interp(tested, *fitted).tolist()
        rights += [r for r, use in zip(right, inside, strict=True) if not use]
    return Calibrated(ece, calibration_error(after, rights), len(confidence))


def pair_scores(
    truth: Mapping[Key, frozenset[str]], predicted: Mapping[Key, frozenset[str]]
) -> ClassScore:
    """Return precision, recall and F1 over pairs of an item and a name, pooled over items."""
    hits = sum(len(names & predicted.get(item, frozenset())) for item, names in truth.items())
    support = sum(len(names) for names in truth.values())
    said = sum(len(predicted.get(item, frozenset())) for item in truth)
    return ClassScore(
        "pairs",
        _share(hits, said),
        _share(hits, support),
        _share(2 * hits, support + said),
        support,
        said,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0

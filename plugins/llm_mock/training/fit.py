"""Room: training. Fits the linear model: choice of features, weights, whole numbers, temperatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from attrs import frozen
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from dnr_core.model.themes import RELEVANCE, THEMES
from dnr_llm_mock import features
from dnr_llm_mock.classifier import THEME_COUNT, Weights

FEATURES = 11_500
LEAST_GROUPS = 2
"""Skeletons and writers that must have a feature: what one alone says is no sign for the others."""
LARGEST = 63
"""Weights are whole numbers up to this: coarser ones than a byte holds leave room for more of them."""
DECIMALS = 9
"""Of what is no whole number: beyond these, a fit depends on how many threads add it up."""
THEME_C = 2.0
RELEVANCE_C = 6.0
ROUGH, FINE = 1e-2, 1e-3
# Tolerances of the fit that chooses the features, and of the one that weighs them.


@frozen
class Example:
    """A text with its truth; `group` is a skeleton or a writer, `weight` its weight in the fit."""

    text: str
    theme: str
    relevance: str
    group: str
    weight: float = 1.0
    is_question: bool = False


numbers_of = lru_cache(maxsize=50_000)(features.counted)


@frozen(eq=False)
class Encoded:
    """Examples as a sparse matrix over `numbers`."""

    matrix: csr_matrix
    numbers: np.ndarray


def encode(examples: Sequence[Example]) -> Encoded:
    """Encode examples over all features that enough groups have."""
    counted = [numbers_of(example.text) for example in examples]
    having: dict[int, set[str]] = {}
    for example, (counts, _) in zip(examples, counted, strict=True):
        for feature in counts:
            having.setdefault(feature, set()).add(example.group)
    numbers = np.array(
        sorted(n for n, groups in having.items() if len(groups) >= LEAST_GROUPS), np.uint32
    )
    place = {int(n): i for i, n in enumerate(numbers)}
    rows, columns, values = [], [], []
    for row, (counts, parts) in enumerate(counted):
        divisor = features.scale(parts)
        for number, count in counts.items():
            column = place.get(number)
            if column is not None:
                rows.append(row)
                columns.append(column)
                values.append(count / divisor)
    shape = (len(examples), len(numbers))
    return Encoded(csr_matrix((values, (rows, columns)), shape=shape), numbers)


def _regression(
    matrix: csr_matrix,
    labels: np.ndarray,
    weights: np.ndarray,
    c: float,
    tolerance: float,
    balance: dict[int, float] | str = "balanced",
) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=300, tol=tolerance, class_weight=balance).fit(
        matrix, labels, sample_weight=weights
    )


def _balance(examples: Sequence[Example]) -> dict[int, float]:
    """Weights of the classes of relevance by which they count alike in threads and mails.

    Without questions: there are so many ordinary ones that ordinary talk would count for little.
    """
    counts = Counter(RELEVANCE.index(e.relevance) for e in examples if not e.is_question)
    return {place: counts.total() / len(counts) / count for place, count in counts.items()}


def _heads(
    encoded: Encoded, examples: Sequence[Example], tolerance: float
) -> tuple[LogisticRegression, LogisticRegression]:
    needs = np.array([e.theme != "none" for e in examples])
    themes = np.array([THEMES.index(e.theme) if e.theme != "none" else -1 for e in examples])
    relevance = np.array([RELEVANCE.index(e.relevance) for e in examples])
    weights = np.array([e.weight for e in examples])
    return (
        _regression(encoded.matrix[needs], themes[needs], weights[needs], THEME_C, tolerance),
        _regression(encoded.matrix, relevance, weights, RELEVANCE_C, tolerance, _balance(examples)),
    )


def fit(examples: Sequence[Example]) -> Weights:
    """Weights for the examples, not yet calibrated."""
    full = encode(examples)
    theme, relevance = _heads(full, examples, ROUGH)
    spread = np.sqrt(np.asarray(full.matrix.multiply(full.matrix).mean(axis=0)).ravel())
    size = np.maximum(
        np.abs(theme.coef_).max(axis=0) / np.abs(theme.coef_).max(),
        np.abs(relevance.coef_).max(axis=0) / np.abs(relevance.coef_).max(),
    )
    best = np.sort(np.argsort(-(size * spread), kind="stable")[:FEATURES])
    kept = Encoded(full.matrix[:, best], full.numbers[best])
    theme, relevance = _heads(kept, examples, FINE)
    weights = np.vstack([theme.coef_, relevance.coef_])
    # One step a head, so that classes of a head stay comparable.
    steps = [
        round(float(np.quantile(np.abs(h.coef_), 0.9995)) / LARGEST, DECIMALS)
        for h in (theme, relevance)
    ]
    by_class = [steps[0]] * THEME_COUNT + [steps[1]] * len(RELEVANCE)
    whole = np.clip(np.rint(weights / np.array(by_class)[:, None]), -LARGEST, LARGEST).astype(
        np.int8
    )
    return Weights(
        numbers=kept.numbers,
        rows=np.ascontiguousarray(whole.T),
        steps=tuple(by_class),
        intercepts=tuple(
            round(float(x), DECIMALS) for x in [*theme.intercept_, *relevance.intercept_]
        ),
        temperatures=(1.0, 1.0),
        need_from=0.2,
    )


def temperature(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """The temperature at which the truth is least surprising, on examples that were held out."""

    def surprise(log_temperature: float) -> float:
        logits = scores / np.exp(log_temperature)
        logits = logits - logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(-(weights * logs[np.arange(len(truth)), truth]).sum() / weights.sum())

    found = minimize_scalar(surprise, bounds=(-3.0, 3.0), method="bounded")
    return round(float(np.exp(found.x)), 4)

"""Room: training. How far the classes of relevance lean: offsets chosen on what was held out.

A linear model is fitted to be surprised as little as possible; it is judged by macro-F1. Two numbers
close most of that gap, and two numbers overfit little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from attrs import frozen

from dnr_core.model.themes import RELEVANCE

NEARLY = 0.01
STEPS = tuple(round(step * 0.1, 1) for step in range(-12, 13))


@frozen(eq=False)
class Held:
    """Held-out scores of relevance (columns) of some texts (rows), with their truth."""

    scores: np.ndarray
    truth: np.ndarray
    gold: np.ndarray
    question: np.ndarray


def offsets(held: Held) -> tuple[float, ...]:
    """The offsets of the classes (that of the first is 0) that do best on what was held out.

    Best: the mean of macro-F1 on golden talk, of macro-F1 on made talk, and of the share of
    questions of both kinds that are told apart. Which of many nearly equal ones is the very best is
    chance, so it is the middle of those that are nearly as good.
    """
    judged = list(_judged(held))
    best = max(value for value, _ in judged)
    good = np.array([lean for value, lean in judged if value >= best - NEARLY])
    return tuple(round(float(place), 3) for place in good.mean(axis=0))


def _judged(held: Held) -> Iterator[tuple[float, tuple[float, ...]]]:
    for others in product(STEPS, repeat=len(RELEVANCE) - 1):
        lean = (0.0, *others)
        said = (held.scores + np.array(lean)).argmax(axis=1)
        talk = ~held.question
        parts = [
            _macro_f1(held.truth[chosen], said[chosen])
            for chosen in (talk & held.gold, talk & ~held.gold)
        ]
        asked = held.question
        needs, finds = held.truth[asked] == 0, said[asked] == 0
        told_apart = (finds[needs].mean() + (~finds[~needs]).mean()) / 2
        yield float(np.mean([*parts, told_apart])), lean


def _macro_f1(truth: np.ndarray, said: np.ndarray) -> float:
    total = 0.0
    for place in range(len(RELEVANCE)):
        both = ((truth == place) & (said == place)).sum()
        either = (truth == place).sum() + (said == place).sum()
        total += 2 * both / either if either else 0.0
    return total / len(RELEVANCE)


def leaning(scores: Sequence[float], lean: Sequence[float]) -> list[float]:
    """Scores of all classes with those of relevance, the last ones, moved by the offsets."""
    start = len(scores) - len(lean)
    return [*scores[:start], *(s + o for s, o in zip(scores[start:], lean, strict=True))]

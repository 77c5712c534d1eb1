"""Room: training. Scores from pairs of truth and answer; plain Python, so that tests can use it."""

from __future__ import annotations

from collections.abc import Sequence


def macro_f1(truth: Sequence[str], answers: Sequence[str], classes: Sequence[str]) -> float:
    """Mean over the classes of 2 TP / (2 TP + FP + FN); a class that is nowhere counts 0."""
    total = 0.0
    for name in classes:
        both = sum(t == a == name for t, a in zip(truth, answers, strict=True))
        either = sum(t == name for t in truth) + sum(a == name for a in answers)
        total += 2 * both / either if either else 0.0
    return total / len(classes)


def accuracy(truth: Sequence[str], answers: Sequence[str]) -> float:
    """Share of answers that are right."""
    return sum(t == a for t, a in zip(truth, answers, strict=True)) / len(truth) if truth else 0.0


def calibration_error(right: Sequence[bool], confidence: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over equal bins."""
    gap = 0.0
    for place in range(bins):
        inside = [i for i, c in enumerate(confidence) if min(bins - 1, int(c * bins)) == place]
        if inside:
            sure = sum(confidence[i] for i in inside) / len(inside)
            hit = sum(right[i] for i in inside) / len(inside)
            gap += len(inside) / len(right) * abs(sure - hit)
    return gap


def kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Cohen's kappa of two labellings (Cohen 1960)."""
    count = len(first)
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / count
    chance = sum(first.count(name) * second.count(name) for name in set(first)) / count**2
    return (agreed - chance) / (1 - chance) if chance < 1 else 1.0

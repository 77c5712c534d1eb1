"""Scores from counts, against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from dnr_core.evaluation.statistics import (
    accuracy,
    calibration,
    calibration_error,
    class_scores,
    cluster_interval,
    confusion,
    isotonic,
    macro_f1,
    pair_scores,
)
from dnr_core.synth.seeds import stream

CLASSES = ("a", "b", "c", "none")
PAIRS = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=60
)


@settings(max_examples=60)
@given(PAIRS)
def test_counts_and_scores_are_those_of_scikit_learn(pairs):
    """Confusion, accuracy, per-class scores and macro-F1 over the classes that occur agree."""
    truth, said = [p[0] for p in pairs], [p[1] for p in pairs]
    counts = confusion(truth, said, CLASSES)
    assert (counts == confusion_matrix(truth, said, labels=CLASSES)).all()
    assert math.isclose(accuracy(counts), accuracy_score(truth, said))
    expected = precision_recall_fscore_support(truth, said, labels=CLASSES, zero_division=0)
    for place, score in enumerate(class_scores(counts, CLASSES)):
        assert math.isclose(score.precision, expected[0][place])
        assert math.isclose(score.recall, expected[1][place])
        assert math.isclose(score.f1, expected[2][place])
        assert score.support == expected[3][place]
    occurring = sorted(set(truth))
    theirs = f1_score(truth, said, labels=occurring, average="macro", zero_division=0)
    assert math.isclose(macro_f1(counts), theirs)


def test_no_items_have_no_macro_f1():
    """Nothing measured is said, not called zero."""
    assert macro_f1(confusion([], [], CLASSES)) is None


def test_a_label_that_is_none_of_the_classes_is_refused():
    """An unknown class is an error, not a silent row."""
    with pytest.raises(ValueError, match="classes"):
        confusion(["a"], ["z"], CLASSES)


def test_the_calibration_error_by_hand():
    """Two bins: three of four right at .9, none of one at .15; (|3 - 3.6| + |0 - .15|) / 5."""
    error = calibration_error([0.9, 0.9, 0.9, 0.9, 0.15], [True, True, True, False, False])
    assert math.isclose(error, (0.6 + 0.15) / 5)
    assert calibration_error([1.0], [True]) == 0
    assert calibration_error([], []) == 0


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_the_isotonic_fit_is_that_of_scikit_learn(pairs):
    """Pooling adjacent violators gives the same values at every confidence."""
    x = [p[0] / 20 for p in pairs]
    y = [p[1] for p in pairs]
    theirs = IsotonicRegression(out_of_bounds="clip").fit(x, np.array(y, dtype=float))
    ours = isotonic(x, y)
    at = np.array(sorted(set(x)))
    np.testing.assert_allclose(np.interp(at, *ours), theirs.predict(at), atol=1e-9)


def test_calibration_is_tested_on_groups_it_never_saw():
    """A confidence that is always too low is mended; one that only memorises groups is not."""
    rng = np.random.default_rng(1)
    right = rng.random(2000) < 0.9
    groups = [f"g{n % 40}" for n in range(2000)]
    fit = calibration([0.5] * 2000, right.tolist(), groups)
    assert fit.ece > 0.35
    assert fit.ece_held_out is not None
    assert fit.ece_held_out < 0.05
    assert calibration([0.5], [True], ["g"]).ece_held_out is None


def test_resampling_by_cluster_is_wider_than_by_item():
    """Items of one cluster are alike: treating them as independent makes the range too narrow."""
    truth = ["a", "b"] * 100
    flipped = {"a": "b", "b": "a"}
    said = [t if n // 20 % 2 else flipped[t] for n, t in enumerate(truth)]
    draws = stream(1, "t")
    items = [str(n) for n in range(200)]
    clusters = [str(n // 20) for n in range(200)]
    narrow = cluster_interval(truth, said, CLASSES, items, resamples=300, draws=draws)
    wide = cluster_interval(truth, said, CLASSES, clusters, resamples=300, draws=draws)
    said_all = cluster_interval(truth, truth, CLASSES, items, resamples=50, draws=draws)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    assert said_all == (1.0, 1.0)
    assert cluster_interval(["a"], ["a"], CLASSES, ["x"], resamples=50, draws=draws) is None


def test_the_interval_contains_the_middle_of_a_plain_bootstrap():
    """Bounds agree with a bootstrap written plainly over scikit-learn."""
    rng = np.random.default_rng(2)
    truth = rng.choice(["a", "b", "c"], 300).tolist()
    said = [t if rng.random() < 0.7 else "b" for t in truth]
    low, high = cluster_interval(
        truth, said, CLASSES, [str(n) for n in range(300)], resamples=400, draws=stream(3, "x")
    )
    values = []
    for _ in range(400):
        chosen = rng.integers(0, 300, 300)
        t = [truth[i] for i in chosen]
        values.append(
            f1_score(t, [said[i] for i in chosen], labels=sorted(set(t)), average="macro")
        )
    np.testing.assert_allclose((low, high), np.quantile(values, (0.1, 0.9)), atol=0.012)


def test_pairs_are_pooled_over_items():
    """One of two true names found, one of two said true; names of unlabelled items do not count."""
    score = pair_scores(
        {"i": frozenset({"t1"}), "k": frozenset({"t2"})},
        {"i": frozenset({"t1", "t3"}), "other": frozenset({"t9"})},
    )
    assert (score.precision, score.recall, score.support, score.predicted) == (0.5, 0.5, 2, 2)

from __future__ import annotations

from decimal import Decimal
from statistics import NormalDist

import numpy as np
import pytest

from dnr_core.synth import Amounts, exp_fixed, of_bps, stream
from dnr_core.synth.money import _normal_quantiles


def test_the_packaged_quantiles_are_those_of_the_normal_distribution() -> None:
    """All 2,047 inner quantiles are right to a millionth; the ends are at four deviations."""
    quantiles = _normal_quantiles() / 2**20
    told = [NormalDist().inv_cdf(k / 2048) for k in range(1, 2048)]
    assert np.abs(quantiles[1:-1] - told).max() < 1e-6
    assert quantiles[[0, -1]].tolist() == [-4, 4]


def test_exponentials_are_right() -> None:
    """Integer exponentials agree with decimal ones to one part in ten million."""
    for power in (-8.0, -1.5, -0.001, 0.0, 0.3, 1.0, 4.7, 9.0):
        fixed = int(power * 2**30)
        wanted = int((Decimal(fixed) / 2**30).exp() * 1_000_000_000)
        assert int(exp_fixed(np.array([fixed]), 1_000_000_000)[0]) == pytest.approx(
            wanted, rel=1e-7, abs=2
        )


def test_amounts_are_lognormal() -> None:
    """Amounts of two groups have their medians and spreads (Kolmogorov-Smirnov)."""
    size = 100_000
    table = Amounts.of([(3_200, 750), (16_000, 900)])
    group = np.arange(size) % 2
    drawn = table.pick(stream(1, "amount").bits(np.arange(size)), group)
    for number, (median, sigma) in enumerate([(3_200, 0.75), (16_000, 0.9)]):
        logs = np.log(np.sort(drawn[group == number]) / median) / sigma
        told = np.array([NormalDist().cdf(z) for z in logs])
        distance = np.abs(told - (np.arange(len(told)) + 0.5) / len(told)).max()
        assert distance < 1.95 / len(told) ** 0.5  # the critical value at one in a thousand


def test_amounts_are_at_least_a_cent() -> None:
    """However small the median, nobody pays nothing."""
    drawn = Amounts.of([(1, 2_000)]).pick(stream(1).bits(np.arange(10_000)))
    assert drawn.min() == 1


def test_shares_of_amounts_round_down() -> None:
    """Basis points of cents are exact integers, rounded down."""
    cents = np.array([0, 1, 99, 10_000, 10**12])
    assert of_bps(cents, 1_234).tolist() == [0, 0, 12, 1_234, 123_400_000_000]

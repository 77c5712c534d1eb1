"""Room: synth. Amounts in cents: lognormal-like by integer tables, shares in basis points."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.synth.seeds import I64, U64

_UNIT: Final = 20
"""The packaged quantiles of the standard normal distribution are in units of 2**-20."""
_FIXED: Final = 30
_LN2: Final = 744_261_118
"""ln 2 in units of 2**-30."""
_CELLS: Final = 2048


@lru_cache(maxsize=1)
def _normal_quantiles() -> I64:
    """Quantiles at k / 2048 for k = 0 ... 2048; the two ends stand at four deviations."""
    text = files("dnr_core.synth").joinpath("normal_quantiles.txt").read_text("ascii")
    upper = np.array(text.split(), dtype=np.int64)
    return np.concatenate([-upper[:0:-1], upper])


def exp_fixed(power: I64, scale: int) -> I64:
    """Return `scale * e**power`, rounded down; `power` is in units of 2**-30, from -20 to 20.

    The power is split into whole doublings and a rest whose series is summed in integers,
    so that the last bit is the same on every machine. Right to about one part in 10**8.
    """
    doublings = power // _LN2
    rest = power - doublings * _LN2
    term = np.full_like(power, 1 << _FIXED)
    total = term.copy()
    for n in range(1, 13):
        term = (term * rest >> _FIXED) // n
        total += term
    return total * scale >> np.clip(_FIXED - doublings, 0, 62)


@frozen(eq=False)
class Amounts:
    """Amounts of several groups, each lognormal-like: 2,048 equally likely bands, even within."""

    table: I64
    steps: I64
    """What to add to a table's entry to get to the next one."""

    @classmethod
    def of(cls, groups: Sequence[tuple[int, int]]) -> Amounts:
        """Return the amounts of groups 0, 1, ..., each a median in cents and a sigma in permille."""
        quantiles = _normal_quantiles() << (_FIXED - _UNIT)
        rows = [
            np.maximum(1, exp_fixed(quantiles * sigma // 1000, median)) for median, sigma in groups
        ]
        table = np.concatenate(rows)
        return cls(table, np.diff(table, append=0))

    def pick(self, bits: U64, group: NDArray[Any] | int = 0) -> I64:
        """Return the amount of each draw in its group, in cents (at least 1)."""
        cell = (bits >> np.uint64(53)).view(np.int64)
        cell += np.asarray(group, np.int64) * (_CELLS + 1)
        part = bits >> np.uint64(32)
        part &= np.uint64(0x1FFFFF)
        amount = self.steps.take(cell)
        amount *= part.view(np.int64)
        amount >>= 21
        amount += self.table.take(cell)
        return amount


def of_bps(cents: I64, bps: I64 | int) -> I64:
    """Return a share of amounts in basis points, rounded down to the cent."""
    return cents * bps // 10_000

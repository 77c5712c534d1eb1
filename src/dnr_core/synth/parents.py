"""Room: synth. What a defect may ask of a parent table: ids that are not there, ids that came later."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dnr_core.model import Company, Parent
from dnr_core.synth.arrivals import Comers, Events
from dnr_core.synth.calendar import US
from dnr_core.synth.seeds import I64, below, raw


def parent(
    count: Callable[[Company], int],
    arrived: Callable[[Company], Comers | Events] | None = None,
    *,
    spread: int | None = None,
) -> Parent:
    """Return the parent whose ids are 1 to `count(company)`, in the order in which they came.

    Missing ids lie in the `spread` ids above those (nine times as many as there are, unless said).
    Where the key is part of a child's business key, take a spread so wide that no two rows get
    the same missing id.
    """

    def missing(company: Company, wanted: int, rng: np.random.Generator) -> I64:
        present = count(company)
        return present + 1 + below(raw(rng, wanted), spread or 9 * present + 1000)

    if arrived is None:
        return Parent(missing)
    source = arrived

    def later(
        company: Company, times_us: I64, rng: np.random.Generator
    ) -> tuple[I64, NDArray[np.bool_]]:
        # A whole second is added, so that the parent is later than the event to the microsecond.
        return source(company).later(times_us // US + 1, raw(rng, len(times_us)))

    return Parent(missing, later)

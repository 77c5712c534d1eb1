"""Room: model. How a synthetic company comes to be: families of pure chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from dnr_core.model.schema import _names

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@frozen
class Company:
    """What a chunk is a function of, beside its family and number. Everything here is a setting.

    `scale` multiplies volumes (1.0 is `evaluation`, 0.01 is `tiny`). History is the `months`
    local months before `as_of`, an instant in UTC at local midnight.
    """

    archetype: str
    seed: int
    scale: float
    months: int
    as_of: datetime
    tz: str
    trajectory: str
    snapshot_days: int


@frozen
class Family:
    """Tables that are generated together, chunk by chunk.

    `chunks(company)` is how many chunks there are; `generate(company, chunk)` returns a record
    batch (or table) for each of `tables`, and is a pure function: it reads no file, no clock, no other
    chunk. Rows of one chunk should be at most about 300,000, at any scale.
    """

    name: str
    tables: tuple[str, ...] = field(converter=_names)
    chunks: Callable[[Company], int]
    generate: Callable[[Company, int], Mapping[str, pa.RecordBatch | pa.Table]]


@frozen
class Parent:
    """What a defect needs to know of a parent table without reading it.

    `missing(company, count, rng)` gives `count` key values (a NumPy array) that are in no row.
    `later(company, times_us, rng)` gives for each event instant (microseconds since the epoch)
    the key of a parent that exists and was created later, and a mask of where there is one;
    None where the parent has no time.
    """

    missing: Callable[[Company, int, np.random.Generator], np.ndarray[Any, Any]]
    later: (
        Callable[
            [Company, np.ndarray[Any, Any], np.random.Generator],
            tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
        ]
        | None
    ) = None


def _families(values: Iterable[Family]) -> tuple[Family, ...]:
    return tuple(values)


@frozen
class Synthesis:
    """The families of an archetype, and its parents by table name."""

    families: tuple[Family, ...] = field(converter=_families)
    parents: Mapping[str, Parent] = field(factory=dict)

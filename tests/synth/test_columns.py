from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dnr_core.errors import PluginError
from dnr_core.model import Column, Table
from dnr_core.synth import (
    EVEN,
    arrivals,
    dates,
    events,
    instants,
    over_history,
    parent,
    record_batch,
    rows_by_id,
    stream,
    volume,
    words,
)

THING = Table(
    "dim_thing",
    (
        Column("thing_id", "int64"),
        Column("kind", "string"),
        Column("created_at", "timestamp"),
        Column("day", "date"),
    ),
    primary_key="thing_id",
)


def values(ids: np.ndarray) -> dict:
    return {
        "thing_id": ids,
        "kind": words(ids % 3, ("a", "b", "c")),
        "created_at": instants(ids, ids > 1),
        "day": dates(ids),
    }


def test_rows_have_the_declared_types() -> None:
    """Columns come in order and in their types, with nulls where they were asked for."""
    batch = record_batch(THING, values(np.arange(1, 4)))
    assert batch.schema.names == ["thing_id", "kind", "created_at", "day"]
    assert [str(kind) for kind in batch.schema.types] == [
        "int64",
        "string",
        "timestamp[us]",
        "date32[day]",
    ]
    assert batch.to_pydict()["kind"] == ["b", "c", "a"]
    assert [t and t.second for t in batch.to_pydict()["created_at"]] == [None, 2, 3]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": None}, "dim_thing.*kind"),
        ({"extra": np.arange(3)}, "extra"),
        ({"day": pa.array(["x", "y", "z"])}, "dim_thing.day"),
        ({"thing_id": np.arange(4)}, "differ in length"),
    ],
)
def test_wrong_columns_are_named(change: dict, told: str) -> None:
    """A missing, unknown, wrongly typed or short column is refused with table and column."""
    given = {k: v for k, v in (values(np.arange(3)) | change).items() if v is not None}
    with pytest.raises(PluginError, match=told):
        record_batch(THING, given)


def test_rows_by_id_cover_every_id_once(company) -> None:
    """Chunks of a plain table hold ids 1 to n, each once, and each chunk can be made alone."""
    family = rows_by_id(
        THING, lambda c: volume(c, 1000), lambda _, ids: values(ids), rows_a_chunk=300
    )
    made = company()
    assert family.chunks(made) == 4
    parts = [family.generate(made, n)["dim_thing"] for n in (2, 0, 3, 1)]
    ids = sorted(i for part in parts for i in part.column("thing_id").to_pylist())
    assert ids == list(range(1, 1001))


@pytest.mark.parametrize(("scale", "wanted"), [(1.0, 1000), (0.01, 10), (25, 25_000), (1e-9, 1)])
def test_volumes_scale_and_never_vanish(company, scale: float, wanted: int) -> None:
    """Volumes are multiplied by the scale, with at least one of everything."""
    assert volume(company(scale=scale), 1000) == wanted
    assert over_history(company(scale=scale, months=9), 2000) == wanted


def test_parents_name_missing_and_later_ids(company) -> None:
    """Missing ids are in no row; later ones exist and came strictly after the event."""
    made = company()
    come = lambda c: arrivals(c, "dim_thing", 500, earlier_permille=500)  # noqa: E731
    known, rng = parent(lambda _: 500, come), stream(1, "defect").generator()
    missing = known.missing(made, 1000, rng)
    assert missing.min() > 500
    assert len(missing) == 1000
    slots = come(made).slots
    times_us = slots.starts[len(slots.starts) // 2 :: 40] * 1_000_000 + 999_999
    assert known.later is not None
    ids, found = known.later(made, times_us, rng)
    assert (come(made).created(ids)[found] * 1_000_000 > times_us[found]).all()
    assert found.mean() > 0.9
    assert parent(lambda _: 90).later is None


def test_wide_parents_give_distinct_missing_ids(company) -> None:
    """With a wide spread, ten thousand missing ids are all different."""
    wide = parent(lambda _: 10, spread=1 << 50)
    ids = wide.missing(company(), 10_000, stream(1).generator())
    assert len(set(ids.tolist())) == 10_000
    rows = events(company(), "fact_thing", 100, rhythm=EVEN)
    assert parent(lambda c: rows.count, lambda c: rows).later is not None

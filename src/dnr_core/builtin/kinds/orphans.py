"""Room: builtin. Broken foreign keys: ids that do not exist, and parents that came too late."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnr_core.builtin.kinds.keys import dealt
from dnr_core.errors import ConfigError, PluginError
from dnr_core.model import CellChange, DefectOutcome, DefectTask, ForeignKey, Parent
from dnr_core.synth.draw import Flags, Indices, exactly

_TEMPORAL_SHARE: Final = 0.3
_ATTEMPTS: Final = 20


def break_keys(task: DefectTask) -> DefectOutcome:
    """Break one key in each row, the keys evenly; a share of those that can be are temporal.

    `temporal_share` is the option's name; 0.3 unless said. A key can be temporal where its parent
    has a time and the row's own event time does not come from that very parent.
    """
    share = exactly(float(task.options.get("temporal_share", _TEMPORAL_SHARE)))
    if not 0 <= share <= 1:
        raise ConfigError(f"fk_failure: temporal_share {float(share)} is not between 0 and 1")
    changes: list[CellChange] = []
    for label, rows in dealt(task, task.columns).items():
        key = task.foreign_key(label)
        if key is None or not len(rows):
            continue
        parent = task.parents.get(key.to)
        if parent is None:
            raise PluginError(
                f"archetype {task.company.archetype!r}: its synthesis has no Parent for {key.to!r}"
            )
        wanted = task.rounded(share * len(rows), label)
        if not can_be_temporal(task, key):
            wanted = 0
        if key.columns[0] in task.table.business_key:
            late, values = _swapped(task, key, rows, wanted)
        else:
            late, values = _later(task, key, parent, rows, wanted)
        lost = np.setdiff1d(rows, late, assume_unique=True)
        column = key.columns[0]
        if len(late):
            changes.append(CellChange(column, late, values, "temporal", label))
        if len(lost):
            changes.append(
                CellChange(column, lost, _missing(task, key, parent, len(lost)), "missing", label)
            )
    return DefectOutcome(changes)


def can_be_temporal(task: DefectTask, key: ForeignKey) -> bool:
    """Return whether a parent of that key can be later than the event."""
    event_time = task.table.event_time
    return (
        key.parent_time is not None
        and task.event_us is not None
        and not (event_time is not None and event_time.through == key.to)
    )


def _typed(task: DefectTask, column: str, values: Any) -> pa.Array:
    return pa.array(values).cast(task.clean.schema.field(column).type)


def _missing(task: DefectTask, key: ForeignKey, parent: Parent, count: int) -> pa.Array:
    """Return keys of no parent; distinct where the key is part of the business key."""
    values = np.asarray(parent.missing(task.company, count, task.rng))
    if key.columns[0] in task.table.business_key:
        for _ in range(_ATTEMPTS):
            values = np.unique(values)
            if len(values) == count:
                break
            more = np.asarray(parent.missing(task.company, count - len(values), task.rng))
            values = np.concatenate([values, more])
        else:
            raise PluginError(
                f"archetype {task.company.archetype!r}: `missing` of {key.to!r} gives too few "
                f"different keys ({count} were wanted)"
            )
    return _typed(task, key.columns[0], values)


def _later(
    task: DefectTask, key: ForeignKey, parent: Parent, rows: Indices, wanted: int
) -> tuple[Indices, pa.Array]:
    """Return up to `wanted` rows with a parent that came later, and its key."""
    if parent.later is None or task.event_us is None or not wanted:
        return rows[:0], pa.nulls(0)
    # Late in the history some rows have no later parent, so a few more are asked for.
    asked = min(len(rows), wanted + wanted // 4 + 8)
    tried = rows[:asked]
    keys, found = parent.later(task.company, task.event_us[tried], task.rng)
    if int(np.count_nonzero(found)) < wanted and asked < len(rows):
        rest = rows[asked:]
        more, also = parent.later(task.company, task.event_us[rest], task.rng)
        tried = rows
        keys, found = np.concatenate([keys, more]), np.concatenate([found, also])
    places = np.flatnonzero(found)[:wanted]
    return tried[places], _typed(task, key.columns[0], np.asarray(keys)[places])


def _swapped(
    task: DefectTask, key: ForeignKey, rows: Indices, wanted: int
) -> tuple[Indices, pa.Array]:
    """Return up to `wanted` rows, each with the key of another row that gave it up.

    The key is part of the business key, so a row may only take a parent whose own row was nulled
    or re-pointed, and only from a row that is like it in the rest of the business key. Then no
    business key comes twice.
    """
    times = task.parent_times(key) if wanted and task.event_us is not None else None
    if times is None or task.event_us is None:
        return rows[:0], pa.nulls(0)
    column = key.columns[0]
    parent_us, known = times
    givers = np.unique(np.concatenate([task.changed(column), rows]))
    givers = givers[known[givers]]
    takers = rows[:wanted]
    rest = [name for name in task.table.business_key if name != column]
    groups = _groups(task.clean, rest, np.concatenate([givers, takers]))
    giver, taker = nearest_later(
        parent_us[givers], groups[: len(givers)], task.event_us[takers], groups[len(givers) :]
    )
    keys = pc.take(task.clean.column(column), pa.array(givers[giver]))
    return takers[taker], keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys


def _groups(clean: pa.Table, names: list[str], rows: Indices) -> Indices:
    """Number the rows by their values in the columns."""
    numbers = np.zeros(len(rows), dtype=np.int64)
    for name in names:
        taken = pc.take(clean.column(name), pa.array(rows))
        codes = pc.dictionary_encode(taken).combine_chunks()
        size = len(codes.dictionary) + 1
        numbers = numbers * size + codes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        _, numbers = np.unique(numbers, return_inverse=True)
    return numbers


def nearest_later(
    offer_us: Indices, offer_group: Indices, need_us: Indices, need_group: Indices
) -> tuple[Indices, Indices]:
    """Match needs with offers of the same group that are strictly later, each used once.

    Going back in time, each need takes the offer met last: the pairs of a bracket sequence. That
    matches as many needs as can be matched.

    Returns:
        Positions of the matched offers and of the needs they go to.
    """
    count = len(offer_us)
    times = np.concatenate([offer_us, need_us])
    group = np.concatenate([offer_group, need_group])
    opens: Flags = np.arange(len(times)) < count
    # At the same instant a need comes before an offer, which is not strictly later.
    order = np.lexsort((opens, -times, group))
    opens, group, place = opens[order], group[order], order
    step = np.where(opens, 1, -1)
    # Each group starts far below all before it, so that its own lowest point is the running one.
    _, number = np.unique(group, return_inverse=True)
    depth = np.cumsum(step) - number.astype(np.int64) * (2 * len(times) + 2)
    starts = np.concatenate([[True], number[1:] != number[:-1]]) if len(times) else opens
    before = np.concatenate([[0], np.cumsum(step)[:-1]]) - number.astype(np.int64) * (
        2 * len(times) + 2
    )
    floor = np.minimum.accumulate(np.where(starts, np.minimum(before, depth), depth))
    previous = np.concatenate([[0], floor[:-1]])
    previous = np.where(starts, before, previous)
    unmet = ~opens & (depth < previous)
    opens, group, place = opens[~unmet], group[~unmet], place[~unmet]
    level = np.cumsum(np.where(opens, 1, -1))
    level = np.where(opens, level, level + 1)
    paired = np.lexsort((np.arange(len(place)), level, group))
    opens, place, group, level = opens[paired], place[paired], group[paired], level[paired]
    if len(place) < 2:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    close = np.flatnonzero(
        ~opens[1:] & opens[:-1] & (group[1:] == group[:-1]) & (level[1:] == level[:-1])
    )
    return place[close], place[close + 1] - count

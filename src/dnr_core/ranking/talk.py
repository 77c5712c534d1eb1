"""Room: ranking. The demand as arrays: who asks, about which table, how much it weighs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen

from dnr_core.model.demand import DemandResult
from dnr_core.ranking.measures import Floats, Ints

if TYPE_CHECKING:
    import pyarrow as pa

NO_THEME: Final = ("", "none")
WEIGHT_UNIT: Final = 1e9
"""Weights are summed as integers of this fraction, so that no order of addition changes a sum."""


@frozen
class Voice:
    """All demand for one theme on one table. `rows` index the arrays of `Talk`."""

    theme: str
    table: str
    rows: Ints
    items: int
    people: int
    roles: Mapping[str, int]
    class_confidence: float | None
    entity_confidence: float | None
    days: Ints

    @property
    def teams(self) -> int:
        """Roles that ask."""
        return len(self.roles)


class Talk:
    """The items that count as demand, in an order that does not depend on that of the input."""

    def __init__(self, demand: DemandResult) -> None:
        items = demand.items.select(_COLUMNS).to_pylist()
        kept = [row for row in items if (row["theme"] or "") not in NO_THEME]
        kept.sort(key=lambda row: (row["source"], row["item_id"], row["theme"], row["table"] or ""))
        self._rows = kept
        self.weights: Ints = np.array(
            [round(float(row["weight"]) * WEIGHT_UNIT) for row in kept], dtype=np.int64
        )
        total = int(self.weights.sum())
        self.total_weight = total or 1
        sources = sorted({str(row["source"]) for row in kept})
        self.sources = tuple(sources)
        self.source_of: Ints = np.array([sources.index(row["source"]) for row in kept], np.int64)
        units = {key: n for n, key in enumerate(dict.fromkeys(_unit(row) for row in kept))}
        self.unit_of: Ints = np.array([units[_unit(row)] for row in kept], np.int64)
        self.units = len(units)
        self.unit_source: Ints = np.zeros(self.units, np.int64)
        self.unit_source[self.unit_of] = self.source_of
        self._entity = _entity_confidence(demand.entities)
        self.voices: dict[tuple[str, str], Voice] = self._gather()

    def share(self, voice: Voice | None) -> float:
        """Return the weighted share of all demand."""
        if voice is None:
            return 0.0
        return int(self.weights[voice.rows].sum()) / self.total_weight

    def theme_share(self, theme: str) -> float:
        """Return the weighted share of a theme over all tables."""
        rows = [n for n, row in enumerate(self._rows) if row["theme"] == theme]
        return int(self.weights[rows].sum()) / self.total_weight if rows else 0.0

    def _gather(self) -> dict[tuple[str, str], Voice]:
        groups: dict[tuple[str, str], list[int]] = {}
        for number, row in enumerate(self._rows):
            groups.setdefault((str(row["theme"]), str(row["table"] or "")), []).append(number)
        return {key: self._voice(key, numbers) for key, numbers in sorted(groups.items())}

    def _voice(self, key: tuple[str, str], numbers: list[int]) -> Voice:
        rows = [self._rows[n] for n in numbers]
        by_item = {_unit(row): row for row in rows}
        roles = Counter(str(row["role"] or "unknown") for row in by_item.values())
        confidences = [row["theme_confidence"] for row in by_item.values()]
        entity = [self._entity.get((*unit, key[1])) for unit in by_item]
        days = [row["day"] for row in by_item.values() if row["day"] is not None]
        return Voice(
            theme=key[0],
            table=key[1],
            rows=np.array(numbers, np.int64),
            items=len(by_item),
            people=len({row["user_id"] for row in by_item.values() if row["user_id"]}),
            roles=dict(sorted(roles.items(), key=lambda pair: (-pair[1], pair[0]))),
            class_confidence=_mean(confidences),
            entity_confidence=_mean(entity),
            days=np.sort(np.array([(d - _EPOCH).days for d in days], np.int64)),
        )


_COLUMNS: Final = [
    "item_id",
    "source",
    "day",
    "theme",
    "theme_confidence",
    "table",
    "weight",
    "role",
    "user_id",
]
_EPOCH: Final = np.datetime64("1970-01-01").astype(object)


def _unit(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row["source"]), str(row["item_id"])


def _mean(values: list[Any]) -> float | None:
    known = sorted(float(value) for value in values if value is not None)
    return sum(known) / len(known) if known else None


def _entity_confidence(entities: pa.Table) -> dict[tuple[str, str, str], float]:
    found: dict[tuple[str, str, str], float] = {}
    columns = entities.select(["source", "item_id", "table", "confidence"]).to_pylist()
    for row in columns:
        if row["confidence"] is None:
            continue
        key = (str(row["source"]), str(row["item_id"]), str(row["table"]))
        found[key] = max(found.get(key, 0.0), float(row["confidence"]))
    return found


def resampled_shares(talk: Talk, voices: list[Voice], resamples: int, seed: int) -> Floats:
    """Return each voice's share of demand in each resample of items, source by source.

    The weight of a source stays as it is; its items are drawn with replacement. Beyond
    `MAX_UNITS` items of a source, items are drawn in that many random blocks.
    """
    rng = np.random.default_rng([seed, 1])
    group, groups, group_source = _groups(talk, rng)
    count = len(talk.sources)
    source_weight = np.bincount(talk.source_of, weights=talk.weights, minlength=count)
    members = [np.flatnonzero(group_source == s) for s in range(count)]
    row_group = group[talk.unit_of] if talk.units else np.empty(0, np.int64)
    rows = np.concatenate([voice.rows for voice in voices]) if voices else np.empty(0, np.int64)
    cell = np.repeat(np.arange(len(voices)), [voice.rows.size for voice in voices])
    cell = cell * count + talk.source_of[rows]
    shares = np.zeros((resamples, len(voices)))
    for draw in range(resamples):
        times = np.zeros(groups, np.int64)
        for mine in members:
            if mine.size:
                chosen = rng.integers(0, mine.size, mine.size)
                times[mine] = np.bincount(chosen, minlength=mine.size)
        weight = times[row_group] * talk.weights
        drawn = np.bincount(talk.source_of, weights=weight, minlength=count)
        factor = source_weight / np.maximum(drawn, 1.0)
        per_cell = np.bincount(cell, weights=weight[rows], minlength=len(voices) * count)
        # A fixed, left-to-right sum over sources: the same last bit on every machine.
        by_source = per_cell.reshape(len(voices), count) * factor
        for column in by_source.T:
            shares[draw] += column
    return shares / talk.total_weight


MAX_UNITS: Final = 20_000


def _groups(talk: Talk, rng: np.random.Generator) -> tuple[Ints, int, Ints]:
    """Map each item to what is drawn: itself, or its block where its source has too many."""
    group = np.zeros(talk.units, np.int64)
    sources: list[Ints] = []
    used = 0
    for source in range(len(talk.sources)):
        units = np.flatnonzero(talk.unit_source == source)
        count = min(units.size, MAX_UNITS)
        blocks = np.arange(units.size, dtype=np.int64) % max(count, 1)
        group[units] = used + rng.permutation(blocks)
        sources.append(np.full(count, source, np.int64))
        used += count
    return group, used, np.concatenate(sources) if sources else np.empty(0, np.int64)

"""Room: ranking. The demand as arrays: who asks, about which table, how much it weighs.

A message's weight goes to the tables that it names; what a guess is not trusted with, and what
messages say that name no table, lies on the theme's tables as its demand does (`meaning.py`). So the
shares of a theme over its tables add up to the theme's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen

from dnr_core.model.demand import DemandResult
from dnr_core.ranking.meaning import Meaning, meaning
from dnr_core.ranking.measures import Floats, Ints

if TYPE_CHECKING:
    import pyarrow as pa

NO_THEME: Final = ("", "none")
WEIGHT_UNIT: Final = 1e9
"""Weights are summed as integers of this fraction, so that no order of addition changes a sum."""


@frozen
class Voice:
    """All demand for one theme on one table. `rows` index the arrays of `Talk`.

    `lies` is the part of the theme's weight without a sure table that lies on this one.
    """

    theme: str
    table: str
    rows: Ints
    items: int
    people: int
    roles: Mapping[str, int]
    class_confidence: float | None
    entity_confidence: float | None
    days: Ints
    lies: float = 0.0

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
        self._entity, self._guesses = _entity_confidence(demand.entities)
        themes = sorted({str(row["theme"]) for row in kept})
        self._theme_of: Ints = np.array([themes.index(row["theme"]) for row in kept], np.int64)
        self._themes = {theme: number for number, theme in enumerate(themes)}
        self._tables = {
            table: number
            for number, table in enumerate(sorted({"", *(str(row["table"] or "") for row in kept)}))
        }
        self._meaning, trusted = self._read()
        self.named: Ints = np.rint(self.weights * trusted).astype(np.int64)
        """What each row's table has of its weight; the rest lies where the theme's demand does."""
        self.loose: Ints = self.weights - self.named
        self.loose_by_theme: dict[str, Ints] = {
            theme: np.flatnonzero((self._theme_of == number) & (self.loose > 0))
            for theme, number in self._themes.items()
        }
        self.voices: dict[tuple[str, str], Voice] = self._gather()

    def share(self, voice: Voice | None) -> float:
        """Return the weighted share of all demand."""
        if voice is None:
            return 0.0
        named = int(self.named[voice.rows].sum())
        loose = int(self.loose[self.loose_by_theme[voice.theme]].sum())
        return (named + voice.lies * loose) / self.total_weight

    def theme_share(self, theme: str) -> float:
        """Return the weighted share of a theme over all tables."""
        rows = [n for n, row in enumerate(self._rows) if row["theme"] == theme]
        return int(self.weights[rows].sum()) / self.total_weight if rows else 0.0

    def _read(self) -> tuple[Meaning, Floats]:
        """Return what guesses are worth, and for each row the part that its table has."""
        tables = [str(row["table"] or "") for row in self._rows]
        table_of = np.array([self._tables[table] for table in tables], np.int64)
        confidences = np.array(
            [
                self._guesses.get((*_unit(row), table), 1.0)
                for row, table in zip(self._rows, tables, strict=True)
            ],
            np.float64,
        )
        found = meaning(
            self._theme_of,
            table_of,
            self.weights / self.total_weight,
            confidences,
            unnamed=self._tables[""],
        )
        trusted = np.ones(len(tables))
        for row, (theme, table) in enumerate(zip(self._theme_of, table_of, strict=True)):
            if not tables[row]:
                # Where nobody names a table the theme's demand stays where it is: on none.
                is_placed = any(key[0] == theme for key in found.lies)
                trusted[row] = 0.0 if is_placed else 1.0
            elif confidences[row] < 1:
                trusted[row] = found.trust.get((int(theme), int(table)), 1.0)
        return found, trusted

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
            lies=self._meaning.lies.get((self._themes[key[0]], self._tables[key[1]]), 0.0),
        )


BY_RULE: Final = "rule"
"""How a table was found that is named exactly."""
MOST_CERTAIN: Final = 0.99

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


def _entity_confidence(
    entities: pa.Table,
) -> tuple[dict[tuple[str, str, str], float], dict[tuple[str, str, str], float]]:
    """Return the best confidence by source, item and table; and that of tables only guessed."""
    found: dict[tuple[str, str, str], float] = {}
    sure: set[tuple[str, str, str]] = set()
    columns = entities.select(["source", "item_id", "table", "confidence", "found_by"]).to_pylist()
    for row in columns:
        key = (str(row["source"]), str(row["item_id"]), str(row["table"]))
        if row["found_by"] == BY_RULE:
            sure.add(key)
        if row["confidence"] is not None:
            found[key] = max(found.get(key, 0.0), float(row["confidence"]))
    # A guess that is called certain is a guess all the same.
    guesses = {key: min(value, MOST_CERTAIN) for key, value in found.items() if key not in sure}
    return found, guesses


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
    # One cell a voice, then one a theme for what lies on its tables.
    themes = list(talk.loose_by_theme)
    parts = [voice.rows for voice in voices] + [talk.loose_by_theme[theme] for theme in themes]
    rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
    of_cell = np.repeat(np.arange(len(parts)), [part.size for part in parts])
    own = np.where(of_cell < len(voices), talk.named[rows], talk.loose[rows])
    cell = of_cell * count + talk.source_of[rows]
    theme_of = np.array([themes.index(voice.theme) for voice in voices], np.int64)
    lies = np.array([voice.lies for voice in voices])
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
        drawn_here = times[row_group[rows]] * own
        per_cell = np.bincount(cell, weights=drawn_here, minlength=len(parts) * count)
        # A fixed, left-to-right sum over sources: the same last bit on every machine.
        by_source = per_cell.reshape(len(parts), count) * factor
        whole = np.zeros(len(parts))
        for column in by_source.T:
            whole += column
        shares[draw] = whole[: len(voices)] + lies * whole[len(voices) :][theme_of]
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

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
        clusters = {key: n for n, key in enumerate(dict.fromkeys(_cluster(row) for row in kept))}
        self.cluster_of: Ints = np.array([clusters[_cluster(row)] for row in kept], np.int64)
        self.cluster_source: Ints = np.zeros(len(clusters), np.int64)
        self.cluster_source[self.cluster_of] = self.source_of
        self.day_of: Ints = np.array(
            [NO_DAY if row["day"] is None else (row["day"] - _EPOCH).days for row in kept], np.int64
        )
        self._entity, self._guesses = _entity_confidence(demand.entities)
        themes = sorted({str(row["theme"]) for row in kept})
        self.theme_of: Ints = np.array([themes.index(row["theme"]) for row in kept], np.int64)
        self.themes = {theme: number for number, theme in enumerate(themes)}
        self.tables = {
            table: number
            for number, table in enumerate(sorted({"", *(str(row["table"] or "") for row in kept)}))
        }
        tables = [str(row["table"] or "") for row in kept]
        self.table_of: Ints = np.array([self.tables[table] for table in tables], np.int64)
        self.confidences: Floats = np.array(
            [
                self._guesses.get((*_unit(row), table), 1.0)
                for row, table in zip(kept, tables, strict=True)
            ],
            np.float64,
        )
        self._meaning, trusted = self._read()
        self.named: Ints = np.rint(self.weights * trusted).astype(np.int64)
        """What each row's table has of its weight; the rest lies where the theme's demand does."""
        self.loose: Ints = self.weights - self.named
        self.loose_by_theme: dict[str, Ints] = {
            theme: np.flatnonzero((self.theme_of == number) & (self.loose > 0))
            for theme, number in self.themes.items()
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

    @property
    def unnamed(self) -> int:
        """The number that stands for no table."""
        return self.tables[""]

    def _read(self) -> tuple[Meaning, Floats]:
        """Return what guesses are worth, and for each row the part that its table has."""
        found = meaning(
            self.theme_of,
            self.table_of,
            self.weights / self.total_weight,
            self.confidences,
            unnamed=self.unnamed,
        )
        trusted = np.ones(len(self._rows))
        placed = {theme for theme, _ in found.lies}
        for row, (theme, table) in enumerate(zip(self.theme_of, self.table_of, strict=True)):
            if table == self.unnamed:
                # Where nobody names a table the theme's demand stays where it is: on none.
                trusted[row] = 0.0 if theme in placed else 1.0
            elif self.confidences[row] < 1:
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
            lies=self._meaning.lies.get((self.themes[key[0]], self.tables[key[1]]), 0.0),
        )


BY_RULE: Final = "rule"
"""How a table was found that is named exactly."""
MOST_CERTAIN: Final = 0.99

_COLUMNS: Final = [
    "item_id",
    "source",
    "thread_id",
    "day",
    "theme",
    "theme_confidence",
    "table",
    "weight",
    "role",
    "user_id",
]
NO_DAY: Final = -(10**9)
"""The day of a message without a time."""
_EPOCH: Final = np.datetime64("1970-01-01").astype(object)


def _unit(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row["source"]), str(row["item_id"])


def _cluster(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a row is drawn with: its thread; of queries all that one person asks in a day."""
    if row["source"] == "nlq" and row["user_id"] and row["day"] is not None:
        return "nlq", str(row["user_id"]), str(row["day"])
    return str(row["source"]), "", str(row["thread_id"] or row["item_id"])


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

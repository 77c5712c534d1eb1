"""Room: comms. What a talk is about: the table, the column and the join that fit a theme.

People ask more about tables that matter: facts more than dimensions, tables that carry revenue
most. Each theme has a favourite among the tables that it fits, drawn from the seed, so that
the largest demand of two companies differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from attrs import field, frozen

from dnr_core.comms.draw import Draw
from dnr_core.model import THEMES, Archetype, Column, Table

THEME_MIX: Final[Mapping[str, int]] = {
    "freshness_ingest_lag": 18,
    "join_keys_orphans": 16,
    "metric_definition_mismatch": 16,
    "new_field_schema_request": 12,
    "duplicates_dedup": 10,
    "access_permissions_pii": 10,
    "revenue_coverage_mapping": 10,
    "attribution_funnel_gaps": 8,
}
"""Shares of the themes in percent, among positives and among questions."""

_KIND_WEIGHT: Final = {"fact": 6, "dimension": 2, "snapshot": 1}
_FAVOURITES: Final = (6, 2)
_NUMBERS: Final = {"int64", "int32", "int16", "float64", "decimal"}


@frozen
class Topic:
    """A theme on a table. `column` and `other_table` are given where the theme has them.

    `join_on` are the columns that both tables share, as pairs (own, other's).
    """

    theme: str | None
    table: str
    column: str | None = None
    other_table: str | None = None
    join_on: tuple[tuple[str, str], ...] = ()


@frozen
class Concern:
    """What some of the people of a made company are concerned about, where that is decided from outside.

    `weight` is its part of the positives and of the questions, against the other concerns'. Its
    talk lies on the local days `first` to `last`, both included; None is the stretch's end.
    """

    theme: str
    table: str
    weight: int
    columns: tuple[str, ...] = ()
    first: date | None = field(default=None, kw_only=True)
    last: date | None = field(default=None, kw_only=True)


def amount_columns(archetype: Archetype, table: str) -> tuple[str, ...]:
    """Return the columns of `table` in which its money is counted."""
    return tuple(
        dict.fromkeys(
            name
            for stream in archetype.streams
            if stream.table == table
            for name in stream.amount.product_of
        )
    )


class Topics:
    """Draws topics for one archetype and seed."""

    def __init__(self, archetype: Archetype, seed: int) -> None:
        self.archetype = archetype
        self._revenue = {stream.table for stream in archetype.revenue_streams}
        self._weights: dict[str, Mapping[str, int]] = {
            theme: self._table_weights(theme, seed) for theme in THEMES
        }

    def draw(self, theme: str, draw: Draw) -> Topic:
        """Return a topic of `theme`, on one of the tables that it fits."""
        table = self.archetype.schema[draw.weighted(self._weights[theme])]
        return self.on(theme, table, draw)

    def of(self, concern: Concern, draw: Draw) -> Topic:
        """Return the topic of one item about a concern."""
        return self.on(concern.theme, self.archetype.schema[concern.table], draw, concern.columns)

    def on(self, theme: str, table: Table, draw: Draw, columns: tuple[str, ...] = ()) -> Topic:
        """Return a topic of `theme` on `table`; `columns` are those that broke, if any."""
        keys = [key for key in table.foreign_keys if key.to in self.archetype.schema]
        hit = [key for key in keys if set(key.columns) & set(columns)]
        if theme == "join_keys_orphans" and keys:
            key = draw.pick(hit or keys)
            column = next((name for name in key.columns if name in columns), key.columns[-1])
            pairs = tuple(zip(key.columns, key.to_columns, strict=True))
            return Topic(theme, table.name, column, key.to, pairs)
        if columns:
            return Topic(theme, table.name, draw.pick(columns))
        candidates = self._columns(theme, table)
        return Topic(theme, table.name, draw.pick(candidates) if candidates else None)

    def any_table(self, draw: Draw) -> Table:
        """Return a table that people talk about, with no theme in mind."""
        weights = {table.name: self._matter(table) for table in self.archetype.schema.tables}
        return self.archetype.schema[draw.weighted(weights)]

    def _matter(self, table: Table) -> int:
        return _KIND_WEIGHT[table.kind] * (2 if table.name in self._revenue else 1)

    def _table_weights(self, theme: str, seed: int) -> Mapping[str, int]:
        tables = self.archetype.schema.tables
        fit = [table for table in tables if _FITS[theme](table, self._revenue)] or list(tables)
        order = Draw("favourite", seed, self.archetype.name, theme)
        favourite: dict[str, int] = {}
        pool = list(fit)
        for factor in _FAVOURITES:
            if pool:
                name = order.weighted({table.name: self._matter(table) for table in pool})
                favourite[name] = factor
                pool = [table for table in pool if table.name != name]
        return {table.name: self._matter(table) * favourite.get(table.name, 1) for table in fit}

    def _columns(self, theme: str, table: Table) -> tuple[str, ...]:
        if theme == "freshness_ingest_lag":
            return (table.loaded_at,) if table.loaded_at else ()
        if theme == "duplicates_dedup":
            return table.business_key
        if theme in {"metric_definition_mismatch", "revenue_coverage_mapping"}:
            amounts = amount_columns(self.archetype, table.name)
            return amounts or tuple(c.name for c in table.columns if _is_amount(c, table))
        if theme == "access_permissions_pii":
            return tuple(c.name for c in table.columns if c.name not in table.primary_key)
        if theme == "attribution_funnel_gaps":
            categories = tuple(c.name for c in table.columns if c.values)
            return categories or table.required_keys
        return ()


def _is_amount(column: Column, table: Table) -> bool:
    keys = {*table.primary_key, *(name for key in table.foreign_keys for name in key.columns)}
    return column.type in _NUMBERS and column.name not in keys


def _is_fact(table: Table, revenue: set[str]) -> bool:
    return table.kind == "fact" or table.name in revenue


_FITS: Final[Mapping[str, Callable[[Table, set[str]], bool]]] = {
    "metric_definition_mismatch": _is_fact,
    "join_keys_orphans": lambda table, _: bool(table.foreign_keys),
    "freshness_ingest_lag": lambda table, _: table.loaded_at is not None,
    "duplicates_dedup": lambda table, _: table.kind == "fact" and bool(table.business_key),
    "access_permissions_pii": lambda table, _: table.kind == "dimension",
    "new_field_schema_request": lambda _table, _: True,
    "revenue_coverage_mapping": lambda table, revenue: table.name in revenue,
    "attribution_funnel_gaps": _is_fact,
}
"""Which tables a theme is about; where none fits, all do."""

"""Room: model. What a warehouse looks like: tables, columns, keys, times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from attrs import field, frozen

ColumnType = Literal[
    "int64", "int32", "int16", "float64", "decimal", "string", "bool", "timestamp", "date", "other"
]
"""`timestamp` is an instant in UTC, to the microsecond. `other` is carried and never measured."""

TableKind = Literal["dimension", "fact", "snapshot"]


def _names(value: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class Column:
    """One column: `required` says that a null in it is a violation even in a clean company.

    `aliases` are everyday names that people use for it in messages.
    """

    name: str
    type: ColumnType
    required: bool = field(default=False, kw_only=True)
    meaning: str = field(default="", kw_only=True)
    aliases: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    values: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    """Allowed values of a category; empty where any value is allowed."""


@frozen
class ForeignKey:
    """`columns` of this table name a row of `to` by its `to_columns`.

    `parent_time` is the parent's column that says since when its row existed, which makes
    temporal orphans measurable; None where the parent has no such time. `required` keys are
    the ones whose nulls count as key nulls.
    """

    columns: tuple[str, ...] = field(converter=_names)
    to: str
    to_columns: tuple[str, ...] = field(converter=_names)
    parent_time: str | None = field(default=None, kw_only=True)
    required: bool = field(default=True, kw_only=True)

    @property
    def label(self) -> str:
        """The key's name in figures: its columns, joined by a comma."""
        return ",".join(self.columns)


def _columns(values: Iterable[Column]) -> tuple[Column, ...]:
    return tuple(values)


def _foreign_keys(values: Iterable[ForeignKey]) -> tuple[ForeignKey, ...]:
    return tuple(values)


@frozen
class EventTime:
    """When a row happened: the first non-null of `columns`.

    With `through`, the columns are those of the parent that this table's foreign key to
    `through` finds (an order item happens at its order's time).
    """

    columns: tuple[str, ...] = field(converter=_names)
    through: str | None = field(default=None, kw_only=True)


@frozen
class Table:
    """One table. `title` is what people call it ("card transactions")."""

    name: str
    columns: tuple[Column, ...] = field(converter=_columns)
    primary_key: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    business_key: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    """Rows that share it are duplicates of one another; the primary key unless said."""
    foreign_keys: tuple[ForeignKey, ...] = field(default=(), converter=_foreign_keys, kw_only=True)
    event_time: EventTime | None = field(default=None, kw_only=True)
    loaded_at: str | None = field(default=None, kw_only=True)
    created_at: str | None = field(default=None, kw_only=True)
    """Since when a dimension's row existed."""
    kind: TableKind = field(default="dimension", kw_only=True)
    title: str = field(default="", kw_only=True)
    aliases: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    physical_name: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    """Where it lies in a real warehouse, `(catalog, schema, table)` or a tail of it; else `name`."""

    def __attrs_post_init__(self) -> None:
        if not self.business_key:
            object.__setattr__(self, "business_key", self.primary_key)
        if not self.title:
            object.__setattr__(self, "title", self.name.replace("_", " "))

    def column(self, name: str) -> Column:
        """Return the column of that name.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def snapshot_day(self) -> str | None:
        """The column that says of which local day a snapshot's row is: the first date of its key."""
        if self.kind != "snapshot":
            return None
        days = (c.name for c in self.columns if c.type == "date" and c.name in self.business_key)
        return next(days, None)

    @property
    def required_keys(self) -> tuple[str, ...]:
        """Columns whose nulls count as key nulls: those of the required foreign keys, once each."""
        return tuple(
            dict.fromkeys(c for fk in self.foreign_keys if fk.required for c in fk.columns)
        )


def _tables(values: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(values)


@frozen
class Schema:
    """All tables of a company, by name and in order."""

    tables: tuple[Table, ...] = field(converter=_tables)

    def __getitem__(self, name: str) -> Table:
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(table.name == name for table in self.tables)

    @property
    def names(self) -> tuple[str, ...]:
        """Table names in order."""
        return tuple(table.name for table in self.tables)

    def children(self, table: str) -> tuple[Table, ...]:
        """Return the tables that point to a table's rows, itself aside."""
        return tuple(
            other
            for other in self.tables
            if other.name != table and any(key.to == table for key in other.foreign_keys)
        )

    @property
    def facts(self) -> tuple[Table, ...]:
        """The fact tables, in order."""
        return tuple(table for table in self.tables if table.kind == "fact")

    def problems(self) -> tuple[str, ...]:
        """Names that resolve to nothing, as sentences; empty where the schema is sound."""
        found: list[str] = []
        for table in self.tables:
            own = set(table.column_names)
            used = {
                *table.primary_key,
                *table.business_key,
                *(c for fk in table.foreign_keys for c in fk.columns),
            }
            used |= {c for c in (table.loaded_at, table.created_at) if c}
            if table.event_time and not table.event_time.through:
                used |= set(table.event_time.columns)
            found += [f"table {table.name!r} has no column {name!r}" for name in sorted(used - own)]
            for key in table.foreign_keys:
                if key.to not in self:
                    found.append(
                        f"foreign key {table.name}.{key.label} names the unknown table {key.to!r}"
                    )
                    continue
                wanted = {*key.to_columns, *([key.parent_time] if key.parent_time else [])}
                missing = sorted(wanted - set(self[key.to].column_names))
                found += [
                    f"foreign key {table.name}.{key.label}: table {key.to!r} has no column {name!r}"
                    for name in missing
                ]
                if len(key.columns) != len(key.to_columns):
                    found.append(
                        f"foreign key {table.name}.{key.label} has {len(key.columns)} columns "
                        f"but names {len(key.to_columns)} of {key.to!r}"
                    )
            through = table.event_time.through if table.event_time else None
            if through and not any(key.to == through for key in table.foreign_keys):
                found.append(
                    f"event time of {table.name!r} goes through {through!r}, to which it has no foreign key"
                )
        return tuple(found)

"""Room: health. A warehouse seen through an archetype: its tables, checked, and queries on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar, cast

from dnr_core.errors import InputError, WarehouseError, first_line, let_through
from dnr_core.health.dialect import Dialect, fetch, fetch_columns
from dnr_core.health.introspect import listed_tables
from dnr_core.health.location import Location, Opened, masked, open_location
from dnr_core.health.scratch import keep
from dnr_core.model.archetype import Archetype
from dnr_core.model.health import NotMeasured
from dnr_core.model.schema import ColumnType, Table
from dnr_core.suggestions import nearest
from dnr_core.workspace import Manifest

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")

FAMILIES: Final[dict[ColumnType, str]] = {
    "int64": "whole number",
    "int32": "whole number",
    "int16": "whole number",
    "float64": "number",
    "decimal": "number",
    "string": "text",
    "bool": "yes or no",
    "timestamp": "time",
    "date": "date",
}


class KnowsArchetypes(Protocol):
    """What is needed of a catalogue of plugins."""

    def archetype(self, name: str) -> Archetype:
        """Return the archetype of that name."""


def family_of(dtype: Any) -> str:
    """Return the family of an Ibis type in words; types that dnr does not measure are "other"."""
    checks = (
        (dtype.is_boolean, "yes or no"),
        (dtype.is_integer, "whole number"),
        (dtype.is_numeric, "number"),
        (dtype.is_string, "text"),
        (dtype.is_uuid, "text"),
        (dtype.is_timestamp, "time"),
        (dtype.is_date, "date"),
    )
    return next((name for is_it, name in checks if is_it()), "other")


def _fits(declared: str, found: str) -> bool:
    numbers = {"whole number", "number"}
    return declared == found or (declared in numbers and found in numbers)


class Warehouse:
    """An open, read-only warehouse whose tables have the archetype's names.

    `absent` says, by table, why a table of the archetype is not there to be measured. Use it as
    a context manager; closing twice is fine.
    """

    def __init__(self, opened: Opened, archetype: Archetype) -> None:
        self.archetype = archetype
        self._opened = opened
        self.connection: Any = opened.connection
        self.dialect: Dialect = opened.dialect
        self.shown: str = opened.shown
        self.folder: Path | None = opened.folder
        self.files = opened.files or {}
        self.manifest: Manifest | None = opened.manifest
        self.absent: dict[str, str] = {}
        self.used: dict[str, frozenset[str]] = {t.name: _used(archetype, t) for t in self._all}
        self._tables: dict[str, ir.Table] = {}
        self._scratch: dict[str, ir.Table] = {}
        self._remembered: dict[str, Any] = {}
        self._keeps_scratch = opened.dialect.keeps_scratch
        self._open = True
        self._bind()

    @property
    def _all(self) -> tuple[Table, ...]:
        return self.archetype.schema.tables

    @property
    def patterns(self) -> dict[str, str]:
        """How the tables of a folder are read inside it: a pattern of files by table name."""
        return {
            name: f"{name}/**/*.parquet"
            if (self.folder or Path()).joinpath(name).is_dir()
            else f"{name}.parquet"
            for name in self.files
        }

    @property
    def made(self) -> bool:
        """True where dnr made this folder."""
        return self.manifest is not None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def __repr__(self) -> str:
        state = "" if self._open else ", closed"
        return f"<Warehouse {self.archetype.name} at {self.shown} ({self.dialect.name}{state})>"

    def close(self) -> None:
        """Close the connection and drop what was kept in memory."""
        if self._open:
            self._open = False
            self._opened.close()

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def table(self, name: str) -> ir.Table:
        """Return a table of the archetype as an Ibis table with the columns that it names."""
        return self._tables[name]

    def rows(self, expression: Any) -> list[tuple[Any, ...]]:
        """Run an Ibis expression and return its rows.

        Raises:
            WarehouseError: the backend refused or the connection was lost.
        """
        with self._faults():
            return fetch(self.connection, expression)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # Each backend has exceptions of its own; nothing of them is lost.
            raise self.fault(let_through(error)) from error

    def columns(self, expression: Any) -> tuple[npt.NDArray[np.int64], ...]:
        """Run an Ibis expression of whole numbers, none null, and return its columns.

        Raises:
            WarehouseError: as for `rows`.
        """
        with self._faults():
            return fetch_columns(self.connection, expression)

    def dicts(self, expression: Any) -> list[dict[str, Any]]:
        """Run an Ibis expression and return its rows by column name."""
        names = expression.columns
        return [dict(zip(names, row, strict=True)) for row in self.rows(expression)]

    def fault(self, error: Exception) -> InputError:
        """Return what a failed query means for a person."""
        if isinstance(error, InputError):
            return error
        return WarehouseError(
            f"a query on {self.shown} failed: {first_line(error)}",
            hint="a damaged file, a lost connection or a missing right; run it again or see above",
        )

    def scratch(self, key: str, expression: ir.Table) -> ir.Table:
        """Return the expression's rows, kept in memory where the backend can do so.

        `key` names what the expression is; asking again gives the same table. What is read
        stays as it is: temporary tables live beside a read-only database.
        """
        if not self._keeps_scratch:
            return expression
        if key not in self._scratch:
            name = f"dnr_scratch_{len(self._scratch)}"
            with self._faults():
                self._scratch[key] = keep(self.connection, name, expression)
        return self._scratch[key]

    @property
    def keeps(self) -> bool:
        """True where `scratch` keeps rows in memory just now."""
        return self._keeps_scratch

    @contextmanager
    def whole_queries(self) -> Iterator[None]:
        """Keep nothing in memory for a while: an expression then reads nothing but the warehouse."""
        before, self._keeps_scratch = self._keeps_scratch, False
        try:
            yield
        finally:
            self._keeps_scratch = before

    def remember(self, key: str, compute: Callable[[], T]) -> T:
        """Return what `compute` gave when it was first asked for under `key`."""
        if key not in self._remembered:
            self._remembered[key] = compute()
        return cast("T", self._remembered[key])

    def not_there(self) -> tuple[NotMeasured, ...]:
        """Return a line for each table of the archetype that could not be opened."""
        return tuple(NotMeasured(name, "", "rows", why) for name, why in self.absent.items())

    def _bind(self) -> None:
        faults: list[str] = []
        hint = ""
        for table in self._all:
            physical = self._physical(table)
            if physical is None:
                continue
            own = self._column_faults(table, physical)
            faults += own
            hint = hint or _hint_on_times(table, physical, own)
            present = [c for c in table.column_names if c in physical.columns]
            chosen = physical.select(*present) if present else physical
            if self._opened.files is None and (why := self._refused(chosen)):
                self.absent[table.name] = f"table {table.name!r} cannot be read: {why}"
                continue
            self._tables[table.name] = chosen
        if self.made and self.absent:
            faults = [*self.absent.values(), *faults]
        if faults:
            raise WarehouseError(
                f"{self.shown} is not as archetype {self.archetype.name!r} says: "
                + "; ".join(faults[:8])
                + (f"; and {len(faults) - 8} more" if len(faults) > 8 else ""),
                hint="run gen-warehouse again" if self.made else hint or "correct the schema file",
            )
        if not self._tables:
            there = ", ".join(sorted(self._names())[:12]) or "no tables"
            refused = "".join(f"; {why}" for why in list(self.absent.values())[:3])
            raise WarehouseError(
                f"{self.shown} has none of the tables of {self.archetype.name!r}: "
                f"it has {there}{refused}",
                hint="is it the right database, and the right schema file?",
            )

    def _names(self) -> list[str]:
        with self._faults():
            return listed_tables(self._opened)

    def _physical(self, table: Table) -> ir.Table | None:
        *path, name = table.physical_name or (table.name,)
        try:
            if not path:
                return self.connection.table(name)
            return self.connection.table(name, database=tuple(path) if len(path) > 1 else path[0])
        except Exception as error:  # noqa: BLE001 - each backend has its own "no such table"
            let_through(error)
            known = self._names()
            if name in known:
                self.absent[table.name] = f"table {name!r} cannot be read: {first_line(error)}"
            else:
                near = nearest(name, known)
                self.absent[table.name] = (
                    f"there is no table {'.'.join((*path, name))!r}"
                    + (f" (did you mean {near!r}?)" if near else "")
                    + f"; there are {', '.join(sorted(known)[:12]) or 'none'}"
                )
            return None

    def _refused(self, table: ir.Table) -> str:
        """Say why not one row may be read: a right that is missing, a view that is broken."""
        try:
            fetch(self.connection, table.limit(0))
        except Exception as error:  # noqa: BLE001 - each backend has its own
            return first_line(let_through(error))
        return ""

    def _column_faults(self, table: Table, physical: ir.Table) -> list[str]:
        faults: list[str] = []
        for column in table.columns:
            if column.name not in physical.columns:
                near = nearest(column.name, physical.columns)
                faults.append(
                    f"table {table.name!r} has no column {column.name!r}"
                    + (f" (did you mean {near!r}?)" if near else "")
                    + f"; it has {', '.join(physical.columns[:12])}"
                )
                continue
            declared = FAMILIES.get(column.type, "other")
            found = family_of(physical[column.name].type())
            # A column that is only carried may have any type: nothing is computed from it.
            matters = column.name in self.used[table.name] or self.made
            if matters and declared != "other" and not _fits(declared, found):
                faults.append(
                    f"column {table.name}.{column.name} should be {declared} ({column.type})"
                    f" but is {physical[column.name].type()}"
                )
        return faults


def _hint_on_times(table: Table, physical: ir.Table, faults: list[str]) -> str:
    """Say what to do where a time lies as text, as it often does; nothing where none does."""
    texts = [
        c.name
        for c in table.columns
        if c.type in {"timestamp", "date"}
        and c.name in physical.columns
        and physical[c.name].type().is_string()
        and any(f"{table.name}.{c.name} " in fault for fault in faults)
    ]
    if not texts:
        return ""
    return (
        f"{texts[0]} lies as text: make a view of the table that casts it (CAST({texts[0]} AS "
        f"TIMESTAMP)) and name that as `source` of {table.name}, or name another column as its time"
    )


def _used(archetype: Archetype, table: Table) -> frozenset[str]:
    """Columns of the table that some figure is computed from."""
    used = {*table.primary_key, *table.business_key}
    used |= {column for key in table.foreign_keys for column in key.columns}
    used |= {column for column in (table.loaded_at, table.created_at) if column}
    if table.event_time and not table.event_time.through:
        used |= set(table.event_time.columns)
    for other in archetype.schema.tables:
        for key in other.foreign_keys:
            if key.to == table.name:
                used |= {*key.to_columns, *([key.parent_time] if key.parent_time else [])}
        if other.event_time and other.event_time.through == table.name:
            used |= set(other.event_time.columns)
    for stream in archetype.streams:
        if stream.table == table.name:
            used |= {*stream.amount.product_of, *(c.column for c in stream.where)}
            used |= {*stream.keyed_by, *([stream.time] if stream.time else [])}
    return frozenset(used)


def open_warehouse(
    location: Location,
    archetype: Archetype | None = None,
    catalogue: KnowsArchetypes | None = None,
) -> Warehouse:
    """Open a folder, database file or URL, read-only; or look at an open connection of Ibis.

    `archetype` may be left out for a folder that dnr made: its manifest names it, and
    `catalogue` (all installed plugins, unless given) knows it.

    Raises:
        UnfinishedError: a folder of dnr without a manifest.
        WarehouseError: it cannot be reached, or is not as the archetype says.
        UnknownNameError: the manifest names an archetype that no plugin brings.
    """
    opened = open_location(location, made=archetype is None or archetype.synthesis is not None)
    try:
        if archetype is None:
            archetype = _archetype_of(opened, location, catalogue)
        elif opened.manifest and opened.manifest.archetype != archetype.name:
            raise WarehouseError(
                f"{opened.shown} is of archetype {opened.manifest.archetype!r}, "
                f"not {archetype.name!r}",
                hint="leave the archetype out, or give the right folder",
            )
        problems = archetype.problems()
        if problems:
            raise WarehouseError(
                f"archetype {archetype.name!r} does not fit together: {'; '.join(problems)}",
                hint="correct the schema file, or the plugin that brings it",
            )
        return Warehouse(opened, archetype)
    except BaseException:
        opened.close()
        raise


def _archetype_of(
    opened: Opened, location: Location, catalogue: KnowsArchetypes | None
) -> Archetype:
    if opened.manifest is None:
        raise WarehouseError(
            f"{masked(location)} does not say what kind of company it is",
            hint="draft a schema file with dnr init --from URL, and give it as --archetype FILE.yaml",
        )
    if catalogue is None:
        from dnr_core.plugins import load_plugins

        catalogue = load_plugins()
    return catalogue.archetype(opened.manifest.archetype)

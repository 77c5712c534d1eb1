"""Room: config. The schema file of a real company: YAML in, `Archetype` out, faults by field.

name: shop
title: Shop                      # what the report calls it
tz: Europe/Berlin                # business time zone; days are local days
stored_tz: UTC                   # zone of the times that are stored without one
currency: EUR
tables:
  orders:
    kind: fact                   # fact, dimension or snapshot
    source: [sales, orders]      # where it lies, if not under its own name
    columns: {id: int64, customer: int64, placed: timestamp, total: decimal}
    key: id                      # rows that share it are duplicates of one another
    event_time: placed           # or {columns: [paid_at, due_at]}, or {through: orders, columns: placed}
    loaded_at: loaded
    foreign_keys:
      - {columns: customer, to: customers, to_columns: id, parent_time: created}
money:
  - {name: sales, table: orders, amount: total, minor_units: 1}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast, get_args

from dnr_core.config.yaml_file import read_yaml
from dnr_core.config.zones import zone_of
from dnr_core.errors import ConfigError
from dnr_core.model.archetype import Amount, Archetype, Condition, RevenueStream
from dnr_core.model.schema import (
    Column,
    ColumnType,
    EventTime,
    ForeignKey,
    Schema,
    Table,
    TableKind,
)
from dnr_core.suggestions import did_you_mean

TOP: Final = ("name", "title", "tz", "stored_tz", "currency", "tables", "money")
TABLE: Final = (
    "kind",
    "title",
    "aliases",
    "source",
    "columns",
    "key",
    "event_time",
    "loaded_at",
    "created_at",
    "foreign_keys",
)
COLUMN: Final = ("type", "aliases", "meaning", "values")
KEY: Final = ("columns", "to", "to_columns", "parent_time", "required")
EVENT: Final = ("columns", "through")
MONEY: Final = (
    "name",
    "title",
    "table",
    "amount",
    "divide_by",
    "minor_units",
    "time",
    "where",
    "keyed_by",
    "is_revenue",
)
WHERE: Final = ("column", "op", "value")
OPS: Final = ("eq", "ne", "in", "ge", "gt", "le", "lt", "not_null")
_SHOWN: Final = 8
"""Faults in one message; the rest is counted."""


class _Reader:
    """Reads values and keeps what is wrong with them, so that one message tells all of it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.faults: list[str] = []

    def fault(self, path: str, problem: str) -> None:
        self.faults.append(f"{path} {problem}")

    def mapping(self, value: Any, path: str, allowed: Sequence[str] | None) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            self.fault(path or "the file", f"must be a mapping of names to values, not {value!r}")
            return {}
        for name in value:
            if allowed is not None and name not in allowed:
                near = did_you_mean(str(name), allowed)
                what = near or f"allowed: {', '.join(allowed)}"
                self.fault(f"{path}.{name}".lstrip("."), f"is not known; {what}")
        return {str(name): part for name, part in value.items()}

    def text(self, value: Any, path: str) -> str:
        if isinstance(value, str) and value:
            return value
        self.fault(path, f"must be text, not {value!r}")
        return ""

    def texts(self, value: Any, path: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
        self.fault(path, f"must be a name or a list of names, not {value!r}")
        return ()

    def one_of(self, value: Any, path: str, allowed: Sequence[str]) -> str:
        if value in allowed:
            return str(value)
        near = did_you_mean(str(value), allowed)
        self.fault(
            path, f"is {value!r}; allowed: {', '.join(allowed)}" + (f"; {near}" if near else "")
        )
        return allowed[0]

    def number(self, value: Any, path: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        self.fault(path, f"is {value!r}; a whole number above 0 is allowed")
        return 1

    def truth(self, value: Any, path: str) -> bool:
        if isinstance(value, bool):
            return value
        self.fault(path, f"is {value!r}; true or false are allowed")
        return True

    def known(self, name: str, path: str, names: Sequence[str], what: str) -> None:
        if name and name not in names:
            near = did_you_mean(name, names) or f"there are {', '.join(names[:12])}"
            self.fault(path, f"names {name!r}, which is no {what}; {near}")

    def finish(self) -> None:
        if not self.faults:
            return
        more = len(self.faults) - _SHOWN
        raise ConfigError(
            f"{self.where}: "
            + "; ".join(self.faults[:_SHOWN])
            + (f"; and {more} more" if more > 0 else ""),
            hint="correct the schema file; docs/explanation/health.md lists every field",
        )


def read_schema(path: str | Path) -> Archetype:
    """Return the company that a schema file describes.

    Raises:
        ConfigError: the file cannot be read, or fields are wrong: each with its path, its value,
            what is allowed, and the nearest known name.
    """
    return archetype_of(read_yaml(Path(path)), str(path))


def archetype_of(content: Any, where: str) -> Archetype:
    """Return the company that the content of a schema file describes; `where` names it in errors.

    Raises:
        ConfigError: fields are wrong.
    """
    reader = _Reader(where)
    top = reader.mapping(content, "", TOP)
    name = reader.text(top.get("name", Path(where).stem), "name")
    tz, stored_tz = top.get("tz"), top.get("stored_tz")
    for field, zone in (("tz", tz), ("stored_tz", stored_tz)):
        if zone is not None:
            _zone(reader, field, zone)
    described = reader.mapping(top.get("tables", {}), "tables", None)
    if not described:
        reader.fault("tables", "is empty; at least one table is needed")
    tables = [_table(reader, name_, part) for name_, part in described.items()]
    _references(reader, tables, described)
    streams = _money(reader, top.get("money") or [], tables)
    reader.finish()
    archetype = Archetype(
        name,
        str(top.get("title") or name.replace("_", " ").title()),
        Schema(tuple(tables)),
        streams=streams,
        currency=str(top.get("currency") or "USD"),
        tz=tz,
        stored_tz=stored_tz,
    )
    reader.faults += archetype.problems()
    reader.finish()
    return archetype


def _zone(reader: _Reader, field: str, tz: Any) -> None:
    try:
        zone_of(reader.text(tz, field))
    except ConfigError:
        reader.fault(field, f"is {tz!r}; an IANA time zone such as America/New_York is allowed")


def _table(reader: _Reader, name: str, content: Any) -> Table:
    path = f"tables.{name}"
    part = reader.mapping(content, path, TABLE)
    columns = _columns(reader, part.get("columns"), f"{path}.columns")
    names = [column.name for column in columns]

    def column(field: str) -> str | None:
        value = part.get(field)
        if value is None:
            return None
        reader.known(
            reader.text(value, f"{path}.{field}"), f"{path}.{field}", names, "column of it"
        )
        return str(value)

    key = reader.texts(part.get("key"), f"{path}.key")
    for one in key:
        reader.known(one, f"{path}.key", names, "column of it")
    keys = part.get("foreign_keys") or []
    if not isinstance(keys, list):
        reader.fault(f"{path}.foreign_keys", "must be a list")
        keys = []
    kind = reader.one_of(part.get("kind", "dimension"), f"{path}.kind", get_args(TableKind))
    return Table(
        name,
        columns,
        primary_key=key,
        foreign_keys=tuple(
            _foreign_key(reader, one, f"{path}.foreign_keys[{place}]", names)
            for place, one in enumerate(keys)
        ),
        event_time=_event(reader, part.get("event_time"), f"{path}.event_time", names),
        loaded_at=column("loaded_at"),
        created_at=column("created_at"),
        kind=cast("TableKind", kind),
        title=str(part.get("title") or ""),
        aliases=reader.texts(part.get("aliases"), f"{path}.aliases"),
        physical_name=reader.texts(part.get("source"), f"{path}.source"),
    )


def _columns(reader: _Reader, content: Any, path: str) -> tuple[Column, ...]:
    found: list[Column] = []
    types = get_args(ColumnType)
    described = reader.mapping(content or {}, path, None)
    if not described:
        reader.fault(path, "is empty; name the columns that are used, with their types")
    for name, value in described.items():
        here = f"{path}.{name}"
        part = {"type": value} if isinstance(value, str) else reader.mapping(value, here, COLUMN)
        kind = reader.one_of(part.get("type"), f"{here}.type", types)
        found.append(
            Column(
                name,
                cast("ColumnType", kind),
                meaning=str(part.get("meaning") or ""),
                aliases=reader.texts(part.get("aliases"), f"{here}.aliases"),
                values=reader.texts(part.get("values"), f"{here}.values"),
            )
        )
    return tuple(found)


def _event(reader: _Reader, content: Any, path: str, names: list[str]) -> EventTime | None:
    if content is None:
        return None
    if isinstance(content, str | list):
        content = {"columns": content}
    part = reader.mapping(content, path, EVENT)
    columns = reader.texts(part.get("columns"), f"{path}.columns")
    if not columns:
        reader.fault(f"{path}.columns", "is missing")
    through = part.get("through")
    if through is None:
        for one in columns:
            reader.known(one, path, names, "column of it")
        return EventTime(columns)
    return EventTime(columns, through=reader.text(through, f"{path}.through"))


def _foreign_key(reader: _Reader, content: Any, path: str, names: list[str]) -> ForeignKey:
    part = reader.mapping(content, path, KEY)
    columns = reader.texts(part.get("columns"), f"{path}.columns")
    if not columns:
        reader.fault(f"{path}.columns", "is missing")
    for one in columns:
        reader.known(one, f"{path}.columns", names, "column of it")
    to_columns = reader.texts(part.get("to_columns"), f"{path}.to_columns") or columns
    parent_time = part.get("parent_time")
    return ForeignKey(
        columns,
        reader.text(part.get("to"), f"{path}.to"),
        to_columns,
        parent_time=None
        if parent_time is None
        else reader.text(parent_time, f"{path}.parent_time"),
        required=reader.truth(part.get("required", True), f"{path}.required"),
    )


def _references(reader: _Reader, tables: list[Table], described: Mapping[str, Any]) -> None:
    names = list(described)
    columns = {table.name: list(table.column_names) for table in tables}
    for table in tables:
        for place, key in enumerate(table.foreign_keys):
            path = f"tables.{table.name}.foreign_keys[{place}]"
            reader.known(key.to, f"{path}.to", names, "table of this file")
            for one in key.to_columns if key.to in columns else ():
                reader.known(one, f"{path}.to_columns", columns[key.to], f"column of {key.to}")
            if len(key.columns) != len(key.to_columns):
                reader.fault(
                    path, f"has {len(key.columns)} columns and {len(key.to_columns)} to_columns"
                )
            if key.parent_time and key.to in columns:
                where = f"{path}.parent_time"
                reader.known(key.parent_time, where, columns[key.to], f"column of {key.to}")
        event = table.event_time
        if event and event.through:
            path = f"tables.{table.name}.event_time"
            reader.known(event.through, f"{path}.through", names, "table of this file")
            for one in event.columns if event.through in columns else ():
                reader.known(one, path, columns[event.through], f"column of {event.through}")


def _money(reader: _Reader, content: Any, tables: list[Table]) -> tuple[RevenueStream, ...]:
    if not isinstance(content, list):
        reader.fault("money", "must be a list of streams")
        return ()
    found: list[RevenueStream] = []
    columns = {table.name: list(table.column_names) for table in tables}
    for place, one in enumerate(content):
        path = f"money[{place}]"
        part = reader.mapping(one, path, MONEY)
        name = reader.text(part.get("name"), f"{path}.name")
        if name in {stream.name for stream in found}:
            reader.fault(f"{path}.name", f"is {name!r}, which another stream has")
        table = reader.text(part.get("table"), f"{path}.table")
        reader.known(table, f"{path}.table", list(columns), "table of this file")
        own = columns.get(table, [])
        amount = reader.texts(part.get("amount"), f"{path}.amount")
        keyed = reader.texts(part.get("keyed_by"), f"{path}.keyed_by")
        time = part.get("time")
        if not amount:
            reader.fault(
                f"{path}.amount", "is missing: the column (or columns, multiplied) of money"
            )
        for column in (*amount, *keyed, *([time] if isinstance(time, str) else [])):
            if own:
                reader.known(column, path, own, f"column of {table}")
        found.append(
            RevenueStream(
                name,
                table,
                Amount(
                    amount,
                    divide_by=reader.number(part.get("divide_by", 1), f"{path}.divide_by"),
                    minor_units=reader.number(part.get("minor_units", 100), f"{path}.minor_units"),
                ),
                time=None if time is None else reader.text(time, f"{path}.time"),
                where=_where(reader, part.get("where") or [], f"{path}.where", own),
                keyed_by=keyed,
                title=str(part.get("title") or ""),
                is_revenue=reader.truth(part.get("is_revenue", True), f"{path}.is_revenue"),
            )
        )
    return tuple(found)


def _where(reader: _Reader, content: Any, path: str, names: list[str]) -> tuple[Condition, ...]:
    if not isinstance(content, list):
        reader.fault(path, "must be a list of conditions")
        return ()
    found: list[Condition] = []
    for place, one in enumerate(content):
        here = f"{path}[{place}]"
        part = reader.mapping(one, here, WHERE)
        column = reader.text(part.get("column"), f"{here}.column")
        if names:
            reader.known(column, f"{here}.column", names, "column of the stream's table")
        op = reader.one_of(part.get("op", "eq"), f"{here}.op", OPS)
        value = part.get("value")
        if op == "in" and not isinstance(value, list):
            reader.fault(f"{here}.value", f"is {value!r}; for 'in' a list is needed")
        found.append(
            Condition(column, cast("Any", op), tuple(value) if isinstance(value, list) else value)
        )
    return tuple(found)

"""Room: health. Guesses about a database that does not say: keys, times, kinds, money.

Each guess carries its evidence in words, measured on the data where the tables are not too large,
and is left to the person who reads the draft.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import Final

from attrs import evolve, frozen

from dnr_core.health.dialect import fetch
from dnr_core.health.introspect import Declared, Described, Found, is_large
from dnr_core.health.location import Opened

DECLARED: Final = "declared in the database"
LOADED: Final = re.compile(
    r"load(ed)?(_|\b|$)|ingest|inserted|etl|synced|_at_source", re.IGNORECASE
)
CHANGED: Final = re.compile(r"updat|modif|changed|delet", re.IGNORECASE)
CREATED: Final = re.compile(
    r"creat|activat|register|signup|sign_up|joined|open(ed)?_|since", re.IGNORECASE
)
EVENT: Final = re.compile(
    r"event|occur|order|paid|payment|invoice|rental|sale|sold|time|date|_at$|when", re.IGNORECASE
)
KEYLIKE: Final = re.compile(r"(^|_|[a-z])(id|key|code|no|nr|num|number|uuid)$", re.IGNORECASE)
MONEY: Final = re.compile(r"amount|total|revenue|price|fee|paid|charge|cost", re.IGNORECASE)
BEST_MONEY: Final = re.compile(r"amount|total|revenue|paid", re.IGNORECASE)
CENTS: Final = re.compile(r"cents?$|_minor$", re.IGNORECASE)
LEAST_INCLUSION: Final = 0.5
"""Share of a column's values that must be found in a parent of the same name."""
SURE_INCLUSION: Final = 0.9
"""The same for a parent of another name: then only the data speak for it."""
MOST_EMPTY: Final = 0.2
"""Share of nulls from which on a key is taken for one that may be null."""
MOST_KEY_PARTS: Final = 4
MOST_TRIES: Final = 40
_TIMES: Final = {"timestamp", "date"}
_NUMBERS: Final = {"int64", "int32", "int16", "float64", "decimal"}
_WHOLE: Final = {"int64", "int32", "int16"}


@frozen
class KeyGuess:
    """A foreign key; `sure` is False where it is only worth a comment."""

    columns: tuple[str, ...]
    to: str
    to_columns: tuple[str, ...]
    why: str
    sure: bool = True
    required: bool = True


@frozen
class MoneyGuess:
    """A column that may be money of a table."""

    table: str
    column: str
    minor_units: int
    keyed_by: tuple[str, ...]
    why: str
    sure: bool


@frozen
class TableGuess:
    """What a table seems to be."""

    found: Found
    key: tuple[str, ...] = ()
    key_why: str = ""
    kind: str = "dimension"
    kind_why: str = ""
    event: tuple[str, ...] = ()
    through: str = ""
    event_why: str = ""
    loaded_at: str = ""
    created_at: str = ""
    foreign_keys: tuple[KeyGuess, ...] = ()


def guess(opened: Opened, described: Described) -> tuple[list[TableGuess], list[MoneyGuess]]:
    """Guess everything that the database does not declare."""
    keys = {table.name: _key(opened, table, described) for table in described.tables}
    links = {
        table.name: _foreign_keys(opened, table, described, keys) for table in described.tables
    }
    parents = {k.to for own in links.values() for k in own if k.sure}
    tables: list[TableGuess] = []
    for table in described.tables:
        key, why = keys[table.name]
        tables.append(_times(table, key, why, links[table.name], is_parent=table.name in parents))
    tables = [_through(table, tables) for table in tables]
    return tables, _money(tables)


def singular(name: str) -> str:
    """The name of one of the things that a table is named after, roughly."""
    name = name.rsplit(".", 1)[-1].lower()
    for prefix in ("dim_", "fact_", "fct_", "stg_"):
        name = name.removeprefix(prefix)
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith("ses"):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def _flat(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _key(opened: Opened, table: Found, described: Described) -> tuple[tuple[str, ...], str]:
    mine = [key for key in described.declared if key.table == table.name]
    for kind in ("PRIMARY KEY", "UNIQUE"):
        for key in mine:
            if key.kind == kind:
                return key.columns, DECLARED
    if is_large(opened, table.rows):
        return (), "not looked for, the table is large; name the columns that no two rows share"
    if not table.rows or not table.distinct:
        return (), ""
    unique = [
        name
        for name, kind in table.columns.items()
        if table.distinct.get(name) == table.filled.get(name) == table.rows
        and kind not in {"float64", "decimal", "bool", "other"}
    ]
    if unique:
        named = [n for n in unique if _names_table(n, table.name)]
        best = (named or [n for n in unique if KEYLIKE.search(n)] or unique)[0]
        return (best,), f"no nulls and no value twice in {table.rows:,} rows"
    return _composite(opened, table)


def _names_table(column: str, table: str) -> bool:
    one = _flat(singular(table))
    return _flat(column) in {"id", one, f"{one}id", f"{one}key", f"{one}code", f"{one}no"}


def _composite(opened: Opened, table: Found) -> tuple[tuple[str, ...], str]:
    """Try columns that look like parts of a key, fewest first; every try is one count of distinct."""
    rows = table.rows or 0
    parts = [
        name
        for name, kind in table.columns.items()
        if table.filled.get(name) == rows
        and table.distinct.get(name, 0) > 1
        and (
            kind in {"string", *_TIMES}
            or (kind in _WHOLE and (KEYLIKE.search(name) or _names_table(name, table.name)))
        )
    ]
    parts = sorted(parts, key=lambda name: -table.distinct[name])[:8]
    tries = 0
    for size in range(2, MOST_KEY_PARTS + 1):
        for columns in combinations(parts, size):
            if _product(table, columns) < rows or tries >= MOST_TRIES:
                continue
            tries += 1
            distinct = table.table.select(*columns).distinct()
            if int(fetch(opened.connection, distinct.agg(n=distinct.count()))[0][0]) == rows:
                ordered = tuple(name for name in table.columns if name in columns)
                return ordered, f"together no value twice in {rows:,} rows"
    return (), ""


def _product(table: Found, columns: tuple[str, ...]) -> int:
    result = 1
    for name in columns:
        result *= table.distinct[name]
    return result


def _foreign_keys(
    opened: Opened,
    table: Found,
    described: Described,
    keys: dict[str, tuple[tuple[str, ...], str]],
) -> list[KeyGuess]:
    found = [
        KeyGuess(key.columns, key.to, key.to_columns, DECLARED)
        for key in described.declared
        if key.table == table.name and key.kind == "FOREIGN KEY" and _is_there(key, described)
    ]
    taken = {key.columns for key in found}
    for parent in described.tables:
        key = keys[parent.name][0]
        if not key or parent.name == table.name:
            continue
        if len(key) == 1:
            # One guess a column: what is declared, or found earlier by its name, stays.
            single = _single(opened, table, parent, key[0], keys[table.name][0])
            found += [key_ for key_ in single if key_.columns not in taken]
        elif set(key) <= set(table.columns) and key not in taken and key != keys[table.name][0]:
            found += _compared(opened, table, parent, key, key, "columns of the same names")
    return [_needed(table, key) for key in _best(found)]


def _needed(table: Found, key: KeyGuess) -> KeyGuess:
    """A key that is often null, or names its own table, may be null in sound rows."""
    filled = min((table.filled.get(name, table.rows or 0) for name in key.columns), default=0)
    empty = 1 - filled / table.rows if table.rows else 0.0
    if key.to == table.name or empty > MOST_EMPTY:
        return evolve(key, required=False, why=f"{key.why}; null in {100 * empty:.1f} % of rows")
    return key


def _is_there(key: Declared, described: Described) -> bool:
    target = next((t for t in described.tables if t.name == key.to), None)
    return (
        target is not None and bool(key.to_columns) and set(key.to_columns) <= set(target.columns)
    )


def _single(
    opened: Opened, table: Found, parent: Found, key: str, own: tuple[str, ...]
) -> list[KeyGuess]:
    one = _flat(singular(parent.name))
    names = {f"{one}id", f"{one}key", f"{one}code", f"{one}{_flat(key)}"}
    if _flat(key) != "id":
        names.add(_flat(key))
    found: list[KeyGuess] = []
    for column, kind in table.columns.items():
        if not _same_family(kind, parent.columns[key]) or (column,) == own:
            continue
        if _flat(column) in names:
            why = "same name" if _flat(column) == _flat(key) else f"named after {parent.name}"
            found += _compared(opened, table, parent, (column,), (key,), why)
        elif kind == parent.columns[key] == "string" and 1 < table.distinct.get(
            column, 0
        ) <= 2 * parent.distinct.get(key, 0):
            # Numbers of any two tables overlap; texts seldom do by chance.
            found += _compared(opened, table, parent, (column,), (key,), "")
    return found


def _same_family(one: str, other: str) -> bool:
    return one == other or (one in _WHOLE and other in _WHOLE)


def _compared(
    opened: Opened,
    table: Found,
    parent: Found,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    why: str,
) -> list[KeyGuess]:
    """Weigh a possible key by how many of its values the parent has."""
    if is_large(opened, max(table.rows or 0, parent.rows or 0)):
        text = f"guessed: {why}; not looked at, the table is large"
        return [KeyGuess(columns, parent.name, key, text)] if why else []
    values, matched = _inclusion(opened, table, parent, columns, key)
    if not values:
        return []
    share = matched / values
    evidence = f"{matched:,} of {values:,} values are in {parent.name} ({100 * share:.1f} %)"
    if why:
        sure = share >= LEAST_INCLUSION
        return [KeyGuess(columns, parent.name, key, f"guessed: {why}; {evidence}", sure)]
    sure = share >= SURE_INCLUSION
    return (
        [KeyGuess(columns, parent.name, key, f"guessed from the data: {evidence}")] if sure else []
    )


def _inclusion(
    opened: Opened,
    table: Found,
    parent: Found,
    columns: tuple[str, ...],
    key: tuple[str, ...],
) -> tuple[int, int]:
    mine = table.table.select(**{f"c{i}": table.table[c] for i, c in enumerate(columns)})
    mine = mine.filter(*(mine[f"c{i}"].notnull() for i in range(len(columns)))).distinct()
    theirs = parent.table.select(**{f"p{i}": parent.table[c] for i, c in enumerate(key)}).distinct()
    joined = mine.left_join(theirs, [mine[f"c{i}"] == theirs[f"p{i}"] for i in range(len(key))])
    row = fetch(opened.connection, joined.agg(n=joined.count(), found=joined.p0.count()))[0]
    return int(row[0]), int(row[1])


def _best(found: list[KeyGuess]) -> list[KeyGuess]:
    """Keep one parent a column: the declared one, else the surest, else the first by name."""
    by_columns: dict[tuple[str, ...], list[KeyGuess]] = {}
    for key in found:
        by_columns.setdefault(key.columns, []).append(key)
    best: list[KeyGuess] = []
    for keys in by_columns.values():
        declared = [key for key in keys if key.why == DECLARED]
        if declared:
            best += declared
            continue
        named = [key for key in keys if "from the data" not in key.why]
        best.append(sorted(named or keys, key=lambda key: (not key.sure, -_percent(key.why)))[0])
    return best


def _percent(why: str) -> float:
    match = re.search(r"\(([0-9.]+) %\)", why)
    return float(match.group(1)) if match else 0.0


def _times(
    table: Found, key: tuple[str, ...], key_why: str, links: list[KeyGuess], *, is_parent: bool
) -> TableGuess:
    times = [name for name, kind in table.columns.items() if kind in _TIMES]
    loaded = next((name for name in times if LOADED.search(name)), "")
    usable = [n for n in times if n != loaded and not CHANGED.search(n)]
    usable = [n for n in usable if table.filled.get(n, 1) > 0]
    money = [n for n, kind in table.columns.items() if kind in _NUMBERS and MONEY.search(n)]
    real = [k for k in links if k.sure]
    # What others point to may be a fact as well: it has money, or several keys and a time that
    # says more than since when it exists.
    dated = [n for n in usable if not CREATED.search(n)]
    if usable and real and (not is_parent or money or (len(real) > 1 and dated)):
        ranked = sorted(
            usable,
            key=lambda n: (
                -(table.filled.get(n, 0)),
                not EVENT.search(n),
                table.columns[n] != "timestamp",
            ),
        )
        filled = table.filled.get(ranked[0], 0)
        why = f"guessed: {filled:,} of {table.rows or 0:,} rows have it"
        if not table.filled:
            why = "guessed from its name; not looked at, the table is large"
        return TableGuess(
            table,
            key,
            key_why,
            "fact",
            "guessed: it has a time, and keys of other tables",
            (ranked[0],),
            "",
            why,
            loaded,
            "",
            tuple(links),
        )
    created = next((n for n in usable if CREATED.search(n)), "")
    return TableGuess(
        table, key, key_why, "dimension", "", (), "", "", loaded, created, tuple(links)
    )


def _through(table: TableGuess, tables: list[TableGuess]) -> TableGuess:
    """A table without time, with a key of a fact table, happened when that one did."""
    if table.kind == "fact":
        return table
    by_name = {other.found.name: other for other in tables}
    parents = {k.to for other in tables for k in other.foreign_keys if k.sure}
    if table.found.name in parents:
        return table
    for key in table.foreign_keys:
        parent = by_name.get(key.to)
        if key.sure and parent and parent.kind == "fact" and parent.event:
            why = f"guessed: it has no time of its own, and a key of {key.to}"
            return evolve(
                table,
                kind="fact",
                kind_why="guessed: its rows are parts of a fact",
                event=parent.event,
                through=key.to,
                event_why=why,
            )
    return table


def _money(tables: list[TableGuess]) -> list[MoneyGuess]:
    """Columns that may be money; at most one is taken, so that nothing counts twice."""
    found: list[MoneyGuess] = []
    for table in tables:
        if table.kind != "fact":
            continue
        for name, kind in table.found.columns.items():
            link = any(name in key.columns for key in table.foreign_keys)
            if kind not in _NUMBERS or not MONEY.search(name) or name in table.key or link:
                continue
            minor = 100 if CENTS.search(name) else 1
            why = f"guessed from the name of the column ({kind})"
            sure = bool(BEST_MONEY.search(name)) and not table.through
            found.append(MoneyGuess(table.found.name, name, minor, table.key, why, sure))
    first = next((m for m in found if m.sure), None)
    return [
        MoneyGuess(m.table, m.column, m.minor_units, m.keyed_by, m.why, m is first) for m in found
    ]

"""Room: health. Writes the draft of a schema file: what is known, what is guessed, and why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from dnr_core.health.guess import DECLARED, KeyGuess, MoneyGuess, TableGuess, guess
from dnr_core.health.introspect import Described, describe
from dnr_core.health.local_time import is_naive
from dnr_core.health.location import Location, open_location


def draft_schema(location: Location) -> str:
    """Return the draft of a schema file for a database, folder or connection, as YAML with comments.

    Declared keys are taken; what is guessed says so, with its evidence, in a comment on its line.

    Raises:
        WarehouseError: it cannot be reached, or has no table that can be read.
    """
    opened = open_location(location, made=False)
    try:
        described = describe(opened)
        tables, money = guess(opened, described)
    finally:
        opened.close()
    name = _name_of(location)
    lines = [
        f"# Schema of {opened.shown}, drafted by dnr. Please read it: what is marked 'guessed' is a",
        "# guess, with its evidence. Correct it, take out tables that do not matter, then run",
        "#     dnr run-report --warehouse URL --archetype THIS_FILE.yaml",
        "",
        f"name: {_scalar(name)}",
        f"title: {_scalar(name.replace('_', ' ').title())}",
        "tz: UTC  # your business time zone, such as America/New_York: days are local days",
        *_stored(described),
        "currency: USD",
        "",
        "tables:",
    ]
    for table in tables:
        lines += _table(table)
    lines += _money(money)
    if described.views:
        lines += ["", f"# Views are left out: {', '.join(described.views)}."]
    for label, why in described.unreadable.items():
        lines.append(f"# The table {label} cannot be read: {_comment(why)}")
    return "\n".join(lines) + "\n"


def _stored(described: Described) -> list[str]:
    naive = [
        f"{found.name}.{column}"
        for found in described.tables
        for column, kind in found.columns.items()
        if kind == "timestamp" and is_naive(found.table[column])
    ]
    if not naive:
        return []
    some = f"{_comment(', '.join(naive[:3]))}{', ...' if len(naive) > 3 else ''}"
    return [f"stored_tz: UTC  # zone of the {len(naive)} times stored without one ({some})"]


def _name_of(location: Location) -> str:
    if not isinstance(location, str | Path):
        return "company"
    url = str(location)
    path = unquote(urlsplit(url).path) if "://" in url else url
    stem = Path(path.rstrip("/")).stem or "company"
    return re.sub(r"[^0-9a-z]+", "_", stem.lower()).strip("_") or "company"


def _scalar(value: Any) -> str:
    """One YAML value on one line, quoted where it must be."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False
    )
    return str(text).strip().removesuffix("...").strip()


def _comment(text: str) -> str:
    return " ".join(text.split())


def _table(table: TableGuess) -> list[str]:
    found = table.found
    rows = "" if found.rows is None else f"  # {found.rows:,} rows"
    lines = [f"  {_scalar(found.name)}:{rows}"]
    kind = f"    kind: {table.kind}"
    lines.append(kind + (f"  # {table.kind_why}" if table.kind_why else ""))
    if found.path != (found.name,):
        lines.append(f"    source: {_scalar(list(found.path))}")
    if table.key:
        how = DECLARED if table.key_why == DECLARED else f"guessed: {table.key_why}"
        lines.append(f"    key: {_names(table.key)}  # {how}")
    else:
        why = table.key_why or "no column (or few columns) found that no two rows share"
        lines.append(f"    # key: {why}")
    if table.through:
        event = f"{{through: {_scalar(table.through)}, columns: {_names(table.event)}}}"
        lines.append(f"    event_time: {event}  # {table.event_why}")
    elif table.event:
        lines.append(f"    event_time: {_names(table.event)}  # {table.event_why}")
    if table.loaded_at:
        lines.append(f"    loaded_at: {_scalar(table.loaded_at)}  # guessed from its name")
    elif table.kind == "fact":
        lines.append("    # loaded_at: no load time found, so lag is not measured on this table")
    if table.created_at:
        lines.append(f"    created_at: {_scalar(table.created_at)}  # guessed from its name")
    sure = [key for key in table.foreign_keys if key.sure]
    unsure = [key for key in table.foreign_keys if not key.sure]
    if sure:
        lines.append("    foreign_keys:")
    lines += [f"      - {_key(key)}  # {key.why}" for key in sure]
    lines += [f"      # not taken: {_key(key)}  # {key.why}" for key in unsure]
    lines.append("    columns:")
    for name, kind in found.columns.items():
        lines.append(f"      {_scalar(name)}: {kind}")
    return lines


def _names(columns: tuple[str, ...]) -> str:
    return _scalar(columns[0]) if len(columns) == 1 else _scalar(list(columns))


def _key(key: KeyGuess) -> str:
    parts = f"columns: {_names(key.columns)}, to: {_scalar(key.to)}"
    required = "" if key.required else ", required: false"
    return f"{{{parts}, to_columns: {_names(key.to_columns)}{required}}}"


def _money(money: list[MoneyGuess]) -> list[str]:
    lines = [
        "",
        "# Money: which rows carry revenue, and how much. minor_units is how many of the column's",
        "# units make one of the currency: 100 for cents, 1 for whole units. Without money, problems",
        "# are ranked on rows.",
    ]
    taken = [one for one in money if one.sure]
    lines.append("money:" if taken else "money: []")
    for one in money:
        keyed = f", keyed_by: {_names(one.keyed_by)}" if one.keyed_by else ""
        entry = (
            f"{{name: {_scalar(one.column)}, table: {_scalar(one.table)}, "
            f"amount: {_scalar(one.column)}, minor_units: {one.minor_units}{keyed}}}"
        )
        lines.append(f"  {'-' if one.sure else '# -'} {entry}  # {one.why}")
    return lines

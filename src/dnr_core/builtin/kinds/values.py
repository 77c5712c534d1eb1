"""Room: builtin. Values that are wrong and look right: another unit, misspelt categories.

No health metric sees them, so each ships the Ibis expression that finds its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dnr_core.builtin.kinds.keys import dealt
from dnr_core.errors import ConfigError
from dnr_core.model import CellChange, DefectOutcome, DefectTask
from dnr_core.synth.draw import below_each

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from dnr_core.model import Schema, Table

_WAYS: Final = 3
_FAR: Final = 20


def drift(task: DefectTask) -> DefectOutcome:
    """Multiply the column by the incident's size: cents that became dollars, or the reverse.

    A size under 1 divides (0.01 turns cents into whole units); the result is cut to an integer.
    """
    if task.size <= 0:
        raise ConfigError(f"value_drift: a factor of {task.size} is not above 0")
    name = task.columns[0]
    values = pc.take(task.clean.column(name), pa.array(task.rows)).combine_chunks()
    wanted = values.type
    if not pa.types.is_integer(wanted):
        raise ConfigError(f"value_drift: {task.table.name}.{name} is no integer column")
    up = task.size >= 1
    factor = pa.scalar(round(task.size if up else 1 / task.size), pa.int64())
    wide = values.cast(pa.int64())
    try:
        moved = pc.multiply_checked(wide, factor) if up else pc.divide(wide, factor)
        return DefectOutcome([CellChange(name, task.rows, moved.cast(wanted), "unit")])
    except pa.ArrowInvalid:
        raise ConfigError(
            f"value_drift: {task.table.name}.{name} times {task.size:g} does not fit its type",
            hint="choose a smaller size",
        ) from None


def misspell(task: DefectTask) -> DefectOutcome:
    """Misspell a category in each row: a letter dropped, two swapped, or a space behind it."""
    changes: list[CellChange] = []
    for name, rows in dealt(task, task.columns).items():
        if not len(rows):
            continue
        codes = pc.take(task.clean.column(name), pa.array(rows)).combine_chunks()
        codes = codes.dictionary_encode()
        # Categories are few, so each is misspelt once in each way and rows take from the list.
        misspelt = [way for text in codes.dictionary.to_pylist() for way in typos(text)]
        ways = below_each(task.rng, _WAYS, len(rows))
        places = codes.indices.to_numpy(zero_copy_only=False).astype("int64") * _WAYS + ways
        changes.append(CellChange(name, rows, pa.array(misspelt).take(pa.array(places)), "typo"))
    return DefectOutcome(changes)


def typos(text: str) -> tuple[str, str, str]:
    """Return three misspellings of a text, each different from it."""
    dropped = text[:-1] if text else "?"
    swapped = text[:1] + text[2:3] + text[1:2] + text[3:] if len(text) > 2 else text + text[-1:]
    if swapped == text:
        swapped = text.swapcase() if text.swapcase() != text else text + "?"
    return dropped, swapped, text + " "


def far_from_usual(tables: Any, schema: Schema, table: Table, rate: Any) -> ir.Table:
    """Return the rows whose value is so far from the column's median that its unit must be another.

    Far is 20 times or the root of the factor, whichever is more, on the side to which the factor
    moves values. Of a small factor it misses those that still look like others.
    """
    del schema
    rows = tables[table.name]
    up = rate.size >= 1
    far = max(_FAR, (rate.size if up else 1 / rate.size) ** 0.5)
    wrong: Any = None
    for name in rate.columns:
        usual = rows[name].median()
        here = rows[name] > usual * far if up else rows[name] * far < usual
        wrong = here if wrong is None else wrong | here
    return rows.filter(wrong) if wrong is not None else rows.limit(0)


def not_allowed(tables: Any, schema: Schema, table: Table, rate: Any) -> ir.Table:
    """Return the rows whose category is none of the values that the schema allows."""
    del schema
    rows = tables[table.name]
    wrong = None
    for column in table.columns:
        if column.values and (not rate.columns or column.name in rate.columns):
            here = rows[column.name].notnull() & ~rows[column.name].isin(column.values)
            wrong = here if wrong is None else wrong | here
    return rows.filter(wrong) if wrong is not None else rows.limit(0)

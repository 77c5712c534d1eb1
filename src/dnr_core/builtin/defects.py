"""Room: builtin. The defect kinds that come with dnr; what they do is in `builtin.kinds`."""

from __future__ import annotations

from typing import Final

from dnr_core.model import DefectKind, Schema, Table


def required_keys(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the columns that may be nulled: those of required foreign keys."""
    del schema
    return table.required_keys


def simple_keys(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the labels of the foreign keys of one column, the ones that can be re-pointed."""
    del schema
    return tuple(key.label for key in table.foreign_keys if len(key.columns) == 1)


def identity(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the business key: without one, a copy could not be told from a row."""
    del schema
    return table.business_key


def load_time(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the load time, for tables that have one."""
    del schema
    return (table.loaded_at,) if table.loaded_at else ()


def _loose(table: Table) -> set[str]:
    keys = {column for key in table.foreign_keys for column in key.columns}
    times = set(table.event_time.columns) if table.event_time else set()
    return set(table.column_names) - keys - times - {*table.primary_key, *table.business_key}


def numbers(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the integer columns that identify nothing: amounts and counts."""
    del schema
    loose = _loose(table)
    return tuple(c.name for c in table.columns if c.name in loose and c.type in {"int64", "int32"})


def categories(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the text columns that identify nothing."""
    del schema
    loose = _loose(table)
    return tuple(c.name for c in table.columns if c.name in loose and c.type == "string")


KINDS: Final[tuple[DefectKind, ...]] = (
    DefectKind(
        name="key_null",
        title="Null keys",
        theme="join_keys_orphans",
        metric="key_null",
        apply="dnr_core.builtin.kinds.keys:null_keys",
        takes_codes=True,
        targets=required_keys,
        nulls_keys=True,
    ),
    DefectKind(
        name="fk_failure",
        title="Broken foreign keys",
        theme="join_keys_orphans",
        metric="fk_failure",
        apply="dnr_core.builtin.kinds.orphans:break_keys",
        takes_codes=True,
        targets=simple_keys,
        denominator="keyed_rows",
    ),
    DefectKind(
        name="duplicate",
        title="Duplicate rows",
        theme="duplicates_dedup",
        metric="duplicate",
        apply="dnr_core.builtin.kinds.copies:copy_rows",
        takes_codes=True,
        stage="copies",
        targets=identity,
    ),
    DefectKind(
        name="null_spike",
        title="Null spike",
        theme="join_keys_orphans",
        metric="key_null",
        apply="dnr_core.builtin.kinds.keys:null_keys",
        takes_codes=True,
        dated=True,
        targets=required_keys,
        nulls_keys=True,
    ),
    DefectKind(
        name="lag_surge",
        title="Lag surge",
        theme="freshness_ingest_lag",
        metric="lag_p95_minutes",
        apply="dnr_core.builtin.kinds.loads:slow_down",
        takes_codes=True,
        dated=True,
        stage="loads",
        targets=load_time,
    ),
    DefectKind(
        name="write_gap",
        title="Write gap",
        theme="freshness_ingest_lag",
        metric="lag_p95_minutes",
        apply="dnr_core.builtin.kinds.loads:stand_still",
        takes_codes=True,
        dated=True,
        stage="loads",
        selects="loads",
        targets=load_time,
    ),
    DefectKind(
        name="value_drift",
        title="Values in another unit",
        theme="metric_definition_mismatch",
        metric=None,
        apply="dnr_core.builtin.kinds.values:drift",
        takes_codes=True,
        dated=True,
        targets=numbers,
        exclusive=False,
        finds="dnr_core.builtin.kinds.values:far_from_usual",
    ),
    DefectKind(
        name="category_typo",
        title="Misspelt categories",
        theme="metric_definition_mismatch",
        metric=None,
        apply="dnr_core.builtin.kinds.values:misspell",
        takes_codes=True,
        targets=categories,
        exclusive=False,
        finds="dnr_core.builtin.kinds.values:not_allowed",
    ),
)

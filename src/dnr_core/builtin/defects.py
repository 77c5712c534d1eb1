"""Room: builtin. The defect kinds that come with dnr; what they do is in `builtin.kinds`."""

from __future__ import annotations

from typing import Final

from dnr_core.model import DefectKind, Option, Schema, Table


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


def awaited(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the load time of tables to which others with a load time point."""
    children = any(child.loaded_at for child in schema.children(table.name))
    return (table.loaded_at,) if table.loaded_at and children and table.primary_key else ()


def leaves(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return the columns of facts whose rows can go without leaving orphans behind."""
    leaf = table.kind == "fact" and table.event_time and not schema.children(table.name)
    return table.column_names if leaf else ()


def of_the_day(schema: Schema, table: Table) -> tuple[str, ...]:
    """Return what a daily snapshot says of its keys."""
    del schema
    if table.snapshot_day is None:
        return ()
    return tuple(name for name in table.column_names if name not in table.business_key)


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
        options=(),
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
        options=(
            Option("temporal_share", 0.3, 0, 1, "share of them whose parent exists and came later"),
        ),
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
        options=(),
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
        breaks="required_keys",
        size=Option("size", 0.1, 0.001, 0.4, "share of nulls that comes on top for a while"),
        options=(),
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
        breaks="loads",
        row_share=0.3,
        size=Option("size", 6, 1, 100, "what the lag is multiplied by"),
        options=(),
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
        breaks="loads",
        row_share=1.0,
        size=Option("hours", 6, 1, 1000, "hours without loads"),
        options=(),
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
        row_share=1.0,
        size=Option("size", 100, 0.000001, 1_000_000, "what values are multiplied by"),
        options=(),
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
        options=(),
    ),
    DefectKind(
        name="late_parent",
        title="Late parents",
        theme="join_keys_orphans",
        metric=None,
        apply="dnr_core.builtin.kinds.parents:come_late",
        takes_codes=True,
        stage="loads",
        targets=awaited,
        exclusive=False,
        after_children=True,
        finds="dnr_core.builtin.kinds.parents:later_than_children",
        options=(
            Option(
                "least_hours", 12, 12, 1000, "a late parent comes so long after its first child"
            ),
            Option("most_hours", 48, 13, 2000, "and at most so long"),
        ),
    ),
    DefectKind(
        name="truncated_day",
        title="Truncated day",
        theme="freshness_ingest_lag",
        metric=None,
        apply="dnr_core.builtin.kinds.days:cut_off",
        takes_codes=True,
        dated=True,
        stage="removals",
        targets=leaves,
        finds="dnr_core.builtin.kinds.days:long_silence",
        breaks="rows",
        size=Option("size", 1, 0.001, 1, "share of the rows from that hour on that is lost"),
        options=(),
    ),
    DefectKind(
        name="stale_snapshot",
        title="Stale snapshot",
        theme="freshness_ingest_lag",
        metric=None,
        apply="dnr_core.builtin.kinds.days:stand_still",
        dated=True,
        targets=of_the_day,
        exclusive=False,
        finds="dnr_core.builtin.kinds.days:days_like_before",
        breaks="days",
        row_share=1.0,
        size=Option("size", 1, 1, 60, "how many days older the values are", whole=True),
        options=(),
    ),
)

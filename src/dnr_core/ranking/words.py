"""Room: ranking. What a need is called, in plain words."""

from __future__ import annotations

from typing import Final

from dnr_core.model.schema import Schema
from dnr_core.model.themes import THEME_TITLES

_TITLES: Final[dict[str, str]] = {
    "metric_definition_mismatch": "Figures on {table} do not agree",
    "join_keys_orphans": "Broken keys in {table}",
    "freshness_ingest_lag": "Late loads of {table}",
    "duplicates_dedup": "Duplicate {table}",
    "access_permissions_pii": "Access to {table}",
    "new_field_schema_request": "Fields missing in {table}",
    "revenue_coverage_mapping": "Revenue not covered in {table}",
    "attribution_funnel_gaps": "Attribution gaps in {table}",
}


def table_title(schema: Schema, table: str) -> str:
    """Return what people call the table; "no table in particular" for the empty name."""
    if not table:
        return "no table in particular"
    return schema[table].title if table in schema else table.replace("_", " ")


def need_title(schema: Schema, theme: str, table: str) -> str:
    """Return the need in plain words, such as "Broken keys in card transactions"."""
    name = table_title(schema, table)
    if not table:
        title = THEME_TITLES.get(theme, theme.replace("_", " "))
        return f"{title[:1].upper()}{title[1:]} ({name})"
    fallback = theme.replace("_", " ").capitalize() + ": {table}"
    return _TITLES.get(theme, fallback).replace("{table}", name)

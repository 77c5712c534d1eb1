"""Room: model. The eight kinds of data need, and the relevance of a message."""

from __future__ import annotations

from typing import Final, Literal, get_args

Theme = Literal[
    "metric_definition_mismatch",
    "join_keys_orphans",
    "freshness_ingest_lag",
    "duplicates_dedup",
    "access_permissions_pii",
    "new_field_schema_request",
    "revenue_coverage_mapping",
    "attribution_funnel_gaps",
]
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)

Relevance = Literal["positive", "hard_negative", "negative"]
RELEVANCE: Final[tuple[Relevance, ...]] = get_args(Relevance)

Source = Literal["slack", "email", "nlq"]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

THEME_TITLES: Final[dict[str, str]] = {
    "metric_definition_mismatch": "metrics that do not agree",
    "join_keys_orphans": "broken keys and joins",
    "freshness_ingest_lag": "late data",
    "duplicates_dedup": "duplicate rows",
    "access_permissions_pii": "access and personal data",
    "new_field_schema_request": "missing fields",
    "revenue_coverage_mapping": "revenue that is not covered",
    "attribution_funnel_gaps": "gaps in attribution",
}
"""Plain words for people; the technical name stands beside it in small type."""

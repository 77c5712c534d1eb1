"""Room: write. A light query beside a question: plain SQL over tables and columns of the brief."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
RESERVED: Final = re.compile(
    "all|and|any|as|asc|between|by|case|cast|check|column|constraint|create|cross|desc|distinct|"
    "else|end|except|exists|for|foreign|from|full|group|having|in|inner|intersect|into|is|join|left|"
    "like|limit|natural|not|null|offset|on|or|order|outer|primary|references|right|select|table|"
    "then|to|union|unique|user|using|values|when|where|window|with"
)


def name(identifier: object) -> str:
    """An identifier as SQL wants it: quoted where it is not plain lower case."""
    text = str(identifier)
    is_plain = PLAIN_NAME.fullmatch(text) and not RESERVED.fullmatch(text)
    return text if is_plain else '"' + text.replace('"', '""') + '"'


def query(brief: Mapping[str, Any], random: Callable[[], float]) -> str | None:
    """A query that fits the brief's theme, or None where the brief names no table."""
    if not brief.get("table"):
        return None
    table, theme = name(brief["table"]), brief.get("theme")
    column = name(brief["column"]) if brief.get("column") else None
    joined = _join(brief.get("joinable"))
    if joined and theme in {
        "join_keys_orphans",
        "revenue_coverage_mapping",
        "attribution_funnel_gaps",
    }:
        return joined
    if column is None:
        return f"SELECT COUNT(*) AS row_count FROM {table}"  # noqa: S608
    options = _BY_THEME.get(str(theme), _OTHER)
    return options[int(random() * len(options))].format(t=table, c=column)


def _join(joinable: object) -> str | None:
    if not isinstance(joinable, Mapping) or not all(
        joinable.get(part) for part in ("left", "right", "on")
    ):
        return None
    on = joinable["on"]
    if isinstance(on, Mapping):
        pairs = [(left, right) for left, right in on.items()]
    else:
        columns = [on] if isinstance(on, str) else list(on)
        pairs = [(c, c) if isinstance(c, str) else (c[0], c[1]) for c in columns]
    if not pairs:
        return None
    condition = " AND ".join(f"l.{name(left)} = r.{name(right)}" for left, right in pairs)
    # A text beside a made question; who runs it (on request) checks it first.
    return (
        "SELECT COUNT(*) AS unmatched FROM "  # noqa: S608
        f"{name(joinable['left'])} AS l "
        f"LEFT JOIN {name(joinable['right'])} AS r ON {condition} "
        f"WHERE r.{name(pairs[0][1])} IS NULL"
    )


_OTHER: Final = (
    "SELECT COUNT(*) AS row_count FROM {t} WHERE {c} IS NOT NULL",
    "SELECT {c}, COUNT(*) AS row_count FROM {t} GROUP BY {c} ORDER BY row_count DESC LIMIT 20",
    "SELECT COUNT(DISTINCT {c}) AS different FROM {t}",
)
_BY_THEME: Final[Mapping[str, tuple[str, ...]]] = {
    "join_keys_orphans": (
        "SELECT COUNT(*) AS without_key FROM {t} WHERE {c} IS NULL",
        "SELECT COUNT(*) AS row_count, COUNT({c}) AS with_key FROM {t}",
    ),
    "freshness_ingest_lag": (
        "SELECT MAX({c}) AS latest FROM {t}",
        "SELECT MIN({c}) AS earliest, MAX({c}) AS latest, COUNT(*) AS row_count FROM {t}",
    ),
    "duplicates_dedup": (
        "SELECT {c}, COUNT(*) AS copies FROM {t} GROUP BY {c} HAVING COUNT(*) > 1 LIMIT 50",
        "SELECT COUNT(*) - COUNT(DISTINCT {c}) AS extra_rows FROM {t}",
    ),
}

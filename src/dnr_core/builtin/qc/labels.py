"""Room: builtin. Checks of the labels of made messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dnr_core.builtin.qc.outcome import outcome, skipped
from dnr_core.comms.tables import ITEM_ID
from dnr_core.model import RELEVANCE, THEMES, CheckContext, CheckResult

THEME_PERCENT: Final = {
    "freshness_ingest_lag": 18,
    "join_keys_orphans": 16,
    "metric_definition_mismatch": 16,
    "new_field_schema_request": 12,
    "duplicates_dedup": 10,
    "access_permissions_pii": 10,
    "revenue_coverage_mapping": 10,
    "attribution_funnel_gaps": 8,
}
RELEVANCE_PERCENT: Final = {"positive": 45, "hard_negative": 20, "negative": 35}
TOLERANCE_POINTS = 8.0
CAUSED_PERCENT = 25.0
WITHIN_A_DAY_SHARE = 0.9

_TABLE: Final = {"slack": "slack_messages", "email": "email_messages", "nlq": "nlq"}
_START: Final = {
    "slack": "SELECT thread_id AS item_id, min(ts) AS start FROM slack_messages GROUP BY 1",
    "email": "SELECT message_id AS item_id, ts AS start FROM email_messages",
}


def taxonomy(context: CheckContext) -> Iterator[CheckResult]:
    """Every item has one label, and every label is one that exists."""
    for source, table in _TABLE.items():
        item = ITEM_ID[source]
        row = context.sql(
            f"""
            SELECT (SELECT count(DISTINCT {item}) FROM {table}) AS items,
                   (SELECT count(*) FROM labels_{source}) AS labels,
                   (SELECT count(*) FROM (SELECT DISTINCT {item} AS item_id FROM {table})
                    JOIN labels_{source} USING (item_id)) AS joined,
                   (SELECT count(*) FROM labels_{source} WHERE relevance NOT IN (SELECT unnest($relevance))
                    OR (theme IS NOT NULL AND theme NOT IN (SELECT unnest($themes)))
                    OR (relevance = 'positive') != (theme IS NOT NULL)) AS wrong
            """,
            relevance=list(RELEVANCE),
            themes=list(THEMES),
        )[0]
        yield outcome(
            "taxonomy",
            row["items"] == row["labels"] == row["joined"] and row["wrong"] == 0,
            f"{source}: {row['joined']:,} of {row['items']:,} items labelled, {row['wrong']} labels wrong",
            "one label an item, of the eight themes and three relevances",
            f"labels_{source}.parquet",
        )


def mix(context: CheckContext) -> Iterator[CheckResult]:
    """Compare the shares of themes among positives, and of relevance, with what was asked."""
    for source in _TABLE:
        themes = {
            row["theme"]: row["n"]
            for row in context.sql(
                f"SELECT theme, count(*) AS n FROM labels_{source} WHERE theme IS NOT NULL GROUP BY 1"
            )
        }
        if themes:
            yield _compared("theme_mix", source, "themes", themes, THEME_PERCENT)
        if source == "nlq":
            continue
        relevance = {
            row["relevance"]: row["n"]
            for row in context.sql(
                f"SELECT relevance, count(*) AS n FROM labels_{source} GROUP BY 1"
            )
        }
        if relevance:
            yield _compared("theme_mix", source, "relevance", relevance, RELEVANCE_PERCENT)


def _compared(
    name: str, source: str, what: str, counts: dict[str, int], wanted: dict[str, int]
) -> CheckResult:
    total = sum(counts.values())
    # Small corpora: four standard deviations of a share, where that is more.
    slack = max(TOLERANCE_POINTS, 400 * (0.15 / total) ** 0.5)
    off = {
        key: 100 * counts.get(key, 0) / total - percent
        for key, percent in wanted.items()
        if abs(100 * counts.get(key, 0) / total - percent) > slack
    }
    worst = max((abs(100 * counts.get(k, 0) / total - p) for k, p in wanted.items()), default=0.0)
    told = (
        ", ".join(f"{key} {points:+.0f}" for key, points in off.items())
        or f"worst {worst:.1f} points off"
    )
    return outcome(
        name,
        not off,
        f"{source} {what}: {told}",
        f"each within {slack:.0f} points",
        f"labels_{source}.parquet",
    )


def incidents(context: CheckContext) -> Iterator[CheckResult]:
    """Threads caused by incidents: how many, and how many start within a day of theirs."""
    name = "incident_correlation"
    policy = context.manifests["comms"].settings["sample_policy"]
    any_incident = context.sql("SELECT count(*) AS n FROM incidents")[0]["n"]
    if policy != "event_aware" or not any_incident:
        reason = (
            "no incidents in this profile" if not any_incident else f"sample_policy is {policy}"
        )
        yield skipped(name, reason, f"{CAUSED_PERCENT:.0f} % of the threads", "labels, incident_id")
        return
    for source, start in _START.items():
        row = context.sql(
            f"""
            SELECT count(*) AS items, count(l.incident_id) AS caused,
                   count(*) FILTER (i.id IS NULL AND l.incident_id IS NOT NULL) AS unknown,
                   count(*) FILTER (m.start >= i.start - INTERVAL 24 HOUR
                                    AND m.start <= i."end" + INTERVAL 24 HOUR) AS close
            FROM labels_{source} l JOIN ({start}) m USING (item_id) LEFT JOIN incidents i ON i.id = l.incident_id
            """
        )[0]
        if not row["items"]:
            continue
        caused = 100 * row["caused"] / row["items"]
        slack = max(5.0, 400 * (0.19 / row["items"]) ** 0.5)
        yield outcome(
            name,
            abs(caused - CAUSED_PERCENT) <= slack
            and not row["unknown"]
            and row["close"] >= WITHIN_A_DAY_SHARE * row["caused"],
            f"{source}: {caused:.1f} % caused by incidents, {row['close']} of {row['caused']} within a day, "
            f"{row['unknown']} by unknown ones",
            f"{CAUSED_PERCENT:.0f} ± {slack:.0f} %, at least {WITHIN_A_DAY_SHARE:.0%} within a day",
            f"labels_{source}.parquet, incident_id",
        )

"""Room: builtin. Checks of made messages, without their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dnr_core.builtin.qc.outcome import outcome
from dnr_core.comms.tables import BUCKETS, ROLES
from dnr_core.model import CheckContext, CheckResult

COUNT_TOLERANCE_SHARE = 0.05
BUCKET_TOLERANCE_POINTS = 5.0
ROLE_TOLERANCE_PEOPLE = 1
PARSE_SHARE = 0.95
CHARACTERS_A_TOKEN = 4
MOST_TOKENS = {"slack": 80, "email": 180, "nlq": 30}
REPLIES = (4, 8)

_ITEMS = {
    "slack": "SELECT count(DISTINCT thread_id) AS n FROM slack_messages",
    "email": "SELECT count(*) AS n FROM email_messages",
    "nlq": "SELECT count(*) AS n FROM nlq",
}
_TEXTS = {
    "slack": "SELECT max(length(text)) AS n FROM slack_messages",
    "email": "SELECT max(length(body_text)) AS n FROM email_messages",
    "nlq": "SELECT max(length(query_text)) AS n FROM nlq",
}
_ALL_TEXTS = """
    SELECT text AS t FROM slack_messages UNION ALL SELECT subject || ' ' || body_text FROM email_messages
    UNION ALL SELECT query_text FROM nlq
"""
_FOREIGN = re.compile(
    r"[\w.+-]+@(?![\w.-]*\.example\b)[\w-]+\.\w+|https?://(?![\w.-]*\.example\b)\S+|\+?\d[\d ()-]{9,}\d"
)


def volumes(context: CheckContext) -> Iterator[CheckResult]:
    """Count threads, mails and questions."""
    settings = context.manifests["comms"].settings
    asked = {
        "slack": settings["slack_threads"],
        "email": settings["emails"],
        "nlq": settings["nlq"],
    }
    for source, wanted in asked.items():
        found = context.sql(_ITEMS[source])[0]["n"]
        yield outcome(
            "comms_volumes",
            abs(found - wanted) <= COUNT_TOLERANCE_SHARE * wanted,
            f"{source}: {found:,} items",
            f"{wanted:,} ± {COUNT_TOLERANCE_SHARE:.0%}",
            f"{source} table; the cap may have cut it, see budget.json",
        )
    low, high = REPLIES
    odd = context.sql(
        "SELECT count(*) AS n FROM (SELECT count(*) AS m FROM slack_messages GROUP BY thread_id) "
        "WHERE m NOT BETWEEN $low AND $high",
        low=low,
        high=high,
    )[0]["n"]
    yield outcome(
        "comms_volumes",
        odd == 0,
        f"slack: {odd} threads of another length",
        f"{low} to {high} messages a thread",
        "slack_messages, thread_id",
    )


def people(context: CheckContext) -> Iterator[CheckResult]:
    """Compare roles and buckets with their shares, and look for anything that names a person."""
    rows = context.sql("SELECT role, count(DISTINCT user_id) AS n FROM comms_users GROUP BY role")
    found = {row["role"]: row["n"] for row in rows}
    total = sum(found.values())
    off = [
        f"{role} {found.get(role, 0)}"
        for role, percent in ROLES.items()
        if abs(found.get(role, 0) - total * percent / 100) > ROLE_TOLERANCE_PEOPLE
    ]
    unknown = sorted(set(found) - set(ROLES))
    yield outcome(
        "comms_people",
        not off and not unknown,
        f"{total} people; off: {', '.join([*off, *unknown]) or 'none'}",
        f"each role's share within {ROLE_TOLERANCE_PEOPLE} person",
        "comms_users, role",
    )
    for source, table, column, item in (
        ("slack", "slack_messages", "channel_cat", "thread_id"),
        ("email", "email_messages", "list_cat", "message_id"),
    ):
        counts = {
            row["b"]: row["n"]
            for row in context.sql(
                f"SELECT {column} AS b, count(DISTINCT {item}) AS n FROM {table} GROUP BY 1"
            )
        }
        items = sum(counts.values())
        if not items:
            continue
        slack = max(BUCKET_TOLERANCE_POINTS, 400 * (0.25 / items) ** 0.5)
        shares = {bucket: 100 * counts.get(bucket, 0) / items for bucket in BUCKETS}
        passed = set(counts) <= set(BUCKETS) and all(
            abs(shares[bucket] - percent) <= slack for bucket, percent in BUCKETS.items()
        )
        told = ", ".join(f"{bucket} {share:.0f} %" for bucket, share in shares.items())
        yield outcome(
            "comms_people",
            passed,
            f"{source}: {told}",
            f"{BUCKETS} ± {slack:.0f} points",
            f"{table}, {column}",
        )
    named = [
        text for row in context.sql(_ALL_TEXTS) if (text := row["t"]) and _FOREIGN.search(text)
    ]
    yield outcome(
        "comms_people",
        not named,
        f"{len(named)} texts with an address, number or link from outside",
        "0",
        "texts; domains end in .example",
    )


def lengths(context: CheckContext) -> Iterator[CheckResult]:
    """Compare the longest text of each kind with its limit."""
    for source, query in _TEXTS.items():
        longest = -(-(context.sql(query)[0]["n"] or 0) // CHARACTERS_A_TOKEN)
        most = MOST_TOKENS[source]
        yield outcome(
            "comms_lengths",
            longest <= most,
            f"{source}: longest text about {longest} tokens",
            f"at most {most}",
            f"{source} texts",
        )


def sql_parses(context: CheckContext) -> Iterator[CheckResult]:
    """Parse the SQL of every question; none is run."""
    import sqlglot

    texts = [row["q"] for row in context.sql("SELECT generated_sql AS q FROM nlq")]
    if not texts:
        return
    parsed = 0
    for text in texts:
        try:
            parsed += text is not None and len(sqlglot.parse(text, dialect="duckdb")) == 1
        except sqlglot.errors.SqlglotError:
            continue
    yield outcome(
        "nlq_sql",
        parsed >= PARSE_SHARE * len(texts),
        f"{parsed / len(texts):.1%} of {len(texts):,} parse",
        f"at least {PARSE_SHARE:.0%}",
        "nlq, generated_sql",
    )

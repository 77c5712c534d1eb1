"""Room: neobank. Checks of a made bank: bands of money, rhythm of spending.

They read finished tables, defects and all; what they measure is not moved by broken keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Final, Literal
from zoneinfo import ZoneInfo

from dnr_core.model import CheckContext, CheckResult
from dnr_core.synth import expected_shares
from dnr_neobank.spending import SPENDING
from dnr_neobank.tables import CAPTURED

LEAST_ROWS: Final = 1000
"""Below this many transactions, shares say nothing."""
DEVIATIONS: Final = 4.0
_SWIPES: Final = "fact_card_transaction"
_INVOICES: Final = "fact_subscription_invoice"


def _band(
    name: str, what: str, share: float, low: float, high: float, slack: float, where: str
) -> CheckResult:
    """Judge a share by its band, widened by what chance alone can do at this size."""
    passed = low - slack <= share <= high + slack
    return CheckResult(
        name,
        "passed" if passed else "failed",
        f"{what}: {share:.2%}",
        f"{low:.2%} to {high:.2%}, ± {slack:.2%} by chance",
        where,
    )


def _too_small(name: str, rows: int) -> CheckResult:
    return CheckResult(
        name,
        "skipped",
        f"not detectable at this size: {rows:,} transactions",
        f"at least {LEAST_ROWS:,} transactions",
        _SWIPES,
    )


def money(context: CheckContext) -> Iterator[CheckResult]:
    """Judge captured share (96.5 % ± 1), mean interchange (1.5 % ± 0.1) and attach (6 to 10 %)."""
    name = "neobank_money"
    row = context.sql(
        """
        SELECT count(*) AS n,
               count(*) FILTER (auth_result = $captured) AS captured,
               sum(interchange_bps)::DOUBLE AS bps,
               sum(amount_cents * interchange_bps) FILTER (auth_result = $captured)::DOUBLE AS parts,
               sum(amount_cents) FILTER (auth_result = $captured)::DOUBLE AS spend
        FROM fact_card_transaction
        """,
        captured=CAPTURED,
    )[0]
    rows = int(row["n"])
    if rows < LEAST_ROWS:
        yield _too_small(name, rows)
        return
    slack = DEVIATIONS * sqrt(0.965 * 0.035 / rows)
    where = f"{_SWIPES}.auth_result"
    yield _band(name, "captured", row["captured"] / rows, 0.955, 0.975, slack, where)
    where = f"{_SWIPES}.interchange_bps"
    yield _band(
        name, "mean interchange", row["bps"] / rows / 10_000, 0.014, 0.016, 0.02 / sqrt(rows), where
    )
    # Few large amounts carry much of the weight in a small company.
    yield _band(
        name,
        "interchange by amount",
        row["parts"] / row["spend"] / 10_000,
        0.014,
        0.016,
        0.1 / sqrt(rows),
        where,
    )
    yield from _attach(context, name)


def _attach(context: CheckContext, name: str) -> Iterator[CheckResult]:
    """Subscriber-months as a share of customer-months of the history."""
    company = context.company
    end = company.as_of.replace(tzinfo=None)
    row = context.sql(
        """
        WITH bounds AS (
            SELECT min(event_time) AS low, CAST($end AS TIMESTAMP) AS high
            FROM fact_card_transaction
        )
        SELECT (SELECT count(DISTINCT invoice_id) FROM fact_subscription_invoice) AS invoices,
               sum(date_diff('second', greatest(created_at, low), high)) / 2629746.0 AS months
        FROM dim_customer, bounds WHERE created_at < high
        """,
        end=end,
    )[0]
    if not row["months"]:
        return
    share = int(row["invoices"]) / row["months"]
    # Members stay for a year or so, which makes their invoices one draw rather than twelve.
    members = max(1.0, int(row["invoices"]) / 12)
    slack = DEVIATIONS * share / sqrt(members)
    yield _band(name, "attach", share, 0.06, 0.10, slack, _INVOICES)


def rhythm(context: CheckContext) -> Iterator[CheckResult]:
    """Judge the shares of weekdays, local hours and months by what the rates say."""
    name = "neobank_rhythm"
    rows = context.sql(
        """
        SELECT isodow(local) - 1 AS weekday, hour(local) AS hour,
               year(local) * 12 + month(local) AS month, count(*) AS n
        FROM (
            SELECT timezone($tz, timezone('UTC', event_time)) AS local
            FROM fact_card_transaction WHERE event_time IS NOT NULL
        ) GROUP BY ALL
        """,
        tz=context.company.tz,
    )
    total = sum(int(row["n"]) for row in rows)
    if total < LEAST_ROWS:
        yield _too_small(name, total)
        return
    # Months of the history are calendar months only where the as-of is the first of one.
    whole = context.company.as_of.astimezone(ZoneInfo(context.company.tz)).day == 1
    parts: tuple[Literal["weekday", "hour", "month"], ...] = ("weekday", "hour", "month")
    for part in parts if whole else parts[:2]:
        counts: dict[int, int] = {}
        for row in rows:
            counts[int(row[part])] = counts.get(int(row[part]), 0) + int(row["n"])
        first = min(counts) if part == "month" else 0
        expected = expected_shares(context.company, SPENDING, part)
        off = [
            abs(counts.get(first + place, 0) / total - share)
            - DEVIATIONS * sqrt(share * (1 - share) / total)
            for place, share in enumerate(expected)
        ]
        worst = max(range(len(off)), key=off.__getitem__)
        measured = counts.get(first + worst, 0) / total
        yield CheckResult(
            name,
            "passed" if off[worst] <= 0.003 else "failed",
            f"{part} {worst}: {measured:.2%} of transactions",
            f"{expected[worst]:.2%} ± 0.3 points and chance, for every {part}",
            f"{_SWIPES}.event_time",
        )

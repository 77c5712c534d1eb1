"""Room: marketplace. Checks of a made marketplace: money, sums, rhythm, snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Final, Literal
from zoneinfo import ZoneInfo

from dnr_core.model import CheckContext, CheckResult
from dnr_core.synth import expected_shares
from dnr_marketplace.trading import SHOPPING

LEAST_ROWS: Final = 1000
"""Below this many orders, shares say nothing."""
DEVIATIONS: Final = 4.0
_SNAPSHOT: Final = "snapshot_listing_daily"


def _result(name: str, measured: str, expected: str, where: str, *, passed: bool) -> CheckResult:
    return CheckResult(name, "passed" if passed else "failed", measured, expected, where)


def _too_small(name: str, rows: int) -> CheckResult:
    return CheckResult(
        name,
        "skipped",
        f"not detectable at this size: {rows:,} orders",
        f"at least {LEAST_ROWS:,} orders",
        "fact_order",
    )


def money(context: CheckContext) -> Iterator[CheckResult]:
    """Judge the take rate (12 % ± 1) and the lines an order (1.8 ± 0.1)."""
    name = "marketplace_money"
    row = context.sql(
        """
        SELECT (SELECT count(DISTINCT order_id) FROM fact_order) AS orders,
               (SELECT count(*) FROM fact_order_item) AS items,
               sum(platform_fee_cents)::DOUBLE AS fees,
               sum(platform_fee_cents + seller_earnings_cents)::DOUBLE AS goods
        FROM fact_payment WHERE captured_at IS NOT NULL
        """
    )[0]
    orders = int(row["orders"])
    if orders < LEAST_ROWS:
        yield _too_small(name, orders)
        return
    take, slack = row["fees"] / row["goods"], 0.1 / sqrt(orders)
    yield _result(
        name,
        f"take rate: {take:.2%}",
        f"11.00% to 13.00%, ± {slack:.2%} by chance",
        "fact_payment.platform_fee_cents",
        passed=0.11 - slack <= take <= 0.13 + slack,
    )
    lines, slack = int(row["items"]) / orders, DEVIATIONS * 1.2 / sqrt(orders)
    yield _result(
        name,
        f"lines an order: {lines:.3f}",
        f"1.7 to 1.9, ± {slack:.3f} by chance",
        "fact_order_item",
        passed=1.7 - slack <= lines <= 1.9 + slack,
    )


_SOUND: Final = """
    WITH told AS (
        SELECT DISTINCT "table", part, row,
               TRY_CAST(split_part(business_key, '|', 1) AS BIGINT) AS order_id
        FROM ledger WHERE "table" IN ('fact_order', 'fact_order_item', 'fact_payment')
    ),
    addressed AS (
        SELECT 'fact_order' AS "table", filename, file_row_number, order_id FROM fact_order
        UNION ALL
        SELECT 'fact_order_item', filename, file_row_number, order_id FROM fact_order_item
        UNION ALL
        SELECT 'fact_payment', filename, file_row_number, order_id FROM fact_payment
    ),
    -- Orders that a broken row had, and orders that it names now.
    touched AS (
        SELECT order_id FROM told
        UNION
        SELECT a.order_id FROM addressed a JOIN told t
          ON a."table" = t."table" AND a.file_row_number = t.row
         AND CAST(regexp_extract(a.filename, 'part-(\\d+)\\.parquet$', 1) AS BIGINT) = t.part
    ),
    goods AS (
        SELECT order_id, sum(qty * item_price_cents) AS cents
        FROM fact_order_item GROUP BY order_id
    )
    SELECT count(*) AS n,
           count(*) FILTER (g.cents IS NOT DISTINCT FROM o.subtotal_cents) AS items,
           count(*) FILTER (p.buyer_paid_cents IS NOT DISTINCT FROM
               o.subtotal_cents + o.tax_cents + o.shipping_cents - o.discount_cents) AS paid,
           count(*) FILTER (p.platform_fee_cents + p.seller_earnings_cents
               IS NOT DISTINCT FROM o.subtotal_cents) AS split
    FROM fact_order o ANTI JOIN touched USING (order_id)
    LEFT JOIN goods g USING (order_id) LEFT JOIN fact_payment p USING (order_id)
"""


def sums(context: CheckContext) -> Iterator[CheckResult]:
    """Add up the amounts of all orders that no entry of the ledger touches."""
    row = context.sql(_SOUND)[0]
    told = {
        "items": "quantity times item price make the subtotal",
        "paid": "subtotal + tax + shipping - discount is what the buyer paid",
        "split": "fee and earnings make the subtotal",
    }
    for part, rule in told.items():
        yield _result(
            "marketplace_sums",
            f"{row[part]:,} of {row['n']:,} sound orders",
            f"all of them: {rule}",
            "fact_order, fact_order_item, fact_payment",
            passed=row[part] == row["n"],
        )


def rhythm(context: CheckContext) -> Iterator[CheckResult]:
    """Judge weekdays, local hours and months of orders, the weekend factor, and the day of payment.

    Months say whether the volume follows the company's trajectory.
    """
    name, tz = "marketplace_rhythm", context.company.tz
    rows = context.sql(
        """
        SELECT isodow(local) - 1 AS weekday, hour(local) AS hour,
               year(local) * 12 + month(local) AS month, count(*) AS n,
               count(DISTINCT local::DATE) AS days
        FROM (
            SELECT timezone($tz, timezone('UTC', order_time)) AS local
            FROM fact_order WHERE order_time IS NOT NULL
        )
        GROUP BY GROUPING SETS (
            (isodow(local)), (hour(local)), (year(local) * 12 + month(local))
        )
        """,
        tz=tz,
    )
    weekdays = [row for row in rows if row["weekday"] is not None]
    total = sum(int(row["n"]) for row in weekdays)
    if total < LEAST_ROWS:
        yield _too_small(name, total)
        return
    # Months of the history are calendar months only where the as-of is the first of one.
    whole = context.company.as_of.astimezone(ZoneInfo(tz)).day == 1
    parts: tuple[Literal["weekday", "hour", "month"], ...] = ("weekday", "hour", "month")
    for part in parts if whole else parts[:2]:
        counts = {int(row[part]): int(row["n"]) for row in rows if row[part] is not None}
        first = min(counts) if part == "month" else 0
        expected = expected_shares(context.company, SHOPPING, part)
        off = [
            abs(counts.get(first + place, 0) / total - share)
            - DEVIATIONS * sqrt(share * (1 - share) / total)
            for place, share in enumerate(expected)
        ]
        worst = max(range(len(off)), key=off.__getitem__)
        yield _result(
            name,
            f"{part} {worst}: {counts.get(first + worst, 0) / total:.2%} of orders",
            f"{expected[worst]:.2%} ± 0.3 points and chance, for every {part}",
            "fact_order.order_time",
            passed=off[worst] <= 0.003,
        )
    factor = _mean([r for r in weekdays if r["weekday"] >= 5]) / _mean(
        [r for r in weekdays if r["weekday"] < 5]
    )
    slack = DEVIATIONS * 2.5 / sqrt(total)
    yield _result(
        name,
        f"weekend factor: {factor:.3f}",
        f"1.15 to 1.45, ± {slack:.3f} by chance",
        "fact_order.order_time",
        passed=1.15 - slack <= factor <= 1.45 + slack,
    )
    yield _paid_on_the_day(context, name)


def _mean(rows: list[dict[str, int]]) -> float:
    return sum(row["n"] for row in rows) / max(1, sum(row["days"] for row in rows))


def _paid_on_the_day(context: CheckContext, name: str) -> CheckResult:
    # A payment before its order is one that was pointed elsewhere, and says nothing of the day.
    row = context.sql(
        """
        SELECT count(*) AS n,
               count(*) FILTER (
                   timezone($tz, timezone('UTC', captured_at))::DATE
                   = timezone($tz, timezone('UTC', order_time))::DATE) AS same
        FROM fact_payment JOIN fact_order USING (order_id) WHERE captured_at >= order_time
        """,
        tz=context.company.tz,
    )[0]
    return _result(
        name,
        f"{row['same']:,} of {row['n']:,} payments on the local day of their order",
        "all of them",
        "fact_payment.captured_at",
        passed=row["same"] == row["n"],
    )


def snapshot(context: CheckContext) -> Iterator[CheckResult]:
    """Count, for every day kept, the listings that were up, and compare the last day's status."""
    name = "marketplace_snapshot"
    targeted = any(_SNAPSHOT in rate.tables for rate in context.profile.rates) or any(
        _SNAPSHOT in rate.tables for rate in context.profile.incidents
    )
    if targeted:
        yield CheckResult(
            name, "skipped", "the profile breaks the snapshot itself", "a sound snapshot", _SNAPSHOT
        )
        return
    row = context.sql(
        """
        WITH up AS (
            SELECT listing_id, status,
                   timezone($tz, timezone('UTC', created_at))::DATE AS since FROM dim_listing
        ),
        days AS (SELECT DISTINCT ds FROM snapshot_listing_daily),
        wanted AS (SELECT sum(n) AS n FROM (
            SELECT (SELECT count(*) FROM up WHERE since <= ds) AS n FROM days))
        SELECT (SELECT n FROM wanted) AS wanted, count(*) AS found,
               count(*) FILTER (since <= ds) AS known,
               count(DISTINCT ds) AS days,
               date_diff('day', min(ds), max(ds)) + 1 AS span,
               count(*) FILTER (ds = last AND up.status = s.status) AS agree,
               count(*) FILTER (ds = last) AS latest
        FROM snapshot_listing_daily s LEFT JOIN up USING (listing_id),
             (SELECT max(ds) AS last FROM days)
        """,
        tz=context.company.tz,
    )[0]
    yield _result(
        name,
        f"{row['found']:,} rows, {row['known']:,} of them of listings that were up",
        f"{int(row['wanted'] or 0):,} rows: each listing on each day since it went up",
        _SNAPSHOT,
        passed=row["found"] == row["known"] == row["wanted"],
    )
    yield _result(
        name,
        f"{row['days']} days over a span of {row['span']}",
        f"every local day of the last {context.company.snapshot_days}, or of the history",
        f"{_SNAPSHOT}.ds",
        passed=row["days"] == row["span"] and row["days"] <= context.company.snapshot_days,
    )
    yield _result(
        name,
        f"{row['agree']:,} of {row['latest']:,} listings have their status on the last day",
        "all of them",
        f"{_SNAPSHOT}.status, dim_listing.status",
        passed=row["agree"] == row["latest"],
    )

from __future__ import annotations

import re
from datetime import date

import pytest
from attrs import evolve

from dnr_core.model import CheckContext, load
from dnr_marketplace.archetype import CHECKS, MARKETPLACE
from dnr_marketplace.catalogue import FEE_BPS, LEAVES
from dnr_marketplace.guardrails import evening_window
from dnr_marketplace.settings import EveningSettings

MONTHS = tuple(range(2024 * 12, 2025 * 12 + 6))


def local(column: str) -> str:
    return f"timezone('America/Los_Angeles', timezone('UTC', {column}))"


def test_amounts_add_up_to_the_cent(market) -> None:
    """Items make the subtotal; with tax, shipping, discount the payment; fee + earnings the goods."""
    wrong = market.all(
        """WITH g AS (SELECT order_id, sum(qty * item_price_cents) AS goods
                      FROM fact_order_item GROUP BY 1)
           SELECT count(*) FILTER (goods IS DISTINCT FROM subtotal_cents),
                  count(*) FILTER (buyer_paid_cents IS DISTINCT FROM
                      subtotal_cents + tax_cents + shipping_cents - discount_cents),
                  count(*) FILTER (platform_fee_cents + seller_earnings_cents
                      IS DISTINCT FROM goods),
                  count(*) FILTER (least(subtotal_cents, tax_cents + 1, shipping_cents + 1,
                      discount_cents + 1, buyer_paid_cents, seller_earnings_cents) <= 0)
           FROM fact_order LEFT JOIN g USING (order_id) LEFT JOIN fact_payment USING (order_id)"""
    )
    assert wrong == [(0, 0, 0, 0)]


def test_an_order_has_one_seller_and_one_payment_on_its_day(market) -> None:
    """Orders are single-seller, take each listing once, number their lines, and are paid that day."""
    assert (
        market.one(
            """SELECT count(*) FROM (
            SELECT order_id FROM fact_order_item GROUP BY 1 HAVING count(DISTINCT seller_id) <> 1
                OR count(DISTINCT listing_id) <> count(*) OR max(line_id) <> count(*)
                OR min(line_id) <> 1)"""
        )
        == 0
    )
    assert market.all(
        f"""SELECT count(*), count(DISTINCT order_id),
                   count(*) FILTER ({local("captured_at")}::DATE = {local("order_time")}::DATE)
            FROM fact_payment JOIN fact_order USING (order_id)"""
    ) == [(market.one("SELECT count(*) FROM fact_order"),) * 3]


def test_an_order_has_nearly_two_lines(market) -> None:
    """1.8 lines an order on average (their mix is tested with the distributions)."""
    lines = market.one("SELECT count(*) / count(DISTINCT order_id) FROM fact_order_item")
    assert lines == pytest.approx(1.8, abs=0.03)


def test_take_rate_is_twelve_percent(market) -> None:
    """Fees are 12 % of the goods' value, within half a point, and each that of its category."""
    assert market.one(
        "SELECT sum(platform_fee_cents) / sum(platform_fee_cents + seller_earnings_cents)"
        " FROM fact_payment"
    ) == pytest.approx(0.12, abs=0.005)
    told = market.all(
        """SELECT DISTINCT category_id, round(1e4 * platform_fee_cents / subtotal_cents)
           FROM fact_payment JOIN fact_order USING (order_id)
           JOIN (SELECT DISTINCT order_id, category_id FROM fact_order_item
                 JOIN dim_listing USING (listing_id)) USING (order_id)
           WHERE subtotal_cents > 20000"""
    )
    assert len(told) > 30
    assert all(abs(bps - int(FEE_BPS[category - 11])) <= 1 for category, bps in told)


def test_weekends_are_busier_and_evenings_busiest(market) -> None:
    """The weekend factor is 1.15 to 1.45; the five busiest hours are those of the evening."""
    factor = market.one(
        f"""WITH d AS (SELECT {local("order_time")}::DATE AS day, count(*) AS n
                       FROM fact_order GROUP BY 1)
            SELECT avg(n) FILTER (isodow(day) >= 6) / avg(n) FILTER (isodow(day) < 6) FROM d"""
    )
    assert 1.15 <= factor <= 1.45
    busiest = market.all(
        f"SELECT hour({local('order_time')}), count(*) AS n FROM fact_order GROUP BY 1"
        " ORDER BY n DESC LIMIT 5"
    )
    assert {hour for hour, _ in busiest} == {17, 18, 19, 20, 21}


def test_buyers_order_four_times_in_five_months(market) -> None:
    """Orders over buyer-months of the history are 0.8."""
    months = market.one(
        """SELECT sum(date_diff('second', greatest(created_at, '2024-01-01 08:00'::TIMESTAMP),
                  '2025-07-01 07:00'::TIMESTAMP)) / 86400 / (547 / 18) FROM dim_buyer"""
    )
    orders = market.one("SELECT count(*) FROM fact_order")
    assert orders / months == pytest.approx(0.8, rel=0.03)


def test_categories_and_sellers_are_popular_by_zipf(market) -> None:
    """The first category has about ten times the listings of the tenth; few sellers have many."""
    listings = [
        n
        for (n,) in market.all(
            "SELECT count(*) AS n FROM dim_listing GROUP BY category_id ORDER BY n DESC"
        )
    ]
    assert len(listings) == LEAVES
    assert listings[0] / listings[9] == pytest.approx(10, rel=0.35)
    share = market.one(
        """WITH s AS (SELECT seller_id, count(*) n FROM fact_order_item GROUP BY 1 ORDER BY n DESC),
                r AS (SELECT n, row_number() OVER (ORDER BY n DESC) AS rank FROM s)
           SELECT sum(n) FILTER (rank <= 10) / sum(n) FROM r"""
    )
    assert 0.08 < share < 0.35


def guardrail(market, clock_of, settings=None):
    tables = {name: market.ibis().table(name) for name in MARKETPLACE.schema.names}
    return evening_window(
        tables, settings or EveningSettings(), clock_of(market.company), market.execute
    )


@pytest.mark.parametrize("which", ["market", "broken"])
def test_the_evening_guardrail_holds_on_a_clean_company(request, clock_of, which: str) -> None:
    """At a twentieth and at a hundredth of the volume, evenings have their share, as SQL finds."""
    market = request.getfixturevalue(which)
    result = guardrail(market, clock_of)
    assert result.passed
    time = local("captured_at")
    share, days = market.all(
        f"""WITH d AS (SELECT {time}::DATE AS day, count(*) AS n,
                 count(*) FILTER (hour({time}) BETWEEN 17 AND 21) AS e FROM fact_payment GROUP BY 1)
            SELECT 100 * sum(e) / sum(n), 100 * avg((e * 100 >= n * 30)::INT) FROM d"""
    )[0]
    assert result.metrics["share_pct"] == pytest.approx(share)
    assert result.metrics["days_reaching_pct"] == pytest.approx(days)


def test_the_evening_guardrail_fails_when_the_clock_is_wrong(broken, clock_of) -> None:
    """Payments stored in local time instead of UTC miss the evening."""
    broken.raw.execute("UPDATE fact_payment SET captured_at = captured_at - INTERVAL 7 HOUR")
    result = guardrail(broken, clock_of)
    assert not result.passed
    assert [check["passed"] for check in result.checks] == [False, False]


def test_the_evening_guardrail_has_settings(market, clock_of) -> None:
    """Another window, share or number of days changes the verdict; wrong ones are refused."""
    strict = evolve(EveningSettings(), min_share_pct=60.0)
    assert not guardrail(market, clock_of, strict).passed
    night = evolve(EveningSettings(), hours=(2, 5))
    assert not guardrail(market, clock_of, night).passed
    for wrong in ((22, 17), (17,), (0, 25)):
        with pytest.raises(ValueError, match="hours must be"):
            evolve(EveningSettings(), hours=wrong)


def test_without_payments_nothing_is_judged(broken, clock_of) -> None:
    """An empty table gives no verdict and no fault."""
    broken.raw.execute("DELETE FROM fact_payment")
    assert guardrail(broken, clock_of).checks == ()


ITEMS = "fact_order_item JOIN fact_order USING (order_id)"
KPI_SQL = {
    "gmv": f"SELECT {{m:order_time}}, sum(qty * item_price_cents) FROM {ITEMS} GROUP BY 1",
    "take_rate": "SELECT {m:captured_at}, sum(platform_fee_cents)"
    " / sum(platform_fee_cents + seller_earnings_cents) FROM fact_payment GROUP BY 1",
    "net_revenue": "SELECT {m:captured_at}, sum(platform_fee_cents) FROM fact_payment GROUP BY 1",
    "orders": "SELECT {m:order_time}, count(*) FROM fact_order GROUP BY 1",
    "aov": "SELECT {m:order_time}, avg(subtotal_cents) FROM fact_order GROUP BY 1",
    "live_listings": "SELECT year(ds) * 12 + month(ds) - 1,"
    " count(*) FILTER (status = 'active') / count(DISTINCT ds) FROM snapshot_listing_daily"
    " GROUP BY 1",
}


def month(column: str) -> str:
    return f"year({local(column)}) * 12 + month({local(column)}) - 1"


@pytest.mark.parametrize("name", list(KPI_SQL))
def test_kpis_are_what_sql_by_hand_finds(market, name: str) -> None:
    """Each figure by local month is that of SQL written by hand."""
    kpi = next(k for k in MARKETPLACE.kpis if k.name == name)
    told = market.execute(load(kpi.expression)(market.kpis(MONTHS)))
    query = re.sub(r"\{m:(\w+)\}", lambda match: month(match[1]), KPI_SQL[name])
    wanted = {m: float(v) for m, v in market.all(query)}
    assert {row["month"]: float(row["value"]) for row in told} == pytest.approx(wanted)
    assert len(wanted) == (3 if name == "live_listings" else 18)


@pytest.mark.parametrize(
    ("name", "who", "rows"),
    [("active_buyers", "buyer_id", "fact_order"), ("active_sellers", "seller_id", ITEMS)],
)
def test_active_ones_are_those_of_the_last_thirty_days(market, name, who, rows) -> None:
    """Active buyers and sellers are counted over a month's last thirty local days."""
    kpi = next(k for k in MARKETPLACE.kpis if k.name == name)
    found = market.execute(load(kpi.expression)(market.kpis(MONTHS)))
    told = {row["month"]: row["value"] for row in found}
    assert sorted(told) == list(MONTHS)
    for last in (date(2025, 2, 28), date(2024, 2, 29), date(2024, 12, 31)):
        wanted = market.one(
            f"SELECT count(DISTINCT {who}) FROM {rows}"
            f" WHERE {local('order_time')}::DATE BETWEEN DATE '{last}' - 29 AND DATE '{last}'"
        )
        assert told[last.year * 12 + last.month - 1] == wanted


class Profile:
    """A profile that targets nothing of the snapshot."""

    rates = ()
    incidents = ()


def results(market, name: str):
    check = next(c for c in CHECKS if c.name == name)
    if "meta" in check.needs:
        market.raw.execute(
            'CREATE TABLE IF NOT EXISTS ledger ("table" VARCHAR, part INT, row BIGINT,'
            " business_key VARCHAR)"
        )
    context = CheckContext(
        archetype=MARKETPLACE,
        catalogue=None,
        company=market.company,
        profile=Profile(),
        settings=None,
        warehouse=None,  # type: ignore[arg-type]
        comms=None,
        meta=None,
        reports=None,
        sql=market.sql,
    )
    return list(load(check.run)(context))


@pytest.fixture
def checked(broken):
    """A small marketplace whose tables say part and row, as those of a folder do."""
    for table in ("fact_order", "fact_order_item", "fact_payment"):
        broken.raw.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT *, 'part-00000.parquet' AS filename,"
            f" row_number() OVER () - 1 AS file_row_number FROM {table}"
        )
    return broken


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_checks_pass_on_a_clean_company(checked, name: str) -> None:
    """Money, sums, rhythm and snapshot are as they should be."""
    outcome = results(checked, name)
    assert outcome
    assert {result.status for result in outcome} == {"passed"}


@pytest.mark.parametrize(
    ("name", "breaks", "told"),
    [
        (
            "marketplace_money",
            "UPDATE fact_payment SET platform_fee_cents = platform_fee_cents * 12 // 10",
            "take rate",
        ),
        ("marketplace_money", "DELETE FROM fact_order_item WHERE line_id >= 3", "lines"),
        (
            "marketplace_sums",
            "UPDATE fact_order SET subtotal_cents = subtotal_cents + 1 WHERE order_id = 7",
            "sound orders",
        ),
        (
            "marketplace_sums",
            "UPDATE fact_payment SET buyer_paid_cents = buyer_paid_cents - 1 WHERE order_id = 7",
            "sound orders",
        ),
        (
            "marketplace_rhythm",
            "UPDATE fact_order SET order_time = order_time + INTERVAL 2 DAY",
            "weekend",
        ),
        (
            "marketplace_rhythm",
            "UPDATE fact_order SET order_time = order_time - INTERVAL 8 HOUR",
            "hour",
        ),
        (
            "marketplace_rhythm",
            "DELETE FROM fact_order WHERE order_time >= '2025-03-01' AND order_id % 2 = 0",
            "month",
        ),
        (
            "marketplace_rhythm",
            "UPDATE fact_payment SET captured_at = captured_at + INTERVAL 1 DAY WHERE order_id = 9",
            "local day of their order",
        ),
        (
            "marketplace_snapshot",
            "DELETE FROM snapshot_listing_daily WHERE ds = DATE '2025-05-05' AND listing_id = 3",
            "rows",
        ),
        (
            "marketplace_snapshot",
            "DELETE FROM snapshot_listing_daily WHERE ds = DATE '2025-05-05'",
            "days",
        ),
        (
            "marketplace_snapshot",
            "UPDATE dim_listing SET status = 'sold_out' WHERE listing_id = 1",
            "status on the last day",
        ),
    ],
)
def test_checks_fail_when_their_property_is_broken(checked, name, breaks, told) -> None:
    """Each check fails on its own fault and says what it measured."""
    checked.raw.execute(breaks)
    failed = [result for result in results(checked, name) if result.status == "failed"]
    assert any(told in result.measured for result in failed)
    assert all(result.where_to_look for result in failed)


def test_sums_leave_out_what_the_ledger_touches(checked) -> None:
    """An order that the ledger names is not held against the company, whatever its amounts are."""
    checked.raw.execute("UPDATE fact_order SET subtotal_cents = 1 WHERE order_id = 7")
    assert any(r.status == "failed" for r in results(checked, "marketplace_sums"))
    checked.raw.execute("INSERT INTO ledger VALUES ('fact_order', 0, 6, '7')")
    assert {r.status for r in results(checked, "marketplace_sums")} == {"passed"}

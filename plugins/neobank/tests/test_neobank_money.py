from __future__ import annotations

from datetime import date

import pytest
from attrs import evolve

from dnr_core.model import CheckContext, load
from dnr_neobank.archetype import CHECKS, NEOBANK
from dnr_neobank.guardrails import invoice_aggregates
from dnr_neobank.merchants import MCCS
from dnr_neobank.people import PREMIUM_CENTS
from dnr_neobank.settings import InvoiceSettings

LOCAL = "timezone('America/Los_Angeles', timezone('UTC', event_time))"
MONTHS = tuple(range(2024 * 12, 2025 * 12 + 6))


def test_interchange_means_one_and_a_half_percent(bank) -> None:
    """By rows and by amount, interchange is 1.5 % within a twentieth, and belongs to the MCC."""
    by_rows, by_amount = bank.all(
        "SELECT avg(interchange_bps), sum(amount_cents * interchange_bps) / sum(amount_cents)"
        " FROM fact_card_transaction WHERE auth_result = 'captured'"
    )[0]
    assert by_rows == pytest.approx(150, abs=5)
    assert by_amount == pytest.approx(150, abs=5)
    told = bank.all(
        "SELECT DISTINCT mcc, interchange_bps FROM fact_card_transaction JOIN dim_merchant"
        " USING (merchant_id)"
    )
    assert dict(told) == {mcc.code: mcc.interchange_bps for mcc in MCCS}
    assert len(told) == len(MCCS) == 40


def test_sectors_have_their_share_of_swipes(bank) -> None:
    """Each of the 8 sectors has its share of swipes within 1.2 points, the first merchant included."""
    sector_of = ", ".join(f"({mcc.code}, {mcc.sector})" for mcc in MCCS)
    found = bank.all(
        f"""SELECT s.sector, count(*) / sum(count(*)) OVER ()
            FROM fact_card_transaction JOIN dim_merchant USING (merchant_id)
            JOIN (VALUES {sector_of}) s(mcc, sector) USING (mcc) GROUP BY 1 ORDER BY 1"""
    )
    assert [number for number, _ in found] == list(range(8))
    for number, part in found:
        share = sum(mcc.permille for mcc in MCCS if mcc.sector == number) / 1000
        assert part == pytest.approx(share, abs=0.012)


def test_some_cards_are_used_daily_and_some_hardly(bank) -> None:
    """The busiest tenth of cards has three to four times the swipes of an even tenth's half."""
    share = bank.one(
        """WITH c AS (SELECT card_id, count(*) n FROM fact_card_transaction GROUP BY 1),
           r AS (SELECT n, ntile(10) OVER (ORDER BY n DESC) t FROM c)
           SELECT sum(n) FILTER (t = 1) / sum(n) FROM r"""
    )
    assert 0.15 < share < 0.35


def test_invoices_follow_one_another(bank) -> None:
    """A member has one invoice a month without gap, at $9.99, from local midnight to midnight."""
    assert (
        bank.one(
            """SELECT count(*) FROM (
            SELECT period_start <> lag(period_end) OVER (
                PARTITION BY customer_id ORDER BY period_start) AS gap
            FROM fact_subscription_invoice WHERE period_start < '2025-05-01') WHERE gap"""
        )
        == 0
    )
    assert (
        bank.one(
            f"SELECT count(*) FROM fact_subscription_invoice WHERE amount_cents <> {PREMIUM_CENTS}"
        )
        == 0
    )
    local = "timezone('America/Los_Angeles', timezone('UTC', {}))"
    for column in ("period_start", "period_end"):
        told = local.format(column)
        assert (
            bank.one(
                f"SELECT count(*) FROM fact_subscription_invoice WHERE {told} <> date_trunc('day', {told})"
            )
            == 0
        )
    assert (
        bank.one(
            f"""SELECT count(*) FROM fact_subscription_invoice
            WHERE date_diff('month', {local.format("period_start")}, {local.format("period_end")}) <> 1
               OR day({local.format("period_start")}) <> day({local.format("period_end")})"""
        )
        == 0
    )


def test_attach_and_churn(bank) -> None:
    """6 to 10 % of customers are members at any time, and 1.8 % of members leave a month."""
    customers = bank.one("SELECT count(*) FROM dim_customer")
    ever = bank.one("SELECT count(DISTINCT customer_id) FROM fact_subscription_invoice")
    assert 0.06 <= ever / customers <= 0.10
    stayed, left = bank.all(
        """WITH i AS (SELECT customer_id, period_start,
                lead(period_start) OVER (PARTITION BY customer_id ORDER BY period_start) AS next
            FROM fact_subscription_invoice WHERE period_start < '2025-06-20')
        SELECT count(next), count(*) - count(next) FROM i WHERE period_start < '2025-04-15'"""
    )[0]
    error = (0.018 * 0.982 / (stayed + left)) ** 0.5
    assert left / (stayed + left) == pytest.approx(0.018, abs=4 * error)


def guardrail(bank, clock_of, settings=None):
    tables = {name: bank.ibis().table(name) for name in NEOBANK.schema.names}
    return invoice_aggregates(
        tables, settings or InvoiceSettings(), clock_of(bank.company), bank.execute
    )


def test_the_invoice_guardrails_hold_on_a_clean_bank(bank, clock_of) -> None:
    """Missing, on time, duplicates and lag are in their limits, and are what SQL finds."""
    result = guardrail(bank, clock_of)
    assert result.passed
    assert [check["name"] for check in result.checks] == [
        "missing_pct",
        "paid_on_time_pct",
        "duplicate_pct",
        "p95_payment_lag_days",
    ]
    unpaid, punctual, p95 = bank.all(
        """SELECT 100 * avg((paid_at IS NULL)::INT),
                  100 * avg(coalesce(paid_at <= period_start + INTERVAL 5 DAY, false)::INT),
                  quantile_disc(epoch(paid_at - period_start), 0.95) / 86400
           FROM fact_subscription_invoice"""
    )[0]
    assert result.metrics["missing_pct"] == pytest.approx(unpaid)
    assert result.metrics["paid_on_time_pct"] == pytest.approx(punctual)
    assert result.metrics["p95_payment_lag_days"] == pytest.approx(p95, abs=1 / 1440)
    assert unpaid > 0


@pytest.mark.parametrize(
    ("breaks", "check"),
    [
        (
            "UPDATE fact_subscription_invoice SET paid_at = NULL WHERE invoice_id % 40 = 0",
            "missing_pct",
        ),
        (
            "UPDATE fact_subscription_invoice SET paid_at = paid_at + INTERVAL 8 DAY"
            " WHERE invoice_id % 20 = 0",
            "paid_on_time_pct",
        ),
        (
            "INSERT INTO fact_subscription_invoice FROM fact_subscription_invoice"
            " WHERE invoice_id % 90 = 0",
            "duplicate_pct",
        ),
        (
            "UPDATE fact_subscription_invoice SET paid_at = paid_at + INTERVAL 4 DAY"
            " WHERE invoice_id % 10 = 0",
            "p95_payment_lag_days",
        ),
    ],
)
def test_each_invoice_guardrail_fails_when_broken(
    broken, clock_of, breaks: str, check: str
) -> None:
    """Each limit is crossed by its own fault."""
    assert guardrail(broken, clock_of).passed
    broken.raw.execute(breaks)
    result = guardrail(broken, clock_of)
    assert not result.passed
    assert not next(c for c in result.checks if c["name"] == check)["passed"]


def test_without_invoices_nothing_is_judged(broken, clock_of) -> None:
    """An empty table gives no figure and no verdict, and no fault."""
    broken.raw.execute("DELETE FROM fact_subscription_invoice")
    result = guardrail(broken, clock_of)
    assert result.metrics == {"invoices": 0}
    assert result.checks == ()


def test_wrong_limits_are_refused() -> None:
    """Percentages stay percentages."""
    slos = InvoiceSettings().slos
    with pytest.raises(ValueError, match="max_missing_pct"):
        evolve(slos, max_missing_pct=101.0)


KPI_SQL = {
    "new_accounts": "SELECT {m:created_at}, count(*) FROM dim_account GROUP BY 1",
    "card_spend": "SELECT {m:event_time}, sum(amount_cents) FROM fact_card_transaction"
    " WHERE auth_result = 'captured' GROUP BY 1",
    "interchange_revenue": "SELECT {m:event_time}, sum(amount_cents * interchange_bps) / 10000"
    " FROM fact_card_transaction WHERE auth_result = 'captured' GROUP BY 1",
    "subscription_revenue": "SELECT {m:paid_at}, 999 * count(*) FROM fact_subscription_invoice"
    " WHERE paid_at IS NOT NULL GROUP BY 1",
}


def month(column: str) -> str:
    local = f"timezone('America/Los_Angeles', timezone('UTC', {column}))"
    return f"year({local}) * 12 + month({local}) - 1"


@pytest.mark.parametrize("name", list(KPI_SQL))
def test_kpis_are_what_sql_by_hand_finds(bank, name: str) -> None:
    """Each figure by local month is that of SQL written by hand."""
    import re

    kpi = next(k for k in NEOBANK.kpis if k.name == name)
    told = bank.execute(load(kpi.expression)(bank.kpis(MONTHS)))
    query = re.sub(r"\{m:(\w+)\}", lambda match: month(match[1]), KPI_SQL[name])
    wanted = {m: float(v) for m, v in bank.all(query) if m in MONTHS}
    assert {row["month"]: float(row["value"]) for row in told} == pytest.approx(wanted)
    assert len(wanted) == 18


def test_active_customers_are_those_of_the_last_thirty_days(bank) -> None:
    """Active customers of a month are counted over its last thirty local days, February too."""
    kpi = next(k for k in NEOBANK.kpis if k.name == "active_customers")
    found = bank.execute(load(kpi.expression)(bank.kpis(MONTHS)))
    told = {row["month"]: row["value"] for row in found}
    assert sorted(told) == list(MONTHS)
    for year, number, last in ((2025, 2, date(2025, 2, 28)), (2024, 12, date(2024, 12, 31))):
        wanted = bank.one(
            f"""SELECT count(DISTINCT customer_id) FROM fact_card_transaction
                JOIN dim_card USING (card_id) JOIN dim_account USING (account_id)
                WHERE auth_result = 'captured'
                  AND {LOCAL}::DATE BETWEEN DATE '{last}' - 29 AND DATE '{last}'"""
        )
        assert told[year * 12 + number - 1] == wanted


def results(bank, name: str):
    check = next(c for c in CHECKS if c.name == name)
    context = CheckContext(
        archetype=NEOBANK,
        catalogue=None,
        company=bank.company,
        profile=None,
        settings=None,
        warehouse=None,  # type: ignore[arg-type]
        comms=None,
        meta=None,
        reports=None,
        sql=bank.sql,
    )
    return list(load(check.run)(context))


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_checks_pass_on_a_clean_bank(bank, broken, name: str) -> None:
    """Money and rhythm are in their bands, at a tenth and at a hundredth of the volume."""
    for made in (bank, broken):
        outcome = results(made, name)
        assert outcome
        assert {result.status for result in outcome} == {"passed"}


@pytest.mark.parametrize(
    ("name", "breaks", "told"),
    [
        (
            "neobank_money",
            "UPDATE fact_card_transaction SET auth_result = 'declined' WHERE txn_id % 30 = 0",
            "captured",
        ),
        (
            "neobank_money",
            "UPDATE fact_card_transaction SET interchange_bps = interchange_bps + 20",
            "interchange",
        ),
        ("neobank_money", "DELETE FROM fact_subscription_invoice WHERE invoice_id > 60", "attach"),
        (
            "neobank_rhythm",
            "UPDATE fact_card_transaction SET event_time = event_time + INTERVAL 3 HOUR",
            "hour",
        ),
        (
            "neobank_rhythm",
            "UPDATE fact_card_transaction SET event_time = event_time + INTERVAL 2 DAY",
            "weekday",
        ),
        (
            "neobank_rhythm",
            "DELETE FROM fact_card_transaction WHERE event_time >= '2025-03-01' AND txn_id % 2 = 0",
            "month",
        ),
    ],
)
def test_checks_fail_when_their_property_is_broken(broken, name, breaks, told) -> None:
    """Each check fails on its own fault and says what it measured."""
    broken.raw.execute(breaks)
    failed = [result for result in results(broken, name) if result.status == "failed"]
    assert any(told in result.measured for result in failed)
    assert all(result.where_to_look for result in failed)


def test_checks_say_when_a_company_is_too_small(broken) -> None:
    """With a few hundred transactions nothing is judged, and the reason is given."""
    broken.raw.execute("DELETE FROM fact_card_transaction WHERE txn_id > 300")
    for name in ("neobank_money", "neobank_rhythm"):
        outcome = results(broken, name)
        assert [result.status for result in outcome] == ["skipped"]
        assert "not detectable" in outcome[0].measured

"""Defects planted by hand on finished companies: the report finds the table, the money and the day."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

import dnr_core
from dnr_core.api.context import open_context

FIRST, LAST = "2025-06-17", "2025-06-23"
"""Local days of the plants; the window is June, the business zone is the companies'."""
ZONE = "America/Los_Angeles"
CONTEXT = open_context(environ={})


def day(column: str) -> str:
    """SQL of the local day of a time that is kept in UTC."""
    return f"(({column} AT TIME ZONE 'UTC') AT TIME ZONE '{ZONE}')::DATE"


class Company:
    """A warehouse folder whose tables can be rewritten by SQL, and read by SQL of our own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.raw = duckdb.connect()
        self.raw.execute("SET TimeZone = 'UTC'")

    def read(self, table: str) -> str:
        return f"read_parquet('{self.data / table}/*.parquet')"

    def rewrite(self, table: str, sql: str) -> None:
        """Put the rows of `sql` in the place of the table's; `{rows}` are its rows."""
        planted = self.data / "planted.parquet"
        self.raw.execute(f"COPY ({sql.format(rows=self.read(table))}) TO '{planted}'")
        for part in (self.data / table).glob("*.parquet"):
            part.unlink()
        planted.replace(self.data / table / "part-00000.parquet")

    def number(self, sql: str) -> Any:
        return self.raw.execute(sql).fetchall()[0][0]

    def report(self, **options: Any) -> dict[str, Any]:
        report = dnr_core.run_report(self.data, context=CONTEXT, **options)
        return dict(report.document)


def cards(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(card["theme"], card["table"]): card for card in document["cards"]}


def since(document: dict[str, Any], table: str, metric: str) -> str:
    row = next(row for row in document["health"]["rows"] if row["table"] == table)
    return str(next(cell for cell in row["cells"] if cell["metric"] == metric)["since"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Company]:
    """A clean marketplace: its report, and a copy with three plants."""
    root = tmp_path_factory.mktemp("planted")
    dnr_core.generate_warehouse(
        "marketplace",
        scale="tiny",
        quality="clean",
        out=root / "clean",
        meta=root / "meta",
        context=CONTEXT,
    )
    clean = Company(root / "clean").report()
    shutil.copytree(root / "clean", root / "planted")
    company = Company(root / "planted")
    placed = day("o.order_time")
    company.rewrite(
        "fact_order_item",
        f"""SELECT i.* REPLACE (CASE WHEN {placed} >= DATE '{FIRST}' AND hash(i.order_id, i.line_id) % 10 < 3
                THEN i.listing_id + 1000000000 ELSE i.listing_id END AS listing_id)
            FROM {{rows}} i JOIN {company.read("fact_order")} o USING (order_id)""",
    )
    captured = day("captured_at")
    company.rewrite(
        "fact_payment",
        f"""SELECT * REPLACE (CASE WHEN {captured} >= DATE '{FIRST}' THEN loaded_at + INTERVAL 6 HOUR
                ELSE loaded_at END AS loaded_at) FROM {{rows}}""",
    )
    ordered = day("order_time")
    company.rewrite(
        "fact_order",
        f"""SELECT * FROM {{rows}} UNION ALL
            SELECT * FROM {{rows}} WHERE {ordered} BETWEEN DATE '{FIRST}' AND DATE '{LAST}'""",
    )
    return clean, company


@pytest.fixture(scope="module")
def planted(shop: tuple[dict[str, Any], Company]) -> dict[str, Any]:
    """The report of the planted marketplace."""
    return shop[1].report()


def test_a_clean_company_has_none_of_them(shop: tuple[dict[str, Any], Company]) -> None:
    """Before the plants no card stands on broken rows."""
    assert cards(shop[0]) == {}


def test_each_plant_is_on_a_card_of_its_own(planted: dict[str, Any]) -> None:
    """Orphans, late loads and copies are the three needs, on the tables they were planted on."""
    assert set(cards(planted)) == {
        ("join_keys_orphans", "fact_order_item"),
        ("freshness_ingest_lag", "fact_payment"),
        ("duplicates_dedup", "fact_order"),
    }


def test_keys_pointed_to_nothing(planted: dict[str, Any], shop: tuple[Any, Company]) -> None:
    """The key, the day it began, and the fees of the orders' items that lost their listing."""
    company = shop[1]
    card = cards(planted)["join_keys_orphans", "fact_order_item"]
    assert card["columns"][0] == "listing_id"
    assert since(planted, "fact_order_item", "fk_failure") == "17 June 2025"
    cents = company.number(
        f"""SELECT sum(fee / items * lost) FROM (
            SELECT order_id, count(*) AS items,
                   count(*) FILTER (WHERE listing_id >= 1000000000) AS lost
            FROM {company.read("fact_order_item")} GROUP BY order_id
        ) JOIN (SELECT order_id, sum(platform_fee_cents) AS fee
                FROM {company.read("fact_payment")} GROUP BY order_id) USING (order_id)"""
    )
    assert card["money"]["kind"] == "at_risk"
    assert card["money"]["cents"] == pytest.approx(cents, rel=0.001)
    assert "17 June" in card["cause"] or "listing_id" in card["cause"]


def test_loads_delayed_by_six_hours(planted: dict[str, Any], shop: tuple[Any, Company]) -> None:
    """The lag is over its limit since the day, and the late money is that of the delayed rows."""
    company = shop[1]
    card = cards(planted)["freshness_ingest_lag", "fact_payment"]
    assert since(planted, "fact_payment", "late") == "17 June 2025"
    cents = company.number(
        f"""SELECT sum(platform_fee_cents) FROM {company.read("fact_payment")}
            WHERE loaded_at - captured_at >= INTERVAL 90 MINUTE"""
    )
    assert card["money"]["kind"] == "late"
    assert card["money"]["cents"] == pytest.approx(cents, rel=0.001)
    assert card["severity"]["value"] == pytest.approx(360, abs=1)


def test_a_week_of_rows_doubled(planted: dict[str, Any], shop: tuple[Any, Company]) -> None:
    """As many copies as rows were doubled, with their money, and the peak in their week."""
    company = shop[1]
    card = cards(planted)["duplicates_dedup", "fact_order"]
    copies = company.number(
        f"""SELECT count(*) - count(DISTINCT order_id) FROM {company.read("fact_order")}"""
    )
    assert card["severity"]["affected_rows"] == copies > 100
    # The seven days up to the peak still hold about half of the worst seven, a weekend among them.
    assert date.fromisoformat(FIRST) <= date.fromisoformat(card["peak"]) <= date(2025, 6, 27)
    proof = next(p for p in planted["proofs"] if p["id"] == card["id"])
    days = {tuple(place["values"]) for place in proof["places"]["found"] if place["cut"] == "day"}
    assert days == {tuple(f"{n} Jun" for n in range(17, 24))}


@pytest.fixture(scope="module")
def bank(made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A typical neobank with 40 % of one key emptied since the day, in card transactions."""
    root = tmp_path_factory.mktemp("bank")
    shutil.copytree(made["neobank"].data, root / "neobank")
    company = Company(root / "neobank")
    happened = day("event_time")
    company.rewrite(
        "fact_card_transaction",
        f"""SELECT * REPLACE (CASE WHEN {happened} >= DATE '{FIRST}' AND hash(txn_id) % 10 < 4
                THEN NULL ELSE merchant_id END AS merchant_id) FROM {{rows}}""",
    )
    return company


def test_an_emptied_key_moves_up(bank: Company, made: dict[str, Any]) -> None:
    """The need takes the first place, with more money and severity than before, and names the key."""
    before = json.loads((made["neobank"].reports / "report.json").read_text("utf-8"))
    after = bank.report(comms=made["neobank"].comms)
    place = ("join_keys_orphans", "fact_card_transaction")
    old = next(n for n in before["needs"] if (n["theme"], n["table"]) == place)
    card = cards(after)[place]
    assert card["rank"] == 1
    assert card["columns"][0] == "merchant_id"
    assert card["money"]["cents"] > 3 * old["money"]["cents"]
    assert card["parts"]["severity"]["value"] > old["parts"]["severity"]["value"]
    assert card["score"] > old["score"]
    cents = bank.number(
        f"""SELECT sum(amount_cents * interchange_bps) / 10000 FROM {bank.read("fact_card_transaction")}
            WHERE merchant_id IS NULL AND auth_result = 'captured'
            AND {day("event_time")} >= DATE '2025-06-01'"""
    )
    # What was broken before comes on top; none of the planted money is missing.
    assert cents <= card["money"]["cents"] <= cents + old["money"]["cents"]

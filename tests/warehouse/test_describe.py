"""The picture of a warehouse: rows a local day as SQL counts them, incidents on their days."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.cli.app import run
from dnr_core.errors import ConfigError, InputError
from dnr_core.report.volume_figure import Lane, Mark, Picture, volume_chart
from dnr_core.warehouse import describe, generate_warehouse, rows_by_day

LOCAL = "AT TIME ZONE 'UTC' AT TIME ZONE 'America/Los_Angeles'"
PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Three months of a tiny bank, over the switch to daylight-saving time, and its context."""
    folder, context = tmp_path_factory.mktemp("bank"), open_context(environ={})
    made = dnr_core.generate_warehouse(
        "neobank",
        scale="tiny",
        months=3,
        as_of="2025-04-01",
        out=folder / "data",
        meta=folder / "meta",
        context=context,
    )
    return made, context


def test_days_are_counted_as_sql_counts_them(make_shop, make_catalogue, settings, sql, tmp_path):
    """Rows by local day, through the parent where a table has no time of its own, are those that
    SQL finds; each list has a number for each day of the history."""
    shop = make_shop(4_000, 900)
    made = generate_warehouse(
        "shop",
        settings(months=9),
        make_catalogue(shop=shop),
        out=tmp_path / "data",
        meta=tmp_path / "meta",
    )
    found = rows_by_day(made.path, made.manifest, shop.schema)
    assert set(found) == {"fact_sale", "fact_line", "fact_receipt", "snapshot_stock"}
    parent = "JOIN (SELECT sale_id, any_value(sold_at) AS at_ FROM fact_sale GROUP BY 1) s"
    for table, event, join in (
        ("fact_sale", "sold_at", ""),
        ("fact_receipt", "paid_at", ""),
        ("fact_line", "at_", f"{parent} USING (sale_id)"),
    ):
        told = dict(
            sql(
                made.path,
                f"""SELECT CAST(CAST({event} {LOCAL} AS DATE) AS VARCHAR), count(*)
                FROM {table} t {join} GROUP BY 1""",
            )
        )
        first = date(2024, 10, 1)
        days = [(first + timedelta(days=n)).isoformat() for n in range(273)]
        assert list(found[table]) == [told.pop(day, 0) for day in days]
        # What is left happened after the as-of: a receipt of the last hour.
        assert sum(told.values()) <= 5
    assert sum(found["snapshot_stock"]) == 150


def test_incidents_stand_on_their_local_days(bank):
    """Each incident is a mark on its own local days; the truth and the manifest tell the same."""
    made, context = bank
    described = dnr_core.describe(made.path, context=context)
    assert (
        described.incidents
        == dnr_core.describe(made.path, meta=made.meta, context=context).incidents
    )
    picture = described.figure()
    assert picture is described.figure()
    assert len(picture.chart.rows) == len(described.incidents) > 0
    here = ZoneInfo("America/Los_Angeles")
    titles = {name: kind.title for name, kind in context.catalogue.defect_kinds.items()}
    assert sorted(picture.chart.rows) == sorted(
        (i.table, titles[i.kind], *[i.start.astimezone(here).date().isoformat()] * 2)
        for i in described.incidents
    )


def test_the_picture_says_what_it_shows_and_repeats(bank):
    """The SVG is XML with tables, kinds and counts as text; the same data gives the same bytes, and
    a notebook gets it with the tables."""
    made, context = bank
    described = dnr_core.describe(made.path, context=context)
    svg, png = described.figure().svg, described.figure().png
    texts = [e.text for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]
    assert described.title in texts
    assert {"fact_card_transaction", "fact_subscription_invoice"} <= set(texts)
    kinds = [kind for _, kind, *_ in described.figure().chart.rows]
    for kind in set(kinds):
        assert any(text and text.startswith(f"{kind} (") for text in texts)
    assert png.startswith(PNG)
    again = dnr_core.describe(made.path, context=context).figure()
    assert (again.svg, again.png) == (svg, png)
    page = described._repr_html_()
    assert "<svg" in page
    assert "fact_card_transaction</td>" in page


def test_the_command_writes_the_picture(bank, tmp_path, capsys):
    """`dnr describe --picture` writes SVG or PNG by the ending, and refuses another before anything."""
    made, _ = bank
    for name, head in (("bank.svg", b"<?xml"), ("bank.png", PNG)):
        assert run(["describe", str(made.path), "--picture", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(head)
    assert "Incidents" in capsys.readouterr().out
    assert run(["describe", str(made.path), "--picture", str(tmp_path / "bank.gif")]) == 2
    assert ".svg or .png" in capsys.readouterr().err
    assert not (tmp_path / "bank.gif").exists()


def test_without_the_archetype_there_is_no_picture(make_shop, make_catalogue, settings, tmp_path):
    """A warehouse whose archetype is not installed is described all the same; a picture of it says
    what is missing."""
    made = generate_warehouse(
        "shop",
        settings(months=2),
        make_catalogue(shop=make_shop(300, 300)),
        out=tmp_path / "data",
        meta=tmp_path / "meta",
    )
    described = dnr_core.describe(made.path, context=open_context(environ={}))
    assert described.rows == describe(made.path).rows
    with pytest.raises(InputError, match="archetype 'shop', which is not installed"):
        described.figure()


def test_a_picture_of_nothing_and_of_one_day_is_drawn(tmp_path):
    """No rows, one day, and incidents of several days are drawn without a fault."""
    lanes = [
        Lane("empty", (0,) * 3),
        Lane("one", (5, 0, 0), (Mark("Gap", date(2025, 1, 1), date(2025, 1, 3)),)),
    ]
    Picture(volume_chart("x", date(2025, 1, 1), lanes)).save(tmp_path / "x.png")
    Picture(volume_chart("y", date(2025, 1, 1), [Lane("single", (7,))])).save(tmp_path / "y.svg")
    with pytest.raises(ConfigError):
        Picture(volume_chart("z", date(2025, 1, 1), lanes)).save(tmp_path / "z.jpeg")

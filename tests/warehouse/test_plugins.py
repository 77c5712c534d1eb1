"""Archetypes and kinds from elsewhere: what they do wrong is named, what they do right is used."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.errors import ConfigError, PluginError
from dnr_core.model import (
    CellChange,
    DefectKind,
    DefectOutcome,
    DefectProfile,
    DefectRate,
    IncidentRate,
    Synthesis,
)
from dnr_core.warehouse import generate_warehouse, repair


def swapped(shop, change):
    """The shop with its sales chunk's answer changed by a function."""

    def generate(company, chunk):
        return change(dict(sales.generate(company, chunk)))

    people, sales, stock = shop.synthesis.families
    families = (people, evolve(sales, generate=generate), stock)
    return evolve(shop, synthesis=Synthesis(families, shop.synthesis.parents))


def with_column(name, values):
    """A change that replaces a column of the sales."""

    def change(made):
        sale = made["fact_sale"]
        place = sale.column_names.index(name)
        made["fact_sale"] = sale.set_column(place, name, values(sale))
        return made

    return change


def without_table(made):
    made.pop("fact_line")
    return made


def without_column(made):
    made["fact_sale"] = made["fact_sale"].drop_columns(["channel"])
    return made


def with_another(made):
    made["fact_sale"] = made["fact_sale"].append_column("colour", made["fact_sale"]["channel"])
    return made


def as_dict(made):
    made["fact_sale"] = {"sale_id": [1, 2]}
    return made


def uneven(made):
    lines = made["fact_line"]
    columns = [lines["sale_id"], *(values.slice(1) for values in lines.columns[1:])]
    made["fact_line"] = pa.Table.from_arrays(columns, schema=lines.schema)
    return made


def raising(made):
    raise ZeroDivisionError("no customers")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_table, ["expected tables"]),
        (without_column, ["'fact_sale'", "lacks channel"]),
        (with_another, ["'fact_sale'", "unknown colour"]),
        (as_dict, ["'fact_sale'", "got dict"]),
        (raising, ["ZeroDivisionError", "no customers"]),
        (uneven, ["named line_no expected length"]),
        (
            with_column("amount_cents", lambda t: t["amount_cents"].cast(pa.float64())),
            ["'fact_sale'", "'amount_cents'", "expected int64, got double"],
        ),
        (
            with_column("customer_id", lambda t: pa.nulls(t.num_rows, pa.int64())),
            ["'customer_id'", "nulls in a required column"],
        ),
        (
            with_column(
                "loaded_at",
                lambda t: pa.array([datetime(2024, 1, 1)] * t.num_rows, pa.timestamp("us")),
            ),
            ["'loaded_at'", "must be its event time"],
        ),
    ],
)
def test_a_faulty_chunk_is_named(make_shop, make_catalogue, settings, tmp_path, change, told):
    """A chunk with a wrong table, column, type, length or time is refused, naming archetype, family,
    chunk, table and column, and no warehouse comes of it."""
    shop = swapped(make_shop(600, 300), change)
    with pytest.raises(PluginError) as caught:
        generate_warehouse(
            "shop",
            settings(),
            make_catalogue(shop=shop),
            out=tmp_path / "d",
            meta=tmp_path / "m",
        )
    for piece in ("'shop'", "'sales'", "chunk 0", *told):
        assert piece in str(caught.value)
    assert not (tmp_path / "d" / "manifest.json").exists()


def test_an_archetype_that_cannot_be_made_is_told(make_shop, make_catalogue, settings, tmp_path):
    """A real company's archetype, a table that no family makes, a table that two make."""
    shop = make_shop()
    people, sales, stock = shop.synthesis.families
    for synthesis, told in (
        (None, "real company"),
        ("nowhere.at_all:SYNTHESIS", "nowhere"),
        (Synthesis((people, sales), shop.synthesis.parents), "snapshot_stock"),
        (Synthesis((people, sales, stock, people), shop.synthesis.parents), "also in"),
    ):
        with pytest.raises(ConfigError, match=told):
            generate_warehouse(
                evolve(shop, synthesis=synthesis),
                settings(),
                make_catalogue(),
                out=tmp_path / "d",
                meta=tmp_path / "m",
            )
    assert not (tmp_path / "d").exists()


def moth(task):
    """Eats holes into the channel, one letter a row."""
    values = task.clean.column("channel").take(pa.array(task.rows))
    eaten = pa.array([text[:-1] for text in values.to_pylist()], pa.string())
    return DefectOutcome([CellChange("channel", task.rows, eaten, "hole")])


def greedy(task):
    rows = np.arange(task.clean.num_rows, dtype=np.int64)
    return DefectOutcome([CellChange("channel", rows, pa.nulls(len(rows), pa.string()))])


def mistyped(task):
    return DefectOutcome([CellChange("channel", task.rows, pa.nulls(len(task.rows), pa.int64()))])


def channels(schema, table):
    return ("channel",) if "channel" in table.column_names else ()


def moths(apply):
    return DefectKind("moths", "Moths", "metric_definition_mismatch", None, apply, targets=channels)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({}, "TRUE"),
        ({"where": {"channel": ["web", "app"]}}, "c.channel IN ('web', 'app')"),
        (
            {
                "from": datetime(2024, 3, 1, tzinfo=UTC),
                "until": datetime(2024, 6, 1, tzinfo=UTC),
            },
            "c.sold_at >= '2024-03-01' AND c.sold_at < '2024-06-01'",
        ),
    ],
)
def test_a_kind_from_elsewhere_is_calibrated_recorded_and_repaired(
    make_shop, make_catalogue, settings, sql, tmp_path, options, where
):
    """A third-party kind is handed its rows beside the builtin ones, on its segment or period
    alone, at its rate; the ledger holds its cells, and repair undoes them."""
    profile = DefectProfile(
        "moths",
        "Moths among other things",
        rates=[
            DefectRate("moths", 0.1, options=options),
            DefectRate("key_null", 0.05),
            DefectRate("fk_failure", 0.1),
            DefectRate("duplicate", 0.05),
        ],
    )
    shop = make_shop(9_000, 2_000)
    catalogue = make_catalogue(profile, kinds=(moths(moth),), shop=shop)
    broken, meta, clean = tmp_path / "broken", tmp_path / "meta", tmp_path / "clean"
    generate_warehouse("shop", settings(quality="moths"), catalogue, out=broken, meta=meta)
    made = generate_warehouse(
        "shop", settings(quality="clean"), catalogue, out=clean, meta=tmp_path / "clean-meta"
    )
    query = f"""SELECT count(*) FILTER ({where}), count(*) FILTER (t.channel <> c.channel),
        count(*) FILTER (t.channel <> c.channel AND NOT ({where}))
        FROM fact_sale t JOIN read_parquet('{clean}/fact_sale/*.parquet') c USING (sale_id)"""
    [(rows, eaten, astray)] = sql(broken, query)
    assert astray == 0
    assert eaten == pytest.approx(0.1 * rows, abs=0.01 * rows + 3)
    told = "SELECT count(*) FROM ledger WHERE kind = 'moths' AND subkind = 'hole'"
    assert sql(broken, told, meta) == [(eaten,)]
    assert repair(broken, meta, tmp_path / "r", catalogue).manifest.files == made.manifest.files


@pytest.mark.parametrize(
    ("apply", "told"),
    [
        (greedy, "not given"),
        (mistyped, "not string"),
        (lambda task: None, "NoneType"),
        (lambda task: 1 // 0, "ZeroDivisionError"),
    ],
)
def test_a_faulty_kind_is_named(make_shop, make_catalogue, settings, tmp_path, apply, told):
    """A kind that takes rows of others, gives a wrong type or fails is named with its table."""
    profile = DefectProfile("moths", "Moths", rates=[DefectRate("moths", 0.1)])
    catalogue = make_catalogue(profile, kinds=(moths(apply),), shop=make_shop(500, 500))
    with pytest.raises(PluginError, match=told) as caught:
        generate_warehouse(
            "shop", settings(quality="moths"), catalogue, out=tmp_path / "d", meta=tmp_path / "m"
        )
    assert "'moths' on fact_sale" in str(caught.value)


def test_drift_and_typos_leave_the_other_rates_alone(
    make_shop, make_catalogue, settings, sql, tmp_path
):
    """A fortnight in another unit and misspelt channels, both in the ledger and found by SQL,
    change no rate of keys or copies, and repair undoes them with the rest."""
    profile = DefectProfile(
        "units",
        "Units and typos",
        rates=[
            DefectRate("key_null", 0.1),
            DefectRate("duplicate", 0.05),
            DefectRate("category_typo", 0.2, tables=["fact_sale"], columns=["channel"]),
        ],
        incidents=[
            IncidentRate(
                "value_drift",
                0,
                100,
                tables=["fact_sale"],
                columns=["amount_cents"],
                total=1,
                hours=14 * 24,
                row_share=1.0,
            )
        ],
    )
    catalogue = make_catalogue(profile, shop=make_shop(20_000, 3_000))
    broken, meta = tmp_path / "broken", tmp_path / "meta"
    generate_warehouse("shop", settings(quality="units"), catalogue, out=broken, meta=meta)
    clean = generate_warehouse(
        "shop", settings(quality="clean"), catalogue, out=tmp_path / "clean", meta=tmp_path / "cm"
    )
    [(rows, nulls, typos, drifted)] = sql(
        broken,
        """SELECT count(*), count(*) FILTER (customer_id IS NULL OR product_id IS NULL),
        count(*) FILTER (channel NOT IN ('web', 'app', 'store')),
        count(*) FILTER (amount_cents NOT BETWEEN 100 AND 9999) FROM fact_sale""",
    )
    assert abs(nulls - 0.1 * rows) <= 3
    assert abs(typos - 0.2 * rows) <= 3
    told = dict(
        sql(
            broken,
            "SELECT kind, count(*) FROM ledger WHERE kind IN ('category_typo', 'value_drift') GROUP BY 1",
            meta,
        )
    )
    assert told == {"category_typo": typos, "value_drift": drifted}
    [(whole, part)] = sql(
        broken,
        """SELECT count(*), count(*) FILTER (amount_cents >= 10000) FROM fact_sale, incidents
        WHERE sold_at >= start AND sold_at < "end" """,
        meta,
    )
    assert whole == part == drifted > 0
    fixed = repair(broken, meta, tmp_path / "fixed", catalogue)
    assert fixed.manifest.files == clean.manifest.files

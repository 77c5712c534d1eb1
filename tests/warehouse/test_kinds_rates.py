"""Spikes within a rate or on top of it; drift and typos both ways; weeks without a row."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import ibis
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dnr_core.builtin.defects import KINDS
from dnr_core.errors import ConfigError
from dnr_core.model import DefectProfile, DefectRate, IncidentRate, LagProfile, load
from dnr_core.warehouse import generate_warehouse, make_plan, repair

KEYS = {
    "fact_sale": ("customer_id IS NULL OR product_id IS NULL", "sale_id"),
    "fact_line": ("sale_id IS NULL OR product_id IS NULL", "(sale_id, line_no)"),
    "fact_receipt": ("sale_id IS NULL", "sale_id"),
}


def spiked(share: float, spikes: int, size: float, *, within: bool, more=()) -> DefectProfile:
    return DefectProfile(
        "spiked",
        "Null spikes",
        rates=[
            DefectRate("key_null", share),
            DefectRate("fk_failure", 0.05),
            DefectRate("duplicate", 0.03),
        ],
        incidents=[
            IncidentRate(
                "null_spike",
                0,
                size,
                tables=["fact_receipt"],
                breaks="required_keys",
                total=spikes,
                within_rate=within,
            ),
            *more,
        ],
        lag=LagProfile((30, 180), (240, 720), 0.02),
    )


def measured(sql, folder, table: str) -> tuple[int, int, int]:
    """Rows, rows with a null key, and copies of a table, by SQL."""
    nulls, key = KEYS[table]
    [found] = sql(
        folder,
        f"""SELECT count(*), count(*) FILTER ({nulls}), count(*) FILTER (sale_id IS NOT NULL)
        - count(DISTINCT {key}) FILTER (sale_id IS NOT NULL) FROM {table}""",
    )
    return found


@hypothesis_settings(max_examples=8, deadline=None, derandomize=True)
@given(
    share=st.sampled_from([0.01, 0.02, 0.06, 0.2, 0.4]),
    size=st.sampled_from([0.1, 0.3, 0.4]),
    spikes=st.integers(1, 6),
    truncated=st.booleans(),
    chunk_rows=st.integers(60, 4_000),
    seed=st.integers(0, 2**40),
)
def test_spikes_within_a_rate_make_no_row_more(
    make_shop, make_catalogue, settings, sql, share, size, spikes, truncated, chunk_rows, seed
):
    """With `within_rate` SQL finds exactly the rate over the whole table, spikes and all, also where
    a chunk is less than a day and days lose rows; what spikes alone exceed is refused."""
    cut = IncidentRate(
        "truncated_day", 0, 1.0, tables=["fact_receipt"], breaks="rows", total=1, from_hour=9
    )
    profile = spiked(share, spikes, size, within=True, more=[cut] if truncated else [])
    catalogue = make_catalogue(profile, shop=make_shop(2_000, chunk_rows))
    options = settings(quality="spiked", seed=seed, snapshot_days=1, months=3)
    with tempfile.TemporaryDirectory() as folder:
        out, meta = Path(folder, "data"), Path(folder, "meta")
        refused = ""
        try:
            generate_warehouse("shop", options, catalogue, out=out, meta=meta)
        except ConfigError as error:
            refused = str(error)
        # Sales are even over 91 days, so a spike breaks about a 91st of its size.
        if spikes * size / 91 > share * 1.1 or share + size > 0.9:
            assert "more than the whole rate" in refused or "cannot hold" in refused
        if refused:
            assert spikes * size / 91 > share * 0.9 or share + size > 0.75
            assert not out.exists()
            return
        [(rows, nulls, copies), broken] = (
            measured(sql, out, "fact_receipt"),
            sql(out, "SELECT count(*) FROM ledger WHERE kind = 'null_spike'", meta)[0][0],
        )
        assert broken > 0
        assert abs(nulls - share * rows) <= 5 + spikes
        assert abs(copies - 0.03 * rows) <= 5


def test_spikes_on_top_come_on_top(make_shop, make_catalogue, settings, sql, tmp_path):
    """Without `within_rate` the rate holds beside the spikes; the manifest tells both apart, and
    says nothing of rows on top where they are within."""
    for within in (False, True):
        catalogue = make_catalogue(
            spiked(0.05, 4, 0.3, within=within), shop=make_shop(8_000, 1_000)
        )
        made = generate_warehouse(
            "shop",
            settings(quality="spiked", months=6),
            catalogue,
            out=tmp_path / f"data{within}",
            meta=tmp_path / f"meta{within}",
        )
        rows, nulls, _ = measured(sql, made.path, "fact_receipt")
        [(broken,)] = sql(
            made.path, "SELECT count(*) FROM ledger WHERE kind = 'null_spike'", made.meta
        )
        entry = next(
            entry
            for entry in made.manifest.extra["calibration"]
            if (entry["table"], entry["metric"], entry["column"])
            == ("fact_receipt", "key_null", "")
        )
        assert entry["numerator"] == nulls
        assert entry["target"] == 0.05
        assert broken > 30
        assert abs(nulls - (0 if within else broken) - 0.05 * rows) <= 6
        assert entry["dated_rows"] == (0 if within else broken)


def test_a_spike_needs_a_rate_to_be_within(make_shop, make_catalogue, settings):
    """`within_rate` without a rate of the same metric on that table is refused."""
    profile = DefectProfile(
        "spiked",
        "Null spikes",
        rates=[DefectRate("key_null", 0.05, tables=["fact_line"])],
        incidents=spiked(0.05, 1, 0.1, within=True).incidents,
    )
    catalogue = make_catalogue(profile, shop=make_shop(1_000, 1_000))
    with pytest.raises(ConfigError, match=r"null_spike: within_rate.*fact_receipt"):
        make_plan("shop", settings(quality="spiked").warehouse, catalogue)


WRONG = DefectProfile(
    "wrong",
    "Values that look right",
    rates=[
        DefectRate("key_null", 0.04),
        DefectRate("duplicate", 0.02),
        DefectRate("category_typo", 0.15, tables=["fact_sale"], columns=["channel"]),
    ],
    incidents=[
        IncidentRate(
            "value_drift",
            0,
            100_000,
            tables=["fact_sale"],
            columns=["amount_cents"],
            total=1,
            days=9,
            row_share=1.0,
            options={"where": {"channel": ["web"]}},
        )
    ],
)


@pytest.fixture(scope="module")
def company(make_shop, make_catalogue, settings, tmp_path_factory):
    """A company with typos and a drift on one channel, the clean one, and its catalogue."""
    folder = tmp_path_factory.mktemp("wrong")
    catalogue = make_catalogue(WRONG, shop=make_shop(9_000, 1_500))
    made, clean = (
        generate_warehouse(
            "shop",
            settings(quality=quality, months=4),
            catalogue,
            out=folder / quality,
            meta=folder / f"{quality}-meta",
        )
        for quality in ("wrong", "clean")
    )
    return made, clean, catalogue


def cells(sql, folder, meta, kind: str) -> list[tuple[int, int]]:
    return sql(folder, f"SELECT part, row FROM ledger WHERE kind = '{kind}' ORDER BY ALL", meta)


def test_drift_and_typos_are_told_both_ways(company, sql):
    """Cells that differ from what the schema or the usual range allows are the ledger's cells, one
    to one, with the clean value as the original; the drift keeps to its channel and its days."""
    made, clean, _ = company
    typos = sql(
        made.path,
        """SELECT part, row FROM fact_sale WHERE channel NOT IN ('web', 'app', 'store')
        ORDER BY ALL""",
    )
    assert typos == cells(sql, made.path, made.meta, "category_typo")
    drifted = sql(
        made.path, "SELECT part, row FROM fact_sale WHERE amount_cents > 10000 ORDER BY ALL"
    )
    assert drifted == cells(sql, made.path, made.meta, "value_drift")
    assert len(drifted) > 50
    [(wrong,)] = sql(
        made.path,
        f"""SELECT count(*) FROM ledger l JOIN read_parquet('{clean.path}/fact_sale/*.parquet') c
        ON c.sale_id::VARCHAR = l.business_key WHERE (l.kind = 'category_typo'
        AND l.original <> c.channel) OR (l.kind = 'value_drift'
        AND l.original <> c.amount_cents::VARCHAR)""",
        made.meta,
    )
    assert wrong == 0
    [(meant, hit)] = sql(
        made.path,
        f"""SELECT count(*), count(*) FILTER (t.amount_cents = c.amount_cents * 100000)
        FROM read_parquet('{clean.path}/fact_sale/*.parquet') c
        JOIN (SELECT sale_id, min(amount_cents) AS amount_cents FROM fact_sale GROUP BY 1) t
          USING (sale_id), incidents
        WHERE c.channel = 'web' AND c.sold_at >= start AND c.sold_at < "end" """,
        made.meta,
    )
    assert meant == hit == len(drifted)


def test_their_queries_find_the_ledger_s_rows(company, sql):
    """`finds` of drift and typos gives exactly the ledger's rows, and none in the clean company; the
    manifest has what the query found beside the target."""
    made, clean, catalogue = company
    schema = catalogue.archetype("shop").schema
    listed = {kind.name: kind for kind in KINDS}
    # Which texts are allowed is the schema's to say; the shop's says nothing, so nothing is found.
    for kind, rate, expected in (
        ("value_drift", WRONG.incidents[0], len(cells(sql, made.path, made.meta, "value_drift"))),
        ("category_typo", WRONG.rates[2], 0),
    ):
        for folder, count in ((made.path, expected), (clean.path, 0)):
            connection = ibis.duckdb.connect()
            tables = {
                name: connection.read_parquet(f"{folder}/{name}/*.parquet") for name in schema.names
            }
            found = load(listed[kind].finds)(tables, schema, schema["fact_sale"], rate)
            assert found.count().to_pyarrow().as_py() == count, (kind, folder)


def test_repair_undoes_drift_on_a_segment(company, tmp_path):
    """Drift on one channel and typos are undone byte for byte."""
    made, clean, catalogue = company
    fixed = repair(made.path, made.meta, tmp_path / "fixed", catalogue)
    assert fixed.manifest.files == clean.manifest.files


def test_typos_of_listed_categories_are_measured(tmp_path):
    """In a shipped company, whose schema lists its categories, the manifest's calibration has the
    typos that the kind's query finds, at the rate that was asked for."""
    import dnr_core
    from dnr_core.api.context import open_context

    profile = DefectProfile(
        "typos",
        "Typos",
        rates=[
            DefectRate("category_typo", 0.05, tables=["fact_card_transaction"], columns=["channel"])
        ],
    )
    made = dnr_core.generate_warehouse(
        "neobank",
        scale="tiny",
        months=4,
        quality=profile,
        out=tmp_path / "data",
        meta=tmp_path / "meta",
        context=open_context(environ={}),
    )
    entry = next(e for e in made.manifest.extra["calibration"] if e["metric"] == "category_typo")
    assert entry["target"] == 0.05
    assert entry["measured"] == pytest.approx(0.05, abs=0.001)
    assert "category typo" in str(dnr_core.describe(made.path))


def test_a_day_and_more_may_be_gone_altogether(make_shop, make_catalogue, settings, tmp_path, sql):
    """Where days without rows take whole chunks, row groups and part files, repair still gives back
    the clean files, and nothing of other days is missed."""
    profile = DefectProfile(
        "gone",
        "Weeks that never came",
        rates=[DefectRate("key_null", 0.05), DefectRate("duplicate", 0.05)],
        incidents=[
            IncidentRate(
                "truncated_day", 0, 1.0, tables=["fact_receipt"], breaks="rows", total=2, days=30
            )
        ],
        lag=LagProfile((30, 180), (240, 720), 0.02),
    )
    catalogue = make_catalogue(profile, shop=make_shop(2_000, 60))
    options = settings(quality="gone", months=6)
    made = generate_warehouse(
        "shop", options, catalogue, out=tmp_path / "data", meta=tmp_path / "meta"
    )
    clean = generate_warehouse(
        "shop",
        settings(quality="clean", months=6),
        catalogue,
        out=tmp_path / "clean",
        meta=tmp_path / "cm",
    )
    sizes = json.loads((tmp_path / "meta" / "manifest.json").read_text())
    assert sizes["extra"]["warehouse"]["row_groups"]
    [(empty,)] = sql(
        made.path,
        f"""SELECT count(*) FROM parquet_file_metadata('{made.path}/fact_receipt/*.parquet')
        WHERE num_rows = 0""",
    )
    assert empty > 0
    fixed = repair(made.path, made.meta, tmp_path / "fixed", catalogue)
    assert fixed.manifest.files == clean.manifest.files

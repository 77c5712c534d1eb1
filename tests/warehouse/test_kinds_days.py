"""Parents that come late, days that lose rows, snapshots that stand still: calibrated, told, undone."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.builtin.defects import KINDS
from dnr_core.model import (
    DefectProfile,
    DefectRate,
    Family,
    IncidentRate,
    LagProfile,
    Synthesis,
    load,
)
from dnr_core.warehouse import generate_warehouse, repair
from dnr_core.workspace import sha256_of

LAG = LagProfile((30, 180), (240, 720), 0.02)
KEYS = 40
EPOCH_DAYS_OF_END = 20_270
"""2025-07-01, the day after the last one of a company's history."""


def stock_rows(days: np.ndarray, keys: np.ndarray) -> dict[str, pa.Table]:
    """A stock that changes its status on about one day in four, and on which keys come late."""
    day, key = (part.ravel() for part in np.meshgrid(days, keys, indexing="ij"))
    there = (key % 10 != 9) | (day >= EPOCH_DAYS_OF_END - 6)
    day, key = day[there], key[there]
    status = ((key * 7 + day) // 4) % 3
    return {
        "snapshot_stock": pa.table(
            {
                "day": pa.array(day, pa.int32()).cast(pa.date32()),
                "product_id": pa.array([f"p{n:03d}" for n in key.tolist()]),
                "status": pa.array(["live", "low", "gone"]).take(pa.array(status)),
            }
        )
    }


def stocked(shop, layout: str):
    """The shop with a stock whose chunks are a day, a slice of a day, or all days of some keys."""

    def days(company) -> np.ndarray:
        return np.arange(EPOCH_DAYS_OF_END - company.snapshot_days, EPOCH_DAYS_OF_END)

    def generate(company, chunk):
        if layout == "keys":
            return stock_rows(days(company), np.arange(chunk * 10, chunk * 10 + 10))
        if layout == "slices":
            day, piece = divmod(chunk, 4)
            return stock_rows(days(company)[day : day + 1], np.arange(piece * 10, piece * 10 + 10))
        return stock_rows(days(company)[chunk : chunk + 1], np.arange(KEYS))

    chunks = {
        "days": lambda company: company.snapshot_days,
        "slices": lambda company: company.snapshot_days * 4,
        "keys": lambda company: 4,
    }
    families = [f for f in shop.synthesis.families if f.name != "stock"]
    families.append(Family("stock", ["snapshot_stock"], chunks[layout], generate))
    return evolve(shop, synthesis=Synthesis(families, shop.synthesis.parents))


EVERYTHING = DefectProfile(
    "everything",
    "All kinds at once, some on a segment or in a period",
    rates=[
        DefectRate("key_null", 0.05),
        DefectRate("fk_failure", 0.1),
        DefectRate("duplicate", 0.04),
        DefectRate("late_parent", 0.06, options={"where": {"channel": ["web", "app"]}}),
        DefectRate("category_typo", 0.1, tables=["fact_sale"], columns=["channel"]),
    ],
    incidents=[
        IncidentRate("null_spike", 0, 0.2, breaks="required_keys", total=2),
        IncidentRate("value_drift", 0, 100, columns=["paid_cents"], total=1, days=5, row_share=1.0),
        IncidentRate(
            "truncated_day", 0, 1.0, tables=["fact_receipt"], breaks="rows", total=3, from_hour=15
        ),
        IncidentRate(
            "truncated_day", 0, 0.5, tables=["fact_line"], breaks="rows", total=1, from_hour=6
        ),
        IncidentRate("stale_snapshot", 0, 1, breaks="days", row_share=1.0, total=2),
        IncidentRate(
            "lag_surge", 0, 6, breaks="loads", tables=["fact_receipt"], row_share=0.3, total=1
        ),
        IncidentRate("write_gap", 0, 6, breaks="loads", row_share=1.0, total=1, hours=6),
    ],
    lag=LAG,
)


@pytest.fixture(scope="module")
def company(make_shop, make_catalogue, settings, tmp_path_factory):
    """A company with every kind of defect at once, and the clean one."""
    catalogue = make_catalogue(EVERYTHING, shop=stocked(make_shop(9_000, 1_300), "slices"))
    folder = tmp_path_factory.mktemp("everything")
    options = settings(quality="everything", months=3, snapshot_days=12, workers=2)
    made = generate_warehouse("shop", options, catalogue, out=folder / "data", meta=folder / "meta")
    clean = generate_warehouse(
        "shop",
        settings(quality="clean", months=3, snapshot_days=12),
        catalogue,
        out=folder / "clean",
        meta=folder / "clean-meta",
    )
    return made, clean, catalogue


def test_repair_undoes_every_kind_at_once(company, tmp_path):
    """All kinds together, rows that are gone among them, are undone byte for byte."""
    made, clean, catalogue = company
    fixed = repair(made.path, made.meta, tmp_path / "fixed", catalogue, workers=2)
    assert fixed.manifest.files == clean.manifest.files


def test_the_other_rates_stay_as_they_were_asked_for(company, sql):
    """What SQL finds on the finished files are the profile's rates, rows that are gone left out."""
    made, _, _ = company
    spiked = dict(
        sql(
            made.path,
            """SELECT "table", count(*) FROM ledger WHERE kind = 'null_spike' GROUP BY 1""",
            made.meta,
        )
    )
    for table, nulls, key in (
        ("fact_sale", "customer_id IS NULL OR product_id IS NULL", "sale_id"),
        ("fact_line", "sale_id IS NULL OR product_id IS NULL", "(sale_id, line_no)"),
        ("fact_receipt", "sale_id IS NULL", "sale_id"),
    ):
        [(rows, null, copies)] = sql(
            made.path,
            f"""SELECT count(*), count(*) FILTER ({nulls}),
            count(*) FILTER ({key} IS NOT NULL AND sale_id IS NOT NULL)
              - count(DISTINCT {key}) FILTER (sale_id IS NOT NULL) FROM {table}""",
        )
        assert abs(null - spiked.get(table, 0) - 0.05 * rows) <= 6, table
        assert abs(copies - 0.04 * rows) <= 6, table
    [(keyed, broken)] = sql(
        made.path,
        """SELECT count(r.sale_id), count(*) FILTER (r.sale_id IS NOT NULL AND
        (s.sold_at IS NULL OR s.sold_at > paid_at)) FROM fact_receipt r LEFT JOIN
        (SELECT sale_id, min(sold_at) AS sold_at FROM fact_sale GROUP BY 1) s USING (sale_id)""",
    )
    assert abs(broken - 0.1 * keyed) <= 6
    [(rows, typos)] = sql(
        made.path,
        """SELECT count(*), count(*) FILTER (channel NOT IN ('web', 'app', 'store'))
        FROM fact_sale""",
    )
    assert abs(typos - 0.1 * rows) <= 6


def test_rows_that_are_gone_are_told_with_all_their_values(company, sql):
    """The ledger's rows of truncated days are exactly the clean rows that the files lack: place,
    key and every value; whole days lack everything from their hour on, and nothing else."""
    made, clean, _ = company
    told = sql(
        made.path,
        """SELECT "table", part, row, business_key, original FROM ledger
        WHERE kind = 'truncated_day' AND "column" = '*' ORDER BY ALL""",
        made.meta,
    )
    assert (
        len(told)
        == sql(made.path, "SELECT count(*) FROM ledger WHERE kind = 'truncated_day'", made.meta)[0][
            0
        ]
    )
    lacking = Counter(table for table, *_ in told)
    assert set(lacking) == {"fact_line", "fact_receipt"}
    for table, columns in (
        ("fact_line", ["sale_id", "line_no", "product_id", "qty", "loaded_at"]),
        ("fact_receipt", ["sale_id", "paid_at", "paid_cents", "loaded_at"]),
    ):
        [(rows,)] = sql(made.path, f"SELECT count(*) FROM {table}")
        [(whole,)] = sql(clean.path, f"SELECT count(*) FROM {table}")
        [(copies,)] = sql(
            made.path,
            f"""SELECT count(*) FROM ledger WHERE "table" = '{table}' AND "column" = '' """,
            made.meta,
        )
        assert rows == whole - lacking[table] + copies
        texts = ", ".join(f"{name}::VARCHAR" for name in columns)
        there = {
            (part, row): values
            for part, row, *values in sql(clean.path, f"SELECT part, row, {texts} FROM {table}")
        }
        for name, part, row, key, original in told:
            if name != table:
                continue
            values = json.loads(original)
            assert list(values) == columns
            for mine, theirs in zip(values.values(), there[part, row], strict=True):
                assert mine == theirs or mine.startswith(theirs)
            assert key == "|".join(values[n] for n in columns[:2] if n in {"sale_id", "line_no"})
    windows = sql(
        made.path,
        """SELECT "table", start, "end", size FROM incidents WHERE kind = 'truncated_day'""",
        made.meta,
    )
    assert len(windows) == 4
    for table, start, end, size in windows:
        assert timedelta(hours=7) < end - start < timedelta(hours=19)
        query = f"""SELECT count(*) FROM {table} WHERE
            loaded_at >= '{start}' AND loaded_at < '{end}' """
        [(before,)] = sql(clean.path, query)
        gone = sum(
            name == table and f"{start}" <= json.loads(original)["loaded_at"] < f"{end}"
            for name, _, _, _, original in told
        )
        assert abs(gone - size * before) <= 1


def test_late_parents_are_those_that_sql_finds(company, sql):
    """Sales loaded over twelve hours after their first line or receipt are the ledger's, both ways;
    they are of the segment alone, and as many as the profile asks."""
    made, _, _ = company
    found = sql(
        made.path,
        """WITH sale AS (SELECT sale_id, min(loaded_at) AS load, min(sold_at) AS sold_at
            FROM fact_sale GROUP BY 1),
        child AS (SELECT sale_id, loaded_at, NULL AS happened FROM fact_line
            UNION ALL SELECT sale_id, loaded_at, paid_at FROM fact_receipt)
        SELECT sale_id::VARCHAR FROM sale JOIN child USING (sale_id)
        WHERE coalesce(happened, sold_at) >= sold_at
        GROUP BY 1 HAVING max(load) > min(loaded_at) + INTERVAL 12 HOUR ORDER BY 1""",
    )
    told = sql(
        made.path,
        """SELECT business_key FROM ledger WHERE kind = 'late_parent' ORDER BY 1""",
        made.meta,
    )
    assert found == told
    [(segment, astray)] = sql(
        made.path,
        """SELECT count(*) FILTER (channel[1] IN ('w', 'a')),
        count(*) FILTER (l.business_key IS NOT NULL AND channel[1] = 's')
        FROM fact_sale s LEFT JOIN (SELECT DISTINCT business_key FROM ledger
        WHERE kind = 'late_parent') l ON l.business_key = s.sale_id::VARCHAR""",
        made.meta,
    )
    assert astray == 0
    assert abs(len(told) - 0.06 * segment) <= 0.002 * segment + 3


def test_a_stale_day_repeats_the_day_before(company, sql):
    """On the planned days, and on no other, no key differs from the day before; the ledger has the
    cells whose true value was another."""
    made, clean, _ = company
    changes = dict(
        sql(
            made.path,
            """SELECT t.day, count(*) FILTER (t.status <> y.status) FROM snapshot_stock t
            JOIN snapshot_stock y ON y.product_id = t.product_id AND y.day = t.day - 1
            GROUP BY 1""",
        )
    )
    planned = sql(
        made.path,
        """SELECT CAST(start AT TIME ZONE 'UTC' AT TIME ZONE 'America/Los_Angeles' AS DATE),
        "columns" FROM incidents WHERE kind = 'stale_snapshot' ORDER BY 1""",
        made.meta,
    )
    assert [columns for _, columns in planned] == [["status"]] * 2
    assert [day for day, count in sorted(changes.items()) if not count] == [d for d, _ in planned]
    differing = sql(
        made.path,
        f"""SELECT t.part, t.row, c.status FROM snapshot_stock t
        JOIN read_parquet('{clean.path}/snapshot_stock/*.parquet') c
          ON c.day = t.day AND c.product_id = t.product_id
        WHERE c.status <> t.status ORDER BY 1, 2""",
    )
    told = sql(
        made.path,
        """SELECT part, row, original FROM ledger WHERE kind = 'stale_snapshot' ORDER BY 1, 2""",
        made.meta,
    )
    assert differing == told
    assert told


@pytest.mark.parametrize("layout", ["days", "keys"])
def test_a_stale_day_does_not_depend_on_how_a_snapshot_is_cut(
    make_shop, make_catalogue, settings, tmp_path, company, sql, layout
):
    """Whether chunks are days or keys, the same days repeat the same values; and repair undoes it."""
    made, _, _ = company
    profile = evolve(EVERYTHING, name="stale", rates=(), incidents=[EVERYTHING.incidents[4]])
    catalogue = make_catalogue(profile, shop=stocked(make_shop(200, 200), layout))
    options = settings(quality="stale", months=3, snapshot_days=12)
    other = generate_warehouse(
        "shop", options, catalogue, out=tmp_path / "data", meta=tmp_path / "meta"
    )
    # The rate stands at another place of its profile, which only moves the days.
    changes = """SELECT count(*) FROM (SELECT t.day FROM snapshot_stock t
        JOIN snapshot_stock y ON y.product_id = t.product_id AND y.day = t.day - 1
        GROUP BY 1 HAVING count(*) FILTER (t.status <> y.status) = 0)"""
    assert sql(other.path, changes) == sql(made.path, changes) == [(2,)]
    clean = generate_warehouse(
        "shop",
        settings(quality="clean", months=3, snapshot_days=12),
        catalogue,
        out=tmp_path / "clean",
        meta=tmp_path / "clean-meta",
    )
    fixed = repair(other.path, other.meta, tmp_path / "fixed", catalogue)
    assert fixed.manifest.files == clean.manifest.files


def opened(folder, *names: str) -> dict[str, Any]:
    connection = ibis.duckdb.connect()
    return {name: connection.read_parquet(f"{folder}/{name}/*.parquet") for name in names}


def test_each_kind_s_own_query_finds_what_the_ledger_says(company, sql):
    """`finds` of kinds that no metric sees gives the ledger's rows, and none in the clean company."""
    made, clean, catalogue = company
    schema = catalogue.archetype("shop").schema
    kinds = {kind.name: kind for kind in KINDS}
    rates = {rate.kind: rate for rate in (*EVERYTHING.rates, *EVERYTHING.incidents)}

    def count(name: str, table: str, folder) -> int:
        tables = opened(folder, *schema.names)
        finds = load(kinds[name].finds)
        return finds(tables, schema, schema[table], rates[name]).count().to_pyarrow().as_py()

    def told(name: str, table: str) -> int:
        return sql(
            made.path,
            f"""SELECT count(*) FROM ledger WHERE kind = '{name}' AND "table" = '{table}'""",
            made.meta,
        )[0][0]

    assert count("late_parent", "fact_sale", made.path) == told("late_parent", "fact_sale") > 100
    assert count("category_typo", "fact_sale", clean.path) == 0
    stale = count("stale_snapshot", "snapshot_stock", made.path)
    assert stale in range(2 * KEYS * 9 // 10, 2 * KEYS + 1)
    silences = count("truncated_day", "fact_receipt", made.path)
    days = sql(
        made.path,
        """SELECT count(*) FROM incidents WHERE kind = 'truncated_day' AND size = 1
        AND "table" = 'fact_receipt'""",
        made.meta,
    )[0][0]
    assert silences >= days > 0
    for name, table in (
        ("late_parent", "fact_sale"),
        ("stale_snapshot", "snapshot_stock"),
        ("truncated_day", "fact_receipt"),
    ):
        assert count(name, table, clean.path) == 0, name


def hashes(*folders) -> dict[str, str]:
    return {
        f"{number}/{path.relative_to(folder).as_posix()}": sha256_of(path)
        for number, folder in enumerate(folders)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


class UnpluggedError(Exception):
    """The machine goes off in the middle."""


class Plug:
    """Progress that pulls the plug once so many rows are made."""

    def __init__(self, after: int) -> None:
        self.left = after

    def start(self, task, total, unit):
        pass

    def advance(self, task, amount=1):
        self.left -= amount
        if self.left < 0:
            raise UnpluggedError

    def done(self, task, note=""):
        pass


@pytest.mark.parametrize("workers", [1, 5])
def test_workers_and_interruptions_change_no_byte(company, settings, tmp_path, workers):
    """All kinds at once give the bytes of two threads with one and five, data and truth, also where
    a run stopped twice in the middle and goes on from parts that lack rows."""
    made, _, catalogue = company
    options = settings(quality="everything", months=3, snapshot_days=12, workers=workers)
    out, meta = tmp_path / "data", tmp_path / "meta"
    if workers == 1:
        for after in (14_000, 26_000):
            with pytest.raises(UnpluggedError):
                generate_warehouse(
                    "shop", options, catalogue, out=out, meta=meta, progress=Plug(after)
                )
            assert list((out / ".partial" / ".parts").iterdir())
    generate_warehouse("shop", options, catalogue, out=out, meta=meta)
    assert hashes(out, meta) == hashes(made.path, made.meta)

"""The ledger explains every violation and nothing else, and undoes all of it."""

from __future__ import annotations

import pytest

from dnr_core.errors import InputError
from dnr_core.warehouse import generate_warehouse, repair

EVENTS = {
    "fact_sale": "t.sold_at",
    "fact_line": "s.sold_at",
    "fact_receipt": "t.paid_at",
}
PARENT = (
    "LEFT JOIN (SELECT sale_id, min(sold_at) AS sold_at FROM fact_sale GROUP BY 1) s "
    "ON s.sale_id = t.sale_id"
)

NULLS = {
    "fact_sale": ["customer_id", "product_id"],
    "fact_line": ["sale_id", "product_id"],
    "fact_receipt": ["sale_id"],
}
ORPHANS = {
    ("fact_sale", "customer_id"): (
        "LEFT JOIN dim_customer p ON p.customer_id = t.customer_id",
        "p.created_at",
        "t.sold_at",
    ),
    ("fact_sale", "product_id"): (
        "LEFT JOIN dim_product p ON p.product_id = t.product_id",
        "CASE WHEN p.name IS NOT NULL THEN TIMESTAMP '1970-01-01' END",
        "t.sold_at",
    ),
    ("fact_line", "product_id"): (
        "LEFT JOIN dim_product p ON p.product_id = t.product_id",
        "CASE WHEN p.name IS NOT NULL THEN TIMESTAMP '1970-01-01' END",
        "TIMESTAMP '2000-01-01'",
    ),
    ("fact_line", "sale_id"): (PARENT, "s.sold_at", "s.sold_at"),
    ("fact_receipt", "sale_id"): (PARENT, "s.sold_at", "t.paid_at"),
}
KEYS = {"fact_sale": "sale_id", "fact_line": "(sale_id, line_no)", "fact_receipt": "sale_id"}


@pytest.fixture(scope="module", params=["typical", "severe"])
def company(request, make_shop, make_catalogue, settings, tmp_path_factory):
    """A broken company with its truth, and the catalogue and settings that made it."""
    shop = make_shop(40_000, 4_000)
    catalogue = make_catalogue(shop=shop)
    options = settings(quality=request.param, workers=2)
    folder = tmp_path_factory.mktemp("company")
    out, meta = folder / "data", folder / "meta"
    generate_warehouse("shop", options, catalogue, out=out, meta=meta)
    return out, meta, catalogue, options


def test_every_null_is_in_the_ledger_and_every_entry_is_a_null(company, sql):
    """Nulls that SQL finds and the ledger's null entries are the same cells."""
    out, meta, _, _ = company
    for table, columns in NULLS.items():
        for column in columns:
            found = set(sql(out, f"SELECT part, row FROM {table} WHERE {column} IS NULL"))
            told = set(
                sql(
                    out,
                    f"""SELECT part, row FROM ledger WHERE "table" = '{table}' AND
                    "column" = '{column}' AND kind IN ('key_null', 'null_spike')""",
                    meta,
                )
            )
            assert found == told
            assert found


def test_every_orphan_is_in_the_ledger_with_its_sort(company, sql):
    """Orphans that SQL finds, missing and temporal apart, are the ledger's entries."""
    out, meta, _, _ = company
    for (table, column), (join, since, event) in ORPHANS.items():
        missing = sql(
            out,
            f"""SELECT t.part, t.row, 'missing' FROM {table} t {join}
            WHERE t.{column} IS NOT NULL AND {since} IS NULL""",
        )
        temporal = sql(
            out, f"SELECT t.part, t.row, 'temporal' FROM {table} t {join} WHERE {since} > {event}"
        )
        told = sql(
            out,
            f"""SELECT part, row, subkind FROM ledger WHERE "table" = '{table}'
            AND "column" = '{column}' AND kind = 'fk_failure'""",
            meta,
        )
        assert sorted(missing + temporal) == sorted(told)
        assert missing


def test_every_extra_row_is_a_copy_in_the_ledger(company, sql):
    """Of rows that share a business key, all but the first loaded are the ledger's copies."""
    out, meta, _, _ = company
    for table, key in KEYS.items():
        extra = sql(
            out,
            f"""SELECT part, row FROM {table} WHERE sale_id IS NOT NULL QUALIFY row_number()
            OVER (PARTITION BY {key} ORDER BY loaded_at, part, row) > 1""",
        )
        told = sql(
            out,
            f"""SELECT part, row FROM ledger WHERE "table" = '{table}' AND "column" = ''""",
            meta,
        )
        assert sorted(extra) == sorted(told)
        assert extra


def test_no_row_has_two_defects_of_value_and_no_copy_repeats_one(company, sql):
    """Value defects are on different rows, and copies are of rows without any defect."""
    out, meta, _, _ = company
    twice = """SELECT count(*) FROM (SELECT 1 FROM ledger
        WHERE kind IN ('key_null', 'null_spike', 'fk_failure', 'duplicate')
        GROUP BY "table", part, row HAVING count(*) > 1)"""
    assert sql(out, twice, meta) == [(0,)]
    copied = """SELECT count(*) FROM ledger c JOIN ledger o USING ("table", business_key)
        WHERE c."column" = '' AND o."column" <> '' AND o.row <> c.row"""
    assert sql(out, copied, meta) == [(0,)]


def test_loads_are_the_base_lag_but_for_what_the_ledger_says(company, sql):
    """Every row outside the ledger loads within the base lag; surged rows take six times their
    own lag, and no row loads while a write gap lasts."""
    out, meta, _, _ = company
    for table, event in EVENTS.items():
        join = PARENT if table == "fact_line" else ""
        odd = f"""SELECT count(*) FROM {table} t {join} LEFT JOIN (SELECT DISTINCT part, row FROM
            ledger WHERE "table" = '{table}' AND "column" IN ('', 'loaded_at', 'sale_id')) l
            ON l.part = t.part AND l.row = t.row WHERE l.row IS NULL AND NOT
            (epoch(loaded_at - {event}) BETWEEN 1800 AND 10800
             OR epoch(loaded_at - {event}) BETWEEN 14400 AND 43200)"""
        assert sql(out, odd, meta) == [(0,)]
        if table == "fact_line":
            continue
        surged = f"""SELECT count(*), count(*) FILTER (epoch_us(t.loaded_at) - epoch_us({event}) =
            6 * (epoch_us(l.original::TIMESTAMP) - epoch_us({event})))
            FROM ledger l JOIN {table} t USING (part, row)
            WHERE l."table" = '{table}' AND l.kind = 'lag_surge'"""
        [(surges, right)] = sql(out, surged, meta)
        assert surges == right
    [(surges, gaps)] = sql(
        out,
        "SELECT count(*) FILTER (kind = 'lag_surge'), count(*) FILTER (kind = 'write_gap') FROM ledger",
        meta,
    )
    assert surges
    assert gaps
    for table, start, end in sql(
        out, """SELECT "table", start, "end" FROM incidents WHERE kind = 'write_gap'""", meta
    ):
        loads = f"SELECT count(*) FROM {table} WHERE loaded_at >= '{start}' AND loaded_at < '{end}'"
        assert sql(out, loads) == [(0,)]


def test_incidents_stand_in_their_day(company, sql):
    """A spike adds its ten points to its column on its day, and its rows carry its id."""
    out, meta, _, _ = company
    spikes = sql(
        out,
        """SELECT id, "table", columns[1], start, "end" FROM incidents WHERE kind = 'null_spike'""",
        meta,
    )
    assert spikes
    for name, table, column, start, end in spikes:
        event = EVENTS[table].replace("s.sold_at", "t.loaded_at")
        [(rows, spiked)] = sql(
            out,
            f"""SELECT count(*), count(l.row) FROM {table} t LEFT JOIN (SELECT part, row FROM ledger
            WHERE incident_id = '{name}' AND "column" = '{column}') l USING (part, row)
            WHERE {event} >= '{start}' AND {event} < '{end}'""",
            meta,
        )
        # A few rows, because a day of this small shop has about 75 sales.
        assert abs(spiked - 0.1 * rows) <= 3 + 0.02 * rows


def test_repair_gives_back_the_clean_company_byte_for_byte(
    company, settings, tmp_path, make_catalogue
):
    """Repaired part files have the hashes of the clean profile's: nothing else was touched."""
    out, meta, catalogue, options = company
    fixed = repair(out, meta, tmp_path / "fixed", catalogue, workers=2)
    clean = generate_warehouse(
        "shop",
        settings(quality="clean", seed=options.warehouse.seed),
        catalogue,
        out=tmp_path / "clean",
        meta=tmp_path / "clean-meta",
    )
    assert fixed.manifest.files == clean.manifest.files


def test_another_company_s_ledger_is_refused(company, settings, tmp_path):
    """Repair takes only the ledger that was written with the warehouse."""
    out, meta, catalogue, _ = company
    other = tmp_path / "other-meta"
    generate_warehouse("shop", settings(seed=7), catalogue, out=tmp_path / "other", meta=other)
    with pytest.raises(InputError, match="another company"):
        repair(out, other, tmp_path / "fixed", catalogue)
    with pytest.raises(InputError, match="folder of its own"):
        repair(out, meta, out, catalogue)

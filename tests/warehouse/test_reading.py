"""What a reader gets: types, row groups, a description, an empty warehouse, a DuckDB file."""

from __future__ import annotations

import json

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnr_core.errors import InputError, UnfinishedError
from dnr_core.warehouse import describe, generate_warehouse


@pytest.fixture(scope="module")
def made(make_shop, make_catalogue, settings, tmp_path_factory):
    """A typical shop with its DuckDB file."""
    folder = tmp_path_factory.mktemp("made")
    return generate_warehouse(
        "shop",
        settings(snapshot_days=9),
        make_catalogue(shop=make_shop(8_000, 1_000)),
        out=folder / "data",
        meta=folder / "meta",
        duckdb_file=True,
    )


def test_columns_have_their_declared_types_and_instants_are_utc(made):
    """Parquet holds each column in the schema's order and type, instants as plain UTC."""
    schema = pq.read_schema(made.path / "fact_sale" / "part-00000.parquet")
    assert schema.names == [
        "sale_id",
        "customer_id",
        "product_id",
        "sold_at",
        "amount_cents",
        "channel",
        "loaded_at",
    ]
    assert schema.field("sold_at").type == pa.timestamp("us")
    assert schema.field("channel").type == pa.string()
    footer = pq.read_metadata(made.path / "fact_sale" / "part-00000.parquet").row_group(0)
    assert footer.column(0).compression == "ZSTD"
    assert "DELTA_BINARY_PACKED" in footer.column(0).encodings
    assert footer.column(3).statistics.has_min_max


def test_the_description_tells_size_rates_and_incidents(made):
    """Rows and bytes are the files'; incidents are there only with the truth."""
    told = describe(made.path, made.meta)
    rows = sum(pq.read_metadata(p).num_rows for p in made.path.rglob("*.parquet"))
    assert told.rows == rows
    assert told.bytes == sum(p.stat().st_size for p in made.path.rglob("*.parquet"))
    assert len(told.incidents) == 16
    assert describe(made.path).incidents is None
    assert (str(told.start), str(told.end)) == (
        "2024-01-01 08:00:00+00:00",
        "2025-07-01 07:00:00+00:00",
    )
    for shown in (str(told), told._repr_html_(), made._repr_html_()):
        assert "fact_receipt" in shown
        assert "2.000%" in shown
    assert "null_spike-07" in str(told)
    json.dumps(told.as_dict())


def test_the_description_refuses_what_is_no_warehouse(made, tmp_path):
    """An unfinished folder, a folder of truth, a truncated file: each is told."""
    (tmp_path / "half").mkdir()
    with pytest.raises(UnfinishedError):
        describe(tmp_path / "half")
    with pytest.raises(InputError, match="not a warehouse"):
        describe(made.meta)
    with pytest.raises(InputError, match="no folder"):
        describe(tmp_path / "none")


def test_a_truncated_part_is_told(make_shop, make_catalogue, settings, tmp_path):
    """A part that was cut off is named."""
    generate_warehouse(
        "shop",
        settings(),
        make_catalogue(shop=make_shop(500, 500)),
        out=tmp_path / "d",
        meta=tmp_path / "m",
    )
    part = tmp_path / "d" / "fact_sale" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(InputError, match=r"part-00000\.parquet"):
        describe(tmp_path / "d")


def test_the_duckdb_file_holds_all_tables_and_is_in_no_manifest(made):
    """The DuckDB file has every table's rows, moves with the folder, and is outside the hashes."""
    path = made.path / "shop.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = dict(
            connection.execute("SELECT table_name, estimated_size FROM duckdb_tables()").fetchall()
        )
        counted = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in tables
        }
        views = connection.execute(
            "SELECT count(*) FROM duckdb_views() WHERE NOT internal"
        ).fetchone()
    assert counted == made.manifest.extra["rows"]
    assert views == (0,)
    assert not [name for name in made.manifest.files if name.endswith(".duckdb")]


def test_a_dry_run_writes_empty_tables_with_their_types(
    make_shop, make_catalogue, settings, tmp_path
):
    """A dry run gives every table with its types and no rows, and no truth; a real run follows."""
    catalogue = make_catalogue(shop=make_shop(500, 500))
    options = {"out": tmp_path / "d", "meta": tmp_path / "m"}
    made = generate_warehouse("shop", settings(), catalogue, dry_run=True, **options)
    assert not (tmp_path / "m").exists()
    assert set(made.manifest.extra["rows"].values()) == {0}
    empty = pq.read_table(tmp_path / "d" / "fact_line" / "part-00000.parquet")
    assert empty.num_rows == 0
    generate_warehouse("shop", settings(), catalogue, **options)
    full = pq.read_table(tmp_path / "d" / "fact_line" / "part-00000.parquet")
    assert full.schema == empty.schema
    assert full.num_rows


def test_progress_counts_every_row(make_shop, make_catalogue, settings, tmp_path):
    """Progress is told of as many rows as there are in the end."""

    class Counting:
        rows = 0

        def start(self, task, total, unit):
            if unit == "rows":
                self.total = total

        def advance(self, task, amount=1):
            if task.endswith("rows"):
                self.rows += amount

        def done(self, task, note=""):
            pass

    progress = Counting()
    made = generate_warehouse(
        "shop",
        settings(),
        make_catalogue(shop=make_shop(2_000, 300)),
        out=tmp_path / "d",
        meta=tmp_path / "m",
        progress=progress,
    )
    assert progress.rows == sum(made.manifest.extra["rows"].values())
    assert progress.total

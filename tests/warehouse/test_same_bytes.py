"""The same settings and version give the same bytes; another column leaves the others' alone."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import evolve

from dnr_core.model import Column, Family, Schema, Synthesis, Table
from dnr_core.synth import stream_of
from dnr_core.warehouse import generate_warehouse

SCRIPT = Path(__file__).with_name("same_bytes.py")
AGAIN = (
    "the companies have changed. Where that is wanted, raise LAYOUT in warehouse/plan.py and run "
    "`python tests/warehouse/same_bytes.py --write`. Changed: "
)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("same_bytes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(script):
    return script.hashes()


@pytest.fixture(scope="module")
def held(script):
    return json.loads(script.HELD.read_text("utf-8"))


def test_values_are_held_under_any_versions(script, found, held):
    """Each column of both companies and their truth has the values that it had."""
    off = script.differences(held["values"], found["values"])
    assert not off, AGAIN + ", ".join(off[:5])


def test_files_are_held_under_the_constraints(script, found, held):
    """Under the versions of constraints.txt each file has the bytes that it had."""
    if other := script.other_versions():
        pytest.skip(f"file hashes hold under constraints.txt only: {other}")
    off = script.differences(held["files"], found["files"])
    assert not off, AGAIN + ", ".join(off[:5])


def chunks_of(path: Path) -> dict[str, list[bytes]]:
    """The bytes of each column's pages in a file, one piece a row group."""
    content, told = path.read_bytes(), pq.read_metadata(path)
    pieces: dict[str, list[bytes]] = {}
    for group in range(told.num_row_groups):
        for number in range(told.num_columns):
            column = told.row_group(group).column(number)
            start = column.dictionary_page_offset or column.data_page_offset
            piece = content[start : start + column.total_compressed_size]
            pieces.setdefault(column.path_in_schema, []).append(piece)
    return pieces


def with_more(shop):
    """The shop with a column more in its sales, and a table more in its people."""
    people, sales, stock = shop.synthesis.families

    def sold(company, chunk):
        made = dict(sales.generate(company, chunk))
        ids = made["fact_sale"]["sale_id"].to_numpy()
        tips = stream_of(company, "fact_sale", "tip_cents").below(ids, 500)
        made["fact_sale"] = made["fact_sale"].append_column("tip_cents", pa.array(tips))
        return made

    def shelved(company, chunk):
        return {"dim_shelf": pa.table({"shelf_id": pa.array([1, 2, 3], pa.int64())})}

    tables = [
        evolve(t, columns=[*t.columns, Column("tip_cents", "int64")])
        if t.name == "fact_sale"
        else t
        for t in shop.schema.tables
    ]
    shelf = Table("dim_shelf", [Column("shelf_id", "int64")], primary_key="shelf_id")
    families = [
        Family("shelves", ["dim_shelf"], lambda _: 1, shelved),
        people,
        evolve(sales, generate=sold),
        stock,
    ]
    return evolve(
        shop,
        schema=Schema([shelf, *tables]),
        volumes={**shop.volumes, "dim_shelf": 3},
        synthesis=Synthesis(families, shop.synthesis.parents),
    )


@pytest.mark.parametrize("quality", ["clean", "severe"])
def test_another_column_leaves_the_others_alone(
    make_shop, make_catalogue, settings, tmp_path, quality
):
    """With a column and a table more, the pages of every other column are the same bytes, defects
    included."""
    shop = make_shop(6_000, 1_000)
    made = {}
    for name, kind in (("before", shop), ("after", with_more(shop))):
        made[name] = generate_warehouse(
            "shop",
            settings(quality=quality),
            make_catalogue(shop=kind),
            out=tmp_path / name / "data",
            meta=tmp_path / name / "meta",
        ).path
    files = sorted(path.relative_to(made["before"]) for path in made["before"].rglob("*.parquet"))
    assert len(files) > 5
    for path in files:
        before, after = chunks_of(made["before"] / path), chunks_of(made["after"] / path)
        assert set(after) - set(before) == (
            {"tip_cents"} if path.parts[0] == "fact_sale" else set()
        )
        for column, pieces in before.items():
            assert after[column] == pieces, f"{path}: {column}"

"""What a reader does not have to read: row groups of other days."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pyarrow.parquet as pq
import pytest

from dnr_core.config.settings import WarehouseSettings
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import make_plan
from dnr_core.warehouse.parts import build_part


def test_a_reader_of_one_day_skips_the_row_groups_of_other_days(tmp_path):
    """DuckDB counts a day's transactions right though the pages of all other groups are spoilt."""
    plan = make_plan("neobank", WarehouseSettings(scale=0.11), load_plugins())
    family = next(f for f in plan.synthesis.families if f.name == "card_transactions")
    build_part(
        plan,
        family,
        0,
        stage=tmp_path,
        truth=tmp_path / "truth",
        stopped=lambda: False,
        written=lambda _: None,
    )
    path = tmp_path / "fact_card_transaction" / "part-00000.parquet"
    footer = pq.read_metadata(path)
    assert footer.num_row_groups == 3
    name = footer.schema.to_arrow_schema().get_field_index("event_time")
    day = footer.row_group(1).column(name).statistics.min + timedelta(days=20)
    sql = f"""SELECT count(*), sum(amount_cents) FROM '{path}'
        WHERE event_time >= '{day}' AND event_time < '{day + timedelta(days=1)}'"""
    whole = duckdb.sql(sql).fetchall()
    assert whole[0][0] > 100

    with path.open("r+b") as file:
        for group in (footer.row_group(0), footer.row_group(2)):
            for column in map(group.column, range(group.num_columns)):
                begin = column.dictionary_page_offset or column.data_page_offset
                file.seek(begin)
                file.write(bytes(column.total_compressed_size))

    assert duckdb.sql(sql).fetchall() == whole
    with pytest.raises(duckdb.Error):
        duckdb.sql(f"SELECT sum(amount_cents) FROM '{path}'").fetchall()

"""Room: benchmarks. Entry: dnr itself, its rows, its labels and its ranking.

Rows are those that its health marks: an empty required key, a key without a parent or before it,
and each later copy of a business key. Labels and ranking are those of `run_report` with the
provider of the settings. Late rows are not named: the page judges lag by its p95.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from attrs import evolve

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.health import open_warehouse
from dnr_core.health.marks import any_of, judge
from dnr_core.health.measure import prepare
from dnr_core.model import Archetype, Column, Schema

ADDRESS = ("dnr_part", "dnr_row")


def main() -> None:
    """Read each company's public folder and write the three files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    homes = sorted(path for path in (given.benchmark / "public").iterdir() if path.is_dir())
    _write(given.out / "defects.csv", "company,table,part,row,kind", _defects(homes))
    labels, needs = [], []
    for home in homes:
        report = _report(home, given.out / home.name)
        labels += list(_labels(home.name, given.out / home.name))
        needs += [(home.name, c["rank"], c["theme"], c["table"]) for c in report["cards"]]
    _write(given.out / "labels.csv", "company,source,item_id,theme,relevance", labels)
    _write(given.out / "ranking.csv", "company,rank,theme,table", needs)


def _write(path: Path, header: str, rows: object) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def _described(home: Path) -> tuple[Archetype, datetime]:
    told = json.loads((home / "company.json").read_text("utf-8"))
    made = open_context(environ={}).catalogue.archetype(told["archetype"])
    # A folder of Parquet like any other: no manifest of the maker is there.
    kind = evolve(made, synthesis=None)
    return kind, datetime.fromisoformat(told["as_of"])


def _report(home: Path, out: Path) -> dict[str, object]:
    kind, as_of = _described(home)
    report = dnr_core.run_report(
        home / "data", comms=home / "comms", archetype=kind, as_of=as_of, out=out
    )
    return dict(report.document)


def _labels(company: str, report: Path) -> Iterator[tuple[str, ...]]:
    for source in ("slack", "email", "nlq"):
        for row in pq.read_table(report / f"predictions_{source}.parquet").to_pylist():
            theme = row["theme"] if row["theme"] not in {None, "none"} else ""
            yield company, source, row["item_id"], theme, row["relevance"] or "negative"


def _defects(homes: list[Path]) -> Iterator[tuple[object, ...]]:
    for home in homes:
        kind, as_of = _described(home)
        with tempfile.TemporaryDirectory() as folder:
            yield from _rows(home, kind, as_of, Path(folder) / "company.duckdb")


def _rows(home: Path, kind: Archetype, as_of: datetime, file: Path) -> Iterator[tuple[object, ...]]:
    extra = tuple(Column(name, "int64") for name in ADDRESS)
    tables = tuple(evolve(t, columns=(*t.columns, *extra)) for t in kind.schema.tables)
    with duckdb.connect(str(file)) as connection:
        for table in tables:
            parts = home / "data" / table.name / "*.parquet"
            connection.execute(
                f"CREATE TABLE {table.name} AS SELECT * EXCLUDE (filename, file_row_number), "
                "regexp_extract(filename, 'part-(\\d+)', 1)::BIGINT AS dnr_part, "
                "file_row_number AS dnr_row "
                f"FROM read_parquet('{parts}', filename = true, file_row_number = true)"
            )
    context = open_context(environ={})
    with open_warehouse(f"duckdb:///{file}", evolve(kind, schema=Schema(tables))) as warehouse:
        setup = prepare(warehouse, context.settings, as_of)
        for table in tables:
            addressed = evolve(table, business_key=(*table.business_key, *ADDRESS))
            judged = judge(warehouse, addressed, setup.clock, 1e9, with_money=False)
            rows, terms = judged.rows, judged.terms
            groups = {
                "key_null": [rows[f"own_{c}"].isnull() for c in table.required_keys],
                "fk_failure": [t for m, t in terms.items() if m.kind in {"missing", "temporal"}],
            }
            for what, found in groups.items():
                if found:
                    named = rows.filter(any_of(found)).select(*(f"own_{c}" for c in ADDRESS))
                    for part, row in sorted(warehouse.rows(named)):
                        yield home.name, table.name, part, row, what
        for table in tables:
            if table.business_key:
                keys = ", ".join(table.business_key)
                whole = " AND ".join(f"{c} IS NOT NULL" for c in table.business_key)
                first = f"{table.loaded_at}, " if table.loaded_at else ""
                later = warehouse.connection.raw_sql(
                    f"SELECT dnr_part, dnr_row FROM (SELECT dnr_part, dnr_row, row_number() OVER "
                    f"(PARTITION BY {keys} ORDER BY {first}dnr_part, dnr_row) AS place "
                    f"FROM {table.name} WHERE {whole}) WHERE place > 1 ORDER BY ALL"
                ).fetchall()
                for part, row in later:
                    yield home.name, table.name, part, row, "duplicate"


if __name__ == "__main__":
    main()

"""Room: benchmarks. What every entry reads and writes: the public tables in, named rows out."""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

Named = Iterable[tuple[int, str]]
"""Positions of rows in a table's frame, each with the kind of its defect."""


@dataclass(frozen=True)
class Tables:
    """One company: its description, and its tables with `part` and `row` beside the columns."""

    name: str
    described: dict[str, Any]
    frames: dict[str, pd.DataFrame]

    def parents(self, key: dict[str, Any]) -> set[Any]:
        """Return the ids that a foreign key of one column may point to."""
        return set(self.frames[key["to"]][key["to_columns"][0]].dropna())


def companies(benchmark: Path) -> Iterable[Tables]:
    """Read each company's tables, and nothing of the truth."""
    for home in sorted(path for path in (benchmark / "public").iterdir() if path.is_dir()):
        described = json.loads((home / "company.json").read_text("utf-8"))
        frames = {t["name"]: _frame(home / "data" / t["name"]) for t in described["tables"]}
        yield Tables(home.name, described, frames)


def _frame(folder: Path) -> pd.DataFrame:
    parts = []
    for path in sorted(folder.glob("part-*.parquet")):
        frame = pd.read_parquet(path, dtype_backend="pyarrow")
        frame["part"] = int(re.findall(r"part-(\d+)", path.name)[0])
        frame["row"] = range(len(frame))
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def enter(find: Callable[[Tables, dict[str, Any], pd.DataFrame], Named]) -> None:
    """Run an entry over every table of every company and write `defects.csv`.

    `find(tables, described_table, frame)` names the broken rows of one table by position.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "defects.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("company", "table", "part", "row", "kind"))
        for tables in companies(given.benchmark):
            for table in tables.described["tables"]:
                frame = tables.frames[table["name"]]
                places = frame[["part", "row"]].to_numpy()
                for position, kind in sorted(set(find(tables, table, frame))):
                    part, row = places[position]
                    writer.writerow((tables.name, table["name"], part, row, kind))

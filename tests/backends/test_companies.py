"""A tiny made company of each archetype, put into each backend: the figures are DuckDB's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from attrs import evolve

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.config import ReportSettings, Settings
from dnr_core.health import measure, open_warehouse
from dnr_core.model import HealthResult

CONTEXT = open_context(environ={})
SETTINGS = Settings(report=evolve(ReportSettings(), example_keys=0))
COMPANIES = ("marketplace", "neobank")
FIGURES = ("measures", "totals", "slos", "incidents", "revenue", "kpis")


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A DuckDB file with the tables of a company, as they lie, and nothing that names dnr."""
    known: dict[str, Path] = {}

    def made(name: str) -> Path:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            dnr_core.generate_warehouse(
                name,
                scale="tiny",
                months=3,
                snapshot_days=5,
                out=folder / "data",
                meta=folder / "meta",
                context=CONTEXT,
            )
            known[name] = folder / f"{name}.duckdb"
            with duckdb.connect(str(known[name])) as connection:
                for table in sorted(p for p in (folder / "data").iterdir() if p.is_dir()):
                    connection.execute(f"CREATE TABLE {table.name} AS FROM '{table}/**/*.parquet'")
        return known[name]

    return made


@pytest.fixture(scope="session")
def measured(
    company: Callable[[str], Path], put: Callable[[str, str, Path], str]
) -> Callable[[str, str], HealthResult]:
    known: dict[tuple[str, str], HealthResult] = {}

    def on(backend: str, name: str) -> HealthResult:
        if (backend, name) not in known:
            archetype = evolve(CONTEXT.catalogue.archetype(name), synthesis=None)
            with open_warehouse(put(backend, name, company(name)), archetype) as warehouse:
                known[backend, name] = measure(warehouse, SETTINGS)
        return known[backend, name]

    return on


def _plain(value: Any) -> list[Any]:
    rows = value.to_pylist() if hasattr(value, "to_pylist") else value
    return [row if isinstance(row, dict) else _attributes(row) for row in rows]


def _attributes(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__ if not name.startswith("__")}


def _same(one: Any, other: Any) -> bool:
    """Equal, numbers up to the last bits of a division: engines weigh quantiles in another order."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=1e-9, abs=1e-9)
    return bool(one == other)


def pairs() -> list[tuple[str, str]]:
    """Backend and company; DuckDB is what they are held against.

    With all tests, one company is put into the one that differs most: it has no zones, no
    quantiles, and times are text. The session of backends has them all.
    """
    if not os.environ.get("DNR_BACKENDS"):
        return [("sqlite", "neobank")]
    others = ("parquet", "sqlite", "polars", "datafusion", "postgres", "pyspark")
    return [(backend, name) for backend in others for name in COMPANIES]


@pytest.mark.parametrize(("engine", "name"), pairs())
def test_every_figure_is_that_of_duckdb(
    engine: str, name: str, measured: Callable[[str, str], HealthResult]
) -> None:
    """Thousands of daily figures, totals, verdicts, incidents, months and KPIs: to the row."""
    ours, theirs = measured(engine, name), measured("duckdb", name)
    # First, because it says why a figure is missing.
    assert ours.not_measured == theirs.not_measured
    for part in FIGURES:
        mine, its = _plain(getattr(ours, part)), _plain(getattr(theirs, part))
        assert len(mine) == len(its) > 0 or (part == "incidents" and len(mine) == len(its)), part
        for one, other in zip(mine, its, strict=True):
            assert {k for k in one if not _same(one[k], other[k])} == set(), (part, one, other)
    assert ours.guardrails == theirs.guardrails
    assert ours.backend == ("duckdb" if engine == "parquet" else engine)

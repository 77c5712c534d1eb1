"""Drawn companies: what differs, what the oracle knows of them, and a run that is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path

import duckdb
import pytest
from attrs import evolve

import dnr_core
from dnr_core.config.settings import RankingGates
from dnr_core.evaluation.oracle_rows import TrueRows, true_rows
from dnr_core.evaluation.ranking import summarised
from dnr_core.evaluation.scenarios import MadeScenario, draw_scenario, last_day_of, make_scenario
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import repair

LAST = date(2025, 6, 30)
WINDOW = ((LAST - date(1970, 1, 1)).days - 29, (LAST - date(1970, 1, 1)).days)
EVER = (0, WINDOW[1])
CATALOGUE = load_plugins()


def test_scenarios_differ_in_all_that_matters_and_repeat() -> None:
    """Themes, tables, sizes, beginnings and talk differ from seed to seed; one seed gives one company."""
    archetype = CATALOGUE.archetype("marketplace")
    drawn = [draw_scenario(archetype, seed, CATALOGUE, last_day=LAST) for seed in range(60)]
    assert drawn[7] == draw_scenario(archetype, 7, CATALOGUE, last_day=LAST)
    problems = [problem for scenario in drawn for problem in scenario.problems]
    assert len({p.theme for p in problems}) == 8
    assert {p.table for p in problems if p.kind} == {
        "fact_order",
        "fact_order_item",
        "fact_payment",
    }
    assert len({p.share for p in problems}) > 10
    assert {p.first is None for p in problems} == {True, False}
    assert any(p.until for p in problems)
    assert Counter(s.trajectory for s in drawn).keys() == {"T1", "T2", "T3", "T4"}
    silent = sum(1 for s in drawn if min(c.weight for c in s.concerns) == 1)
    assert silent > 10
    for scenario in drawn:
        assert len({p.theme for p in scenario.problems}) >= 3


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeScenario, Path, TrueRows]:
    """A small drawn marketplace with its true rows."""
    root = tmp_path_factory.mktemp("scenario")
    context = dnr_core.open_context(
        flags={
            "warehouse.scale": "0.01",
            "comms.slack_threads": 20,
            "comms.emails": 5,
            "comms.nlq": 5,
        }
    )
    archetype = CATALOGUE.archetype("marketplace")
    assert last_day_of(context.settings, archetype) == LAST
    scenario = draw_scenario(archetype, 1, CATALOGUE, last_day=LAST)
    made = make_scenario(scenario, context.settings, CATALOGUE, root)
    repair(made.warehouse, made.meta, root / "clean", made.catalogue, workers=1)
    rows = true_rows(
        archetype,
        made.catalogue,
        warehouse=made.warehouse,
        meta=made.meta,
        clean=root / "clean",
        tz="America/Los_Angeles",
        window=WINDOW,
        late_minutes=dict.fromkeys(archetype.schema.names, 90.0),
    )
    return made, root / "clean", rows


def test_the_oracle_counts_what_a_stranger_counts(
    truth: tuple[MadeScenario, Path, TrueRows],
) -> None:
    """Null keys, and late rows, are as many as plain SQL finds on the finished files."""
    made, _, rows = truth
    payments = str(made.warehouse / "fact_payment" / "*.parquet")
    nulls, late, whole = duckdb.execute(
        """SELECT count(*) FILTER (order_id IS NULL),
                  count(*) FILTER (loaded_at - captured_at > INTERVAL 90 MINUTE), count(*)
           FROM read_parquet(?)""",
        [payments],
    ).fetchall()[0]
    table = rows.tables["fact_payment"]
    assert table.rows(*EVER) == whole
    assert table.rows(*EVER, "key_null") == nulls > 0
    assert table.rows(*EVER, "late") == late


def test_money_is_the_clean_company_s_even_where_its_key_was_lost(
    truth: tuple[MadeScenario, Path, TrueRows],
) -> None:
    """A payment without its order has its fee; all of an order's rows together have it once."""
    made, clean, rows = truth
    fees = duckdb.execute(
        "SELECT sum(platform_fee_cents) FROM read_parquet(?) WHERE order_id IS NULL",
        [str(made.warehouse / "fact_payment" / "*.parquet")],
    ).fetchall()[0][0]
    assert rows.tables["fact_payment"].cents(*EVER, "key_null") == pytest.approx(float(fees))
    whole = duckdb.execute(
        "SELECT sum(platform_fee_cents) FROM read_parquet(?)",
        [str(clean / "fact_payment" / "*.parquet")],
    ).fetchall()[0][0]
    # Shares are rounded down to millionths of a cent.
    assert rows.tables["fact_order"].cents(*EVER) == pytest.approx(float(whole), rel=1e-6)
    assert rows.tables["fact_order_item"].cents(*EVER) == pytest.approx(float(whole), rel=1e-6)


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """SIGKILL after the first company: the next run keeps its outcome, and gives the whole answer."""
    arguments = ["--archetype", "neobank", "--seeds", "1,2", "--scale", "0.01", "--talk", "0.02"]
    command = [sys.executable, "-m", "dnr_core", "-q", "eval-ranking", *arguments]
    outcomes = tmp_path / "reports" / "eval" / "work" / "outcomes"
    process = subprocess.Popen(command, cwd=tmp_path)
    while process.poll() is None and not list(outcomes.glob("*.json")):
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = {path.name: path.stat().st_mtime_ns for path in outcomes.glob("*.json")}
    assert first
    done = subprocess.run([*command, "--json"], cwd=tmp_path, check=True, capture_output=True)
    summary = json.loads(done.stdout)
    assert summary["companies"] == 2
    assert {name: (outcomes / name).stat().st_mtime_ns for name in first} == first
    assert not list((outcomes.parent / "companies").glob("*"))
    out = tmp_path / "reports" / "eval"
    assert json.loads((out / "ranking_summary.json").read_text("utf-8")) == summary
    page = (out / "ranking.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert "# Reports held against the true ranking" in (out / "ranking.md").read_text("utf-8")


def company(seed: int, overlap: float) -> dict[str, object]:
    """The outcome of one company."""
    right = {"top1": 1.0, "overlap": overlap, "ndcg": 1.0, "regret": 0.0}
    return {
        "archetype": "a", "seed": seed, "trajectory": "T1", "true": [["t", "x"]],
        "said": [["t", "x"]], "missed": [],
        "scores": {"report": right, "random": {**right, "overlap": 0.5}},
        "certainties": [[0.9, True], [0.9, True], [0.0, False]],
    }  # fmt: skip


def test_gates_name_what_failed() -> None:
    """Each figure has its gate; a mean below it fails by name, and intervals hold the mean."""
    good = summarised([company(n, 1.0) for n in range(8)], RankingGates(), seed=7)
    assert good.failed == ("a calibration_error",)
    fine = evolve(RankingGates(), calibration_error=0.1)
    assert summarised([company(n, 1.0) for n in range(8)], fine, seed=7).passed
    poor = summarised([company(n, 1.0 if n % 2 else 0.4) for n in range(8)], fine, seed=7)
    assert poor.failed == ("a overlap",)
    score = poor.summary["groups"]["a"]["answers"]["report"]["overlap"]
    assert score["value"] == pytest.approx(0.7)
    assert score["low"] < score["value"] < score["high"]

"""The main job through the command line, from an empty folder to scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("archetype", ["neobank", "marketplace"])
def test_from_nothing_to_scores(archetype: str, dnr: Callable[..., Any], tmp_path: Path) -> None:
    """init, gen-warehouse, gen-comms, run-report, validate --strict, eval-labels all succeed."""
    data, comms, meta = f"data/{archetype}", f"comms/{archetype}", f"meta/{archetype}"
    reports = f"reports/{archetype}"
    steps = (
        ("init",),
        ("gen-warehouse", "--archetype", archetype, "--scale", "tiny"),
        ("gen-comms", "--archetype", archetype, "--slack", "300", "--email", "80", "--nlq", "100"),
        ("run-report", "--warehouse", data, "--comms", comms),
        (
            "validate",
            "--warehouse",
            data,
            "--comms",
            comms,
            "--meta",
            meta,
            "--reports",
            reports,
            "--strict",
        ),
        ("eval-labels", "--pred", reports, "--labels", meta),
    )
    for step in steps:
        outcome = dnr(*step)
        assert outcome.code == 0, f"{step}: {outcome.err}\n{outcome.out}"
    for name in (
        f"{reports}/report.html",
        f"{reports}/report.json",
        f"{reports}/exec_summary.md",
        f"{reports}/data_health.csv",
        f"{reports}/qc/qc_summary.json",
        "reports/index.html",
        "reports/eval/eval_summary.json",
    ):
        assert (tmp_path / name).stat().st_size > 0, name
    checks = json.loads((tmp_path / reports / "qc" / "qc_summary.json").read_text())
    assert checks["counts"]["failed"] == 0
    assert checks["counts"]["passed"] >= 40


def test_running_a_step_again_changes_nothing(dnr: Callable[..., Any], tmp_path: Path) -> None:
    """The same command twice gives the same bytes, whatever the number of workers."""
    arguments = ("gen-warehouse", "--archetype", "neobank", "--scale", "tiny", "--workers")
    assert dnr(*arguments, "1", "--out", "one", "--meta", "meta-one").code == 0
    assert dnr(*arguments, "2", "--out", "two", "--meta", "meta-two").code == 0

    def content(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".dnr.lock")
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert content(tmp_path / "meta-one") == content(tmp_path / "meta-two")


def test_every_result_can_be_read_by_a_machine(
    dnr: Callable[..., Any], made: dict[str, Any], tmp_path: Path
) -> None:
    """With --json, before or after the command's name, stdout is one JSON document."""
    company = made["neobank"]
    calls = (
        ("--json", "plugins"),
        ("config", "--json"),
        ("describe", company.data, "--json"),
        (
            "run-report",
            "--warehouse",
            company.data,
            "--no-llm",
            "--out",
            tmp_path / "r",
            "--json",
            "-q",
        ),
        ("explain", "fact_card_transaction", "key_null", "--warehouse", company.data, "--json"),
    )
    for call in calls:
        outcome = dnr(*call)
        assert outcome.code == 0, outcome.err
        assert isinstance(json.loads(outcome.out), dict), call


def test_the_log_file_has_a_run_id_and_no_message(
    dnr: Callable[..., Any], made: dict[str, Any], tmp_path: Path
) -> None:
    """The log is JSON lines with one run id, and holds none of the messages' text."""
    import pyarrow.parquet as pq

    company = made["neobank"]
    log = tmp_path / "logs" / "run.jsonl"
    outcome = dnr(
        "run-report",
        "--warehouse",
        company.data,
        "--comms",
        company.comms,
        "--out",
        tmp_path / "r",
        "--log-file",
        log,
    )
    assert outcome.code == 0, outcome.err
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["message"] for line in lines} >= {"started", "report made", "done"}
    assert len({line["run_id"] for line in lines}) == 1
    text = log.read_text()
    for message in pq.read_table(company.comms / "slack_messages.parquet")["text"].to_pylist()[
        :200
    ]:
        assert message not in text


def test_batch_is_for_providers_that_take_jobs(dnr: Callable[..., Any], tmp_path: Path) -> None:
    """--batch reaches the provider: the offline one takes no jobs, and says so before any report."""
    (tmp_path / "q.csv").write_text("query_id,ts,query_text\nq1,2025-03-03T10:00:00Z,why stale?\n")
    assert dnr("import-comms", "--nlq", "q.csv", "--out", "comms/mine").code == 0
    call = ("run-report", "--comms", "comms/mine", "--archetype", "neobank")
    refused = dnr(*call, "--batch")
    assert refused.code != 0
    assert "takes no batches" in refused.err
    assert not (tmp_path / "reports").exists()
    assert dnr(*call).code == 0

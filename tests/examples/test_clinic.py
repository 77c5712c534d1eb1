"""A stranger's archetype: installed with pip from a folder of its own, through the whole pipeline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "dnr-clinic"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, copied out of the repository and installed with pip into a folder."""
    root = tmp_path_factory.mktemp("stranger")
    shutil.copytree(EXAMPLE, root / "dnr-clinic")
    installed = root / "installed"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(installed),
    ]
    subprocess.run([*command, str(root / "dnr-clinic")], check=True, capture_output=True)
    return installed


def dnr(installed: Path, cwd: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "dnr_core", *arguments, "--json"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return json.loads(done.stdout)


def test_a_strangers_archetype_goes_through_the_whole_pipeline(
    clinic: Path, tmp_path: Path
) -> None:
    """Three tables that the core never saw: made, talked about, measured, ranked, checked, scored."""
    listed = dnr(clinic, tmp_path, "plugins")
    assert listed["problems"] == []
    assert [
        p["distribution"]
        for p in listed["plugins"]
        if "clinic" in p["brings"].get("archetypes", ())
    ] == ["dnr-clinic"]
    dnr(clinic, tmp_path, "gen-warehouse", "--archetype", "clinic", "--scale", "tiny")
    dnr(
        clinic,
        tmp_path,
        "gen-comms",
        "--archetype",
        "clinic",
        "--slack",
        "200",
        "--email",
        "40",
        "--nlq",
        "60",
    )
    dnr(clinic, tmp_path, "run-report", "--warehouse", "data/clinic", "--comms", "comms/clinic")
    checks = dnr(
        clinic,
        tmp_path,
        "validate",
        "--warehouse",
        "data/clinic",
        "--comms",
        "comms/clinic",
        "--meta",
        "meta/clinic",
        "--reports",
        "reports/clinic",
        "--strict",
    )
    assert checks["counts"]["failed"] == 0
    scores = dnr(
        clinic, tmp_path, "eval-labels", "--pred", "reports/clinic", "--labels", "meta/clinic"
    )
    assert scores
    report = json.loads(
        (tmp_path / "reports" / "clinic" / "report.json").read_text(encoding="utf-8")
    )
    assert {card["table"] for card in report["cards"]} <= {
        "fact_visit",
        "dim_patient",
        "dim_doctor",
    }
    assert report["cards"][0]["money"]["cents"] > 0
    page = (tmp_path / "reports" / "clinic" / "report.html").read_text(encoding="utf-8")
    assert "visits" in page


def test_the_example_stays_short() -> None:
    """Its whole code is at most 170 lines, blank ones and imports included."""
    lines = sum(len(path.read_text().splitlines()) for path in EXAMPLE.rglob("*.py"))
    assert lines <= 170

"""A stranger's archetype: the tutorial followed from an empty folder to the scores of a report."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "dnr-clinic"
TUTORIAL = DOCS / "tutorials" / "your-first-archetype.md"


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env={**os.environ, **({"PYTHONPATH": str(path)} if path else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_tutorial_leads_from_nothing_to_a_scored_report(tmp_path: Path) -> None:
    """Three tables that the core never saw: written, installed with pip, held against the rules,
    made, talked about, measured, ranked, checked, scored; each command as the tutorial shows it."""
    shown = re.findall(r"^\$ dnr (.*)$", TUTORIAL.read_text(encoding="utf-8"), re.M)
    first, *others = shown
    run("dnr_core", *shlex.split(first), cwd=tmp_path)
    made = tmp_path / "dnr-clinic"
    for name in ("archetype.py", "synthesis.py"):
        source = EXAMPLE / "src" / "dnr_clinic" / name
        shutil.copy(source, made / "src" / "dnr_clinic" / name)
    installed = tmp_path / "installed"
    run("pip", "install", "-q", "--no-deps", "--target", str(installed), str(made), cwd=tmp_path)
    listed = json.loads(run("dnr_core", "plugins", "--json", cwd=tmp_path, path=installed))
    assert listed["problems"] == []
    (own,) = [p for p in listed["plugins"] if "clinic" in p["brings"].get("archetypes", ())]
    assert own["distribution"] == "dnr-clinic"
    assert len(others) == 6
    for line in others:
        run("dnr_core", *shlex.split(line), cwd=tmp_path, path=installed)
    report = tmp_path / "reports" / "clinic"
    told = json.loads((report / "report.json").read_text(encoding="utf-8"))
    tables = {"fact_visit", "dim_patient", "dim_doctor"}
    assert {card["table"] for card in told["cards"]} <= tables
    assert told["cards"][0]["money"]["cents"] > 0
    assert "visits" in (report / "report.html").read_text(encoding="utf-8")


def test_the_example_stays_short() -> None:
    """Its whole code is at most 150 lines, blank ones and imports included."""
    lines = sum(len(path.read_text().splitlines()) for path in EXAMPLE.rglob("*.py"))
    assert lines <= 150

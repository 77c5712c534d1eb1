"""Room: tests. A made company whose truth is known, through the public door."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import dnr_core


def test_a_tiny_company_is_exact_to_the_row_and_promises_nothing(made, tmp_path: Path) -> None:
    """Each count is the ledger's; at `tiny` no incident is promised, and none counts as missed."""
    company = made["neobank"]
    out = tmp_path / "eval"
    scores = dnr_core.evaluate_health(given=[(company.data, company.meta)], out=out)
    summary = json.loads((out / "health_summary.json").read_text("utf-8"))
    assert summary == json.loads(json.dumps(scores.as_dict()))
    assert summary["rates"]["different"] == []
    assert summary["rates"]["rows_compared"] > 1000
    planned = [line for line in summary["incidents"] if line["role"] == "planned"]
    assert planned
    assert {line["promised"] for line in planned} == {False}
    assert "missed" not in {line["outcome"] for line in planned}
    rows = list(csv.DictReader((out / "health_incidents.csv").read_text("utf-8").splitlines()))
    assert len(rows) == len(summary["incidents"])
    assert sorted(path.name for path in out.iterdir()) == [
        "health.html", "health.md", "health_incidents.csv", "health_summary.json",
    ]  # fmt: skip

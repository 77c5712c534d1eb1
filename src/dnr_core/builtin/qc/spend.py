"""Room: builtin. Check of what language models cost, against the caps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dnr_core.builtin.qc.outcome import outcome
from dnr_core.model import CheckContext, CheckResult


def caps(context: CheckContext) -> Iterator[CheckResult]:
    """Compare each `actual_usd` in the budget files with the `cap_usd` beside it."""
    for folder in (context.comms, context.reports):
        if folder is None or not (folder / "budget.json").exists():
            continue
        document = json.loads((folder / "budget.json").read_text(encoding="utf-8"))
        for where, part in _budgets(document, folder.name):
            yield outcome(
                "spend",
                0 <= part["actual_usd"] <= part["cap_usd"],
                f"{where}: ${part['actual_usd']:.4f}",
                f"at most ${part['cap_usd']:.2f}",
                str(Path(folder.name) / "budget.json"),
            )


def _budgets(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if "actual_usd" in value and "cap_usd" in value:
            yield where, value
        for key, part in value.items():
            yield from _budgets(part, f"{where}.{key}")

"""Room: report. The JSON outputs, cut from the one document, and their published schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from dnr_core.report.assemble import VERSION

Document = Mapping[str, Any]
SCHEMAS: Final = ("report", "exec_summary", "themes", "budget", "data_health")


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an output: one of `SCHEMAS`."""
    text = files("dnr_core.report").joinpath("schemas", f"{name}.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def exec_summary(document: Document, figures: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return `exec_summary.json`: the first screen, failing guardrails, and the figures."""
    health = document["health"] or {}
    return {
        "format": "dnr-exec-summary",
        "version": VERSION,
        "place": document["place"],
        "time": document["time"],
        "answer": document["answer"],
        "compare": document["compare"],
        "needs": document["cards"],
        "hidden": document["hidden"],
        "data_health": {
            "tables": health.get("tables", 0),
            "breached": health.get("breached", 0),
            "failing_guardrails": [
                check for check in health.get("guardrails", ()) if not check["passed"]
            ],
        },
        "themes": document["themes"]["status"],
        "notes": document["method"]["notes"],
        "footing": document["footing"],
        "figures": list(figures),
    }


def themes(document: Document) -> dict[str, Any]:
    """Return `themes.json`."""
    return {
        "format": "dnr-themes",
        "version": VERSION,
        "archetype": document["place"]["archetype"],
        **document["themes"],
    }


def budget(document: Document) -> dict[str, Any]:
    """Return `budget.json`; `status` "skipped" where no message was read."""
    spent = document["budget"]
    status = "skipped" if spent is None else "measured"
    rest = {name: value for name, value in (spent or {}).items() if name != "format"}
    return {"format": "dnr-budget", "version": VERSION, "status": status, **rest}

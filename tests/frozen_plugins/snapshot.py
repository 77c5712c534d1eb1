"""The hook page and what hooks return, as plain values: `python snapshot.py > hooks.json` at a release.

What is released is only ever added to; docs/reference/versions.md is the promise.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import attrs

CLASSES = [
    "Amount",
    "Archetype",
    "CellChange",
    "Check",
    "CheckContext",
    "CheckResult",
    "Column",
    "CommsStyle",
    "Company",
    "Condition",
    "DefectKind",
    "DefectOutcome",
    "DefectProfile",
    "DefectRate",
    "DefectTask",
    "EventTime",
    "Family",
    "ForeignKey",
    "Guardrail",
    "GuardrailResult",
    "IncidentRate",
    "Kpi",
    "KpiContext",
    "LagProfile",
    "Need",
    "Parent",
    "Price",
    "ProviderSpec",
    "Reply",
    "Request",
    "RevenueStream",
    "RowCopies",
    "Schema",
    "Score",
    "Scorer",
    "Synthesis",
    "Table",
    "Usage",
]
"""Classes of `dnr_core.model` that plugins make or are given."""


def fields(cls: type) -> list[dict[str, Any]]:
    """The fields of a class in order: name, whether by keyword only, whether it has a default."""
    return [
        {
            "name": field.name,
            "keyword": field.kw_only,
            "default": field.default is not attrs.NOTHING,
        }
        for field in attrs.fields(cls)
        if field.init
    ]


def snapshot() -> dict[str, Any]:
    """What plugins are written against."""
    import dnr_core
    from dnr_core import hookspecs, model, synth

    hooks = {
        name: {
            "arguments": list(inspect.signature(hook).parameters),
            "returns": hook.__annotations__["return"],
        }
        for name, hook in vars(hookspecs).items()
        if name.startswith("dnr_")
    }
    return {
        "version": "0.1.0",
        "hooks": hooks,
        "classes": {name: fields(getattr(model, name)) for name in CLASSES if hasattr(model, name)},
        "names": {"dnr_core": sorted(dnr_core.__all__), "dnr_core.synth": sorted(synth.__all__)},
    }


if __name__ == "__main__":
    json.dump(snapshot(), sys.stdout, indent=1)
    print()

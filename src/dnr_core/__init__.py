"""dnr, the data-needs reporter: which three data problems should we fix first, and why?

The calls that people need are attributes of this module, imported when they are first used:
`generate_warehouse`, `generate_comms`, `import_comms`, `open_warehouse`, `measure_health`, `read_comms`,
`run_report`, `validate`, `evaluate_labels`, `evaluate_health`, `evaluate_ranking`, `describe`, `explain`, `repair`,
`draft_schema`, `read_schema`, `init`, `quickstart`, `diagnose`, `open_context`. `dnr_core.model` has the values they
return, `dnr_core.hookspecs` the hooks of plugins, `dnr_core.errors` what they raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnr_core.api.answer import run_report
    from dnr_core.api.begin import init
    from dnr_core.api.benchmark import export_benchmark, score
    from dnr_core.api.context import open_context
    from dnr_core.api.doctor import diagnose
    from dnr_core.api.judge import (
        evaluate_health,
        evaluate_labels,
        evaluate_ranking,
        validate,
    )
    from dnr_core.api.look import (
        describe,
        draft_schema,
        explain,
        measure_health,
        open_warehouse,
        read_comms,
        read_schema,
    )
    from dnr_core.api.make import generate_comms, generate_warehouse, import_comms, repair
    from dnr_core.api.quickstart import quickstart

__all__ = [
    "describe",
    "diagnose",
    "draft_schema",
    "evaluate_health",
    "evaluate_labels",
    "evaluate_ranking",
    "explain",
    "export_benchmark",
    "generate_comms",
    "generate_warehouse",
    "import_comms",
    "init",
    "measure_health",
    "open_context",
    "open_warehouse",
    "quickstart",
    "read_comms",
    "read_schema",
    "repair",
    "run_report",
    "score",
    "validate",
]

_HOMES = {
    "answer": ("run_report",),
    "begin": ("init",),
    "benchmark": ("export_benchmark", "score"),
    "context": ("open_context",),
    "doctor": ("diagnose",),
    "judge": ("evaluate_health", "evaluate_labels", "evaluate_ranking", "validate"),
    "look": (
        "describe",
        "draft_schema",
        "explain",
        "measure_health",
        "open_warehouse",
        "read_comms",
        "read_schema",
    ),
    "make": ("generate_comms", "generate_warehouse", "import_comms", "repair"),
    "quickstart": ("quickstart",),
}
_HOME = {name: f"dnr_core.api.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        if name == "__version__":
            from importlib.metadata import version

            return version("dnr-core")
        raise AttributeError(f"module 'dnr_core' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

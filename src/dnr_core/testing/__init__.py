"""Room: testing. The kit for authors of plugins: rules, what holds an object against them, a script.

Everything is a name of this module, imported when it is first used: the contract classes need
pytest, and some rules Hypothesis (`pip install 'dnr-core[testing]'`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dnr_core.testing.scripted import Answer, Fault, Hang, ScriptedProvider, Step

if TYPE_CHECKING:
    from dnr_core.testing.bench import BENCH
    from dnr_core.testing.breaking import replaced, rewrite
    from dnr_core.testing.contracts import (
        ArchetypeContract,
        CheckContract,
        CommsStyleContract,
        DefectKindContract,
        DefectProfileContract,
        ProviderContract,
        ScorerContract,
    )
    from dnr_core.testing.examine import (
        check_archetype,
        check_check,
        check_defect_kind,
        check_profile,
        check_provider,
        check_scorer,
        check_style,
    )
    from dnr_core.testing.plugin_report import ObjectReport, PluginReport, check_plugin
    from dnr_core.testing.rule import Finding, Outcome, Rule
    from dnr_core.testing.rules import RULES, rule_of, rules_for
    from dnr_core.testing.scaffold import NewPlugin, new_plugin
    from dnr_core.testing.workshop import MadeCompany

__all__ = [
    "BENCH",
    "RULES",
    "Answer",
    "ArchetypeContract",
    "CheckContract",
    "CommsStyleContract",
    "DefectKindContract",
    "DefectProfileContract",
    "Fault",
    "Finding",
    "Hang",
    "MadeCompany",
    "NewPlugin",
    "ObjectReport",
    "Outcome",
    "PluginReport",
    "ProviderContract",
    "Rule",
    "ScorerContract",
    "ScriptedProvider",
    "Step",
    "check_archetype",
    "check_check",
    "check_defect_kind",
    "check_plugin",
    "check_profile",
    "check_provider",
    "check_scorer",
    "check_style",
    "new_plugin",
    "replaced",
    "rewrite",
    "rule_of",
    "rules_for",
]

_HOMES = {
    "bench": ("BENCH",),
    "breaking": ("replaced", "rewrite"),
    "contracts": (
        "ArchetypeContract",
        "CheckContract",
        "CommsStyleContract",
        "DefectKindContract",
        "DefectProfileContract",
        "ProviderContract",
        "ScorerContract",
    ),
    "examine": (
        "check_archetype",
        "check_check",
        "check_defect_kind",
        "check_profile",
        "check_provider",
        "check_scorer",
        "check_style",
    ),
    "scaffold": ("NewPlugin", "new_plugin"),
    "plugin_report": ("ObjectReport", "PluginReport", "check_plugin"),
    "rule": ("Finding", "Outcome", "Rule"),
    "rules": ("RULES", "rule_of", "rules_for"),
    "workshop": ("MadeCompany",),
}
_HOME = {name: f"dnr_core.testing.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dnr_core.testing' has no attribute {name!r}")
    from importlib import import_module

    try:
        value = getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in {"pytest", "hypothesis"}:
            raise
        raise ImportError(
            f"dnr_core.testing.{name} needs {error.name}: pip install 'dnr-core[testing]'"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

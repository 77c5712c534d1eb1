"""Room: config. Layered settings: defaults, YAML, `DNR_` environment, flags, with provenance.

Names are imported when they are first used: what only shows a text needs no settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnr_core.config.load import (
        Effective,
        Origin,
        known_settings,
        load_settings,
        variable_of,
    )
    from dnr_core.config.settings import (
        BudgetSettings,
        CacheSettings,
        ClassificationSettings,
        CommsSettings,
        EntitiesSettings,
        EvalSettings,
        Paths,
        PrefilterSettings,
        ReportSettings,
        Settings,
        Slos,
        WarehouseSettings,
    )

__all__ = [
    "BudgetSettings",
    "CacheSettings",
    "ClassificationSettings",
    "CommsSettings",
    "Effective",
    "EntitiesSettings",
    "EvalSettings",
    "Origin",
    "Paths",
    "PrefilterSettings",
    "ReportSettings",
    "Settings",
    "Slos",
    "WarehouseSettings",
    "known_settings",
    "load_settings",
    "variable_of",
]

_OF_LOAD = {"Effective", "Origin", "known_settings", "load_settings", "variable_of"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'dnr_core.config' has no attribute {name!r}")
    from importlib import import_module

    home = "load" if name in _OF_LOAD else "settings"
    value = getattr(import_module(f"dnr_core.config.{home}"), name)
    globals()[name] = value
    return value

"""Room: config. Layered settings: defaults, YAML, `DNR_` environment, flags, with provenance."""

from dnr_core.config.load import Effective, Origin, known_settings, load_settings, variable_of
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

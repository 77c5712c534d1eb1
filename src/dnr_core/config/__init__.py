"""Room: config. Layered settings: defaults, YAML, `DNR_` environment, flags, with provenance."""

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
    "EntitiesSettings",
    "EvalSettings",
    "Paths",
    "PrefilterSettings",
    "ReportSettings",
    "Settings",
    "Slos",
    "WarehouseSettings",
]

"""Room: warehouse. Makes a company's tables, breaks them on plan, and keeps the truth apart."""

from dnr_core.warehouse.describe import WarehouseDescription, describe, read_incidents
from dnr_core.warehouse.generate import WarehouseFolder, generate_warehouse
from dnr_core.warehouse.incidents import (
    company_of,
    expected_volumes,
    plan_incidents,
    planned_incidents,
    recorded_profile,
)
from dnr_core.warehouse.plan import Plan, make_plan
from dnr_core.warehouse.repair import repair
from dnr_core.warehouse.volumes import rows_by_day

__all__ = [
    "Plan",
    "WarehouseDescription",
    "WarehouseFolder",
    "company_of",
    "describe",
    "expected_volumes",
    "generate_warehouse",
    "make_plan",
    "plan_incidents",
    "planned_incidents",
    "read_incidents",
    "recorded_profile",
    "repair",
    "rows_by_day",
]

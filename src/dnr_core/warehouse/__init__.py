"""Room: warehouse. Makes a company's tables, breaks them on plan, and keeps the truth apart."""

from dnr_core.warehouse.generate import WarehouseFolder, generate_warehouse
from dnr_core.warehouse.incidents import expected_volumes, plan_incidents

__all__ = ["WarehouseFolder", "expected_volumes", "generate_warehouse", "plan_incidents"]

"""Room: health. What a stranger sees in a warehouse, measured once, in Ibis, on any backend."""

from dnr_core.health.connect import Warehouse, open_warehouse
from dnr_core.health.document import data_health_csv, data_health_document
from dnr_core.health.measure import measure
from dnr_core.health.proof import explain

__all__ = [
    "Warehouse",
    "data_health_csv",
    "data_health_document",
    "explain",
    "measure",
    "open_warehouse",
]

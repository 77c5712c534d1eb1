"""Room: health. What a stranger sees in a warehouse, measured once, in Ibis, on any backend."""

from dnr_core.config.schema_file import archetype_of, read_schema
from dnr_core.health.connect import Warehouse, open_warehouse
from dnr_core.health.document import data_health_csv, data_health_document
from dnr_core.health.draft import draft_schema
from dnr_core.health.drill import drill
from dnr_core.health.measure import measure
from dnr_core.health.proof import explain

__all__ = [
    "Warehouse",
    "archetype_of",
    "data_health_csv",
    "data_health_document",
    "draft_schema",
    "drill",
    "explain",
    "measure",
    "open_warehouse",
    "read_schema",
]

"""Room: demand. What people ask for: prefilter, sample, pack, classify, entities, weights."""

from dnr_core.demand.account import gate_failures
from dnr_core.demand.classify import prompt_hashes
from dnr_core.demand.confidence import CALIBRATION_FORMAT
from dnr_core.demand.files import write_predictions
from dnr_core.demand.measure import measure_demand

__all__ = [
    "CALIBRATION_FORMAT",
    "gate_failures",
    "measure_demand",
    "prompt_hashes",
    "write_predictions",
]

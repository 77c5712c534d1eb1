"""Room: llm. One client for all providers: cache, budget, retries, repair, validation."""

from dnr_core.llm.answers import InvalidAnswer, Validator, parse_answer
from dnr_core.llm.batch import complete_in_batch
from dnr_core.llm.budget import Budget, Reservation
from dnr_core.llm.cache import Cache, Keys, request_key
from dnr_core.llm.client import complete_all
from dnr_core.llm.estimate import Calibration, Estimate, estimate
from dnr_core.llm.outcome import Completed, Outcome, Spend, Status, Stopped, part_of
from dnr_core.llm.providers import make_provider
from dnr_core.llm.retry import Backoff

__all__ = [
    "Backoff",
    "Budget",
    "Cache",
    "Calibration",
    "Completed",
    "Estimate",
    "InvalidAnswer",
    "Keys",
    "Outcome",
    "Reservation",
    "Spend",
    "Status",
    "Stopped",
    "Validator",
    "complete_all",
    "complete_in_batch",
    "estimate",
    "make_provider",
    "parse_answer",
    "part_of",
    "request_key",
]

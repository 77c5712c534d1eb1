"""Room: evaluation. How right a report is; the only room beside the checks that opens the truth."""

from dnr_core.evaluation.health import HealthGate, HealthScores, evaluate_health
from dnr_core.evaluation.labels import Gate, LabelScores, evaluate_labels
from dnr_core.evaluation.ranking import RankingGate, RankingScores, evaluate_ranking
from dnr_core.evaluation.runs import Recipe, recipes

__all__ = [
    "Gate",
    "HealthGate",
    "HealthScores",
    "LabelScores",
    "RankingGate",
    "RankingScores",
    "Recipe",
    "evaluate_health",
    "evaluate_labels",
    "evaluate_ranking",
    "recipes",
]

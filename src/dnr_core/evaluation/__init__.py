"""Room: evaluation. How right a report is; the only room beside the checks that opens the truth."""

from dnr_core.evaluation.labels import Gate, LabelScores, evaluate_labels

__all__ = ["Gate", "LabelScores", "evaluate_labels"]

"""Room: evaluation. A calibration for one provider's model, fitted on labelled items.

`dnr run-report` reads it (`classification.calibration`), so that confidences mean what they say
also for a provider whose maker measured nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from dnr_core.demand import CALIBRATION_FORMAT
from dnr_core.evaluation.items import NONE, LabelledItem
from dnr_core.evaluation.statistics import calibration, isotonic

LEAST_ITEMS: Final = 50
"""With fewer, a step of the fit is one or two items' luck."""
CALIBRATION_FILE: Final = "calibration.json"


def fit_calibration(pred: Path, items: Sequence[LabelledItem]) -> tuple[dict[str, Any] | None, str]:
    """Fit both heads on decided items whose truth is known.

    Args:
        pred: a report's folder; its `budget.json` says who was asked.
        items: labelled items, joined with what was said of them.

    Returns:
        The content of `calibration.json` and "", or None and why there is none.
    """
    try:
        told = json.loads((pred / "budget.json").read_text(encoding="utf-8"))
        provider, model = str(told["provider"]), str(told["model"])
        before = told["confidences"]["calibrated_on"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, "the report does not say which model was asked"
    if before == "labels":
        return (
            None,
            "the report's confidences are calibrated already: they are scored, not refitted",
        )
    heads = {
        "theme": [
            (i.theme_confidence, i.theme == i.said_theme, i.skeleton)
            for i in items
            if i.decided and i.theme_confidence is not None and i.said_theme != NONE
        ],
        "relevance": [
            (i.relevance_confidence, i.relevance == i.said_relevance, i.skeleton)
            for i in items
            if i.decided and i.relevance_confidence is not None and i.said_relevance
        ],
    }
    fitted = {
        name: _head([c for c, _, _ in rows], [r for _, r, _ in rows], [g for _, _, g in rows])
        for name, rows in heads.items()
        if len(rows) >= LEAST_ITEMS
    }
    if not fitted:
        return None, f"fewer than {LEAST_ITEMS} labelled items were decided by the provider"
    return {
        "format": CALIBRATION_FORMAT,
        "provider": provider,
        "model": model,
        "items": max(len(rows) for rows in heads.values()),
        "heads": {name: fitted.get(name) for name in heads},
    }, ""


def _head(
    confidence: Sequence[float], right: Sequence[bool], groups: Sequence[str]
) -> dict[str, Any]:
    said, share = isotonic(confidence, right)
    # No number of items makes sure: the ends stay as far from 0 and 1 as one item more would.
    least = 1 / (len(confidence) + 2)
    checked = calibration(confidence, right, groups)
    return {
        "items": len(confidence),
        "ece": checked.ece,
        "ece_held_out": checked.ece_held_out,
        "said": [float(value) for value in said],
        "right": [min(max(float(value), least), 1 - least) for value in share],
    }

"""Room: demand. What a provider's confidences are worth: read from a fit on labelled items."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from dnr_core.errors import ConfigError

CALIBRATION_FORMAT: Final = 1
HEADS: Final = ("theme", "relevance")


@frozen
class Curve:
    """From a stated confidence to the share that was right: straight between points, flat beyond."""

    said: tuple[float, ...]
    right: tuple[float, ...]

    def at(self, confidence: float) -> float:
        """Return the share right at a stated confidence, in [0, 1]."""
        place = bisect_right(self.said, confidence)
        if place == 0:
            return self.right[0]
        if place == len(self.said):
            return self.right[-1]
        low, high = self.said[place - 1], self.said[place]
        part = (confidence - low) / (high - low)
        return self.right[place - 1] + part * (self.right[place] - self.right[place - 1])


@frozen
class Confidences:
    """How stated confidences are corrected, and what is known of them.

    `curves` are by head ("theme", "relevance"); a head without one is taken as stated. `told` is
    what `budget.json` says of it; `note` is for the page.
    """

    curves: Mapping[str, Curve]
    told: Mapping[str, Any]
    note: str

    def of(self, head: str, confidence: float) -> float:
        """Return the corrected confidence of one head."""
        curve = self.curves.get(head)
        return confidence if curve is None else curve.at(confidence)


def confidences(
    path: Path | None, provider: str, model: str, measured: Mapping[str, Any] | None
) -> Confidences:
    """Return what is known of the confidences of a provider's model.

    Args:
        path: a `calibration.json` that `dnr eval-labels` wrote, or None.
        provider: name of the provider.
        model: its model; a calibration of another one is refused.
        measured: what the provider's maker measured, by test set, where it brings any.

    Raises:
        ConfigError: the file cannot be read, or is of another provider or model.
    """
    if path is not None:
        return _read(path, provider, model)
    golden = (measured or {}).get("golden", {})
    if "theme_ece" not in golden:
        return Confidences(
            {},
            {"calibrated_on": None},
            "How far the provider's confidences can be believed was not measured.",
        )
    errors = {head: golden.get(f"{head}_ece") for head in HEADS}
    return Confidences(
        {},
        {"calibrated_on": "maker", "items": golden["items"], "ece": errors},
        f"The provider's maker measured a calibration error of {_percent(errors['theme'])} for"
        f" themes and {_percent(errors['relevance'])} for relevance on {golden['items']:,} messages"
        " written by hand.",
    )


def _read(path: Path, provider: str, model: str) -> Confidences:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        curves = {
            head: _curve(content["heads"][head]["said"], content["heads"][head]["right"])
            for head in HEADS
            if content["heads"].get(head)
        }
        fitted = content["format"], content["provider"], content["model"]
        told: dict[str, Any] = {
            "calibrated_on": "labels",
            "items": int(content["items"]),
            "ece": {
                head: content["heads"][head]["ece_held_out"] if head in curves else None
                for head in HEADS
            },
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"cannot read the calibration {path}: {type(error).__name__}",
            hint="`dnr eval-labels` writes one, calibration.json, beside its scores",
        ) from None
    if fitted != (CALIBRATION_FORMAT, provider, model):
        raise ConfigError(
            f"the calibration {path} is of {fitted[1]} {fitted[2]!r}, not of {provider} {model!r}",
            hint="a calibration holds for one model: run `dnr eval-labels` on a report of this one",
        )
    return Confidences(
        curves,
        told,
        f"Confidences are calibrated on {told['items']:,} labelled items; on items that the fit had"
        f" not seen their error was {_percent(told['ece']['theme'])} for themes and"
        f" {_percent(told['ece']['relevance'])} for relevance.",
    )


def _curve(said: Sequence[float], right: Sequence[float]) -> Curve:
    curve = Curve(tuple(map(float, said)), tuple(map(float, right)))
    rising = all(a < b for a, b in zip(curve.said, curve.said[1:], strict=False))
    if not curve.said or len(curve.said) != len(curve.right) or not rising:
        raise ValueError("no curve")
    if not all(0 <= value <= 1 for value in (*curve.said, *curve.right)):
        raise ValueError("no shares")
    return curve


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f} %"

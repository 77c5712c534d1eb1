"""A calibration fitted on labels: what is in it, who may use it, and that it helps."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnr_core.config.settings import Settings
from dnr_core.demand.confidence import confidences
from dnr_core.errors import ConfigError, InputError
from dnr_core.evaluation import evaluate_labels
from dnr_core.model import THEMES

TOLD = {"provider": "service", "model": "m-1", "confidences": {"calibrated_on": None}}


@pytest.fixture
def report(tmp_path: Path) -> Any:
    """A report of a provider that is sure of everything and right in three of five cases."""

    def write(
        items: int = 400, told: Any = TOLD, correct: Any = float, rows: Any = None
    ) -> tuple[Path, Path]:
        draw = random.Random(2)
        pred, labels = tmp_path / "report", tmp_path / "labels"
        pred.mkdir(exist_ok=True)
        labels.mkdir(exist_ok=True)
        said, true = [], []
        for n in range(items):
            theme, sure = draw.choice(THEMES), draw.choice((0.9, 0.95, 0.99))
            right = draw.random() < sure - 0.35
            relevance = "positive" if draw.random() < 0.7 else "negative"
            said.append(
                {
                    "item_id": f"t{n}",
                    "theme": theme,
                    "theme_confidence": correct(sure),
                    "relevance": "positive",
                    "relevance_confidence": correct(0.9),
                    "kept_by": "score",
                    "decided_by": "provider",
                }
            )
            other = THEMES[(THEMES.index(theme) + 1) % len(THEMES)]
            true.append(
                {
                    "source": "slack",
                    "item_id": f"t{n}",
                    "theme": theme if right else other,
                    "relevance": relevance,
                }
            )
        pq.write_table(pa.Table.from_pylist(said), pred / "predictions_slack.parquet")
        (pred / "budget.json").write_text(json.dumps(told))
        with (labels / "labels.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(true[0]))
            writer.writeheader()
            writer.writerows(rows if rows is not None else true)
        return pred, labels

    return write


def test_labels_by_hand_make_a_calibration_that_helps(report: Any, tmp_path: Path) -> None:
    """Fitted on a CSV of labels, and applied, the confidences say what they are worth."""
    raw = evaluate_labels(*report(), Settings(), out=tmp_path / "eval")
    assert raw.summary["tasks"]["theme"]["ece"] > 0.25
    fitted = raw.summary["calibration"]["heads"]["theme"]
    assert fitted["ece_held_out"] < 0.1 < fitted["ece"]
    path = tmp_path / "eval" / "calibration.json"
    known = confidences(path, "service", "m-1", None)
    after = evaluate_labels(*report(correct=lambda c: known.of("theme", c)), Settings())
    assert after.summary["tasks"]["theme"]["ece"] < 0.05
    assert f"{100 * fitted['ece_held_out']:.1f} % for themes" in known.note
    assert known.told["ece"]["theme"] == fitted["ece_held_out"]


def test_a_calibration_rises_and_is_never_sure(report: Any, tmp_path: Path) -> None:
    """A higher stated confidence is never worth less, and none is worth 0 or 1."""
    evaluate_labels(*report(), Settings(), out=tmp_path / "eval")
    known = confidences(tmp_path / "eval" / "calibration.json", "service", "m-1", None)
    for head in ("theme", "relevance"):
        worth = [known.of(head, step / 1000) for step in range(1001)]
        assert worth == sorted(worth)
        assert 0 < worth[0] <= worth[-1] < 1


@pytest.mark.parametrize(
    ("told", "items", "why"),
    [
        (TOLD, 20, "fewer than 50"),
        ({}, 400, "which model"),
        ({**TOLD, "confidences": {"calibrated_on": "labels"}}, 400, "already"),
    ],
)
def test_where_there_is_none_it_is_said_why(
    report: Any, tmp_path: Path, told: Any, items: int, why: str
) -> None:
    """Too few labels, an unknown model, confidences that are calibrated: no file is written."""
    found = evaluate_labels(*report(items, told), Settings(), out=tmp_path / "eval")
    assert why in found.summary["calibration"]["why_not"]
    assert not (tmp_path / "eval" / "calibration.json").exists()
    assert why in (tmp_path / "eval" / "labels.html").read_text()


def test_a_calibration_of_another_model_is_refused(report: Any, tmp_path: Path) -> None:
    """What one model's 0.9 is worth says nothing of another's."""
    evaluate_labels(*report(), Settings(), out=tmp_path / "eval")
    path = tmp_path / "eval" / "calibration.json"
    for provider, model in (("service", "m-2"), ("other", "m-1")):
        with pytest.raises(ConfigError, match="m-1"):
            confidences(path, provider, model, None)
    for content in ("", "{}", '{"heads": {"theme": {"said": [1, 0], "right": [0, 0]}}}', "[]"):
        path.write_text(content)
        with pytest.raises(ConfigError, match="cannot read"):
            confidences(path, "service", "m-1", None)
    with pytest.raises(ConfigError, match="cannot read"):
        confidences(tmp_path / "none.json", "service", "m-1", None)


def test_what_a_maker_measured_is_told() -> None:
    """Without a file: the maker's error on the golden set, or that nobody measured any."""
    golden = {"golden": {"items": 380, "theme_ece": 0.05, "relevance_ece": 0.02}}
    known = confidences(None, "x", "m", golden)
    assert "5.0 % for themes" in known.note
    assert "380 messages" in known.note
    assert known.of("theme", 0.7) == 0.7
    assert "not measured" in confidences(None, "x", "m", None).note


@pytest.mark.parametrize(
    "row",
    [
        {"source": "slack", "item_id": "t1", "theme": "late", "relevance": "positive"},
        {"source": "slack", "item_id": "t1", "theme": THEMES[0], "relevance": "yes"},
    ],
)
def test_a_label_that_is_none_is_named_with_its_line(report: Any, row: dict[str, str]) -> None:
    """A person's slip is told by line, with what is allowed."""
    pred, labels = report(rows=[row])
    with pytest.raises(InputError, match="line 2") as caught:
        evaluate_labels(pred, labels, Settings())
    assert THEMES[0] in caught.value.hint

"""Room: training. Makes `weights.bin`, `golden/scores.json` and `golden/predictions.csv`.

    python plugins/llm_mock/training/train.py

Needs scikit-learn and SciPy, which the plugin itself does not. Nothing is reported on what it was
fitted on: golden messages are scored by cross-validation over their writers, made talk on
skeletons that are marked `test`, and temperatures come from folds that were held out.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from attrs import evolve, frozen
from fit import Example, fit, temperature
from lean import Held, leaning, offsets
from made import made
from measure import accuracy, calibration_error, kappa, macro_f1

from dnr_core.model.themes import RELEVANCE, THEMES
from dnr_llm_mock import golden
from dnr_llm_mock.classifier import THEME_COUNT, Classification, Model, Weights, packed, unpacked
from dnr_llm_mock.entities import entities

PACKAGE = Path(__file__).parents[1] / "src" / "dnr_llm_mock"
PER_SKELETON = {"train": 15, "test": 20}
SHORT_SHARE = 0.4
GOLDEN_WEIGHT = 6.0
FOLDS = 10
WORKERS = 2


@frozen
class Scored:
    """An answer beside its truth."""

    theme: str
    relevance: str
    answer: Classification
    band: str = ""
    kind: str = ""


def golden_examples() -> list[Example]:
    """The golden messages; `group` is the writer."""
    return [
        Example(g.text, g.label.theme, g.label.relevance, g.group, GOLDEN_WEIGHT, g.source == "nlq")
        for g in golden.items()
    ]


def skeleton_fold(name: str) -> int:
    """Fold of a skeleton: all its items are held out together."""
    return crc32(name.encode()) % FOLDS


def folds_of(gold: Sequence[Example]) -> Callable[[Example], int]:
    """Which fold holds an example out: by writer, or by skeleton."""
    writers = {w: place % FOLDS for place, w in enumerate(sorted({e.group for e in gold}))}

    def fold_of(example: Example) -> int:
        if example.weight == GOLDEN_WEIGHT:
            return writers[example.group]
        return skeleton_fold(example.group)

    return fold_of


def one_fold(
    every: Sequence[Example], is_held: Sequence[bool]
) -> list[tuple[Example, list[float]]]:
    """Scores of the examples of one fold by a model that saw none of them."""
    model = Model(fit([e for e, out in zip(every, is_held, strict=True) if not out]))
    held = [e for e, out in zip(every, is_held, strict=True) if out]
    return list(zip(held, model.scores([e.text for e in held]).tolist(), strict=True))


def cross_validated(
    every: Sequence[Example], fold_of: Callable[[Example], int]
) -> list[tuple[Example, list[float]]]:
    """Scores of every example by a model that saw neither its skeleton nor its writer."""
    folds = [fold_of(example) for example in every]
    found: list[tuple[Example, list[float]]] = []
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        jobs = [pool.submit(one_fold, every, [f == fold for f in folds]) for fold in range(FOLDS)]
        for fold, job in enumerate(jobs):
            found += job.result()
            sys.stderr.write(f"fold {fold + 1} of {FOLDS}\n")
    return found


def held_scores(held: Sequence[tuple[Example, list[float]]]) -> Held:
    """Held-out scores of relevance as columns."""
    return Held(
        scores=np.array([scores[THEME_COUNT:] for _, scores in held]),
        truth=np.array([RELEVANCE.index(e.relevance) for e, _ in held]),
        gold=np.array([e.weight == GOLDEN_WEIGHT for e, _ in held]),
        question=np.array([e.is_question for e, _ in held]),
    )


def leaned(
    held: Sequence[tuple[Example, list[float]]], fold_of: Callable[[Example], int]
) -> list[tuple[Example, list[float]]]:
    """Held-out scores, each moved by offsets that were chosen without its own fold."""
    found = []
    for fold in range(FOLDS):
        lean = offsets(held_scores([(e, s) for e, s in held if fold_of(e) != fold]))
        found += [(e, leaning(s, lean)) for e, s in held if fold_of(e) == fold]
    return found


def calibrated(weights: Weights, held: Sequence[tuple[Example, list[float]]]) -> Weights:
    """The weights with temperatures from held-out scores."""
    needs = [(e, s) for e, s in held if e.theme != "none"]
    return evolve(
        weights,
        temperatures=(
            _temperature(needs, slice(None, THEME_COUNT), lambda e: THEMES.index(e.theme)),
            _temperature(held, slice(THEME_COUNT, None), lambda e: RELEVANCE.index(e.relevance)),
        ),
    )


def _temperature(
    held: Sequence[tuple[Example, list[float]]], head: slice, truth: Callable[[Example], int]
) -> float:
    return temperature(
        np.array([scores[head] for _, scores in held]),
        np.array([truth(example) for example, _ in held]),
        np.array([example.weight for example, _ in held]),
    )


def summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """Scores of a set: theme over positives, relevance over everything but questions."""
    needs = [s for s in scored if s.relevance == "positive"]
    judged = [s for s in scored if s.kind != "nlq"]
    return {
        "items": len(scored),
        "theme_macro_f1": _round(
            macro_f1([s.theme for s in needs], [s.answer.theme for s in needs], THEMES)
        ),
        "theme_accuracy": _round(
            accuracy([s.theme for s in needs], [s.answer.theme for s in needs])
        ),
        "theme_ece": _round(
            calibration_error(
                [s.theme == s.answer.theme for s in needs],
                [s.answer.theme_confidence for s in needs],
            )
        ),
        "relevance_macro_f1": _round(
            macro_f1([s.relevance for s in judged], [s.answer.relevance for s in judged], RELEVANCE)
        )
        if judged
        else None,
        "relevance_ece": _round(
            calibration_error(
                [s.relevance == s.answer.relevance for s in judged],
                [s.answer.relevance_confidence for s in judged],
            )
        )
        if judged
        else None,
        "questions": questions(scored),
    }


def questions(scored: Sequence[Scored]) -> dict[str, Any]:
    """Of the ordinary questions, those taken for needs; of the needs, those taken for ordinary."""
    asked = [s for s in scored if s.kind == "nlq"]
    needs = [s.answer.relevance == "positive" for s in asked if s.relevance == "positive"]
    ordinary = [s.answer.relevance == "positive" for s in asked if s.relevance != "positive"]
    return {
        "ordinary": len(ordinary),
        "false_share": _round(sum(ordinary) / len(ordinary)) if ordinary else None,
        "needs": len(needs),
        "missed_share": _round(1 - sum(needs) / len(needs)) if needs else None,
    }


def _round(value: float) -> float:
    return round(value, 4)


def unseen(model: Model) -> tuple[dict[str, Any], list[Scored]]:
    """Scores on talk from skeletons that were never fitted."""
    items = list(made("test", PER_SKELETON["test"], seed=2))
    scored = [
        Scored(m.theme, m.relevance, answer, m.band, m.kind)
        for m, answer in zip(items, model.classify([m.text for m in items]), strict=True)
    ]
    by = {
        **{
            kind: [s for s in scored if s.kind == kind] for kind in ("slack_thread", "email", "nlq")
        },
        **{b: [s for s in scored if s.band == b] for b in ("plain", "indirect", "no_keyword")},
    }
    return {**summary(scored), "parts": {name: summary(part) for name, part in by.items()}}, scored


def entity_scores() -> dict[str, float]:
    """Tables over the golden messages that are needs, against the table each is mainly about.

    `first_right`: of the messages that got an answer and have a label, those whose first
    table is the labelled one.
    """
    tables = golden.dictionary()
    line = "DICTIONARY: " + json.dumps(tables)
    schema = {"properties": {"tables": {"items": {"enum": list(tables)}}}}
    hit = found = wanted = first = both = 0
    for item in golden.items():
        if item.label.relevance != "positive":
            continue
        answer = entities(line, item.text, schema)["tables"]
        hit += len(set(answer) & set(item.label.tables))
        found += len(answer)
        wanted += len(item.label.tables)
        if answer and item.label.tables:
            both += 1
            first += answer[0] in item.label.tables
    return {
        "precision": _round(hit / found),
        "recall": _round(hit / wanted),
        "first_right": _round(first / both),
    }


def agreement() -> dict[str, float]:
    """How far the two labellings of the golden messages agree."""
    pairs = [(item.first, item.second) for item in golden.items()]
    return {
        "theme_kappa": _round(kappa([a.theme for a, _ in pairs], [b.theme for _, b in pairs])),
        "relevance_kappa": _round(
            kappa([a.relevance for a, _ in pairs], [b.relevance for _, b in pairs])
        ),
        "tables_equal_share": _round(sum(a.tables == b.tables for a, b in pairs) / len(pairs)),
    }


def main() -> None:
    """Fit, calibrate, score, write."""
    talk = [
        Example(m.text, m.theme, m.relevance, m.skeleton, is_question=m.kind == "nlq")
        for m in made("train", PER_SKELETON["train"], seed=1, short_share=SHORT_SHARE)
    ]
    gold = golden_examples()
    fold_of = folds_of(gold)
    raw = cross_validated([*talk, *gold], fold_of)
    held = leaned(raw, fold_of)
    fitted = fit([*talk, *gold])
    lean = offsets(held_scores(raw))
    weights = calibrated(evolve(fitted, intercepts=tuple(leaning(fitted.intercepts, lean))), held)
    data = packed(weights)
    (PACKAGE / "weights.bin").write_bytes(data)
    model = Model(unpacked(data))

    made_held = [(e, scores) for e, scores in held if e.weight != GOLDEN_WEIGHT]
    said = model.decide(np.array([scores for _, scores in made_held]))
    held_out = [
        Scored(e.theme, e.relevance, answer, kind="nlq" if e.is_question else "")
        for (e, _), answer in zip(made_held, said, strict=True)
    ]
    golden_held = [(e.text, scores) for e, scores in held if e.weight == GOLDEN_WEIGHT]
    answers = model.decide(np.array([scores for _, scores in golden_held]))
    judged = dict(zip([text for text, _ in golden_held], answers, strict=True))
    items = golden.items()
    scored = [
        Scored(g.label.theme, g.label.relevance, judged[g.text], kind=g.source) for g in items
    ]
    with (PACKAGE / "golden" / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "theme", "relevance", "theme_confidence", "relevance_confidence"])
        for g, s in zip(items, scored, strict=True):
            a = s.answer
            confidences = (f"{a.theme_confidence:.4f}", f"{a.relevance_confidence:.4f}")
            writer.writerow([g.id, a.theme, a.relevance, *confidences])
    made_scores, _ = unseen(model)
    languages = sorted({g.lang for g in items})
    scores = {
        "golden": {
            **summary(scored),
            "groups": len({g.group for g in items}),
            "agreement": agreement(),
            "entities": entity_scores(),
            "parts": {
                lang: summary([s for g, s in zip(items, scored, strict=True) if g.lang == lang])
                for lang in languages
            },
        },
        "unseen_skeletons": made_scores,
        "held_out_skeletons": {
            **summary(held_out),
            "skeletons": len({e.group for e, _ in made_held}),
        },
        "weights": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
    }
    text = json.dumps(scores, indent=1) + "\n"
    (PACKAGE / "golden" / "scores.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()

"""Room: evaluation. Predictions of a report held against the true labels of a made company."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from dnr_core.comms.tables import LABEL_FILES
from dnr_core.config.settings import EvalGates, Settings
from dnr_core.errors import InputError
from dnr_core.evaluation.fit import CALIBRATION_FILE, fit_calibration
from dnr_core.evaluation.gates import Gated, measured_words
from dnr_core.evaluation.items import (
    HAND_LABELS,
    NONE,
    LabelledItem,
    labelled_items,
    read_table,
)
from dnr_core.evaluation.labels_page import render_labels, render_labels_markdown
from dnr_core.evaluation.page import confusion_csv, per_class_csv
from dnr_core.evaluation.ranking_scores import reliability
from dnr_core.evaluation.statistics import (
    I64,
    ClassScore,
    accuracy,
    calibration,
    class_scores,
    cluster_interval,
    confusion,
    macro_f1,
    pair_scores,
)
from dnr_core.model import RELEVANCE, THEMES
from dnr_core.synth.seeds import stream
from dnr_core.workspace import dump_json, write_text

FORMAT: Final = 1
_TALK: Final = ("slack", "email")


@frozen
class Gate:
    """A score against its least accepted value; `value` None was not measured."""

    name: str
    value: float | None
    least: float

    @property
    def passed(self) -> bool:
        """True where it is reached, or where there was nothing to measure."""
        return self.value is None or self.value >= self.least


@frozen
class Task:
    """One classification with its counts, by class, and its interval by item and by skeleton."""

    name: str
    classes: tuple[str, ...]
    counts: I64 = field(eq=False)
    per_class: tuple[ClassScore, ...]
    summary: Mapping[str, Any]


@frozen
class LabelScores(Gated):
    """How right the predictions are. `summary` is the content of `eval_summary.json`."""

    summary: Mapping[str, Any]
    tasks: tuple[Task, ...]
    gates: tuple[Gate, ...]

    def __str__(self) -> str:
        """A line for each gate, for a person."""
        lines = []
        for gate in self.gates:
            measured = measured_words(gate.value)
            verdict = "passed" if gate.passed else "failed"
            lines.append(f"{gate.name:<14}{measured:>14}   at least {gate.least:.2f}   {verdict}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return render_labels(self.summary, self.tasks, whole_page=False)


def evaluate_labels(
    pred: Path,
    labels: Path,
    settings: Settings,
    *,
    out: Path | None = None,
    golden: Mapping[str, Any] | None = None,
) -> LabelScores:
    """Score a report's predictions by the labels of its company.

    Theme: over oracle positives (queries: all); an item that nobody decided, or that was called no
    need, is a miss. Relevance: over decided threads and mails. Coverage: decided items over
    labelled ones.

    Args:
        pred: folder with `predictions_*.parquet` and `entities.parquet` (`reports/A`).
        labels: folder with `labels_*.parquet` (`meta/A`), or with a `labels.csv` that a person
            wrote of some items of real talk (`source,item_id,theme,relevance`). A boolean column `unseen` there marks
            items whose skeletons the classifier was not made with; they are scored apart too.
        settings: gates, resamples and seed.
        out: where `eval_summary.json`, `per_class.csv`, `confusion.csv`, `labels.md` and `labels.html` go, and
            `calibration.json`, by which a later report corrects the same model's confidences.
        golden: what the provider's maker measured of it, by test set (`ProviderSpec.measured`):
            shown beside these scores, because made talk flatters.

    Raises:
        InputError: a folder or file is missing, cannot be read, or lacks a column.
        FolderError: `out` cannot be written.
    """
    items = [item for source in LABEL_FILES for item in labelled_items(pred, labels, source)]
    if not items:
        raise InputError(
            f"{labels} has no labels: {', '.join([*LABEL_FILES.values(), HAND_LABELS])}",
            hint="give the folder of the truth that gen-comms wrote, for example meta/NAME",
        )
    tasks = _tasks(items, settings)
    gates = _gates(tasks, items, settings.eval.gates)
    entities, columns = _entities(pred, items)
    summary = {
        "format": FORMAT,
        "passed": all(gate.passed for gate in gates),
        "gates": [
            {"name": g.name, "value": g.value, "least": g.least, "passed": g.passed} for g in gates
        ],
        "tasks": {task.name: task.summary for task in tasks},
        "coverage": _coverage(items),
        "prefilter": _prefilter_scores(items),
        "entities": {"tables": _plain(entities), "columns": _plain(columns)},
        "golden": _test_sets(golden) if golden is not None else None,
    }
    fitted, why_not = fit_calibration(pred, items)
    summary["calibration"] = {
        "file": CALIBRATION_FILE if fitted else None,
        "why_not": why_not,
        "heads": {
            name: {key: head[key] for key in ("items", "ece", "ece_held_out")}
            for name, head in (fitted["heads"] if fitted else {}).items()
            if head
        },
    }
    scores = LabelScores(summary, tasks, gates)
    if out is not None:
        if fitted:
            write_text(out / CALIBRATION_FILE, dump_json(fitted))
        write_text(out / "per_class.csv", per_class_csv(tasks))
        write_text(out / "confusion.csv", confusion_csv(tasks))
        write_text(out / "labels.html", render_labels(summary, tasks, whole_page=True))
        write_text(out / "labels.md", render_labels_markdown(summary, tasks))
        write_text(out / "eval_summary.json", dump_json(summary))
    return scores


def _test_sets(golden: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the sets that have scores; what else a provider brings is its own affair."""
    return {
        name: dict(scores)
        for name, scores in golden.items()
        if isinstance(scores, Mapping) and "theme_macro_f1" in scores
    }


def _tasks(items: Sequence[LabelledItem], settings: Settings) -> tuple[Task, ...]:
    talk = [i for i in items if i.source in _TALK]
    groups: list[tuple[str, list[LabelledItem], bool]] = [
        ("theme", [i for i in talk if i.needs], True),
        ("nlq_theme", [i for i in items if i.source == "nlq"], True),
        ("relevance", [i for i in talk if i.decided and i.said_relevance], False),
    ]
    for source in _TALK:
        groups += [
            (f"theme_{source}", [i for i in groups[0][1] if i.source == source], True),
            (f"relevance_{source}", [i for i in groups[2][1] if i.source == source], False),
        ]
    for name, chosen, is_theme in groups[:3]:
        groups.append((f"{name}_unseen", [i for i in chosen if i.unseen], is_theme))
    return tuple(
        _task(name, chosen, settings, is_theme=is_theme)
        for name, chosen, is_theme in groups
        if chosen or name in {"theme", "nlq_theme", "relevance"}
    )


def _task(name: str, items: Sequence[LabelledItem], settings: Settings, *, is_theme: bool) -> Task:
    def true(item: LabelledItem) -> str:
        return item.theme if is_theme else item.relevance

    def said(item: LabelledItem) -> str:
        return item.said_theme if is_theme else item.said_relevance

    def confidence(item: LabelledItem) -> float | None:
        return item.theme_confidence if is_theme else item.relevance_confidence

    classes = (*THEMES, NONE) if is_theme else RELEVANCE
    truth, predicted = [true(i) for i in items], [said(i) for i in items]
    counts = confusion(truth, predicted, classes)
    # What was called no need carries the confidence of a theme that it was not given.
    sure = [
        i
        for i in items
        if i.decided and confidence(i) is not None and not (is_theme and i.said_theme == NONE)
    ]
    stated = [float(confidence(i) or 0.0) for i in sure]
    right = [true(i) == said(i) for i in sure]
    fit = calibration(stated, right, [i.skeleton for i in sure])
    bins = reliability(list(zip(stated, right, strict=True))) if sure else []
    decided = [i for i in items if i.decided]
    draws = stream(settings.report.seed, "evaluation", name)

    def interval(cluster: Callable[[LabelledItem], str], path: str) -> tuple[float, float] | None:
        return cluster_interval(
            truth,
            predicted,
            classes,
            [cluster(item) for item in items],
            resamples=settings.report.resamples,
            draws=draws.child(path),
        )

    summary = {
        "items": len(items),
        "undecided": len(items) - len(decided),
        "accuracy": accuracy(counts) if items else None,
        "macro_f1": macro_f1(counts),
        "macro_f1_decided": macro_f1(
            confusion([true(i) for i in decided], [said(i) for i in decided], classes)
        ),
        "interval_by_item": interval(lambda i: f"{i.source}/{i.item_id}", "item"),
        "interval_by_skeleton": interval(lambda i: i.skeleton, "skeleton"),
        "skeletons": len({i.skeleton for i in items}),
        "ece": fit.ece if sure else None,
        "reliability": [one.as_dict() for one in bins],
        "ece_calibrated_held_out": fit.ece_held_out,
        "accuracy_by_band": _by_band(items, true, said),
    }
    return Task(name, tuple(classes), counts, class_scores(counts, classes), summary)


def _by_band(
    items: Sequence[LabelledItem],
    true: Callable[[LabelledItem], str],
    said: Callable[[LabelledItem], str],
) -> dict[str, float]:
    bands: dict[str, list[bool]] = {}
    for item in items:
        if item.band:
            bands.setdefault(item.band, []).append(true(item) == said(item))
    return {band: sum(right) / len(right) for band, right in sorted(bands.items())}


def _gates(
    tasks: Sequence[Task], items: Sequence[LabelledItem], gates: EvalGates
) -> tuple[Gate, ...]:
    by_name = {task.name: task.summary["macro_f1"] for task in tasks}
    return (
        Gate("theme_f1", by_name["theme"], gates.theme_f1),
        Gate("relevance_f1", by_name["relevance"], gates.relevance_f1),
        Gate("nlq_f1", by_name["nlq_theme"], gates.nlq_f1),
        Gate("coverage", sum(i.decided for i in items) / len(items), gates.coverage),
    )


def _coverage(items: Sequence[LabelledItem]) -> dict[str, float]:
    found: dict[str, list[bool]] = {}
    for item in items:
        found.setdefault(item.source, []).append(item.decided)
    shares = {source: sum(decided) / len(decided) for source, decided in found.items()}
    return {**shares, "all": sum(i.decided for i in items) / len(items)}


def _prefilter_scores(items: Sequence[LabelledItem]) -> dict[str, Any]:
    """Precision and recall of what the prefilter kept: by score alone, and with the fallback."""
    talk = [i for i in items if i.source in _TALK]

    def scored(is_kept: Callable[[LabelledItem], bool]) -> dict[str, Any]:
        counts = confusion(
            ["kept" if i.needs else "dropped" for i in talk],
            ["kept" if is_kept(i) else "dropped" for i in talk],
            ("kept", "dropped"),
        )
        return _plain(class_scores(counts, ("kept", "dropped"))[0])

    return {
        "by_score": scored(lambda i: i.kept_by == "score"),
        "with_fallback": scored(lambda i: bool(i.kept_by)),
    }


def _entities(pred: Path, items: Sequence[LabelledItem]) -> tuple[ClassScore, ClassScore]:
    """Tables and columns over oracle positives and queries, pooled over pairs of item and name."""
    found = read_table(
        pred / "entities.parquet",
        ("item_id", "source", "table", "column"),
        "run the report again with this version",
    )
    tables: dict[tuple[str, str], set[str]] = {}
    columns: dict[tuple[str, str], set[str]] = {}
    for row in found.to_pylist() if found is not None else ():
        key = (row["source"], row["item_id"])
        tables.setdefault(key, set()).add(row["table"])
        if row["column"]:
            columns.setdefault(key, set()).add(f"{row['table']}.{row['column']}")
    demanded = [item for item in items if item.needs]
    return (
        pair_scores(
            {(i.source, i.item_id): i.tables for i in demanded},
            {key: frozenset(names) for key, names in tables.items()},
        ),
        pair_scores(
            {(i.source, i.item_id): i.columns for i in demanded},
            {key: frozenset(names) for key, names in columns.items()},
        ),
    )


def _plain(score: ClassScore) -> dict[str, Any]:
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "support": score.support,
        "predicted": score.predicted,
    }

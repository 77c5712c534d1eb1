"""Room: evaluation. The scores of labels as a page with figures, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from dnr_core.evaluation.charts import STYLE, dots_figure, reliability_figure
from dnr_core.evaluation.page import between, percent, rendered

if TYPE_CHECKING:
    from dnr_core.evaluation.labels import Task

TASK_TITLES: Final = {
    "theme": "Theme of threads and mails",
    "nlq_theme": "Theme of questions",
    "relevance": "Relevance of threads and mails",
}
"""Tasks that have gates, and figures."""


def figures(tasks: Sequence[Task]) -> list[dict[str, str]]:
    """Return by task the F1 of each class, and how right confidences are, as SVG."""
    found = []
    for task in tasks:
        title = TASK_TITLES.get(task.name)
        if title is None or not task.summary["items"]:
            continue
        scored = [score for score in task.per_class if score.support]
        rows = [(score.name.replace("_", " "), score.f1, None, None) for score in scored]
        low, high = task.summary["interval_by_skeleton"] or (None, None)
        rows.append(("macro-F1", float(task.summary["macro_f1"] or 0.0), low, high))
        found.append(
            {
                "title": title,
                "classes": dots_figure(f"f1-{task.name}", f"{title}: F1 by class", rows),
                "reliability": reliability_figure(
                    f"sure-{task.name}",
                    f"{title}: how often it is right, by its confidence",
                    task.summary["reliability"],
                    "confidence",
                ),
            }
        )
    return found


def render_labels(summary: Mapping[str, Any], tasks: Sequence[Task], *, whole_page: bool) -> str:
    """Return the page (or, for a notebook, its body) of the scores of labels."""
    return rendered(
        "labels.html",
        whole_page=whole_page,
        summary=summary,
        tasks=tasks,
        figures=figures(tasks),
        figure_style=STYLE,
    )


def render_labels_markdown(summary: Mapping[str, Any], tasks: Sequence[Task]) -> str:
    """Return the scores as Markdown: gates, tasks, and the classes of the tasks that have gates."""
    verdict = "Every gate is passed." if summary["passed"] else "Not every gate is passed."
    text = [
        "# Predictions held against the true labels",
        "",
        f"{verdict} Ranges are the middle 80 % of a bootstrap; messages made from one skeleton are "
        "not independent, so the range by skeleton is the one to believe.",
        "",
    ]
    text += _table(
        ("gate", "measured", "at least", "verdict"),
        [
            (
                gate["name"].replace("_", " "),
                percent(gate["value"]),
                percent(gate["least"]),
                "not measured"
                if gate["value"] is None
                else ("passed" if gate["passed"] else "failed"),
            )
            for gate in summary["gates"]
        ],
    )
    text += ["", "## Tasks", ""]
    text += _table(
        ("task", "items", "undecided", "accuracy", "macro-F1", "by skeleton", "calibration error"),
        [
            (
                task.name.replace("_", " "),
                f"{task.summary['items']:,}",
                f"{task.summary['undecided']:,}",
                percent(task.summary["accuracy"]),
                percent(task.summary["macro_f1"]),
                between(task.summary["interval_by_skeleton"]),
                percent(task.summary["ece"]),
            )
            for task in tasks
        ],
    )
    for task in tasks:
        title = TASK_TITLES.get(task.name)
        if title and task.summary["items"]:
            text += ["", f"## {title}", ""]
            text += _table(
                ("class", "precision", "recall", "F1", "true", "said"),
                [
                    (
                        score.name.replace("_", " "),
                        percent(score.precision),
                        percent(score.recall),
                        percent(score.f1),
                        f"{score.support:,}",
                        f"{score.predicted:,}",
                    )
                    for score in task.per_class
                ],
            )
    return "\n".join([*text, ""])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]

"""Room: evaluation. The scores as one small page that needs no network and no script."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from dnr_core.evaluation.labels import Task


def percent(value: float | None) -> str:
    """Write a share as percent."""
    return "not measured" if value is None else f"{100 * value:.1f} %"


def between(bounds: Sequence[float] | None) -> str:
    """Write the bounds of a share."""
    return "not measured" if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"


def rendered(template: str, *, whole_page: bool, **values: Any) -> str:
    """Return a template of this room as a page, or as the body of one for a notebook.

    Templates have the filters `percent` (a share) and `between` (its bounds).
    """
    environment = Environment(
        loader=PackageLoader("dnr_core.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, between=between)
    return environment.get_template(template).render(whole_page=whole_page, **values)


def per_class_csv(tasks: Sequence[Task]) -> str:
    """Return the content of `per_class.csv`."""
    handle = io.StringIO()
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(("task", "class", "precision", "recall", "f1", "support", "predicted"))
    for task in tasks:
        for score in task.per_class:
            writer.writerow(
                (
                    task.name,
                    score.name,
                    score.precision,
                    score.recall,
                    score.f1,
                    score.support,
                    score.predicted,
                )
            )
    return handle.getvalue()


def confusion_csv(tasks: Sequence[Task]) -> str:
    """Return the content of `confusion.csv`: a row for each true and predicted class."""
    handle = io.StringIO()
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(("task", "true", "predicted", "items"))
    for task in tasks:
        for row, true in enumerate(task.classes):
            for column, said in enumerate(task.classes):
                writer.writerow((task.name, true, said, int(task.counts[row, column])))
    return handle.getvalue()

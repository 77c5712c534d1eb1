"""Room: builtin. Null keys: each row loses one of its required keys."""

from __future__ import annotations

import pyarrow as pa

from dnr_core.model import CellChange, DefectOutcome, DefectTask
from dnr_core.synth.draw import Indices, one_below, shuffled


def dealt(task: DefectTask, among: tuple[str, ...]) -> dict[str, Indices]:
    """Deal the task's rows to columns in turn, in random order, from a random first one."""
    rows = shuffled(task.rng, task.rows)
    first = one_below(task.rng, len(among))
    count = len(among)
    return {name: rows[(index - first) % count :: count] for index, name in enumerate(among)}


def null_keys(task: DefectTask) -> DefectOutcome:
    """Set one of the columns to null in each row, the columns evenly."""
    return DefectOutcome(
        [
            CellChange(name, rows, pa.nulls(len(rows), task.clean.schema.field(name).type))
            for name, rows in dealt(task, task.columns).items()
            if len(rows)
        ]
    )

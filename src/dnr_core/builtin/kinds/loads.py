"""Room: builtin. Load times that go wrong for a while: lag surges and write gaps."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from dnr_core.model import CellChange, DefectOutcome, DefectTask
from dnr_core.synth.draw import Indices

_BACKFILL_SPEED: Final = 12
"""Rows that piled up are loaded this many times faster than they came."""


def slow_down(task: DefectTask) -> DefectOutcome:
    """Multiply the lag of the rows by the incident's size."""
    if task.event_us is None or task.loaded_us is None or task.table.loaded_at is None:
        return DefectOutcome()
    event_us, loaded_us = task.event_us[task.rows], task.loaded_us[task.rows]
    late_us = event_us + (loaded_us - event_us) * round(task.size * 1000) // 1000
    return _moved(task, late_us)


def stand_still(task: DefectTask) -> DefectOutcome:
    """Load what should have loaded in the window after its end, in the same order."""
    if task.window_us is None or task.loaded_us is None or task.table.loaded_at is None:
        return DefectOutcome()
    start_us, end_us = task.window_us
    return _moved(task, end_us + (task.loaded_us[task.rows] - start_us) // _BACKFILL_SPEED)


def _moved(task: DefectTask, loads_us: Indices) -> DefectOutcome:
    values = pa.array(loads_us).cast(pa.timestamp("us"))
    return DefectOutcome([CellChange(task.table.loaded_at or "", task.rows, values)])

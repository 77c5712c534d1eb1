"""Room: builtin. Duplicates: copies that load after their originals."""

from __future__ import annotations

from typing import Final

from dnr_core.model import DefectOutcome, DefectTask, RowCopies
from dnr_core.synth.draw import below_each

_SECOND_US: Final = 1_000_000
_SOONEST_SECONDS: Final = 60
_LATEST_SECONDS: Final = 3600
"""Within the hour, so that the lag keeps its 95th percentile however many copies there are."""


def copy_rows(task: DefectTask) -> DefectOutcome:
    """Copy each row; the copy loads one minute to an hour after the original."""
    seconds = _SOONEST_SECONDS + below_each(
        task.rng, _LATEST_SECONDS - _SOONEST_SECONDS, len(task.rows)
    )
    return DefectOutcome(copies=[RowCopies(task.rows, seconds * _SECOND_US)])

"""Room: builtin. Duplicates: copies that load after their originals."""

from __future__ import annotations

from typing import Final

from dnr_core.model import DefectOutcome, DefectTask, RowCopies
from dnr_core.synth.draw import below_each

_SECOND_US: Final = 1_000_000
_SOONEST_SECONDS: Final = 60
_LATEST_SECONDS: Final = 6 * 3600


def copy_rows(task: DefectTask) -> DefectOutcome:
    """Copy each row; the copy loads one minute to six hours after the original."""
    seconds = _SOONEST_SECONDS + below_each(
        task.rng, _LATEST_SECONDS - _SOONEST_SECONDS, len(task.rows)
    )
    return DefectOutcome(copies=[RowCopies(task.rows, seconds * _SECOND_US)])

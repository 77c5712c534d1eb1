"""Room: warehouse. Says before the first row whether the disk can hold a company."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from dnr_core.errors import FolderError
from dnr_core.warehouse.arrow import WIDTH_BYTES
from dnr_core.warehouse.incidents import expected_volumes
from dnr_core.warehouse.plan import Plan

_WRITTEN_PERCENT: Final = {"dimension": 40, "fact": 40, "snapshot": 2}
"""Bytes on disk per 100 bytes of plain columns, by kind of table; see the docs for the figures."""


def estimated_bytes(plan: Plan) -> int:
    """Return about how many bytes a company takes on disk."""
    total = 0
    for name, rows in expected_volumes(plan.archetype, plan.company).items():
        table = plan.archetype.schema[name]
        width = sum(WIDTH_BYTES[column.type] for column in table.columns)
        total += rows * width * _WRITTEN_PERCENT[table.kind] // 100
    return total


def refuse_what_does_not_fit(plan: Plan, folder: Path) -> None:
    """Refuse a company that is larger than what is free where `folder` lies.

    Raises:
        FolderError: the estimate is over the free space; the message has both.
    """
    needed, free = estimated_bytes(plan), shutil.disk_usage(folder).free
    if needed > free:
        raise FolderError(
            f"{plan.archetype.name} at scale {plan.company.scale:g} needs about "
            f"{needed / 1e9:,.1f} GB, and {folder} has {free / 1e9:,.1f} GB free",
            hint="choose a smaller --scale, or an --out folder on a larger disk",
        )

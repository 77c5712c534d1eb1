"""Room: warehouse. Says before the first row whether the disk can hold a company."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from dnr_core.errors import FolderError
from dnr_core.model import Archetype, Company
from dnr_core.warehouse.arrow import WIDTH_BYTES
from dnr_core.warehouse.incidents import expected_volumes

_WRITTEN_PERCENT: Final = {"dimension": 40, "fact": 40, "snapshot": 2}
"""Bytes on disk per 100 bytes of plain columns, by kind of table; see the docs for the figures."""

_ABSURD_BYTES: Final = 10**24


def estimated_bytes(archetype: Archetype, company: Company) -> int:
    """Return about how many bytes a company takes on disk."""
    total = 0
    for name, rows in expected_volumes(archetype, company).items():
        table = archetype.schema[name]
        width = sum(WIDTH_BYTES.get(column.type, 8) for column in table.columns)
        total += rows * width * _WRITTEN_PERCENT[table.kind] // 100
    return total


def refuse_what_does_not_fit(archetype: Archetype, company: Company, folder: Path) -> None:
    """Refuse a company that is larger than what is free where `folder` lies, or will lie.

    Raises:
        FolderError: the estimate is over the free space; the message has both.
    """
    there = next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path.cwd())
    needed, free = estimated_bytes(archetype, company), shutil.disk_usage(there).free
    if needed > free:
        raise FolderError(
            f"{archetype.name} at scale {company.scale:g} needs about "
            f"{_gigabytes(needed)} GB, and {folder} has {_gigabytes(free)} GB free",
            hint="choose a smaller --scale, or an --out folder on a larger disk",
        )


def _gigabytes(size: int) -> str:
    """Return bytes as gigabytes for a person; absurd ones would fill the screen, or overflow."""
    return f"{size / 1e9:,.1f}" if size < _ABSURD_BYTES else f"{_ABSURD_BYTES // 10**9:,} and more"

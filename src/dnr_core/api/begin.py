"""Room: api. What `dnr init` writes: settings, folders, the schema file of a real warehouse."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from dnr_core.config.load import DEFAULT_FILE
from dnr_core.config.settings import Paths
from dnr_core.workspace import disk_errors, write_text


@frozen
class Beginnings:
    """What was created, and what was there already and left alone."""

    created: tuple[str, ...]
    kept: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            *(f"created {path}" for path in self.created),
            *(f"kept    {path}" for path in self.kept),
        ]
        return "\n".join(lines)


def init(folder: Path | str = ".", *, schema_from: str | None = None) -> Beginnings:
    """Write a commented settings file and the folders; leave alone what exists.

    Args:
        folder: where to.
        schema_from: URL of a real warehouse; also drafts its schema file, named after it.

    Raises:
        FolderError: the folder cannot be written.
        WarehouseError: the warehouse cannot be reached.
    """
    root = Path(folder)
    created: list[str] = []
    kept: list[str] = []

    def settle(path: Path, text: str | None) -> None:
        if path.exists():
            kept.append(str(path))
            return
        if text is None:
            with disk_errors(root):
                path.mkdir(parents=True)
        else:
            write_text(path, text)
        created.append(str(path))

    draft = None
    if schema_from is not None and not (root / schema_name(schema_from)).exists():
        from dnr_core.health import draft_schema

        # Before anything is written, so that an unreachable warehouse leaves nothing behind.
        draft = draft_schema(schema_from)
    settle(
        root / DEFAULT_FILE, files("dnr_core.config").joinpath("starter.yaml").read_text("utf-8")
    )
    paths = Paths()
    for path in (paths.data, paths.comms, paths.reports, paths.meta):
        settle(root / path, None)
    if schema_from is not None:
        settle(root / schema_name(schema_from), draft or "")
    return Beginnings(tuple(created), tuple(kept))


def schema_name(url: str) -> str:
    """Return the name of the schema file of a warehouse: its database's, as `NAME.yaml`."""
    path = urlsplit(url).path if "://" in url else url
    stem = Path(path).stem or "warehouse"
    return (re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "warehouse") + ".yaml"

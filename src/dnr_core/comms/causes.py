"""Room: comms. Which incidents people talk about: planned anew from a finished warehouse's manifest.

Nothing under `meta/` is opened: the incidents are a pure function of the settings that the
manifest holds, so talk is made from what the company is, not from what its ledger says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dnr_core.comms.clock import to_us
from dnr_core.comms.threads import Cause
from dnr_core.errors import CommsError
from dnr_core.model import Archetype
from dnr_core.warehouse import planned_incidents
from dnr_core.workspace import Manifest, read_manifest

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue


def read_made(warehouse: Path, archetype: Archetype) -> Manifest:
    """Read the manifest of a made warehouse of that archetype.

    Raises:
        UnfinishedError: the folder has no manifest.
        CommsError: it holds something else, or another archetype's company.
    """
    manifest = read_manifest(warehouse)
    if manifest.kind != "warehouse":
        raise CommsError(
            f"{warehouse} holds a {manifest.kind}, not a warehouse",
            hint="make it with `dnr gen-warehouse` first",
        )
    if manifest.archetype != archetype.name:
        raise CommsError(
            f"{warehouse} holds a company of archetype {manifest.archetype!r}, not of "
            f"{archetype.name!r}",
            hint="give the folder of the right company, or name its archetype",
        )
    return manifest


def causes_of(
    archetype: Archetype, manifest: Manifest, catalogue: Catalogue, start_us: int
) -> tuple[Cause, ...]:
    """Return the incidents that begin from `start_us` on, with the theme of their kind.

    Raises:
        InputError: it is not the manifest of a made warehouse.
        UnknownNameError: the profile or a kind of defect is not installed.
    """
    causes = [
        Cause(incident, catalogue.defect_kind(incident.kind).theme, to_us(incident.start))
        for incident in planned_incidents(manifest, archetype, catalogue)
    ]
    return tuple(cause for cause in causes if cause.start_us >= start_us)

"""Room: comms. Which incidents people talk about: planned anew from a finished warehouse's manifest.

Nothing under `meta/` is opened: the incidents are a pure function of the settings that the
manifest holds, so talk is made from what the company is, not from what its ledger says.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from dnr_core.comms.clock import to_us
from dnr_core.comms.threads import Cause
from dnr_core.errors import CommsError
from dnr_core.model import Archetype, Company
from dnr_core.warehouse.incidents import expected_volumes, plan_incidents
from dnr_core.workspace import Manifest, read_manifest

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue


@frozen
class Premises:
    """What a made warehouse's manifest says of its company."""

    manifest: Manifest
    company: Company
    quality: str


def read_premises(warehouse: Path, archetype: Archetype) -> Premises:
    """Read the manifest of a made warehouse of that archetype.

    Raises:
        UnfinishedError: the folder has no manifest.
        CommsError: it holds something else, or another archetype's company.
    """
    manifest = read_manifest(warehouse)
    hint = "make it with `dnr gen-warehouse` first"
    if manifest.kind != "warehouse":
        raise CommsError(f"{warehouse} holds a {manifest.kind}, not a warehouse", hint=hint)
    if manifest.archetype != archetype.name:
        raise CommsError(
            f"{warehouse} holds a company of archetype {manifest.archetype!r}, not of "
            f"{archetype.name!r}",
            hint="give the folder of the right company, or name its archetype",
        )
    said = manifest.settings
    try:
        company = Company(
            archetype=archetype.name,
            seed=int(said["seed"]),
            scale=float(said["scale"]),
            months=int(said["months"]),
            as_of=datetime.fromisoformat(str(said["as_of"])).astimezone(UTC),
            tz=str(said["tz"]),
            trajectory=str(said["trajectory"]),
            snapshot_days=int(said["snapshot_days"]),
        )
        return Premises(manifest, company, str(said["quality"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CommsError(
            f"the manifest of {warehouse} lacks a setting or has a wrong one: {error}", hint=hint
        ) from None


def causes_of(
    archetype: Archetype, premises: Premises, catalogue: Catalogue, start_us: int
) -> tuple[Cause, ...]:
    """Return the incidents that begin from `start_us` on, with the theme of their kind.

    Raises:
        UnknownNameError: the profile or a kind of defect is not installed.
    """
    company = premises.company
    profile = catalogue.profile(premises.quality)
    volumes = expected_volumes(archetype, company)
    incidents = plan_incidents(archetype, company, profile, volumes)
    causes = [
        Cause(incident, catalogue.defect_kind(incident.kind).theme, to_us(incident.start))
        for incident in incidents
    ]
    return tuple(cause for cause in causes if cause.start_us >= start_us)

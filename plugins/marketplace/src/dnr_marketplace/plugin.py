"""Room: marketplace. The hooks of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from dnr_core.hookspecs import hookimpl
from dnr_core.model import Archetype, Check, CommsStyle


@hookimpl
def dnr_archetypes() -> Iterable[Archetype]:
    """Bring the marketplace."""
    from dnr_marketplace.archetype import MARKETPLACE

    return (MARKETPLACE,)


@hookimpl
def dnr_comms_styles() -> Iterable[CommsStyle]:
    """Bring the way in which people of a marketplace write."""
    from dnr_marketplace.words import STYLE

    return (STYLE,)


@hookimpl
def dnr_qc_checks() -> Iterable[Check]:
    """Bring the checks of money, rhythm and snapshots."""
    from dnr_marketplace.archetype import CHECKS

    return CHECKS

"""Room: neobank. The hooks of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from dnr_core.hookspecs import hookimpl
from dnr_core.model import Archetype, Check, CommsStyle


@hookimpl
def dnr_archetypes() -> Iterable[Archetype]:
    """Bring the neobank."""
    from dnr_neobank.archetype import NEOBANK

    return (NEOBANK,)


@hookimpl
def dnr_comms_styles() -> Iterable[CommsStyle]:
    """Bring the way in which people of a bank write."""
    from dnr_neobank.words import STYLE

    return (STYLE,)


@hookimpl
def dnr_qc_checks() -> Iterable[Check]:
    """Bring the checks of money and rhythm."""
    from dnr_neobank.archetype import CHECKS

    return CHECKS

"""The hook of the clinic."""

from collections.abc import Iterable

from dnr_core.hookspecs import hookimpl
from dnr_core.model import Archetype


@hookimpl
def dnr_archetypes() -> Iterable[Archetype]:
    """Bring the clinic."""
    from frozen_clinic.archetype import CLINIC

    return (CLINIC,)

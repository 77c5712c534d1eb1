"""The hook of the clinic."""

from dnr_core.hookspecs import hookimpl


@hookimpl
def dnr_archetypes():
    """Bring the clinic."""
    from dnr_clinic.archetype import ARCHETYPE

    return (ARCHETYPE,)

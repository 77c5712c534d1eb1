"""Room: builtin. The builtin plugin's hooks; each imports its objects when it is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dnr_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from dnr_core.model import Check, CommsStyle, DefectKind, DefectProfile, Scorer


@hookimpl
def dnr_defect_profiles() -> Iterable[DefectProfile | DefectKind]:
    """The builtin defect kinds, and the profiles made of them."""
    from dnr_core.builtin.defects import KINDS
    from dnr_core.builtin.profiles import PROFILES

    return [*KINDS, *PROFILES]


@hookimpl
def dnr_comms_styles() -> Iterable[CommsStyle]:
    """The builtin styles of writing."""
    from dnr_core.builtin.styles import STYLES

    return STYLES


@hookimpl
def dnr_scorers() -> Iterable[Scorer]:
    """The builtin formula."""
    from dnr_core.builtin.scorers import SCORERS

    return SCORERS


@hookimpl
def dnr_qc_checks() -> Iterable[Check]:
    """The checks that hold for every archetype."""
    from dnr_core.builtin.checks import CHECKS

    return CHECKS

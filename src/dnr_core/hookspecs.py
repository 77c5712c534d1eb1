"""Room: hooks. How a package extends dnr: the marker, the six hooks, on one page.

A plugin is a module (or object) with functions of these names, marked by `hookimpl`, and an
entry point in the group `dnr`::

    # pyproject.toml of dnr-airline
    [project.entry-points.dnr]
    airline = "dnr_airline.plugin"

    # dnr_airline/plugin.py
    from dnr_core.hookspecs import hookimpl
    from dnr_airline.archetype import AIRLINE

    @hookimpl
    def dnr_archetypes():
        return [AIRLINE]

Each hook takes nothing and returns objects. It computes nothing, opens nothing but files of its own
package, draws nothing at random and imports nothing heavy: behaviour is in the objects, which may
name it by dotted path (`"dnr_airline.synthesis:SYNTHESIS"`). The name of an object is unique in its
kind over all plugins: two that claim one name are both reported, and neither is used. A hook that
raises is reported with its distribution, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from dnr_core.model import (
        Archetype,
        Check,
        CommsStyle,
        DefectKind,
        DefectProfile,
        ProviderSpec,
        Scorer,
    )

PROJECT = "dnr"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def dnr_archetypes() -> Iterable[Archetype]:  # type: ignore[empty-body]
    """Kinds of company.

    - Called when: plugins are loaded.
    - Contract: names unique; every table and column that keys, streams and volumes name exists;
      `synthesis` is a dotted path, so that nothing heavy is imported.
    - Rules of the kit (`dnr_core.testing`): ARC001 to ARC018.
    - Since: 0.1.

    Returns:
        `dnr_core.model.Archetype` objects.
    """


@hookspec
def dnr_defect_profiles() -> Iterable[DefectProfile | DefectKind]:  # type: ignore[empty-body]
    """Mixes of defects, and the kinds of defect they are made of.

    - Called when: plugins are loaded.
    - Contract: names unique among profiles and among kinds; a kind's `apply` is pure.
    - Rules of the kit (`dnr_core.testing`): DEF001 to DEF009, PRO001 to PRO004.
    - Since: 0.1.

    Returns:
        `DefectProfile` and `DefectKind` objects, in any order.
    """


@hookspec
def dnr_comms_styles() -> Iterable[CommsStyle]:  # type: ignore[empty-body]
    """Ways in which the people of a made company write.

    - Called when: plugins are loaded.
    - Contract: names unique; words only, no names of people, no addresses.
    - Rules of the kit (`dnr_core.testing`): STY001 to STY005.
    - Since: 0.1.

    Returns:
        `CommsStyle` objects.
    """


@hookspec
def dnr_llm_providers() -> Iterable[ProviderSpec]:  # type: ignore[empty-body]
    """Services (or programs) that answer a request to a language model.

    - Called when: plugins are loaded; a provider's factory is imported only when it is chosen.
    - Contract: names unique; the provider turns one request into one reply and says its price.
    - Rules of the kit (`dnr_core.testing`): LLM001 to LLM009.
    - Since: 0.1.

    Returns:
        `ProviderSpec` objects.
    """


@hookspec
def dnr_scorers() -> Iterable[Scorer]:  # type: ignore[empty-body]
    """Ways to weigh a need.

    - Called when: plugins are loaded.
    - Contract: names unique; a score depends on the need and the settings alone.
    - Rules of the kit (`dnr_core.testing`): SCO001 to SCO005.
    - Since: 0.1.

    Returns:
        `Scorer` objects.
    """


@hookspec
def dnr_qc_checks() -> Iterable[Check]:  # type: ignore[empty-body]
    """Checks that `dnr validate` runs on a made company.

    - Called when: plugins are loaded.
    - Contract: names unique; a check fails when its property is broken, and says where to look.
    - Rules of the kit (`dnr_core.testing`): CHK001 to CHK005.
    - Since: 0.1.

    Returns:
        `Check` objects.
    """

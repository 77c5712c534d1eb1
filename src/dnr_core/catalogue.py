"""Room: plugins. What all loaded plugins bring, by kind and name, and what was wrong with some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import field, frozen

from dnr_core.errors import PluginError, UnknownNameError
from dnr_core.suggestions import did_you_mean

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

T = TypeVar("T")

KIND_TITLES: Final[dict[str, str]] = {
    "archetypes": "archetype",
    "profiles": "defect profile",
    "defect_kinds": "defect kind",
    "styles": "comms style",
    "providers": "LLM provider",
    "scorers": "scorer",
    "checks": "QC check",
}
"""Kinds of object, as attributes of `Catalogue`, and what a person calls one."""


@frozen
class PluginInfo:
    """One plugin that was loaded. `brings` maps kinds of object to names."""

    name: str
    distribution: str
    version: str
    brings: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


@frozen
class PluginProblem:
    """What is wrong with a plugin; everything else of it, and of the others, is in use."""

    plugin: str
    distribution: str
    version: str
    fault: str

    def __str__(self) -> str:
        return f"plugin {self.plugin} ({self.distribution} {self.version}): {self.fault}"


@frozen
class Catalogue:
    """All objects by kind and name. Names that two plugins claim are in `contested`, not here."""

    plugins: tuple[PluginInfo, ...] = ()
    problems: tuple[PluginProblem, ...] = ()
    archetypes: Mapping[str, Archetype] = field(factory=dict)
    profiles: Mapping[str, DefectProfile] = field(factory=dict)
    defect_kinds: Mapping[str, DefectKind] = field(factory=dict)
    styles: Mapping[str, CommsStyle] = field(factory=dict)
    providers: Mapping[str, ProviderSpec] = field(factory=dict)
    scorers: Mapping[str, Scorer] = field(factory=dict)
    checks: Mapping[str, Check] = field(factory=dict)
    contested: Mapping[tuple[str, str], tuple[str, ...]] = field(factory=dict)

    def archetype(self, name: str) -> Archetype:
        """Return the archetype of that name, or raise `UnknownNameError`."""
        return self._find("archetypes", name, self.archetypes)

    def profile(self, name: str) -> DefectProfile:
        """Return the defect profile of that name, or raise `UnknownNameError`."""
        return self._find("profiles", name, self.profiles)

    def defect_kind(self, name: str) -> DefectKind:
        """Return the defect kind of that name, or raise `UnknownNameError`."""
        return self._find("defect_kinds", name, self.defect_kinds)

    def style(self, name: str) -> CommsStyle:
        """Return the comms style of that name, or raise `UnknownNameError`."""
        return self._find("styles", name, self.styles)

    def provider(self, name: str) -> ProviderSpec:
        """Return the provider of that name, or raise `UnknownNameError`."""
        return self._find("providers", name, self.providers)

    def scorer(self, name: str) -> Scorer:
        """Return the scorer of that name, or raise `UnknownNameError`."""
        return self._find("scorers", name, self.scorers)

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the distributions whose plugins were loaded, for manifests."""
        return {plugin.distribution: plugin.version for plugin in self.plugins}

    def _find(self, kind: str, name: str, objects: Mapping[str, T]) -> T:
        if name in objects:
            return objects[name]
        title = KIND_TITLES[kind]
        claimants = self.contested.get((kind, name))
        if claimants:
            raise PluginError(
                f"{title} {name!r} is claimed by {' and by '.join(claimants)}, so neither is used",
                hint="leave one of them out with --no-plugin NAME, or uninstall it",
            )
        faulty = [
            str(problem)
            for problem in self.problems
            if problem.plugin.replace("-", "_") == name.replace("-", "_")
        ]
        if faulty:
            raise PluginError(
                f"{title} {name!r} cannot be used; {faulty[0]}",
                hint="mend or update that distribution",
            )
        if not objects:
            raise UnknownNameError(
                f"no {title} is installed, so {name!r} cannot be used",
                hint="pip install 'dnr-core[all]' brings the ones made with dnr; `dnr plugins` lists what is here",
            )
        known = ", ".join(sorted(objects))
        hint = (
            did_you_mean(name, objects) or "`dnr plugins` lists what each installed plugin brings"
        )
        raise UnknownNameError(f"there is no {title} {name!r}; installed: {known}", hint=hint)

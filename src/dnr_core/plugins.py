"""Room: plugins. Find, load and check plugins, one at a time, so that a broken one breaks no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any, Final

import pluggy
from attrs import frozen

from dnr_core import hookspecs
from dnr_core.catalogue import KIND_TITLES, Catalogue, PluginInfo, PluginProblem
from dnr_core.errors import ConfigError
from dnr_core.suggestions import did_you_mean

GROUP: Final = "dnr"
BUILTIN: Final = "builtin"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@frozen
class Candidate:
    """A plugin that was found and not yet imported; `load` imports it."""

    name: str
    distribution: str
    version: str
    load: Callable[[], Any]


def find_plugins() -> tuple[Candidate, ...]:
    """Return the installed entry points of the group `dnr`, sorted, without importing any."""
    found = []
    for point in metadata.entry_points(group=GROUP):
        dist = point.dist
        found.append(
            Candidate(
                point.name, dist.name if dist else "?", dist.version if dist else "?", point.load
            )
        )
    # Builtin first, then by name, so that messages and catalogues do not depend on the file system.
    return tuple(sorted(found, key=lambda c: (c.name != BUILTIN, c.name, c.distribution)))


def chosen_plugins(environ: Mapping[str, str]) -> list[str] | None:
    """Return the names in `DNR_PLUGINS`, separated by commas; None where it chooses none."""
    names = [name.strip() for name in environ.get("DNR_PLUGINS", "").split(",") if name.strip()]
    return names or None


def load_plugins(
    *,
    only: Sequence[str] | None = None,
    without: Sequence[str] = (),
    discover: bool = True,
    extra: Iterable[object] = (),
) -> Catalogue:
    """Load plugins and gather what they bring.

    Args:
        only: names of the plugins to load, the builtin one aside; None means all that are installed.
        without: names of plugins to leave out.
        discover: False loads no installed plugin, only `extra` (for tests).
        extra: plugin modules or objects to load beside the installed ones.

    Raises:
        ConfigError: `only` or `without` names a plugin that is not installed.
    """
    candidates = find_plugins() if discover else ()
    names = {candidate.name for candidate in candidates}
    for name in (*(only or ()), *without):
        if name not in names:
            raise ConfigError(
                f"there is no plugin {name!r}; installed: {', '.join(sorted(names)) or 'none'}",
                hint=did_you_mean(name, names),
            )
    chosen = [
        candidate
        for candidate in candidates
        if candidate.name not in without
        and (only is None or candidate.name in only or candidate.name == BUILTIN)
    ]
    chosen += [_given(plugin) for plugin in extra]
    loader = _Loader()
    for candidate in chosen:
        loader.add(candidate)
    return loader.catalogue()


def _given(plugin: object) -> Candidate:
    name = str(getattr(plugin, "__name__", type(plugin).__name__))
    return Candidate(name, "given", "", lambda: plugin)


class _Loader:
    """Collects objects plugin by plugin; lives for one `load_plugins` call."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.loaded: list[Candidate] = []
        self.problems: list[PluginProblem] = []
        self.objects: dict[str, dict[str, list[tuple[Candidate, Any]]]] = {
            kind: {} for kind in KIND_TITLES
        }

    def add(self, candidate: Candidate) -> None:
        """Import, register and read one plugin; a fault is recorded and ends it there."""
        try:
            plugin = candidate.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything
            self._fault(candidate, f"it cannot be imported: {_describe(error)}")
            return
        # Names carry the distribution, since two distributions may use one entry-point name.
        name = f"{candidate.distribution}:{candidate.name}"
        try:
            self.manager.register(plugin, name=name)
        except ValueError:
            self._fault(candidate, "it is registered twice; the first one is used")
            return
        except pluggy.PluginValidationError as error:
            self.manager.unregister(name=name)
            self._fault(candidate, f"a hook has a wrong signature: {error}")
            return
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            self.manager.unregister(name=name)
            self._fault(candidate, _unknown_hook(plugin, error))
            return
        self.loaded.append(candidate)
        for hook_name in _HOOKS:
            self._read(candidate, plugin, hook_name)

    def _read(self, candidate: Candidate, plugin: object, hook_name: str) -> None:
        caller = getattr(self.manager.hook, hook_name)
        for implementation in caller.get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            try:
                # A generator raises only when it is read, so it is read here.
                objects = list(implementation.function())
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's hook may raise anything
                self._fault(candidate, f"hook {hook_name} failed: {_describe(error)}")
                continue
            for value in objects:
                self._take(candidate, hook_name, value)

    def _take(self, candidate: Candidate, hook_name: str, value: Any) -> None:
        from dnr_core import model

        kind = next(
            (
                k
                for k, type_name in _HOOKS[hook_name]
                if isinstance(value, getattr(model, type_name))
            ),
            "",
        )
        if not kind:
            wanted = " or ".join(type_name for _, type_name in _HOOKS[hook_name])
            self._fault(
                candidate, f"hook {hook_name} returned {type(value).__name__}, not {wanted}"
            )
            return
        title, name = KIND_TITLES[kind], value.name
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self._fault(candidate, f"{title} name {name!r} is not lower case letters, digits and _")
            return
        faults = value.problems() if isinstance(value, model.Archetype) else ()
        if faults:
            self._fault(candidate, f"{title} {name!r} is left out: {'; '.join(faults)}")
            return
        self.objects[kind].setdefault(name, []).append((candidate, value))

    def _fault(self, candidate: Candidate, fault: str) -> None:
        self.problems.append(
            PluginProblem(candidate.name, candidate.distribution, candidate.version, fault)
        )

    def catalogue(self) -> Catalogue:
        """Return what was gathered; names claimed twice and profiles of unknown kinds are left out."""
        contested: dict[tuple[str, str], tuple[str, ...]] = {}
        used: dict[str, dict[str, Any]] = {kind: {} for kind in KIND_TITLES}
        brings: dict[str, dict[str, list[str]]] = {}
        for kind, by_name in self.objects.items():
            for name, owners in sorted(by_name.items()):
                if len(owners) > 1:
                    claimants = tuple(f"{c.distribution} {c.version}".strip() for c, _ in owners)
                    contested[kind, name] = claimants
                    for candidate, _ in owners:
                        self._fault(
                            candidate,
                            f"{KIND_TITLES[kind]} {name!r} is claimed by {' and by '.join(claimants)}; neither is used",
                        )
                    continue
                candidate, value = owners[0]
                if kind == "profiles" and (unknown := self._unknown_kinds(value)):
                    self._fault(
                        candidate,
                        f"defect profile {name!r} is left out: there is no defect kind {', '.join(map(repr, unknown))}",
                    )
                    continue
                used[kind][name] = value
                brings.setdefault(f"{candidate.distribution}:{candidate.name}", {}).setdefault(
                    kind, []
                ).append(name)
        plugins = tuple(
            PluginInfo(
                c.name,
                c.distribution,
                c.version,
                {
                    kind: tuple(names)
                    for kind, names in brings.get(f"{c.distribution}:{c.name}", {}).items()
                },
            )
            for c in self.loaded
        )
        return Catalogue(plugins, tuple(self.problems), contested=contested, **used)

    def _unknown_kinds(self, profile: Any) -> list[str]:
        known = self.objects["defect_kinds"]
        return sorted({rate.kind for rate in (*profile.rates, *profile.incidents)} - set(known))


_HOOKS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "dnr_archetypes": (("archetypes", "Archetype"),),
    "dnr_defect_profiles": (("profiles", "DefectProfile"), ("defect_kinds", "DefectKind")),
    "dnr_comms_styles": (("styles", "CommsStyle"),),
    "dnr_llm_providers": (("providers", "ProviderSpec"),),
    "dnr_scorers": (("scorers", "Scorer"),),
    "dnr_qc_checks": (("checks", "Check"),),
}
"""Each hook, and the kind of object and class that it may return."""


def _describe(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _unknown_hook(plugin: object, error: Exception) -> str:
    marked = [
        n for n in dir(plugin) if hasattr(getattr(plugin, n, None), f"{hookspecs.PROJECT}_impl")
    ]
    unknown = sorted(set(marked) - set(_HOOKS))
    if not unknown:
        return f"it has a hook that dnr does not know: {error}"
    hint = did_you_mean(unknown[0], _HOOKS)
    return f"there is no hook {unknown[0]!r}{'; ' + hint if hint else ''}"

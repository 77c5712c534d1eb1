"""Room: api. Plugins and settings together: what every call of the API works with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import evolve, field, frozen

from dnr_core.catalogue import Catalogue
from dnr_core.config.load import Effective, load_settings
from dnr_core.config.settings import Settings
from dnr_core.errors import ConfigError
from dnr_core.model import DefectProfile
from dnr_core.plugins import chosen_plugins, load_plugins

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

Location: TypeAlias = "str | Path | BaseBackend"
"""Where a warehouse is: a folder, a file, a URL, or an open connection of Ibis."""


@frozen
class Context:
    """The plugins that are loaded and the settings in force."""

    catalogue: Catalogue
    effective: Effective
    config: Path | None = None
    environ: Mapping[str, str] = field(factory=dict, repr=False)
    flags: Mapping[str, Any] = field(factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.effective.settings

    def with_profile(self, profile: DefectProfile) -> Context:
        """Return this context with a defect profile of the caller's own, found by its name.

        Raises:
            ConfigError: an installed profile has that name.
        """
        known = self.catalogue.profiles.get(profile.name)
        if known is not None and known != profile:
            raise ConfigError(
                f"there is an installed defect profile {profile.name!r} already",
                hint="give yours another name",
            )
        profiles = {**self.catalogue.profiles, profile.name: profile}
        return evolve(self, catalogue=evolve(self.catalogue, profiles=profiles))

    def with_flags(self, flags: Mapping[str, Any]) -> Context:
        """Return this context with some settings (by dotted path) set over all layers.

        Raises:
            ConfigError: a value is not allowed.
        """
        given = {path: value for path, value in flags.items() if value is not None}
        if not given:
            return self
        merged = {**self.flags, **given}
        effective = load_settings(
            self.config, environ=self.environ, flags=merged, catalogue=self.catalogue
        )
        return Context(self.catalogue, effective, self.config, self.environ, merged)


def open_context(
    config: Path | str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
    catalogue: Catalogue | None = None,
) -> Context:
    """Load plugins and settings.

    Args:
        config: a settings file; None reads `dnr.yaml` in the working folder where there is one.
        environ: variables to read; None means those of the process. `DNR_PLUGINS=a,b` loads only
            these plugins (and the builtin one).
        flags: settings by dotted path, over all other layers.
        without: plugins to leave out.
        catalogue: plugins that are loaded already.

    Raises:
        ConfigError: a setting, a value or a plugin's name is not known or not allowed.
    """
    environ = dict(os.environ if environ is None else environ)
    if catalogue is None:
        catalogue = load_plugins(only=chosen_plugins(environ), without=without)
    path = Path(config) if config is not None else None
    effective = load_settings(path, environ=environ, flags=flags, catalogue=catalogue)
    return Context(catalogue, effective, path, environ, dict(flags or {}))


def optional_path(value: Path | str | None) -> Path | None:
    """Return a path, or None where none was given."""
    return None if value is None else Path(value)


def local_folder(location: Location | None) -> Path | None:
    """Return the folder or file that a location names here; None for URLs and connections."""
    if not isinstance(location, str | Path) or "://" in str(location):
        return None
    return Path(location)

"""Room: config. Lay the layers over one another, and remember where each value came from."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from attrs import field, frozen

from dnr_core.config.settings import Settings
from dnr_core.config.values import structured
from dnr_core.errors import ConfigError
from dnr_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

DEFAULT_FILE: Final = Path("dnr.yaml")
PREFIX: Final = "DNR_"
RESERVED: Final = frozenset({"DNR_PLUGINS", "DNR_CONFIG", "DNR_REAL_DATA"})
"""Variables of that prefix that are no settings."""

CAP_VARIABLE: Final = "LLM_API_CAP_USD"
"""Sets the cap of classification; `DNR_CLASSIFICATION_API_CAP_USD` wins over it."""


@frozen
class Origin:
    """Where a value came from: layer and the file, variable or flag."""

    layer: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.layer} {self.where}".strip()


@frozen
class Effective:
    """The settings in force, and the origin of each by dotted path."""

    settings: Settings
    origins: Mapping[str, Origin]
    file: Path | None = None
    values: Mapping[str, Any] = field(factory=dict)


@frozen
class Leaf:
    """One setting: the class and attribute that hold it, and its type."""

    owner: type
    name: str
    type: Any


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _leaves(cls: type, prefix: str = "") -> dict[str, Leaf]:
    found: dict[str, Leaf] = {}
    for attribute in attrs.fields(cls):
        kind = _hints(cls)[attribute.name]
        path = f"{prefix}{attribute.name}"
        if cls is Settings and attribute.name == "guardrails":
            continue
        if isinstance(kind, type) and not isinstance(kind, types.GenericAlias) and attrs.has(kind):
            found |= _leaves(kind, f"{path}.")
        else:
            found[path] = Leaf(cls, attribute.name, kind)
    return found


def known_settings(catalogue: Catalogue | None = None) -> dict[str, Leaf]:
    """Return every setting by dotted path; those that archetypes bring stand below `report.`."""
    found = _leaves(Settings)
    for _, path, cls in _extensions(catalogue):
        found |= _leaves(cls, f"report.{path}.")
    return found


def _extensions(catalogue: Catalogue | None) -> list[tuple[str, str, type]]:
    if catalogue is None:
        return []
    return [
        (guardrail.name, guardrail.settings_path, guardrail.settings)
        for archetype in catalogue.archetypes.values()
        for guardrail in archetype.guardrails
    ]


def variable_of(path: str) -> str:
    """Return a setting's environment variable: `DNR_WAREHOUSE_SEED` of `warehouse.seed`."""
    return PREFIX + path.replace(".", "_").upper()


def load_settings(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    catalogue: Catalogue | None = None,
) -> Effective:
    """Return the effective settings: defaults, then YAML, then environment, then flags.

    Args:
        config: a YAML file; None reads `dnr.yaml` in the working folder where there is one.
        environ: variables to read; None means those of the process.
        flags: values by dotted path; None values are not set.
        catalogue: whose archetypes bring settings of their own.

    Raises:
        ConfigError: a file that cannot be read, an unknown key, or a value that is not allowed.
            The message names the field, the value and what is allowed.
    """
    environ = os.environ if environ is None else environ
    leaves = known_settings(catalogue)
    values: dict[str, Any] = {}
    origins = {path: Origin("default") for path in leaves}
    file = _config_file(config, environ)
    layers: list[tuple[dict[str, tuple[Any, str]], str]] = []
    if file is not None:
        layers.append((_from_yaml(file, leaves), "file"))
    layers.append((_from_environment(environ, leaves), "environment"))
    layers.append((_from_flags(flags or {}, leaves), "flag"))
    for layer, title in layers:
        for path, (value, where) in layer.items():
            origins[path] = Origin(title, where)
            values[path] = structured(value, leaves[path], f"{path} ({origins[path]})")
    settings = _build(Settings, values, "")
    guardrails = {
        path: _build(cls, values, f"report.{path}.") for _, path, cls in _extensions(catalogue)
    }
    settings = attrs.evolve(settings, guardrails=guardrails)
    return Effective(settings, origins, file, _flat(settings, leaves))


def _build(cls: type, values: Mapping[str, Any], prefix: str) -> Any:
    arguments: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        path, kind = f"{prefix}{attribute.name}", _hints(cls)[attribute.name]
        if path in values:
            arguments[attribute.name] = values[path]
        elif (
            isinstance(kind, type) and not isinstance(kind, types.GenericAlias) and attrs.has(kind)
        ):
            arguments[attribute.name] = _build(kind, values, f"{path}.")
    return cls(**arguments)


def _flat(settings: Settings, leaves: Mapping[str, Leaf]) -> dict[str, Any]:
    flat = {}
    for path in leaves:
        value: Any = settings
        for part in path.split("."):
            # A guardrail's settings lie below `report.` for people, and in `guardrails` for code.
            if not hasattr(value, part):
                value = _guardrail_value(settings, path)
                break
            value = getattr(value, part)
        flat[path] = value
    return flat


def _guardrail_value(settings: Settings, path: str) -> Any:
    for own, value in settings.guardrails.items():
        prefix = f"report.{own}."
        if path.startswith(prefix):
            return attrgetter(path.removeprefix(prefix))(value)
    raise KeyError(path)


def _config_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    if config is None and environ.get("DNR_CONFIG"):
        config = Path(environ["DNR_CONFIG"])
    if config is not None:
        if not config.is_file():
            raise ConfigError(
                f"there is no configuration file {config}", hint="`dnr init` writes one"
            )
        return config
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _from_yaml(file: Path, leaves: Mapping[str, Leaf]) -> dict[str, tuple[Any, str]]:
    from dnr_core.config.yaml_file import read_yaml

    content = read_yaml(file)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file} holds a {type(content).__name__}, not settings",
            hint="`dnr init` writes a commented example",
        )
    found: dict[str, tuple[Any, str]] = {}
    _flatten(content, "", file, leaves, found)
    return found


def _flatten(
    content: Mapping[Any, Any],
    prefix: str,
    file: Path,
    leaves: Mapping[str, Leaf],
    found: dict[str, tuple[Any, str]],
) -> None:
    for key, value in content.items():
        path = f"{prefix}{key}"
        if path in leaves:
            found[path] = (value, str(file))
            continue
        below = [known for known in leaves if known.startswith(f"{path}.")]
        if not below:
            siblings = {
                known.removeprefix(prefix).split(".")[0]
                for known in leaves
                if known.startswith(prefix)
            }
            hint = did_you_mean(str(key), siblings) or f"known here: {', '.join(sorted(siblings))}"
            raise ConfigError(f"{file}: there is no setting {path!r}", hint=hint)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise ConfigError(
                f"{file}: {path} is {value!r}, but it is a group of settings",
                hint=f"known in it: {', '.join(sorted(b.removeprefix(path + '.') for b in below))}",
            )
        _flatten(value, f"{path}.", file, leaves, found)


def _from_environment(
    environ: Mapping[str, str], leaves: Mapping[str, Leaf]
) -> dict[str, tuple[Any, str]]:
    from dnr_core.config.values import Text

    variables = {variable_of(path): path for path in leaves}
    found: dict[str, tuple[Any, str]] = {}
    if environ.get(CAP_VARIABLE):
        found["classification.api_cap_usd"] = (Text(environ[CAP_VARIABLE]), CAP_VARIABLE)
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in RESERVED:
            continue
        if name not in variables:
            raise ConfigError(
                f"the environment variable {name} names no setting",
                hint=did_you_mean(name, variables)
                or "`dnr config` lists the settings; a variable is DNR_ and its path in capitals",
            )
        found[variables[name]] = (Text(environ[name]), name)
    return found


def _from_flags(flags: Mapping[str, Any], leaves: Mapping[str, Leaf]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for path, value in flags.items():
        if value is None:
            continue
        if path not in leaves:
            raise ConfigError(f"there is no setting {path!r}", hint=did_you_mean(path, leaves))
        found[path] = (value, "")
    return found

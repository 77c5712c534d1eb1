"""Room: testing. Writes a plugin from packaged templates: whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final, Literal, get_args

from attrs import frozen

from dnr_core.errors import ConfigError, FolderError
from dnr_core.model import Archetype
from dnr_core.plugins import find_plugins
from dnr_core.workspace import disk_errors

PluginKind = Literal["archetype", "provider", "scorer", "defect", "style", "check"]
PLUGIN_KINDS: Final[tuple[PluginKind, ...]] = get_args(PluginKind)

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_ENDING: Final = ".txt"
_PACKAGE: Final = "package"
"""The folder of a template that becomes the package."""

_WHAT: Final[dict[str, str]] = {
    "archetype": "a kind of company",
    "schema": "a company described in YAML",
    "provider": "an LLM provider",
    "scorer": "a scorer",
    "defect": "a defect kind and its profile",
    "style": "a comms style",
    "check": "a QC check",
}


@frozen
class NewPlugin:
    """What was written: the folder of the distribution, its name, and its files."""

    folder: Path
    distribution: str
    name: str
    kind: PluginKind
    files: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.folder}: {self.distribution}", *(f"  {name}" for name in self.files), ""]
        lines += [
            "next:",
            f"  pip install -e '{self.folder}[test]'",
            f"  dnr plugins check {self.name}",
            f"  pytest {self.folder}",
        ]
        return "\n".join(lines)


def new_plugin(
    name: str,
    kind: PluginKind,
    *,
    out: Path | str = ".",
    schema: Path | str | None = None,
) -> NewPlugin:
    """Write a distribution `dnr-NAME` that installs, keeps the rules for authors, and works as it is.

    Args:
        name: what it is called: lower case letters, digits and single underscores.
        kind: what it brings.
        out: the folder in which the distribution's folder will be.
        schema: a schema file; the archetype is then the company that it describes, and no Python
            is to be written.

    Raises:
        ConfigError: a name that cannot be used or is in use, or a faulty schema file.
        FolderError: the folder is there already, or cannot be written.
    """
    _check_name(name)
    if kind not in PLUGIN_KINDS:
        raise ConfigError(f"there is no kind {kind!r}; there are {', '.join(PLUGIN_KINDS)}")
    if schema is not None and kind != "archetype":
        raise ConfigError(
            f"a schema file describes a company, and a {kind} is none",
            hint="leave --from out, or choose --kind archetype",
        )
    distribution, package = f"dnr-{name.replace('_', '-')}", f"dnr_{name}"
    target = Path(out) / distribution
    if target.exists():
        raise FolderError(f"{target} is there already", hint="choose another name or --out folder")
    words = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "distribution": distribution,
        "package": package,
        "range": _range(metadata.version("dnr-core")),
        "what": _WHAT["schema" if schema is not None else kind],
        "deviations": "{}",
    }
    extra: dict[str, str] = {}
    if schema is not None:
        company = _company(Path(schema), name)
        words |= {"title": company[0].title, "deviations": _deviations(company[0])}
        extra[f"src/{package}/company.yaml"] = company[1]
    written = {**_rendered("schema" if schema is not None else kind, words), **extra}
    _write(target, written)
    return NewPlugin(target, distribution, name, kind, tuple(sorted(written)))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name for a plugin",
            hint="lower case letters, digits and single underscores, beginning with a letter: `air_freight`",
        )
    for candidate in find_plugins():
        if name == candidate.name or f"dnr-{name.replace('_', '-')}" == candidate.distribution:
            raise ConfigError(
                f"there is a plugin {candidate.name!r} already, of {candidate.distribution} {candidate.version}",
                hint="choose another name",
            )
    if importlib.util.find_spec(f"dnr_{name}") is not None:
        raise ConfigError(f"there is a package 'dnr_{name}' already", hint="choose another name")


def _range(version: str) -> str:
    """Return the versions of dnr that a plugin written today works with; see the policy."""
    major, minor = (int(part) for part in version.split(".")[:2])
    below = f"{major}.{minor + 1}" if major == 0 else str(major + 1)
    return f">={major}.{minor},<{below}"


def _company(path: Path, name: str) -> tuple[Archetype, str]:
    """Return the company of a schema file under the plugin's name, and the file's text with it."""
    from attrs import evolve

    from dnr_core.config.schema_file import read_schema

    company = read_schema(path)
    text = path.read_text(encoding="utf-8")
    line = f"name: {name}"
    if re.search(r"^name:", text, re.M):
        text = re.sub(r"^name:.*$", line, text, count=1, flags=re.M)
    else:
        text = f"{line}\n{text}"
    return evolve(company, name=name), text


def _deviations(company: Archetype) -> str:
    """Return the should-rules that a company breaks as it is described, with what is missing."""
    from dnr_core.catalogue import Catalogue
    from dnr_core.testing.examine import check_archetype

    told: dict[str, str] = {}
    for finding in check_archetype(company, tier="should", catalogue=Catalogue()):
        told.setdefault(finding.rule, f"{finding.where}: {finding.message}")
    if not told:
        return "{}"
    lines = [f"        {json.dumps(rule)}: {json.dumps(why)}," for rule, why in told.items()]
    return "\n".join(["{", *lines, "    }"])


def _rendered(template: str, words: dict[str, str]) -> dict[str, str]:
    """Return the files of a template by their path."""
    root = files("dnr_core.testing") / "templates"
    found: dict[str, str] = {}
    for part in ("common", template):
        for path, text in _texts(root / part, ""):
            name = path.removesuffix(_ENDING).replace(f"/{_PACKAGE}/", f"/{words['package']}/")
            name = ".gitignore" if name == "gitignore" else name
            found[name] = Template(text).substitute(words)
    return found


def _texts(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        inner = f"{path}/{entry.name}".lstrip("/")
        if entry.is_dir():
            yield from _texts(entry, inner)
        elif entry.name.endswith(_ENDING):
            yield inner, entry.read_text(encoding="utf-8")


def _write(target: Path, texts: dict[str, str]) -> None:
    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that the rename is one step, and nothing half-written is ever there.
        staged = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            for name, text in texts.items():
                path = staged / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            staged.chmod(0o755)
            staged.rename(target)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise

"""`dnr plugins new`: what it writes loads and keeps the rules; what it refuses leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dnr_core
from dnr_core.catalogue import Catalogue
from dnr_core.cli.plugins_new import KINDS
from dnr_core.errors import ConfigError, FolderError
from dnr_core.testing import check_archetype, new_plugin
from dnr_core.testing.scaffold import PLUGIN_KINDS

FLIGHTS = Path(__file__).parents[2] / "docs" / "examples" / "flights.yaml"
KINDS_OF = {
    "archetype": {"archetypes"},
    "provider": {"providers"},
    "scorer": {"scorers"},
    "defect": {"defect_kinds", "profiles"},
    "style": {"styles"},
    "check": {"checks"},
}


def installed(folder: Path, site: Path) -> str:
    """Put a distribution onto a folder of packages, as an installer would; return its source folder."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    told = [f"Name: {project['name']}", f"Version: {project['version']}"]
    told += [f"Requires-Dist: {needed}" for needed in project["dependencies"]]
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *told, ""]))
    points = [f"{name} = {module}" for name, module in project["entry-points"]["dnr"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[dnr]", *points, ""]))
    return str(folder / "src")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One plugin of each kind and one of a schema file, and where they lie for Python to find."""
    root = tmp_path_factory.mktemp("authors")
    made = {kind: new_plugin(f"own_{kind}", kind, out=root) for kind in PLUGIN_KINDS}
    made["schema"] = new_plugin("own_flights", "archetype", out=root, schema=FLIGHTS)
    paths = [installed(plugin.folder, root / "site") for plugin in made.values()]
    return {"made": made, "path": os.pathsep.join([str(root / "site"), *paths])}


def run(written: dict[str, Any], *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": written["path"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_offers_every_kind() -> None:
    """The kinds of the command line are those of the function."""
    assert KINDS == PLUGIN_KINDS
    assert set(KINDS_OF) == set(PLUGIN_KINDS)


def test_what_is_written_loads_and_brings_its_objects(
    written: dict[str, Any], tmp_path: Path
) -> None:
    """Each plugin is found by its entry point, without a problem, and brings what it is for."""
    done = run(written, "dnr_core", "plugins", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["problems"] == []
    brings = {plugin["name"]: plugin["brings"] for plugin in told["plugins"]}
    for kind, wanted in KINDS_OF.items():
        assert set(brings[f"own_{kind}"]) == wanted
    assert brings["own_flights"] == {"archetypes": ["own_flights"]}


def test_its_tests_declare_what_the_file_does_not_say(written: dict[str, Any]) -> None:
    """The deviations of a company in YAML are the should-rules that it breaks, each with its place.

    The tests of all kinds are run in the session of the wheels.
    """
    folder = written["made"]["schema"].folder
    told = (folder / "tests" / "test_plugin.py").read_text(encoding="utf-8")
    company = dnr_core.read_schema(folder / "src" / "dnr_own_flights" / "company.yaml")
    (finding,) = check_archetype(company, catalogue=Catalogue())
    assert f'"{finding.rule}": "{finding.where}: {finding.message}",' in told
    assert finding.tier == "should"


def test_a_company_in_yaml_alone_keeps_its_description(written: dict[str, Any]) -> None:
    """The file lies in the package under the plugin's name, and no other code is there than the hook."""
    plugin = written["made"]["schema"]
    package = plugin.folder / "src" / "dnr_own_flights"
    told = (package / "company.yaml").read_text(encoding="utf-8")
    assert "name: own_flights\n" in told
    assert told.replace("name: own_flights", "name: flights") == FLIGHTS.read_text("utf-8")
    assert {path.name for path in package.glob("*.py")} == {"__init__.py", "plugin.py"}


REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "a name with capitals": (("Air", "style"), "'Air' is no name for a plugin"),
    "a name that climbs": (("../air", "style"), "is no name for a plugin"),
    "a plugin that is installed": (("neobank", "archetype"), "there is a plugin 'neobank' already"),
    "the core itself": (("core", "archetype"), "already"),
    "an unknown kind": (("air", "pilot"), "there is no kind 'pilot'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case: str, tmp_path: Path) -> None:
    """A wrong name or kind is named, and nothing is written."""
    arguments, told = REFUSED[case]
    with pytest.raises(ConfigError, match=told):
        new_plugin(*arguments, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Not one file of it changes."""
    (tmp_path / "dnr-air").mkdir()
    (tmp_path / "dnr-air" / "notes.txt").write_text("mine")
    with pytest.raises(FolderError, match="is there already"):
        new_plugin("air", "style", out=tmp_path)
    assert [path.name for path in (tmp_path / "dnr-air").iterdir()] == ["notes.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["dnr-air"]


def test_a_faulty_schema_file_leaves_nothing(tmp_path: Path) -> None:
    """The fault is that of the file, and no folder is begun."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\ntables:\n  t: {columns: {a: integer}}\n")
    with pytest.raises(ConfigError, match=r"columns\.a\.type"):
        new_plugin("air", "archetype", out=tmp_path, schema=bad)
    with pytest.raises(ConfigError, match="a schema file describes a company"):
        new_plugin("air", "style", out=tmp_path, schema=FLIGHTS)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk gives up in the middle, neither the folder nor a trace of it is there."""
    wrote: Callable[..., int] = Path.write_text

    def full(path: Path, *arguments: Any, **more: Any) -> int:
        if path.name == "plugin.py":
            raise OSError(28, "No space left on device", str(path))
        return wrote(path, *arguments, **more)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FolderError, match="the disk is full"):
        new_plugin("air", "style", out=tmp_path)
    assert list(tmp_path.iterdir()) == []

"""Discovery of plugins: a broken one is named with its distribution, and breaks no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from dnr_core.builtin import plugin as builtin_plugin
from dnr_core.errors import ConfigError, PluginError, UnknownNameError
from dnr_core.hookspecs import hookimpl
from dnr_core.model import Archetype, Column, ForeignKey, Schema, Table
from dnr_core.plugins import load_plugins

GOOD = """
    from dnr_core.hookspecs import hookimpl
    from dnr_core.model import Scorer, Score

    @hookimpl
    def dnr_scorers():
        return [Scorer("{name}", "a scorer", lambda need, settings: Score(0.0, {{}}))]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a distribution with one entry point onto sys.path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    installed: list[str] = []

    def _install(name: str, code: str, *, version: str = "1.2", entry: str | None = None) -> None:
        module = name.replace("-", "_")
        installed.append(module)
        (tmp_path / f"{module}.py").write_text(dedent(code))
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[dnr]\n{entry or module} = {module}\n")

    yield _install
    for module in installed:
        sys.modules.pop(module, None)


FAULTS = {
    "fails to import": ("raise RuntimeError('boom')", "cannot be imported: RuntimeError: boom"),
    "exits at import": ("raise SystemExit(3)", "cannot be imported: SystemExit"),
    "has a syntax error": ("def (", "cannot be imported: SyntaxError"),
    "misspells a hook": (
        "from dnr_core.hookspecs import hookimpl\n@hookimpl\ndef dnr_scorer(): return []",
        "there is no hook 'dnr_scorer'; did you mean 'dnr_scorers'?",
    ),
    "asks for an argument": (
        "from dnr_core.hookspecs import hookimpl\n@hookimpl\ndef dnr_scorers(settings): return []",
        "a hook has a wrong signature",
    ),
    "returns the wrong thing": (
        "from dnr_core.hookspecs import hookimpl\n@hookimpl\ndef dnr_scorers(): return ['formula']",
        "hook dnr_scorers returned str, not Scorer",
    ),
    "returns nothing": (
        "from dnr_core.hookspecs import hookimpl\n@hookimpl\ndef dnr_scorers(): return None",
        "hook dnr_scorers failed: TypeError",
    ),
    "raises late": (
        "from dnr_core.hookspecs import hookimpl\n@hookimpl\ndef dnr_scorers():\n    yield 1 / 0",
        "hook dnr_scorers failed: ZeroDivisionError",
    ),
    "has a bad name": (GOOD.format(name="Bad Name"), "name 'Bad Name' is not lower case"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_plugin_is_named_and_the_others_work(
    fault: str, install: Callable[..., None]
) -> None:
    """Each fault is reported with distribution, version and reason, and a sound plugin is loaded."""
    code, message = FAULTS[fault]
    install("dnr-faulty", code, version="9.8")
    install("dnr-sound", GOOD.format(name="sound"))
    catalogue = load_plugins(only=["dnr_faulty", "dnr_sound"])
    found = [problem for problem in catalogue.problems if problem.plugin == "dnr_faulty"]
    assert len(found) == 1
    assert (found[0].distribution, found[0].version) == ("dnr-faulty", "9.8")
    assert message in found[0].fault
    assert "sound" in catalogue.scorers
    assert "formula" in catalogue.scorers


def test_a_name_that_two_plugins_claim_is_used_by_neither(install: Callable[..., None]) -> None:
    """Both distributions are named, in the list of problems and when the name is asked for."""
    install("dnr-one", GOOD.format(name="same"))
    install("dnr-two", GOOD.format(name="same"), version="3.4")
    catalogue = load_plugins(only=["dnr_one", "dnr_two"])
    assert "same" not in catalogue.scorers
    with pytest.raises(PluginError, match=r"dnr-one 1\.2 and by dnr-two 3\.4"):
        catalogue.scorer("same")
    assert {p.plugin for p in catalogue.problems if "same" in p.fault} == {"dnr_one", "dnr_two"}
    assert load_plugins(only=["dnr_one", "dnr_two"], without=["dnr_two"]).scorer("same")


def test_two_entry_points_of_one_name_are_both_loaded(install: Callable[..., None]) -> None:
    """Entry-point names need not be unique over distributions; only the objects' names are."""
    install("dnr-one", GOOD.format(name="one"), entry="shared")
    install("dnr-two", GOOD.format(name="two"), entry="shared")
    catalogue = load_plugins(only=["shared"])
    assert {"one", "two"} <= set(catalogue.scorers)


def test_a_module_that_is_registered_twice_counts_once(
    tmp_path: Path, install: Callable[..., None]
) -> None:
    """The second entry point of one module is reported, and its objects are not doubled."""
    install("dnr-twice", GOOD.format(name="twice"))
    entries = tmp_path / "dnr_twice-1.2.dist-info" / "entry_points.txt"
    entries.write_text("[dnr]\na_twice = dnr_twice\nb_twice = dnr_twice\n")
    catalogue = load_plugins(only=["a_twice", "b_twice"])
    assert "twice" in catalogue.scorers
    assert [p.fault for p in catalogue.problems if p.plugin == "b_twice"] == [
        "it is registered twice; the first one is used"
    ]


def test_an_archetype_that_names_a_missing_column_is_left_out() -> None:
    """The fault says which key, which table and which column."""
    table = Table(
        "fact_visit",
        (Column("visit_id", "int64"),),
        primary_key="visit_id",
        foreign_keys=(ForeignKey("clinic_id", "dim_clinic", "clinic_id"),),
        kind="fact",
    )

    class Plugin:
        @hookimpl
        def dnr_archetypes(self) -> list[Archetype]:
            return [Archetype("clinic", "a clinic", Schema((table,)))]

    catalogue = load_plugins(discover=False, extra=[Plugin()])
    assert not catalogue.archetypes
    assert "table 'fact_visit' has no column 'clinic_id'" in catalogue.problems[0].fault
    assert "names the unknown table 'dim_clinic'" in catalogue.problems[0].fault


def test_an_unknown_name_says_what_is_installed_and_what_was_meant() -> None:
    """The message lists the known names and suggests the nearest."""
    catalogue = load_plugins(discover=False, extra=[builtin_plugin])
    with pytest.raises(
        UnknownNameError, match="there is no scorer 'formular'; installed: formula"
    ) as caught:
        catalogue.scorer("formular")
    assert caught.value.hint == "did you mean 'formula'?"


def test_without_archetypes_the_error_says_what_to_install() -> None:
    """The core alone works, and says what brings archetypes."""
    catalogue = load_plugins(discover=False, extra=[builtin_plugin])
    with pytest.raises(UnknownNameError, match="no archetype is installed") as caught:
        catalogue.archetype("neobank")
    assert "pip install 'dnr-core[all]'" in caught.value.hint


@pytest.mark.parametrize("arguments", [{"only": ["neobnk"]}, {"without": ["neobnk"]}])
def test_choosing_a_plugin_that_is_not_installed_is_refused(
    arguments: dict[str, list[str]],
) -> None:
    """A misspelt plugin in DNR_PLUGINS or --no-plugin is an error with a suggestion."""
    with pytest.raises(ConfigError, match="there is no plugin 'neobnk'") as caught:
        load_plugins(**arguments)
    assert caught.value.hint == "did you mean 'neobank'?"


def test_the_builtin_objects_come_through_the_same_hooks() -> None:
    """With the builtin plugin left out, no profile, scorer, style or check is there."""
    catalogue = load_plugins(without=["builtin"])
    full = load_plugins()
    for kind, name in {
        "profiles": "typical",
        "defect_kinds": "key_null",
        "styles": "plain",
        "scorers": "formula",
    }.items():
        assert name not in getattr(catalogue, kind)
        assert name in getattr(full, kind)
    assert not full.problems


def test_listing_plugins_imports_nothing_heavy() -> None:
    """Loading every shipped plugin imports no library that is only needed to compute."""
    code = (
        "import sys, json; from dnr_core.plugins import load_plugins; load_plugins();"
        "heavy = {'ibis','duckdb','pyarrow','numpy','matplotlib','openai','instructor','pandas',"
        "'pydantic','rich','jinja2','cattrs'};"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []

"""Plugins written against earlier versions load and work; what was released is only added to."""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from attrs import evolve

import dnr_core
from dnr_core import hookspecs
from dnr_core.api.context import open_context
from dnr_core.catalogue import Catalogue
from dnr_core.hookspecs import hookimpl
from dnr_core.plugins import load_plugins

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.glob("v*") if path.is_dir())
GIVEN = {"CheckContext", "Company", "DefectTask", "KpiContext", "Need", "Request"}
"""Classes that plugins are given and never make: a new field of theirs needs no default."""


@pytest.fixture(scope="module", params=VERSIONS)
def frozen(request: pytest.FixtureRequest) -> Iterator[Catalogue]:
    """The frozen plugins of a version, beside what is installed."""
    folder = HERE / request.param
    sys.path.insert(0, str(folder))
    names = sorted(
        f"{path.parent.name}.plugin" if path.parent != folder else path.stem
        for path in (*folder.glob("*.py"), *folder.glob("*/plugin.py"))
    )
    with warnings.catch_warnings():
        # What is deprecated still works; the warnings are for its author.
        warnings.simplefilter("ignore", DeprecationWarning)
        plugins = [importlib.import_module(name) for name in names]
        yield load_plugins(extra=plugins)
    sys.path.remove(str(folder))
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def snapshot() -> Any:
    """The script that writes the hook page down, as a module."""
    spec = importlib.util.spec_from_file_location("frozen_snapshot", HERE / "snapshot.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.snapshot()


def test_frozen_plugins_load_without_a_fault(frozen: Catalogue) -> None:
    """Every object of every hook is there."""
    assert frozen.problems == ()
    assert "frozen_clinic" in frozen.archetypes
    assert frozen.defect_kind("frozen_dust").theme == "metric_definition_mismatch"
    assert frozen.profile("frozen_profile").rates
    assert frozen.style("frozen_style")
    assert frozen.provider("frozen")
    assert frozen.scorer("frozen_scorer")
    assert "frozen_check" in frozen.checks


def test_frozen_plugins_work_together(
    frozen: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old archetype, broken by an old kind, talked about in an old style, heard by an old
    provider, ranked by an old scorer and checked by an old check."""
    monkeypatch.chdir(tmp_path)
    context = open_context(environ={}, catalogue=frozen)
    made = dnr_core.generate_warehouse(
        "frozen_clinic", scale=0.004, quality="frozen_profile", context=context
    )
    told = {e["metric"]: e for e in made.manifest.extra["calibration"] if not e["column"]}
    assert told["key_null"]["numerator"] > 0
    dnr_core.generate_comms(
        made.path, slack=20, email=5, nlq=5, style="frozen_style", context=context
    )
    report = dnr_core.run_report(
        made.path,
        comms="comms/frozen_clinic",
        provider="frozen",
        scorer="frozen_scorer",
        context=context,
    )
    assert report.document["answer"]
    only = evolve(frozen, checks={"frozen_check": frozen.checks["frozen_check"]})
    checked = dnr_core.validate(made.path, context=evolve(context, catalogue=only))
    assert [result.status for result in checked.results] == ["passed"]
    ledger = pq.read_table(made.meta / "ledger.parquet", columns=["kind"])
    assert "frozen_dust" in ledger["kind"].to_pylist()


def test_released_hooks_are_as_they_were(snapshot: Any) -> None:
    """A released hook keeps its name, its arguments and what it may return."""
    released = json.loads((HERE / "hooks.json").read_text(encoding="utf-8"))
    for name, hook in released["hooks"].items():
        now = snapshot["hooks"][name]
        assert now["arguments"][: len(hook["arguments"])] == hook["arguments"], name
        assert hook["returns"] in now["returns"], name


def test_released_classes_are_only_added_to(snapshot: Any) -> None:
    """A field keeps its name, its place and its default; a new one has a default."""
    released = json.loads((HERE / "hooks.json").read_text(encoding="utf-8"))
    for name, fields in released["classes"].items():
        now = snapshot["classes"][name]
        by_name = {field["name"]: field for field in now}
        for field in fields:
            assert field["name"] in by_name, f"{name}.{field['name']} is gone"
            own = by_name[field["name"]]
            assert own["keyword"] == field["keyword"], f"{name}.{field['name']}"
            assert own["default"] or not field["default"], f"{name}.{field['name']}"
        if name in GIVEN:
            continue
        placed = [field["name"] for field in fields if not field["keyword"]]
        assert [f["name"] for f in now if not f["keyword"]][: len(placed)] == placed, name
        known = {field["name"] for field in fields}
        for field in now:
            new = field["name"] not in known and name not in GIVEN
            assert field["default"] or not new, f"{name}.{field['name']} is new and has no default"


def test_released_names_are_there(snapshot: Any) -> None:
    """A public name keeps being there."""
    released = json.loads((HERE / "hooks.json").read_text(encoding="utf-8"))
    for module, names in released["names"].items():
        assert set(names) <= set(snapshot["names"][module]), module


def test_a_deprecated_hook_works_and_warns_its_author(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever implements it is told what to use instead, and its objects are used all the same."""
    from dnr_core.model import Score, Scorer

    class Old:
        @hookimpl
        def dnr_scorers(self) -> list[Scorer]:
            return [Scorer("old", "Old", lambda need, settings: Score(0.0, {}))]

    told = DeprecationWarning("dnr_scorers goes with 0.3: use dnr_rankers")
    monkeypatch.setitem(hookspecs.dnr_scorers.dnr_spec, "warn_on_impl", told)
    with pytest.warns(DeprecationWarning, match="use dnr_rankers"):
        catalogue = load_plugins(discover=False, extra=[Old()])
    assert catalogue.scorer("old")
    assert not catalogue.problems


def test_a_hook_of_a_newer_dnr_is_passed_over() -> None:
    """Marked as optional it is no fault here, and the plugin's other hooks are used."""
    from dnr_core.model import CommsStyle

    class Newer:
        @hookimpl(optionalhook=True)
        def dnr_weather(self) -> list[object]:
            return [object()]

        @hookimpl
        def dnr_comms_styles(self) -> list[CommsStyle]:
            return [CommsStyle("newer", "Newer")]

    catalogue = load_plugins(discover=False, extra=[Newer()])
    assert catalogue.style("newer")
    assert not catalogue.problems

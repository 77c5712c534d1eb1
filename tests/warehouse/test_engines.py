"""Engines that cannot be used are told before a file, and executors that differ from the driver too."""

from __future__ import annotations

import importlib.machinery
import sys
import types

import pytest
from attrs import evolve

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.errors import ConfigError
from dnr_core.warehouse import make_plan
from dnr_core.warehouse.engines.spark import Recipe, made, refuse_without_spark, tolerant


def test_without_pyspark_the_error_says_what_to_install(tmp_path, monkeypatch):
    """The engine spark without pyspark: what to install, and no folder."""
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ConfigError, match="pyspark") as caught:
        dnr_core.generate_warehouse(
            "neobank",
            scale="tiny",
            engine="spark",
            out=tmp_path / "data",
            meta=tmp_path / "meta",
            context=open_context(environ={}),
        )
    assert "dnr-core[spark]" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("home", [True, False])
def test_without_java_the_error_says_what_to_install(tmp_path, monkeypatch, home):
    """A JAVA_HOME without Java, and no Java on the path, are told alike."""
    found = types.ModuleType("pyspark")
    found.__spec__ = importlib.machinery.ModuleSpec("pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark", found)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if home:
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="needs Java 17") as caught:
        refuse_without_spark()
    assert "openjdk-17" in caught.value.hint


def test_an_unknown_engine_is_refused(tmp_path):
    """An engine that there is not is told with those that there are."""
    with pytest.raises(ConfigError, match=r"engine.*local"):
        dnr_core.generate_warehouse(
            "neobank", engine="flink", out=tmp_path, context=open_context(environ={})
        )


def test_local_masters_try_a_lost_part_again():
    """A local master gets retries, which Spark gives to clusters alone; others are left alone."""
    assert tolerant("local") == "local[1,4]"
    assert tolerant("local[2]") == "local[2,4]"
    assert tolerant("local[*]") == "local[*,4]"
    for master in ("local[2,9]", "local-cluster[2,1,1024]", "spark://host:7077", "yarn"):
        assert tolerant(master) == master


@pytest.fixture
def recipe(tmp_path):
    """What would be sent to an executor for a tiny bank."""
    context = open_context(environ={}).with_flags({"warehouse.scale": "tiny"})
    plan = make_plan("neobank", context.settings.warehouse, context.catalogue)
    return plan, Recipe(
        archetype="neobank",
        settings=context.settings.warehouse,
        plugins=("neobank",),
        profile=plan.profile,
        fingerprint=plan.fingerprint,
        folder=tmp_path,
        stage=tmp_path / "stage",
        truth=tmp_path / "truth",
    )


def test_an_executor_makes_its_part_from_names_alone(recipe):
    """From names and settings an executor makes a part and saves its record."""
    plan, told = recipe
    record = made(told, 0)
    assert (record.family, record.part) == (plan.parts[0][0].name, plan.parts[0][1])
    assert all((told.stage / name).exists() for name in record.files)


def test_an_executor_of_other_versions_makes_nothing(recipe):
    """An executor whose plan is not the driver's says so, with its versions, and writes nothing."""
    _, told = recipe
    answer = made(evolve(told, fingerprint="0" * 64), 0)
    assert isinstance(answer, ConfigError)
    assert "another company" in str(answer)
    assert "pyarrow" in str(answer)
    assert not told.stage.exists()


def test_an_executor_without_the_plugin_says_so(recipe):
    """An executor on which the archetype's plugin is missing names it."""
    _, told = recipe
    answer = made(evolve(told, plugins=("lost",)), 0)
    assert isinstance(answer, ConfigError)
    assert "lost" in str(answer)

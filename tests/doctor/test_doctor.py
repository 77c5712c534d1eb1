"""`dnr doctor`: what works here is tried, what does not is told with what to do, no key is shown."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dnr_core
from dnr_core import doctor
from dnr_core.cli.app import run
from dnr_core.doctor import Diagnosis

SECRET = "sk-planted-0123456789abcdef"


def by_name(found: Diagnosis) -> dict[str, Any]:
    return {finding.name: finding for finding in found.findings}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sound_installation_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Every area is looked at, what is needed works, and nothing is left in the folder."""
    assert run(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sound"] is True
    assert set(told["areas"]) == {
        "settings",
        "versions",
        "plugins",
        "warehouses",
        "programs",
        "language models",
        "machine",
        "data that comes along",
    }
    states = {part["name"]: part["state"] for area in told["areas"].values() for part in area}
    assert states["DuckDB and Parquet"] == states["time zones"] == states["fonts"] == "works"
    assert states["neobank"] == states["data folder"] == "works"
    assert list(Path.cwd().iterdir()) == []


def test_a_key_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether there is one is told, what it is not, in text and in JSON."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    for call in (["doctor"], ["doctor", "--json"]):
        run(call)
        told = capsys.readouterr()
        assert "there is one in OPENAI_API_KEY" in told.out
        assert SECRET[:8] not in told.out + told.err
    monkeypatch.delenv("OPENAI_API_KEY")
    found = by_name(dnr_core.diagnose())["key"]
    assert (found.state, found.mend) == ("absent", "set OPENAI_API_KEY to use openai")


def test_settings_that_cannot_be_read_are_one_finding_of_many(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fault is named, the rest is looked at all the same, and the command ends with 1."""
    (elsewhere / "dnr.yaml").write_text("warehouse: {scael: tiny}\n")
    assert run(["doctor"]) == 1
    told = capsys.readouterr()
    assert "FAIL settings: " in told.out
    assert "scael" in told.out
    assert "ok   DuckDB and Parquet" in told.out
    assert "does not work here: settings" in told.err


def test_a_faulty_plugin_is_named_with_what_to_do(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its distribution, version and fault, and how to go on without it."""
    (elsewhere / "dnr_faulty.py").write_text("raise RuntimeError('boom')")
    info = elsewhere / "dnr_faulty-9.8.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dnr-faulty\nVersion: 9.8\n")
    (info / "entry_points.txt").write_text("[dnr]\nfaulty = dnr_faulty\n")
    monkeypatch.syspath_prepend(str(elsewhere))
    found = by_name(dnr_core.diagnose(environ={}))["faulty"]
    assert found.state == "broken"
    assert found.what == "dnr-faulty 9.8: it cannot be imported: RuntimeError: boom"
    assert "--no-plugin faulty" in found.mend
    assert "faulty" not in by_name(dnr_core.diagnose(environ={}, without=["faulty"]))


def gone(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    whole = doctor.find_spec
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in names else whole(name))


def test_what_is_optional_and_absent_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extras, Java and a browser that are not here are told with how to get them."""
    gone(monkeypatch, "polars", "datafusion", "psycopg", "pyspark")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    found = dnr_core.diagnose(environ={})
    assert found.broken == ()
    told = by_name(found)
    for name, mend in {
        "Polars": "pip install 'dnr-core[polars]'",
        "PostgreSQL": "pip install 'dnr-core[postgres]'",
        "Spark": "pip install 'dnr-core[spark]', and Java",
        "Java": "for Spark install Java 17 or newer, such as openjdk-17-jre-headless",
        "browser": "reports are files: open report.html in a browser on another machine",
    }.items():
        assert (told[name].state, told[name].mend) == ("absent", mend)
        assert f"-    {name}: " in str(found)


@pytest.mark.parametrize(
    ("script", "state", "told"),
    [
        ("echo 'openjdk version \"21.0.2\" 2024-01-16' >&2", "works", "version 21.0.2"),
        ("echo 'java version \"1.8.0_392\"' >&2", "absent", "is version 8, too old for Spark"),
        ("echo hello", "absent", "does not say its version"),
    ],
)
def test_java_is_asked_for_its_version(script: str, state: str, told: str, elsewhere: Path) -> None:
    """JAVA_HOME's program runs; one that is too old for Spark is told so."""
    program = elsewhere / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = by_name(dnr_core.diagnose(environ={"JAVA_HOME": str(elsewhere)}))["Java"]
    assert (found.state, found.what) == (state, told)


def broken_zone(name: str) -> None:
    raise KeyError(name)


FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], object], str]] = {
    "DuckDB and Parquet": (lambda m: gone(m, "duckdb"), "is not installed"),
    "time zones": (lambda m: m.setattr("zoneinfo.ZoneInfo", broken_zone), "cannot be read"),
    "Python": (lambda m: m.setattr(doctor.sys, "version_info", (3, 9, 1)), "3.9.1"),
    "duckdb": (
        lambda m: m.setattr(
            doctor, "_version", lambda name: "2.7.0" if name == "duckdb" else "12.0.0"
        ),
        "2.7.0, with which dnr does not work",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_needed_and_does_not_work_is_broken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with what to do, and the rest is looked at."""
    fault, what = FAULTS[name]
    fault(monkeypatch)
    found = dnr_core.diagnose(environ={})
    assert name in found.broken
    told = by_name(found)[name]
    assert what in told.what
    assert told.mend
    assert "fonts" in by_name(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_broken(elsewhere: Path) -> None:
    """By a real try, where permissions forbid it."""
    elsewhere.chmod(0o555)
    found = by_name(dnr_core.diagnose(environ={}))["data folder"]
    elsewhere.chmod(0o755)
    assert found.state == "broken"


def test_a_file_in_the_place_of_a_folder_is_broken(elsewhere: Path) -> None:
    """It is named, with what to do."""
    (elsewhere / "data").write_text("no folder")
    found = by_name(dnr_core.diagnose(environ={}))["data folder"]
    assert (found.state, found.mend) == ("broken", "move it, or set paths in dnr.yaml")


def test_a_nearly_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than two gigabytes are told with what to do, and break nothing."""
    usage = doctor.shutil.disk_usage(".")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    found = by_name(dnr_core.diagnose(environ={}))["disk"]
    assert (found.state, found.what) == ("absent", "0.9 GB free for data")

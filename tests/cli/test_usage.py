"""How the command speaks: help, exit codes, messages for people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnr_core.cli.app import COMMANDS

LIMIT_FILES = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
    "from dnr_core.cli.app import run; sys.exit(run(sys.argv[1:]))"
)


def shell(*arguments: str | Path, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dnr_core", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def test_alone_it_prints_help_and_exits_0(dnr: Callable[..., Any]) -> None:
    """`dnr` without a command shows every command and examples."""
    outcome = dnr()
    assert outcome.code == 0
    assert all(name in outcome.out for name in COMMANDS)
    assert "Examples:" in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str, dnr: Callable[..., Any]) -> None:
    """Help says what the command does and shows how it is called."""
    outcome = dnr(name, "--help")
    assert outcome.code == 0
    assert "Examples:" in outcome.out
    assert f"dnr {name}" in outcome.out


def test_version(dnr: Callable[..., Any]) -> None:
    """`dnr --version` says 0.1.0."""
    assert dnr("--version").out.strip() == "dnr 0.1.0"


def test_help_and_plugins_import_nothing_heavy(tmp_path: Path) -> None:
    """Start-up imports no library that is only needed to compute; counted, not timed."""
    heavy = "{'ibis','duckdb','pyarrow','numpy','matplotlib','openai','instructor','pandas','pydantic','rich','jinja2'}"
    calls = (["--help"], ["plugins"], ["run-report", "--help"], ["doctor", "--help"])
    for call in (*calls, ["plugins", "check", "--help"], ["plugins", "new", "--help"]):
        code = (
            f"import sys; from dnr_core.cli.app import run; run({call!r});"
            f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stderr.strip() == "[]", call
    code = "import sys, dnr_core; print(len([m for m in sys.modules if m.startswith('dnr_core')]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


REFUSED: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "an unknown command": (
        ("run-reprot",),
        2,
        ("there is no command 'run-reprot'", "did you mean 'run-report'?"),
    ),
    "an unknown archetype": (
        ("gen-warehouse", "--archetype", "neobnk"),
        2,
        ("there is no archetype 'neobnk'", "did you mean 'neobank'?"),
    ),
    "an unknown profile": (
        ("gen-warehouse", "--archetype", "neobank", "--quality", "tipical"),
        2,
        ("there is no defect profile 'tipical'", "did you mean 'typical'?"),
    ),
    "an unknown plugin": (
        ("plugins", "--no-plugin", "neobnk"),
        2,
        ("there is no plugin 'neobnk'", "did you mean"),
    ),
    "a scale of zero": (
        ("gen-warehouse", "--archetype", "neobank", "--scale", "0"),
        2,
        ("warehouse.scale", "a number above 0"),
    ),
    "no months": (
        ("gen-warehouse", "--archetype", "neobank", "--months", "0"),
        2,
        ("warehouse.months", "must be >= 1"),
    ),
    "a window that is none": (
        ("run-report", "--warehouse", "x", "--window", "soon"),
        2,
        ("'soon' is not a number of days",),
    ),
    "a folder that is not there": (
        ("run-report", "--warehouse", "nowhere", "--archetype", "neobank"),
        3,
        ("nowhere",),
    ),
    "nothing to report on": (
        ("run-report", "--archetype", "neobank"),
        2,
        ("nothing to report on", "--warehouse"),
    ),
    "no archetype said": (
        ("run-report", "--warehouse", "."),
        2,
        ("which archetype is this?", "--archetype"),
    ),
    "a setting that is not there": (
        ("config", "warehouse.sed"),
        2,
        ("there is no setting 'warehouse.sed'",),
    ),
    "a settings file that is not there": (
        ("config", "--config", "no.yaml"),
        2,
        ("there is no configuration file no.yaml",),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_call_ends_in_one_message(
    case: str, dnr: Callable[..., Any], tmp_path: Path
) -> None:
    """One message on stderr, the right code, no traceback, nothing written."""
    arguments, code, parts = REFUSED[case]
    outcome = dnr(*arguments)
    assert outcome.code == code, outcome.err
    assert all(part in outcome.err for part in parts), outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert list(tmp_path.iterdir()) == []


def test_no_yaml_is_refused_with_its_line(dnr: Callable[..., Any], tmp_path: Path) -> None:
    """A settings file that is no YAML names line and column."""
    (tmp_path / "dnr.yaml").write_text("warehouse:\n  seed: [1\n")
    outcome = dnr("config")
    assert outcome.code == 2
    assert "dnr.yaml line 3" in outcome.err


def test_init_is_idempotent(dnr: Callable[..., Any], tmp_path: Path) -> None:
    """The second call leaves alone what exists, also what the user changed."""
    assert "created dnr.yaml" in dnr("init").out
    (tmp_path / "dnr.yaml").write_text("warehouse: {seed: 7}\n")
    outcome = dnr("init")
    assert "kept    dnr.yaml" in outcome.out
    assert "created" not in outcome.out
    assert (tmp_path / "dnr.yaml").read_text() == "warehouse: {seed: 7}\n"


def test_config_says_where_each_value_came_from(
    dnr: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, variable and flag are named; the key's value is never shown."""
    (tmp_path / "dnr.yaml").write_text("warehouse: {months: 3, scale: tiny}\n")
    monkeypatch.setenv("DNR_WAREHOUSE_SCALE", "2")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretverysecret")
    outcome = dnr("config", "--json", "--seed", "5")
    settings = json.loads(outcome.out)["settings"]
    assert settings["warehouse.months"] == {"value": 3, "from": "file dnr.yaml"}
    assert settings["warehouse.scale"] == {"value": "2", "from": "environment DNR_WAREHOUSE_SCALE"}
    assert settings["warehouse.seed"] == {"value": 5, "from": "flag"}
    assert "verysecret" not in outcome.out
    assert "set (masked)" in outcome.out


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`dnr --help | head -1` ends quietly."""
    done = subprocess.run(
        f"{sys.executable} -m dnr_core config | head -1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def test_piped_output_has_no_control_characters(tmp_path: Path) -> None:
    """In a pipe there are plain lines only: no bars, no colours."""
    done = shell("gen-warehouse", "--archetype", "neobank", "--scale", "tiny", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so_and_goes_on(number: int, code: int, tmp_path: Path) -> None:
    """The signal ends the run with its code and one line; the same command then finishes."""
    command = [
        sys.executable,
        "-m",
        "dnr_core",
        "gen-warehouse",
        "--archetype",
        "neobank",
        "--scale",
        "0.3",
    ]
    # A shell's background job, which the tests may be, has its interrupts ignored.
    heard = signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, heard)
    deadline = time.monotonic() + 60
    while (
        not list(tmp_path.glob("data/neobank/.partial/**/part-*.parquet"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    child.send_signal(number)
    _, told = child.communicate(timeout=60)
    assert child.returncode == code, told
    assert "Traceback" not in told
    assert "run the command again" in told
    assert not (tmp_path / "data/neobank/manifest.json").exists()
    assert shell("run-report", "--warehouse", "data/neobank", cwd=tmp_path).returncode == 3
    assert shell(*command[3:], cwd=tmp_path).returncode == 0
    assert (tmp_path / "data/neobank/manifest.json").exists()


def test_a_full_disk_is_told_and_finished_parts_are_kept(tmp_path: Path) -> None:
    """Exit 3, one message, no manifest; with room again, the same command finishes the same bytes."""
    arguments = ["gen-warehouse", "--archetype", "neobank", "--scale", "tiny"]
    done = subprocess.run(
        [sys.executable, "-c", LIMIT_FILES, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data/neobank/manifest.json").exists()
    assert shell(*arguments, cwd=tmp_path).returncode == 0


def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    """Where the folder cannot be written, the message names it and nothing else is written."""
    # Root may write anywhere unless that one power is taken away.
    powerless = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o555)
    command = [
        sys.executable,
        "-m",
        "dnr_core",
        "gen-warehouse",
        "--archetype",
        "neobank",
        "--scale",
        "tiny",
    ]
    done = subprocess.run(
        [*powerless, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    (tmp_path / "data").chmod(0o755)
    assert done.returncode == 3, done.stderr
    assert "cannot write to" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "data").iterdir())


def test_a_held_folder_is_refused(dnr: Callable[..., Any], tmp_path: Path) -> None:
    """A second run in one folder is told so with exit code 3."""
    from dnr_core.workspace import held

    with held(tmp_path / "data" / "neobank"):
        done = shell("gen-warehouse", "--archetype", "neobank", "--scale", "tiny", cwd=tmp_path)
    assert done.returncode == 3
    assert "another run is writing to" in done.stderr


def test_without_archetypes_it_says_what_to_install(dnr: Callable[..., Any]) -> None:
    """The core alone works, and names what brings archetypes."""
    outcome = dnr("quickstart", "--no-plugin", "neobank", "--no-plugin", "marketplace")
    assert outcome.code == 2
    assert "no archetype is installed" in outcome.err
    assert "pip install 'dnr-core[all]'" in outcome.err

"""Every command that README and tutorials show works as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from dnr_core.cli.app import COMMANDS, run

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```console\n(.*?)^```", re.M | re.S)


def commands(page: Path) -> list[str]:
    """The lines that a reader is shown after a dollar sign, in order."""
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    return [
        line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ dnr ")
    ]


def follow(page: Path) -> None:
    shown = commands(page)
    assert shown, page
    for line in shown:
        assert run(shlex.split(line)[1:]) == 0, line


def test_the_first_tutorial_works_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From `dnr init` to a report of a worse company, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    follow(ROOT / "docs" / "tutorials" / "first-report.md")
    assert (tmp_path / "reports" / "worse" / "report.html").exists()


def test_the_tutorial_on_a_real_warehouse_works_as_shown(
    flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flights, drafted, edited as shown, reported on and explained."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(flights, tmp_path / "flights.duckdb")
    page = ROOT / "docs" / "tutorials" / "your-own-warehouse.md"
    first, *others = commands(page)
    assert run(shlex.split(first)[1:]) == 0
    assert (tmp_path / "flights.yaml").exists()
    shutil.copy(ROOT / "docs" / "examples" / "flights.yaml", tmp_path / "flights.yaml")
    for line in others:
        assert run(shlex.split(line)[1:]) == 0, line
    assert (tmp_path / "reports" / "flights" / "report.html").exists()


def test_the_readme_works_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands, and its Python, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    readme = ROOT / "README.md"
    (code,) = re.findall(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.M | re.S)
    exec(compile(code, "README.md", "exec"), {})
    follow(readme)


def test_a_stranger_can_enter_the_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The set is made, the shown lines name rows, and they get a score, as the page shows it."""
    monkeypatch.chdir(tmp_path)
    # Less talk and one kind of company, for the time it takes.
    monkeypatch.setenv("DNR_PLUGINS", "neobank,llm_mock")
    for name, count in (("SLACK_THREADS", 60), ("EMAILS", 20), ("NLQ", 20)):
        monkeypatch.setenv(f"DNR_COMMS_{name}", str(count))
    page = ROOT / "docs" / "how-to" / "benchmark.md"
    export, score = commands(page)
    assert run([*shlex.split(export)[1:], "--seeds", "1"]) == 0
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    exec(compile(code, page.name, "exec"), {})
    capsys.readouterr()
    assert run(shlex.split(score)[1:]) == 0
    assert "key_null: 1.000 of" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference(name: str) -> None:
    """docs/reference/commands.md has a line for each command, and names no other."""
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert f"| `dnr {name}" in text
    assert set(re.findall(r"^\| `dnr ([a-z-]+)", text, re.M)) == set(COMMANDS)

"""What `nox -s bench -- --check` calls worse, and what it lets pass."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "benchmarks"
BENCHMARK = """
import sys
from recorded import tell, tell_memory
tell("speed", float(sys.argv[1]), "higher")
tell("time", float(sys.argv[2]), "lower")
tell_memory("memory")
"""


@pytest.fixture
def recorded() -> Any:
    spec = importlib.util.spec_from_file_location("recorded", ROOT / "recorded.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(speed: float, time: float, peak: int) -> list[dict[str, Any]]:
    return [
        {"name": "speed", "ratio": speed, "better": "higher"},
        {"name": "time", "ratio": time, "better": "lower"},
        {"name": "memory", "peak_mb": peak},
    ]


@pytest.mark.parametrize(
    ("now", "faults"),
    [
        (told(10, 2, 100), []),
        (told(8.1, 2.3, 120), []),
        (told(90, 0.1, 10), []),
        (told(7.9, 2, 100), ["more than 20% worse"]),
        (told(10, 2.41, 100), ["more than 20% worse"]),
        (told(10, 2, 131), ["over its stated memory"]),
        (told(10, 2, 100)[1:], ["is not measured any more"]),
    ],
)
def test_what_is_a_fifth_worse_is_a_fault(
    recorded: Any, now: list[dict[str, Any]], faults: list[str]
) -> None:
    """In either direction, over the memory, or no longer told; what is better never is."""
    kept = recorded.entry_of([], told(10, 2, 100))
    assert kept["stated_mb"] == {"memory": 120}
    assert [fault for _, fault in recorded.compared({**kept, "stated_mb": {"memory": 130}}, now)
            if fault] == faults  # fmt: skip


def test_a_benchmark_is_recorded_and_held_against_it(tmp_path: Path) -> None:
    """As the session calls it: record, check, and a check that fails since the machine is slower."""
    for name in ("recorded.py",):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), encoding="utf-8")
    (tmp_path / "quick.py").write_text(BENCHMARK, encoding="utf-8")

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "recorded.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert call("record", "quick", "10", "2").returncode == 0
    done = call("check")
    assert done.returncode == 0, done.stderr
    assert "ok   quick, speed: 10, recorded 10" in done.stdout
    content = json.loads((tmp_path / "recorded.json").read_text("utf-8"))
    content["quick"]["options"] = ["7", "2"]
    (tmp_path / "recorded.json").write_text(json.dumps(content), encoding="utf-8")
    done = call("check", "quick")
    assert done.returncode == 1
    assert "FAIL quick, speed: 7, recorded 10, higher is better: more than 20% worse" in done.stdout
    assert "not recorded" in call("check", "other").stderr


def test_what_is_recorded_can_be_run(recorded: Any) -> None:
    """Each recorded benchmark is a script that is there, with ratios and stated memory."""
    for name, entry in recorded.read().items():
        assert (ROOT / f"{name}.py").exists()
        assert entry["ratios"]
        assert entry["stated_mb"]

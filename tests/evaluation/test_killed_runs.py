"""A run that is killed leaves nobody behind who would work in the next one's folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dnr_core.config import Settings
from dnr_core.evaluation.runs import Job, run_jobs
from dnr_core.plugins import load_plugins

SCRIPT = """
import os, sys, time
from pathlib import Path

import pytest
from dnr_core.config import Settings
from dnr_core.evaluation.runs import Job, run_jobs
from dnr_core.plugins import load_plugins

def work(job, settings, catalogue, folder):
    if job.name != "quick":
        (folder / f"{job.name}.{os.getpid()}").touch()
        time.sleep(600)
    return {"done": job.name}

if __name__ == "__main__":
    jobs = [Job(name, {}) for name in ("quick", "one", "two")]
    catalogue = load_plugins(discover=False)
    run_jobs(jobs, work, Settings(), catalogue, Path(sys.argv[1]), workers=2)
"""
LOST = """
import os, signal, sys
from pathlib import Path
from dnr_core.config import Settings
from dnr_core.errors import UnfinishedError
from dnr_core.evaluation.runs import Job, run_jobs
from dnr_core.plugins import load_plugins

def work(job, settings, catalogue, folder):
    if job.name == "lost":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"done": job.name}

if __name__ == "__main__":
    jobs = [Job(name, {}) for name in ("quick", "lost")]
    try:
        run_jobs(jobs, work, Settings(), load_plugins(discover=False), Path(sys.argv[1]), workers=2)
    except UnfinishedError as error:
        print(error, "|", error.hint)
"""
PATIENCE_SECONDS = 120


def waited(until: Callable[[], bool]) -> bool:
    """Wait until something holds, and tell whether it came to."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def is_running(pid: int) -> bool:
    """Tell whether a process is there and is more than an entry that nobody has read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_workers_end_with_their_run(tmp_path: Path) -> None:
    """After SIGKILL its two workers are gone in the midst of their jobs, and what was done is kept."""
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    folder = tmp_path / "work"
    run = subprocess.Popen([sys.executable, str(script), str(folder)])
    try:
        assert waited(lambda: len(list(folder.glob("*.[0-9]*"))) == 2), "no two workers began"
        assert waited((folder / "outcomes" / "quick.json").exists)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    workers = [int(mark.suffix[1:]) for mark in folder.glob("*.[0-9]*")]
    assert waited(lambda: not any(map(is_running, workers))), "workers outlived their run"


def test_a_worker_that_is_lost_is_told(tmp_path: Path) -> None:
    """A worker that the system kills, as it does for want of memory, is no fault of dnr."""
    script = tmp_path / "run.py"
    script.write_text(LOST)
    told = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "work")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert "a worker process ended before its company was done" in told.stdout
    assert "fewer --workers" in told.stdout


def in_order(job: Job, *_: object) -> dict[str, object]:
    """An outcome whose keys are in no alphabet's order."""
    return {"report": job.name, "baseline": (1, 2)}


def test_an_outcome_is_the_same_whichever_run_had_it(tmp_path: Path) -> None:
    """What a run finds done is, to the order of its keys, what it would have done itself."""
    catalogue = load_plugins(discover=False)
    first, second = (
        run_jobs([Job("one", {})], in_order, Settings(), catalogue, tmp_path) for _ in range(2)
    )
    assert repr(first) == repr(second)
    assert list(first[0]) == ["report", "baseline"]

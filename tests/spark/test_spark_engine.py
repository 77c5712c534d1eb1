"""The same bytes from Spark as from threads, whatever is lost on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.errors import InputError
from dnr_core.warehouse.engines import spark

SCALES = {"neobank": 0.2, "marketplace": 0.02}


def generate(name: str, folder: Path, master: str = "local[2]", **more):
    return dnr_core.generate_warehouse(
        name,
        scale=SCALES[name],
        out=folder / "data",
        meta=folder / "meta",
        engine="spark",
        master=master,
        context=open_context(environ={}),
        **more,
    )


def descendants(of: int) -> Iterator[tuple[int, str]]:
    """Processes below one, with their command lines, deepest last."""
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and path.joinpath("stat").read_text().split()[3] == str(of):
                yield int(path.name), path.joinpath("cmdline").read_text().replace("\0", " ")
                yield from descendants(int(path.name))
        except OSError:
            continue  # it ended meanwhile


class Killer:
    """Progress that kills processes of ours once, as soon as the first part is done."""

    def __init__(self, choose: Callable[[list[tuple[int, str]]], list[int]]) -> None:
        self.choose, self.killed, self.rows = choose, [], 0

    def start(self, task, total, unit):
        pass

    def advance(self, task, amount=1):
        self.rows += amount
        if amount and not self.killed:
            self.killed = self.choose(list(descendants(os.getpid())))
            for pid in self.killed:
                os.kill(pid, signal.SIGKILL)

    def done(self, task, note=""):
        pass


def python_workers(processes: list[tuple[int, str]]) -> list[int]:
    """Those that make parts: forked by pyspark's daemon, so that they have its command line."""
    return [pid for pid, command in processes if "pyspark.daemon" in command][1:]


def one_executor(processes: list[tuple[int, str]]) -> list[int]:
    return [pid for pid, command in processes if "CoarseGrainedExecutorBackend" in command][:1]


@pytest.mark.parametrize("name", ["neobank", "marketplace"])
def test_spark_writes_the_bytes_of_threads(name, by_threads, bytes_of, tmp_path, monkeypatch):
    """Files, manifest and truth are those of the local engine, also in another time zone."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    generate(name, tmp_path)
    assert bytes_of(tmp_path) == by_threads(name)


EVERY_KIND = """\
extends: typical
rates:
  - {kind: late_parent, share: 0.02}
  - {kind: category_typo, share: 0.02, tables: [snapshot_listing_daily], columns: [status]}
incidents:
  - {kind: truncated_day, total: 3, from_hour: 16}
  - {kind: stale_snapshot, total: 2}
  - {kind: value_drift, total: 1, days: 14, tables: [fact_order], columns: [tax_cents]}
  - {kind: null_spike, per_quarter: 2, within_rate: true}
"""


def test_every_kind_of_a_profile_file_is_broken_alike(bytes_of, tmp_path):
    """A profile from a file, with rows that are gone and days that repeat others, gives on Spark the
    bytes of threads."""
    profile = tmp_path / "every.yaml"
    profile.write_text(EVERY_KIND)
    generate("marketplace", tmp_path / "spark", quality=profile)
    dnr_core.generate_warehouse(
        "marketplace",
        scale=SCALES["marketplace"],
        quality=profile,
        out=tmp_path / "threads" / "data",
        meta=tmp_path / "threads" / "meta",
        context=open_context(environ={}),
    )
    assert bytes_of(tmp_path / "spark") == bytes_of(tmp_path / "threads")


def test_lost_python_workers_are_survived(by_threads, bytes_of, tmp_path):
    """Workers killed in the middle of their parts cost time and nothing else."""
    killer = Killer(python_workers)
    generate("neobank", tmp_path, progress=killer)
    assert killer.killed
    assert bytes_of(tmp_path) == by_threads("neobank")


def test_a_lost_executor_is_survived(by_threads, bytes_of, tmp_path):
    """Of two executors on a cluster one is killed, and the parts are made by those that are left."""
    killer = Killer(one_executor)
    generate("neobank", tmp_path, "local-cluster[2,1,1024]", progress=killer)
    assert killer.killed
    assert bytes_of(tmp_path) == by_threads("neobank")


def test_parts_that_are_always_lost_end_the_run(by_threads, bytes_of, tmp_path, monkeypatch):
    """Where every attempt dies the run ends with a plain error, and goes on when run again."""

    class Butcher(Killer):
        def advance(self, task, amount=1):
            self.killed = []
            super().advance(task, amount)

    monkeypatch.setattr(spark, "LOST_TASKS", 1)
    with pytest.raises(InputError, match=r"Spark gave up: .*worker") as caught:
        generate("neobank", tmp_path, progress=Butcher(python_workers))
    assert "go on" in caught.value.hint
    records = [json.loads(p.read_text()) for p in (tmp_path / "data/.partial").rglob("*.json")]
    kept = {
        name: (tmp_path / "data/.partial" / name).stat().st_ino
        for record in records
        for name in record["files"]
    }
    assert kept
    monkeypatch.undo()
    generate("neobank", tmp_path)
    assert bytes_of(tmp_path) == by_threads("neobank")
    assert all((tmp_path / "data" / name).stat().st_ino == inode for name, inode in kept.items())


def dnr(folder: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Run the command in a process of its own."""
    program = shutil.which("dnr", path=Path(sys.executable).parent)
    assert program
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DNR_")}
    return subprocess.Popen(
        [
            *(program, "gen-warehouse", "--engine", "spark", "--master", "local[2]"),
            *("--out", str(folder / "data"), "--meta", str(folder / "meta"), *arguments),
        ],
        env={**ours, **environ},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_driver_is_gone_on_with_by_threads(by_threads, bytes_of, tmp_path):
    """After SIGKILL of the driver nothing counts as finished, and either engine goes on."""
    child = dnr(tmp_path, "--archetype", "neobank", "--scale", str(SCALES["neobank"]))
    while not list(tmp_path.rglob("*.json")):
        assert child.poll() is None
        time.sleep(0.05)
    below = [pid for pid, _ in descendants(child.pid)]
    child.kill()
    child.communicate()
    assert not (tmp_path / "data" / "manifest.json").exists()
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in below):
            break
        time.sleep(0.1)
    else:
        pytest.fail("Spark outlived its driver")
    dnr_core.generate_warehouse(
        "neobank",
        scale=SCALES["neobank"],
        out=tmp_path / "data",
        meta=tmp_path / "meta",
        context=open_context(environ={}),
    )
    assert bytes_of(tmp_path) == by_threads("neobank")


PLUGIN = textwrap.dedent("""
    import pyarrow as pa
    from dnr_core.hookspecs import hookimpl
    from dnr_core.model import Archetype, Column, Family, Schema, Synthesis, Table

    def chunk(company, number):
        if number == 5 and company.seed == 1:
            raise RuntimeError("the well is dry")
        ids = range(number * 10, number * 10 + 10)
        return {"dim_well": pa.table({"well_id": pa.array(ids, pa.int64())})}

    @hookimpl
    def dnr_archetypes():
        table = Table("dim_well", [Column("well_id", "int64")], primary_key="well_id")
        wells = Family("wells", ["dim_well"], lambda company: 40, chunk)
        return [Archetype("wells", "Wells", Schema([table]), volumes={"dim_well": 400},
                          fixed_tables=["dim_well"], synthesis=Synthesis([wells], {}))]
""")


@pytest.fixture
def wells(tmp_path):
    """A stranger's plugin in a folder that only PYTHONPATH names."""
    folder = tmp_path / "site"
    info = folder / "wells-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "wells_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wells\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dnr]\nwells = wells_plugin\n")
    return {"PYTHONPATH": str(folder)}


def test_a_stranger_s_company_is_made_on_spark(wells, tmp_path):
    """Executors find an installed plugin's archetype by its name, and say little on the way."""
    child = dnr(tmp_path, "--archetype", "wells", "-q", **wells)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert "400 rows" in out
    assert err == ""
    assert len(list((tmp_path / "data" / "dim_well").iterdir())) == 10


def test_a_faulty_chunk_is_told_as_threads_tell_it(wells, tmp_path):
    """A plugin's fault on an executor comes back as one line that names plugin and chunk."""
    child = dnr(tmp_path, "--archetype", "wells", "--seed", "1", "-q", **wells)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 2
    assert "plugin wells" in err
    assert "chunk 5: RuntimeError: the well is dry" in err
    assert "Traceback" not in err
    assert not (tmp_path / "data" / "manifest.json").exists()


def test_without_java_the_error_says_what_to_install(tmp_path):
    """No Java: one line, a hint, and no folder."""
    child = dnr(tmp_path, "--archetype", "neobank", JAVA_HOME=str(tmp_path / "nowhere"))
    _, err = child.communicate(timeout=60)
    assert child.returncode == 2
    assert "needs Java 17" in err
    assert "openjdk-17-jre-headless" in err
    assert not (tmp_path / "data").exists()


def test_a_master_that_is_none_is_told(tmp_path):
    """A master that Spark does not know gives a plain error with its name."""
    child = dnr(tmp_path, "--archetype", "neobank", "--scale", "tiny", "--master", "sparkle://x")
    _, err = child.communicate(timeout=120)
    assert child.returncode == 2
    assert "sparkle://x" in err
    assert "Traceback" not in err

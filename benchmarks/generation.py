"""How fast warehouses are made and in how much memory, as ratios within one run.

Usage: python benchmarks/generation.py [--parts N] [--repeats N] [--scale S] [--full]

- *Speed*: parts of a family, made whole (clean rows, defects, copies, ledger with its final file,
  Parquet, hashes) on one thread, and pyarrow writing the same finished row groups with the same
  options. tpchgen-cli (Rust) makes TPC-H's lineitem as Parquet zstd on one thread. All take turns,
  and the least CPU seconds of each count, its start aside: a busy machine stretches wall time.
- *Threads*: wall time of the same company with one and with two, in turns.
- *Memory*: the peak of a process of its own that makes a whole company, measuring included, at
  about 10 million rows, and with `--full` at 200 million (3 GB of disk, and up to an hour).
- *Evaluation*: both companies at that scale with two threads, the snapshot included.

Spark beside threads is in `spark_engine.py`. What is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dnr_core.cli.app import ARROW_POOL
from dnr_core.config.settings import Settings, WarehouseSettings
from dnr_core.model import Family
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import generate_warehouse, make_plan
from dnr_core.warehouse.apply import corrupt_chunk
from dnr_core.warehouse.arrow import write_options
from dnr_core.warehouse.chunks import clean_chunk
from dnr_core.warehouse.parts import PartRecord, build_part
from dnr_core.warehouse.plan import Plan, part_chunks
from dnr_core.warehouse.truth import write_truth

FAMILIES = (
    ("neobank", "card_transactions", "fact_card_transaction", 0.5, 1.5),
    ("marketplace", "orders", "orders, items, payments", 0.4, 1.2),
    ("marketplace", "listing_snapshots", "snapshot_listing_daily", None, None),
)
"""Company, family, name, and the wanted ratios to writing alone and to tpchgen-cli."""
DEFAULTS = {"compression": "zstd"}


def least(times: int, *tasks: Callable[[], Any]) -> list[float]:
    """Return the least CPU seconds of each task over turns."""
    best = [float("inf")] * len(tasks)
    for _ in range(times):
        for place, task in enumerate(tasks):
            begin = time.process_time()
            task()
            best[place] = min(best[place], time.process_time() - begin)
    return best


def family_of(plan: Plan, name: str) -> Family:
    return next(family for family in plan.synthesis.families if family.name == name)


class Parts:
    """Some parts of a family, and what it costs to make them and to write them alone."""

    def __init__(self, archetype: str, family: str, count: int, folder: Path) -> None:
        self.plan = make_plan(archetype, WarehouseSettings(workers=1), load_plugins())
        self.family = family_of(self.plan, family)
        chunks = self.plan.chunks[family]
        self.numbers = range(min(count, -(-chunks // 4)))
        self.folder = folder
        self.records: list[PartRecord] = []
        self.make()
        self.groups = {
            name: [
                group
                for record in self.records
                for path in record.files
                if path.startswith(f"{name}/")
                for group in _groups(folder / "stage" / path)
            ]
            for name in self.family.tables
        }
        self.rows = sum(sum(record.rows.values()) for record in self.records)
        self.values = sum(g.num_rows * g.num_columns for gs in self.groups.values() for g in gs)
        self.bytes = sum(
            (folder / "stage" / path).stat().st_size for r in self.records for path in r.files
        )

    def make(self) -> None:
        """Make the parts, and the ledger's file as it stays."""
        stage, meta = self.folder / "stage", self.folder / "meta"
        meta.mkdir(parents=True, exist_ok=True)
        truth = self.folder / "truth"
        self.records = [
            build_part(
                self.plan,
                self.family,
                number,
                stage=stage,
                truth=truth,
                stopped=lambda: False,
                written=lambda _: None,
            )
            for number in self.numbers
        ]
        write_truth(self.plan, self.records, meta, truth)

    def write(self, *, defaults: bool = False) -> None:
        """Write the finished row groups again with pyarrow alone."""
        for name, groups in self.groups.items():
            options = DEFAULTS if defaults else write_options(self.plan.archetype.schema[name])
            again = self.folder / "again.parquet"
            with pq.ParquetWriter(again, groups[0].schema, **options) as writer:
                for group in groups:
                    writer.write_table(group, row_group_size=group.num_rows)

    def stages(self, repeats: int) -> list[float]:
        """Return nanoseconds a row for a chunk: clean rows, breaking them, writing, hashing."""
        chunk = part_chunks(self.plan.chunks[self.family.name], 0)[-1]
        clean = clean_chunk(self.plan, self.family, chunk)
        rows = sum(d.rows.num_rows for d in corrupt_chunk(self.plan, chunk, clean).values())
        made, broken = least(
            repeats,
            lambda: clean_chunk(self.plan, self.family, chunk),
            lambda: corrupt_chunk(self.plan, chunk, clean),
        )
        return [made / rows * 1e9, broken / rows * 1e9]


def _groups(path: Path) -> list[pa.Table]:
    with pq.ParquetFile(path) as file:
        return [file.read_row_group(n) for n in range(file.num_row_groups)]


def lineitem(scale: float, repeats: int) -> float | None:
    """Return the values that tpchgen-cli makes of lineitem in a CPU second, its start aside."""
    if shutil.which("tpchgen-cli", path=_scripts()) is None:
        print("tpchgen-cli: not measured, because it is not installed (pip install tpchgen-cli)\n")
        return None
    start = min(_tpchgen(0.001)[0] for _ in range(repeats))
    runs = [_tpchgen(scale) for _ in range(repeats)]
    return runs[0][1] / (min(spent for spent, _ in runs) - start)


def _scripts() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _tpchgen(scale: float) -> tuple[float, int]:
    """Return CPU seconds and values of one run."""
    program = shutil.which("tpchgen-cli", path=_scripts()) or "tpchgen-cli"
    with tempfile.TemporaryDirectory() as folder:
        options = ["-s", str(scale), "--tables=lineitem", f"--output-dir={folder}", "-n", "1"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [program, "parquet", *options, "-c", "ZSTD(1)"], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        made = pq.read_metadata(Path(folder, "lineitem.parquet"))
        return spent, made.num_rows * made.num_columns


def whole(name: str, scale: str, workers: int) -> dict[str, float]:
    """Make a whole company in a process of its own, and return what it took."""
    told = subprocess.run(
        [sys.executable, __file__, "--one", name, scale, str(workers)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


class Clock:
    """Wall and CPU seconds at which each task began and ended."""

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[float, float]]] = {}

    def start(self, task: str, total: int | None, unit: str) -> None:  # noqa: ARG002
        self.spans[task] = [(time.perf_counter(), time.process_time())]

    def advance(self, task: str, amount: int = 1) -> None:
        pass

    def done(self, task: str, note: str = "") -> None:  # noqa: ARG002
        self.spans[task].append((time.perf_counter(), time.process_time()))

    def spent(self, ending: str) -> tuple[float, float]:
        """Return wall and CPU seconds of the tasks whose names end so."""
        found = [span for task, span in self.spans.items() if task.endswith(ending)]
        return sum(s[-1][0] - s[0][0] for s in found), sum(s[-1][1] - s[0][1] for s in found)


def one(name: str, scale: str, workers: int) -> None:
    """Make a company and print, as JSON, seconds, rows and the peak of this process."""
    settings = Settings(warehouse=WarehouseSettings(workers=workers, scale=scale))
    clock, begin, cpu = Clock(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        made = generate_warehouse(
            name,
            settings,
            load_plugins(),
            out=Path(folder, "data"),
            meta=Path(folder, "meta"),
            progress=clock,
        )
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        told = {
            "wall": time.perf_counter() - begin,
            "cpu": time.process_time() - cpu,
            "rows_wall": clock.spent("rows")[0],
            "rows_cpu": clock.spent("rows")[1],
            "measure_cpu": clock.spent("measure")[1],
            "rows": sum(made.manifest.extra["rows"].values()),
            "bytes": size,
            "peak_mb": peak_mb(),
            **_skipping(Path(folder, "data", "fact_card_transaction")),
        }
    print(json.dumps(told))


def peak_mb() -> float:
    """Return the most memory that this process has had.

    `ru_maxrss` is that of the process which started it, where that was larger.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(e for e in status.read_text().splitlines() if e.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _skipping(folder: Path) -> dict[str, int]:
    """Return row groups of transactions, and those whose statistics let in one day of them."""
    spans = []
    for path in sorted(folder.glob("*.parquet")):
        meta = pq.read_metadata(path)
        place = meta.schema.to_arrow_schema().get_field_index("event_time")
        for number in range(meta.num_row_groups if place >= 0 else 0):
            told = meta.row_group(number).column(place).statistics
            spans.append((told.min, told.max))
    if not spans:
        return {}
    day = spans[len(spans) // 2][0]
    hit = sum(low < day + timedelta(days=1) and high >= day for low, high in spans)
    return {"groups": len(spans), "groups_of_a_day": hit}


def speed(parts: int, repeats: int, scale: float) -> None:
    """Print how fast each family is made, beside pyarrow alone and tpchgen-cli."""
    rust = lineitem(scale, repeats)
    print("| made on one thread | rows | M rows/s | M values/s | bytes/row | of pyarrow, same "
          "options | of pyarrow, zstd defaults | of tpchgen-cli |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    stages = []
    for archetype, family, title, of_write, of_rust in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            some = Parts(archetype, family, parts, Path(folder))
            made, alone, plain = least(
                repeats, some.make, some.write, lambda some=some: some.write(defaults=True)
            )
            clean, broken = some.stages(repeats)
        fast = some.values / made
        wanted = f" (wanted {of_write})" if of_write else ""
        beside = f"{fast / rust:.2f}" + (f" (wanted {of_rust})" if of_rust else "") if rust else "-"
        print(
            f"| {title} | {some.rows:,} | {some.rows / made / 1e6:.2f} | {fast / 1e6:.1f} | "
            f"{some.bytes / some.rows:.2f} | {alone / made:.2f}{wanted} | {plain / made:.2f} | "
            f"{beside} |"
        )
        each, writing = made / some.rows * 1e9, alone / some.rows * 1e9
        rest = each - clean - broken - writing
        stages.append(
            f"| {title} | {clean:.0f} | {broken:.0f} | {writing:.0f} | {rest:.0f} | {each:.0f} |"
        )
    if rust:
        print(f"| tpchgen-cli: lineitem | | {rust / 16e6:.2f} | {rust / 1e6:.1f} | | | | 1 |")
    print("\n| nanoseconds a row | clean rows | defects | pyarrow alone | ledger, hashes, less what "
          "codes save in writing | all |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(stages))


def companies(scale: str, repeats: int, *, full: bool) -> None:
    """Print whole companies: threads, memory, evaluation scale."""
    print("\n| company | scale | threads | rows | wall | CPU | of it measuring | peak memory |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")

    def told(name: str, size: str, workers: int, found: dict[str, float]) -> None:
        print(
            f"| {name} | {size} | {workers} | {found['rows']:,} | {found['wall']:.0f} s | "
            f"{found['cpu']:.1f} s | {found['measure_cpu']:.1f} s | {found['peak_mb']:.0f} MB |",
            flush=True,
        )

    for name in ("neobank", "marketplace"):
        told(name, "evaluation", 2, whole(name, "evaluation", 2))
    ones, twos = [], []
    for _ in range(repeats):
        ones.append(whole("neobank", scale, 1))
        twos.append(whole("neobank", scale, 2))
    told("neobank", scale, 1, min(ones, key=lambda each: each["wall"]))
    told("neobank", scale, 2, min(twos, key=lambda each: each["wall"]))
    if full:
        found = whole("neobank", "38", 2)
        told("neobank", "38", 2, found)
        told("marketplace", "9.3", 2, whole("marketplace", "9.3", 2))
    ratio = min(x["rows_wall"] for x in ones) / min(x["rows_wall"] for x in twos)
    print(f"\nTwo threads make parts {ratio:.2f} times as fast as one (wall time; wanted 1.7).")
    last = twos[0]
    print(
        f"One day of transactions lies in {last['groups_of_a_day']} of {last['groups']} row groups."
    )


def main() -> None:
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        # As the command runs; it can only be said before pyarrow is imported.
        pooled = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": ARROW_POOL}
        os.execve(sys.executable, [sys.executable, *sys.argv], pooled)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parts", type=int, default=2, help="parts of each family (1 M rows each)")
    parser.add_argument("--repeats", type=int, default=3, help="turns, of which the best counts")
    parser.add_argument("--scale", default="2", help="of the neobank whose memory is measured")
    parser.add_argument("--tpch", type=float, default=0.5, help="scale factor of lineitem")
    parser.add_argument("--full", action="store_true", help="also make 200 million rows")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args.one[0], args.one[1], int(args.one[2]))
        return
    pa.set_cpu_count(1)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before; Python "
        f"{platform.python_version()}, pyarrow {pa.__version__}\n"
    )
    speed(args.parts, args.repeats, args.tpch)
    companies(args.scale, args.repeats, full=args.full)


if __name__ == "__main__":
    main()

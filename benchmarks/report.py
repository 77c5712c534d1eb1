"""How long `dnr run-report` takes, where its time goes, and how it grows.

Usage: python benchmarks/report.py [--scales 0.2,1,5] [--rounds N] [--folder FOLDER]

Makes both companies with their messages (kept in FOLDER and used again), the messages always of
evaluation scale, and runs `dnr run-report` on each, in a process of its own on two cores.
Processor seconds (user and system) and memory are those of the whole process, the least of the
rounds; so are the seconds by the clock, which tell little where other work runs.

At scale 1, which is evaluation scale, a further run shows where the seconds go. A part is in the one
that it stands under: DuckDB's are both threads'. Talk is measured beside the figures by month and the
proofs: what the process does meanwhile counts in each of them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMPANIES = ("neobank", "marketplace")
PARTS = (
    ("health", "dnr_core.health:measure"),
    ("- tables counted", "dnr_core.health.measure:count"),
    ("- quantiles of lag", "dnr_core.health.measure:_lags"),
    ("- figures by month", "dnr_core.health.measure:kpis"),
    ("- incidents", "dnr_core.health.measure:detect"),
    ("- proofs", "dnr_core.health.measure:proofs"),
    ("talk", "dnr_core.demand:measure_demand"),
    ("ranking", "dnr_core.ranking:rank"),
    ("drill-down", "dnr_core.health:drill"),
    ("page and files", "dnr_core.report.assemble:Report.save"),
    ("- figures as PNG", "dnr_core.report.chart:Drawings.png"),
    ("- figures as SVG", "dnr_core.report.chart:Drawings.svg"),
    ("of all: DuckDB", "ibis.backends.duckdb:Backend.raw_sql"),
    ("of all: Ibis compiling", "ibis.backends.sql.compilers.base:SQLGlotCompiler.to_sqlglot"),
)
"""What is timed, by the place where it is called from."""


class Clock:
    """Processor seconds by part; of a part that calls itself the outer call counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: set[str] = set()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, with its time added up under `name`."""

        def call(*arguments: Any, **named: Any) -> Any:
            if name in self._running:
                return function(*arguments, **named)
            self._running.add(name)
            begin = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self._running.discard(name)
                spent = time.process_time() - begin
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

        return call


def parts(arguments: list[str]) -> None:
    """Run a command in this process and print where its processor seconds went."""
    from dnr_core.cli.app import main as dnr

    clock = Clock()
    begin = time.process_time()
    for name, place in PARTS:
        module, path = place.split(":")
        owner: Any = importlib.import_module(module)
        *inner, last = path.split(".")
        for step in inner:
            owner = getattr(owner, step)
        setattr(owner, last, clock.timed(name, getattr(owner, last)))
    clock.seconds["imports"] = time.process_time() - begin
    try:
        dnr(arguments)
    except SystemExit as end:
        if end.code:
            raise
    for name, seconds in clock.seconds.items():
        print(f"{name}\t{seconds:.3f}", file=sys.stderr)
    print(f"whole\t{time.process_time():.3f}", file=sys.stderr)


def run(command: list[str], log: Path) -> dict[str, float]:
    """Run a command; return processor seconds, seconds by the clock, and megabytes at most."""
    begin = time.perf_counter()
    with log.open("w") as errors:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}\n{log.read_text()}")
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "wall": time.perf_counter() - begin,
        "mb": used.ru_maxrss / 1024,
    }


def made(folder: Path, company: str, scale: str, log: Path) -> list[str]:
    """Make a company and its messages, where they are not there; return the report's command."""
    dnr = str(Path(sys.executable).parent / "dnr")
    data, meta = folder / f"{company}-{scale}", folder / f"meta-{company}-{scale}"
    if not (data / "manifest.json").exists():
        command = [dnr, "-q", "gen-warehouse", "--archetype", company, "--scale", scale]
        run([*command, "--out", str(data), "--meta", str(meta)], log)
    comms = folder / f"comms-{company}-{scale}"
    if not (comms / "manifest.json").exists():
        command = [dnr, "-q", "gen-comms", "--archetype", company, "--warehouse", str(data)]
        run([*command, "--out", str(comms), "--meta", str(folder / f"told-{company}-{scale}")], log)
    report = ["-q", "run-report", "--warehouse", str(data), "--comms", str(comms)]
    return [*report, "--out", str(folder / f"report-{company}-{scale}")]


def rows_of(folder: Path) -> int:
    """Rows of a folder of Parquet files, as their footers tell."""
    import pyarrow.parquet as pq

    return sum(pq.ParquetFile(path).metadata.num_rows for path in folder.rglob("*.parquet"))


def grown(folder: Path, scales: list[str], rounds: int, log: Path) -> None:
    """Print seconds and memory of each company at each scale."""
    dnr = str(Path(sys.executable).parent / "dnr")
    print("| | rows | processor seconds | by the clock | peak MB | seconds a million rows more |")
    print("| --- | --- | --- | --- | --- | --- |")
    for company in COMPANIES:
        before: tuple[int, float] | None = None
        for scale in scales:
            command = [dnr, *made(folder, company, scale, log)]
            found = [run(command, log) for _ in range(rounds)]
            best = {name: min(one[name] for one in found) for name in found[0]}
            rows = rows_of(folder / f"{company}-{scale}")
            more = (
                ""
                if before is None
                else f"{(best['cpu'] - before[1]) / (rows - before[0]) * 1e6:.2f}"
            )
            cells = [f"{company}, scale {scale}", f"{rows:,}", f"{best['cpu']:.1f}"]
            cells += [f"{best['wall']:.1f}", f"{best['mb']:.0f}", more]
            print("| " + " | ".join(cells) + " |", flush=True)
            before = rows, best["cpu"]


def shared(folder: Path, log: Path) -> None:
    """Print where the seconds of a report go, of each company at evaluation scale."""
    columns: dict[str, dict[str, float]] = {}
    for company in COMPANIES:
        command = made(folder, company, "1", log)
        run([sys.executable, __file__, "--parts", *command], log)
        lines = [line.split("\t") for line in log.read_text().splitlines() if "\t" in line]
        columns[company] = {name: float(seconds) for name, seconds in lines}
    print()
    print("| processor seconds | " + " | ".join(COMPANIES) + " |")
    print("| --- |" + " --- |" * len(COMPANIES))
    for name in ("whole", "imports", *(name for name, _ in PARTS)):
        cells = [f"{columns[company].get(name, 0.0):.1f}" for company in COMPANIES]
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scales", default="0.2,1,5", help="1 is evaluation scale; by commas")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where companies are kept")
    parser.add_argument("--parts", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.parts:
        parts(given.parts)
        return
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        grown(folder, given.scales.split(","), given.rounds, Path(scratch) / "log")
        shared(folder, Path(scratch) / "log")


if __name__ == "__main__":
    main()

"""How fast Spark makes parts, as a ratio to threads within one run.

Usage: python benchmarks/spark_engine.py [SCALE] [WORKERS] [REPEATS]

Makes the marketplace (21.6 million rows at scale 1) with so many threads and with Spark on
`local[WORKERS]`, in turns, and takes the best wall time of each for the parts alone. Start-up is
what Spark takes for the company at scale `tiny` once its JVM runs: context, Python workers, plan.
Needs `dnr-core[spark]` and Java.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import dnr_core
from dnr_core.api.context import open_context


class Stopwatch:
    """Wall time of making parts."""

    seconds = 0.0

    def start(self, task: str, total: int | None, unit: str) -> None:  # noqa: ARG002
        if unit == "rows":
            self.seconds = -time.perf_counter()

    def advance(self, task: str, amount: int = 1) -> None:
        pass

    def done(self, task: str, note: str = "") -> None:  # noqa: ARG002
        if task.endswith("rows"):
            self.seconds += time.perf_counter()


def timed(engine: str, scale: str, workers: int) -> tuple[float, int]:
    """Return the seconds for all parts, and their rows."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        made = dnr_core.generate_warehouse(
            "marketplace",
            out=Path(folder) / "data",
            meta=Path(folder) / "meta",
            scale=scale,
            workers=workers,
            engine=engine,
            master=f"local[{workers}]",
            context=open_context(environ={}),
            progress=watch,
        )
    return watch.seconds, sum(made.manifest.extra["rows"].values())


def main() -> None:
    if find_spec("pyspark") is None:
        print("spark: not measured, because pyspark is not installed")
        return
    scale = sys.argv[1] if len(sys.argv) > 1 else "1"
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    repeats = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    timed("spark", "tiny", workers)  # the JVM
    threads, spark, started, rows = [], [], [], 0
    for _ in range(repeats):
        started.append(timed("spark", "tiny", workers)[0])
        seconds, rows = timed("local", scale, workers)
        threads.append(seconds)
        spark.append(timed("spark", scale, workers)[0])
    running = min(spark) - min(started)
    print(f"marketplace at scale {scale}: {rows:,} rows, {workers} workers, best of {repeats}")
    print("| threads | Spark | its start-up | ratio, start-up aside |")
    print("| --- | --- | --- | --- |")
    ratio = min(threads) / running
    print(f"| {min(threads):.1f} s | {min(spark):.1f} s | {min(started):.1f} s | {ratio:.2f} |")


if __name__ == "__main__":
    main()

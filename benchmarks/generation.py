"""How fast warehouses are made, as ratios within one run.

Usage: python benchmarks/generation.py [SCALE] [WORKERS]

For each installed archetype: the whole of `generate_warehouse` (clean chunks, defects, ledger,
Parquet, hashes), then the same finished batches written again by pyarrow alone with the same
options, and the clean chunks alone. Measuring for the calibration is timed apart. Seconds are
CPU seconds of all threads, which a busy machine stretches less than wall time.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dnr_core.config.settings import Settings, WarehouseSettings
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import generate_warehouse, make_plan
from dnr_core.warehouse.arrow import write_options
from dnr_core.warehouse.chunks import clean_chunk


class Clock:
    """Notes when each task began and ended."""

    def __init__(self) -> None:
        self.spans: dict[str, list[float]] = {}

    def start(self, task: str, total: int | None, unit: str) -> None:  # noqa: ARG002
        self.spans[task] = [time.process_time()]

    def advance(self, task: str, amount: int = 1) -> None:
        pass

    def done(self, task: str, note: str = "") -> None:  # noqa: ARG002
        self.spans[task].append(time.process_time())

    def seconds(self, ending: str) -> float:
        return sum(s[-1] - s[0] for task, s in self.spans.items() if task.endswith(ending))


def rewrite(folder: Path, options: dict[str, dict[str, object]]) -> tuple[float, int, int]:
    """Return seconds to write all finished batches again, and their rows and values."""
    spent, rows, values = 0.0, 0, 0
    for path in sorted(folder.rglob("*.parquet")):
        batches = pq.ParquetFile(path)
        groups = [batches.read_row_group(n) for n in range(batches.num_row_groups)]
        target = path.with_suffix(".again")
        begin = time.process_time()
        with pq.ParquetWriter(target, groups[0].schema, **options[path.parent.name]) as writer:
            for group in groups:
                writer.write_table(group, row_group_size=max(1, group.num_rows))
        spent += time.process_time() - begin
        target.unlink()
        rows += sum(group.num_rows for group in groups)
        values += sum(group.num_rows * group.num_columns for group in groups)
    return spent, rows, values


def main(scale: str = "evaluation", workers: str = "1") -> None:
    catalogue = load_plugins()
    settings = Settings(warehouse=WarehouseSettings(workers=int(workers), scale=scale))
    pa.set_cpu_count(1)
    print(f"scale {scale}, {workers} worker(s)")
    print(
        "| company | rows | M rows / CPU s | M values / CPU s | made | clean chunks | write alone | ratio | measure |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in sorted(catalogue.archetypes):
        plan = make_plan(name, settings.warehouse, catalogue)
        with tempfile.TemporaryDirectory() as folder:
            out, clock = Path(folder, "data"), Clock()
            generate_warehouse(
                name, settings, catalogue, out=out, meta=Path(folder, "meta"), progress=clock
            )
            begin = time.process_time()
            for family in plan.synthesis.families:
                for chunk in range(plan.chunks[family.name]):
                    clean_chunk(plan, family, chunk)
            clean = time.process_time() - begin
            options = {table.name: write_options(table) for table in plan.archetype.schema.tables}
            alone, rows, values = rewrite(out, options)
        made = clock.seconds("rows")
        print(
            f"| {name} | {rows:,} | {rows / made / 1e6:.2f} | {values / made / 1e6:.1f} | "
            f"{made:.1f} s | {clean:.1f} s | {alone:.1f} s | {alone / made:.2f} | "
            f"{clock.seconds('measure'):.1f} s |"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])

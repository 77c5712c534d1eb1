"""How fast clean rows are made: each installed archetype, family by family, on one thread.

    python benchmarks/synthesis.py [SCALE]

Nothing is written. Seconds are CPU seconds of the process, which a busy machine stretches little;
the ratio is to drawing and sorting as many numbers with numpy, before and after, the faster of both.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
from recorded import tell, tell_memory

from dnr_core.config import load_settings
from dnr_core.config.settings import DEFAULT_AS_OF
from dnr_core.model import Company, load
from dnr_core.plugins import load_plugins

YARDSTICK_ROWS = 1_000_000


def yardstick() -> float:
    """CPU seconds a row of drawing numbers and sorting them."""
    began = time.process_time()
    for seed in range(3):
        np.sort(np.random.default_rng(seed).random(YARDSTICK_ROWS))
    return (time.process_time() - began) / 3 / YARDSTICK_ROWS


def main(scale: float) -> None:
    """Print rows, seconds and rows a second of every family."""
    catalogue = load_plugins()
    settings = load_settings(environ={}, catalogue=catalogue).settings.warehouse
    print("| archetype | family | chunks | rows | CPU seconds | million rows a second |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, archetype in sorted(catalogue.archetypes.items()):
        if archetype.synthesis is None:
            continue
        company = Company(
            name,
            settings.seed,
            scale,
            settings.months,
            DEFAULT_AS_OF,
            settings.tz,
            settings.trajectory,
            settings.snapshot_days,
        )
        before, total, began_all = yardstick(), 0, time.process_time()
        for family in load(archetype.synthesis).families:
            began, rows, chunks = time.process_time(), 0, family.chunks(company)
            for chunk in range(chunks):
                rows += sum(b.num_rows for b in family.generate(company, chunk).values())
            took = time.process_time() - began
            total += rows
            speed = rows / took / 1e6
            print(f"| {name} | {family.name} | {chunks} | {rows:,} | {took:.2f} | {speed:.2f} |")
        took = time.process_time() - began_all
        ratio = took / total / min(before, yardstick())
        tell(f"{name}, a row of drawing and sorting a number", ratio, "lower")
        print(f"| {name} | all | | {total:,} | {took:.2f} | {total / took / 1e6:.2f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tell_memory("the process")
    print(f"\npeak {peak:.0f} MB")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)

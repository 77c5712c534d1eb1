"""Room: benchmarks. Companies in a row in one process: do memory and file handles stay flat?

    python benchmarks/soak.py [--minutes 120] [--scale tiny] [--companies 100] [--out soak.csv]

Each company is made with its talk and reported on, kinds and seeds in turn, and taken away. After each
the memory that the process holds, its open handles, its threads and its temporary files are noted. The
first fifth warms up (imports, caches, allocators); over the rest a line is laid through the medians of
slopes (Theil and Sen), in MB a company. Ends with 1 where handles or threads grew, or where memory
grows by more than `--most` MB a company.
"""

from __future__ import annotations

import argparse
import csv
import gc
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import dnr_core
from dnr_core.api.context import open_context

WARM_SHARE = 0.2
FIELDS = ("company", "archetype", "seed", "seconds", "rss_mb", "handles", "threads", "temporary")


def rss_mb() -> float:
    """Return the memory that the process holds just now; 0 where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    line = next(e for e in status.read_text().splitlines() if e.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def handles() -> int:
    """Return how many files, sockets and pipes are open."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def slope(values: Sequence[float]) -> float:
    """Return the median of the slopes between all pairs: what one outlier does not move."""
    pairs = [
        (values[j] - values[i]) / (j - i)
        for i in range(len(values))
        for j in range(i + 1, len(values))
    ]
    return statistics.median(pairs) if pairs else 0.0


def one(name: str, seed: int, scale: str, folder: Path) -> None:
    """Make a company and its talk, and report on them."""
    context = open_context(environ={}).with_flags({"comms.seed": seed, "warehouse.seed": seed})
    data, comms, meta = (folder / part for part in ("data", "comms", "meta"))
    dnr_core.generate_warehouse(name, scale=scale, out=data, meta=meta, context=context)
    dnr_core.generate_comms(
        data, slack=150, email=40, nlq=50, out=comms, meta=meta, context=context
    )
    report = dnr_core.run_report(data, comms=comms, context=context)
    report.save(folder / "report")


def soak(options: argparse.Namespace) -> list[dict[str, object]]:
    """Make companies until the time is over or there are enough; return a row for each."""
    names = sorted(
        n for n, a in open_context(environ={}).catalogue.archetypes.items() if a.synthesis
    )
    end = time.monotonic() + options.minutes * 60
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch, options.out.open("w", newline="") as handle:
        # What a library leaves in the folder of temporary files shows there.
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        table = csv.DictWriter(handle, FIELDS)
        table.writeheader()
        while time.monotonic() < end and len(rows) < options.companies:
            number = len(rows)
            name, seed = names[number % len(names)], number // len(names) + 1
            began = time.monotonic()
            place = Path(scratch) / "company"
            one(name, seed, options.scale, place)
            shutil.rmtree(place)
            gc.collect()
            rows.append(
                dict(zip(FIELDS, (
                    number + 1, name, seed, round(time.monotonic() - began, 1), round(rss_mb(), 1),
                    handles(), threading.active_count(), len(list(Path(scratch).rglob("*"))),
                ), strict=True))
            )  # fmt: skip
            table.writerow(rows[-1])
            handle.flush()
            print(" ".join(f"{key}={value}" for key, value in rows[-1].items()), flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--companies", type=int, default=100)
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--most", type=float, default=0.5, help="MB a company that are no growth")
    parser.add_argument("--out", type=Path, default=Path("soak.csv"), help="where rows are kept")
    options = parser.parse_args()
    rows = soak(options)
    warm = rows[int(len(rows) * WARM_SHARE) :]
    series = {key: [float(str(row[key])) for row in warm] for key in FIELDS[4:]}
    slopes = {key: slope(values) for key, values in series.items()}
    print(f"\n{len(rows)} companies; after the first {len(rows) - len(warm)}, by company:")
    for key, value in slopes.items():
        print(f"{key}: {series[key][0]:g} to {series[key][-1]:g}, {value:+.3f}")
    grown = [key for key in FIELDS[5:] if slopes[key] > 0]
    grown += ["rss_mb"] * (slopes["rss_mb"] > options.most)
    print(f"grows: {', '.join(grown)}" if grown else "flat")
    return int(bool(grown))


if __name__ == "__main__":
    sys.exit(main())

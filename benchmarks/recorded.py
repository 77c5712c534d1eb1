"""Room: benchmarks. What benchmarks measured is kept, and held against what they measure now.

A benchmark calls `tell(name, ratio, better)` for each ratio to a baseline of the same run, and
`tell_memory(name)` for its peak. `recorded.json` has, by benchmark, the options it was run with, its
ratios and the memory that it may take.

    python benchmarks/recorded.py check [NAME ...]            run those recorded again; 1 where one is
                                                              20 % worse, or over its stated memory
    python benchmarks/recorded.py record NAME [OPTION ...]    run one, and keep what it tells
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

HERE: Final = Path(__file__).parent
FILE: Final = HERE / "recorded.json"
TOLD: Final = "DNR_BENCH_TOLD"
"""Variable that names the file which what is told goes to."""

WORSE: Final = 0.20
TURNS: Final = 3
HEADROOM: Final = 1.25
"""Stated memory is the recorded peak and a quarter, until somebody states less."""

Better = Literal["higher", "lower"]


def tell(name: str, ratio: float, better: Better) -> None:
    """Hand a ratio to whoever runs this benchmark; alone it does nothing."""
    _tell({"name": name, "ratio": round(ratio, 4), "better": better})


def tell_memory(name: str) -> None:
    """Hand over the most memory that this process has had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _tell({"name": name, "peak_mb": round(peak / (1 << 20 if sys.platform == "darwin" else 1024))})


def _tell(line: Mapping[str, Any]) -> None:
    place = os.environ.get(TOLD)
    if place:
        with Path(place).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")


def measured(name: str, options: Sequence[str]) -> list[dict[str, Any]]:
    """Run a benchmark, and return what it told."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.jsonl"
        command = [sys.executable, str(HERE / f"{name}.py"), *options]
        done = subprocess.run(command, env={**os.environ, TOLD: str(told)}, check=False)
        if done.returncode:
            raise SystemExit(f"{name} ended with {done.returncode}")
        if not told.exists():
            raise SystemExit(f"{name} told no ratio")
        return [json.loads(line) for line in told.read_text("utf-8").splitlines()]


def compared(entry: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Hold what was told against what is recorded: a line for each, and its fault or nothing.

    A ratio is 20 % worse where it is below 0.8 of the recorded one, or above 1.2 of it where lower
    is better. What is recorded and not told any more is a fault too.
    """
    now = {line["name"]: line for line in told}
    found = []
    for name, kept in entry["ratios"].items():
        if name not in now:
            found.append((name, "is not measured any more"))
            continue
        ratio, before = now[name]["ratio"], kept["ratio"]
        lower = kept["better"] == "lower"
        bad = ratio > before * (1 + WORSE) if lower else ratio < before * (1 - WORSE)
        line = f"{name}: {ratio:g}, recorded {before:g}, {kept['better']} is better"
        found.append((line, f"more than {WORSE:.0%} worse" if bad else ""))
    for name, stated in entry["stated_mb"].items():
        if name not in now:
            found.append((name, "is not measured any more"))
            continue
        peak = now[name]["peak_mb"]
        line = f"{name}: {peak} MB, stated {stated} MB"
        found.append((line, "over its stated memory" if peak > stated else ""))
    return found


def entry_of(options: Sequence[str], told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is kept of a run."""
    ratios = {
        line["name"]: {"ratio": line["ratio"], "better": line["better"]}
        for line in told
        if "ratio" in line
    }
    stated = {
        line["name"]: int(round(line["peak_mb"] * HEADROOM, -1))
        for line in told
        if "peak_mb" in line
    }
    return {"options": list(options), "ratios": ratios, "stated_mb": stated}


def read() -> dict[str, Any]:
    """Return what is recorded, by benchmark."""
    content: dict[str, Any] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    return content


def check(names: Sequence[str]) -> int:
    """Run what is recorded again; return 1 where anything is worse."""
    known = read()
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise SystemExit(
            f"not recorded: {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )
    lines: list[str] = []
    failed = False
    for name in names or sorted(known):
        # Other work on the machine only ever makes a run worse, so a fault has to show three times.
        for _ in range(TURNS):
            found = compared(known[name], measured(name, known[name]["options"]))
            if not any(fault for _, fault in found):
                break
        for line, fault in found:
            failed |= bool(fault)
            lines.append(
                f"{'FAIL' if fault else 'ok  '} {name}, {line}" + (f": {fault}" * bool(fault))
            )
    print("\n" + "\n".join(lines))
    return int(failed)


def record(name: str, options: Sequence[str]) -> int:
    """Run one benchmark, and keep what it tells."""
    content = {**read(), name: entry_of(options, measured(name, options))}
    FILE.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["check", *names]:
            return check(names)
        case ["record", name, *options]:
            return record(name, options)
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

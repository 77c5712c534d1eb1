"""Room: benchmarks. Every entry in an environment of its own, scored: the table of the docs.

    dnr export-benchmark --out benchmark --scale 0.05
    python benchmarks/entries/run_all.py benchmark entries-out

Needs the network once, for pip. An entry whose environment is there already is not installed again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

import dnr_core

HERE = Path(__file__).parent
ENTRIES: dict[str, tuple[str, ...]] = {
    "dnr": (),
    "pandera": ("pandera[pandas]==0.35.0", "pyarrow"),
    "pointblank": ("pointblank", "polars", "pandas", "pyarrow"),
    "great_expectations": ("great_expectations", "pandas", "pyarrow"),
    "isolation_forest": ("scikit-learn", "pandas", "pyarrow"),
}


def python_of(name: str, needs: tuple[str, ...], environments: Path) -> Path:
    """Return the Python of an entry's environment, made if it is not there."""
    if not needs:
        return Path(sys.executable)
    home = environments / name
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needs], check=True)
    return python


def main() -> None:
    """Run and score the entries, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--environments", type=Path, default=Path("entries-environments"))
    parser.add_argument("--only", nargs="*", default=list(ENTRIES))
    given = parser.parse_args()
    kinds = ("key_null", "null_spike", "fk_failure", "duplicate", "lag_surge", "write_gap")
    print(f"| entry | precision | recall | F1 | {' | '.join(kinds)} | CPU seconds |")
    print(f"|{' --- |' * (5 + len(kinds))}")
    for name in given.only:
        python = python_of(name, ENTRIES[name], given.environments)
        before = _children()
        script = HERE / f"with_{name}.py"
        subprocess.run([python, script, given.benchmark, given.out / name], check=True)
        seconds = _children() - before
        scores = dnr_core.score(given.out / name, given.benchmark)
        whole = scores.as_dict()["defects"]["all"]
        recalls = [whole["kinds"].get(kind, {}).get("recall") for kind in kinds]
        cells = [whole["precision"], whole["recall"], whole["f1"], *recalls]
        shown = " | ".join("-" if cell is None else f"{cell:.3f}" for cell in cells)
        print(f"| {name} | {shown} | {seconds:.0f} |", flush=True)
        if scores.labels or scores.ranking:
            print(f"\n{scores}\n", file=sys.stderr)


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

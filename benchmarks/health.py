"""How fast one table's health is measured: against a bare scan, SQL by hand, and other tools.

Usage: python benchmarks/health.py [--rows ROWS,...] [--rounds N] [--folder FOLDER] [--tools]
       [--picture FILE]

Makes the neobank's warehouse with so many card transactions (kept in FOLDER and used again), and
then measures `fact_card_transaction`, each time in a process of its own on one core:

- scan: DuckDB reads the needed columns and sums them;
- by hand: `health_by_hand.sql`, the same figures as an expert would write them for DuckDB;
- dnr: `measure` on a schema of the table and its two parents, with everything that comes with it
  (incidents, SLOs, the queries that prove each figure, examples of keys);
- dnr, the figures by hand: the same figures as the SQL (local days, temporal orphans, money and
  quantiles of lag), with `report.leave_out` for incidents and proofs, which are no figures;
- dnr, common checks: without money, the parents' times and quantiles of lag, too, which no other
  tool is asked for;
- with --tools: the common checks in other tools (`health_tools/`), each in an environment of its
  own, which is made in FOLDER.

What dnr and the SQL by hand give has to be the same, or the benchmark fails. Seconds are
processor seconds (user and system), the least of the rounds; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TABLE = "fact_card_transaction"
PARENTS = ("dim_card", "dim_merchant")
ROWS_AT_SCALE_1 = 5_000_000
TOOLS = {
    "pandera_polars": ("pandera[polars]", "pyarrow"),
    "pointblank_polars": ("pointblank", "polars", "pyarrow"),
    "great_expectations_pandas": ("great_expectations", "pandas", "pyarrow"),
    "soda_duckdb": ("soda-core-duckdb",),
}


def scan(folder: str) -> dict[str, Any]:
    """Read the columns that the figures need, and sum them."""
    import duckdb

    begin = time.process_time()
    duckdb.sql(
        "SELECT sum(txn_id), sum(card_id), sum(merchant_id), sum(epoch_us(event_time)), "
        "sum(epoch_us(loaded_at)), sum(amount_cents), sum(interchange_bps), "
        f"sum(length(auth_result)) FROM read_parquet('{folder}/{TABLE}/*.parquet')"
    ).fetchall()
    return {"seconds": time.process_time() - begin}


def by_hand(folder: str) -> dict[str, Any]:
    """Run the SQL that was written by hand, and add up its days."""
    import duckdb

    end, first_of_window, case = 20_269, 20_240, _offset()
    begin = time.process_time()
    connection = duckdb.connect()
    answers: dict[str, list[Any]] = {}
    text = (HERE / "health_by_hand.sql").read_text(encoding="utf-8")
    for part in re.split(r"-- name: ", text)[1:]:
        name, sql = part.split("\n", 1)
        for word, value in {
            "{folder}": folder,
            "{offset}": case,
            "{window}": str(first_of_window),
            "{last}": str(end),
        }.items():
            sql = sql.replace(word, value)
        answers[name] = connection.execute(sql).fetchall()
    seconds = time.process_time() - begin
    days = [row for row in answers["days"] if row[0] <= end]
    copies = [row for row in answers["copies"] if row[0] <= end]
    return {
        "seconds": seconds,
        "figures": {
            "rows": sum(row[2] for row in days),
            "key_null card_id": _with(days, 1),
            "key_null merchant_id": _with(days, 2),
            "fk_missing card_id": _with(days, 4),
            "fk_temporal card_id": _with(days, 8),
            "fk_missing merchant_id": _with(days, 16),
            "late": _with(days, 32),
            "duplicate": sum(row[2] for row in copies),
            "lag_p95_minutes days": round(
                sum(row[1][1] for row in answers["lag by day"] if row[0] <= end) / 60, 6
            ),
        },
    }


def _with(days: list[Any], bit: int) -> int:
    return sum(row[2] for row in days if row[1] & bit)


def _offset() -> str:
    from dnr_core.config.zones import zone_of
    from dnr_core.health.local_time import transitions

    ends = transitions(zone_of("America/Los_Angeles"), 1_640_000_000, 1_760_000_000)
    branches = " ".join(f"WHEN e >= {start} THEN {offset}" for start, offset in ends[:0:-1])
    return f"CASE {branches} ELSE {ends[0][1]} END"


def dnr(folder: str, *, common: bool = False, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Measure the table with dnr, as somebody with a schema of three tables would."""
    from attrs import evolve

    from dnr_core.config.settings import Settings
    from dnr_core.health import measure, open_warehouse
    from dnr_core.plugins import load_plugins

    whole = load_plugins().archetype("neobank")
    keys = whole.schema[TABLE].foreign_keys
    if common:
        keys = tuple(evolve(key, parent_time=None) for key in keys)
    tables = [evolve(whole.schema[name], foreign_keys=()) for name in PARENTS]
    tables.append(evolve(whole.schema[TABLE], foreign_keys=keys))
    streams = () if common else tuple(s for s in whole.streams if s.table == TABLE)
    archetype = evolve(
        whole,
        schema=evolve(whole.schema, tables=tuple(tables)),
        streams=streams,
        kpis=(),
        volumes=(),
        synthesis=None,
    )
    settings = Settings()
    settings = evolve(settings, report=evolve(settings.report, leave_out=leave_out))
    begin = time.process_time()
    with open_warehouse(folder, archetype) as warehouse:
        health = measure(warehouse, settings)
    seconds = time.process_time() - begin
    totals = {
        f"{row['metric']} {row['column']}".strip(): row["numerator"]
        for row in health.totals.to_pylist()
        if row["table"] == TABLE and row["scope"] == "history"
    }
    p95 = sum(
        row["value"]
        for row in health.measures.to_pylist()
        if row["table"] == TABLE and row["metric"] == "lag_p95_minutes" and row["day"]
    )
    return {"seconds": seconds, "figures": {**totals, "lag_p95_minutes days": round(p95, 6)}}


SUBJECTS = {
    "scan": scan,
    "by hand": by_hand,
    "dnr": dnr,
    "dnr, the figures by hand": lambda folder: dnr(folder, leave_out=("incidents", "proofs")),
    "dnr, common checks": lambda folder: dnr(
        folder, common=True, leave_out=("lag", "incidents", "proofs")
    ),
}


def run(command: list[str]) -> dict[str, Any]:
    """Run a subject on one core; return its own figures with processor seconds and peak memory."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"failed: {' '.join(command)}")
        out.seek(0)
        found: dict[str, Any] = json.loads(out.read().decode().strip().splitlines()[-1])
    return {
        **found,
        "process_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }


def tool_python(folder: Path, name: str) -> str:
    """Return the interpreter of a tool's own environment, made where it is not there."""
    place = folder / "environments" / name
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *TOOLS[name]], check=True)
        (place / "ready").touch()
    return str(python)


def warehouse(folder: Path, rows: int) -> Path:
    """Return a neobank with about so many card transactions, made where it is not there."""
    made = folder / f"neobank-{rows}"
    if not (made / "manifest.json").exists():
        command = ["dnr", "gen-warehouse", "--archetype", "neobank"]
        command += ["--scale", str(rows / ROWS_AT_SCALE_1)]
        command += ["--out", str(made), "--meta", str(folder / f"meta-{rows}")]
        command[0] = str(Path(sys.executable).parent / "dnr")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return made


def compare(folder: Path, rows: int, rounds: int, *, tools: bool) -> dict[str, dict[str, Any]]:
    """Run every subject in turns and keep the least of each."""
    data = str(warehouse(folder, rows))
    # What is started from here on has one core.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    commands = {
        name: [sys.executable, __file__, "--subject", name, "--folder", data] for name in SUBJECTS
    }
    if tools:
        for name in TOOLS:
            script = str(HERE / "health_tools" / f"{name}.py")
            commands[name] = [tool_python(folder, name), script, data]
    best: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            found = run(command)
            kept = best.setdefault(name, found)
            for figure in ("seconds", "process_seconds", "peak_mb"):
                if figure in found:
                    kept[figure] = min(kept[figure], found[figure])
    expected = best["by hand"]["figures"]
    for name in ("dnr", "dnr, the figures by hand"):
        mine = best[name]["figures"]
        wrong = {k: (mine.get(k), v) for k, v in expected.items() if mine.get(k) != v}
        if wrong:
            raise SystemExit(f"{name} and the SQL by hand differ: {wrong}")
    return best


def table(rows: int, best: dict[str, dict[str, Any]]) -> str:
    """Lay the figures out as Markdown."""
    lines = [
        f"{rows:,} card transactions, one core of {platform.machine()}, "
        f"Python {platform.python_version()}",
        "",
        "| | seconds of the work | of the scan | of the SQL by hand | whole process | peak MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in best.items():
        work = found.get("seconds")
        cells = (
            ["", "", ""]
            if work is None
            else [
                f"{work:.1f}",
                f"{work / best['scan']['seconds']:.1f}",
                f"{work / best['by hand']['seconds']:.2f}",
            ]
        )
        whole = f"{found['process_seconds']:.1f}"
        lines.append("| " + " | ".join([name, *cells, whole, f"{found['peak_mb']:.0f}"]) + " |")
    return "\n".join(lines)


def growth(found: dict[int, dict[str, dict[str, Any]]], picture: Path) -> None:
    """Draw seconds of the work against rows, beside what a linear cost would be."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    sizes = sorted(found)
    for name in ("by hand", "dnr", "scan"):
        seconds = [found[rows][name]["seconds"] for rows in sizes]
        axes.plot(sizes, seconds, marker="o", label=name)
    last = found[sizes[-1]]["dnr"]["seconds"]
    linear = [last * rows / sizes[-1] for rows in sizes]
    axes.plot(sizes, linear, linestyle=":", color="grey", label="linear, through dnr's last")
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="processor seconds")
    axes.legend(frameon=False)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="1000000,10000000", help="card transactions, by commas")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where warehouses and environments are kept")
    parser.add_argument("--tools", action="store_true", help="also run other tools")
    parser.add_argument("--picture", type=Path, help="also draw seconds against rows")
    parser.add_argument("--subject", choices=list(SUBJECTS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.subject:
        print(json.dumps(SUBJECTS[given.subject](str(given.folder))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found = {}
        for rows in (int(float(text)) for text in given.rows.split(",")):
            found[rows] = compare(folder, rows, given.rounds, tools=given.tools)
            print(table(rows, found[rows]), flush=True)
            print(flush=True)
        if given.picture:
            growth(found, given.picture)


if __name__ == "__main__":
    main()

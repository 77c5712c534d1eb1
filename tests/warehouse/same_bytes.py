"""Hashes of two small companies, to hold what "the same bytes" means from one version to the next.

    python tests/warehouse/same_bytes.py            # says what differs from same_bytes.json
    python tests/warehouse/same_bytes.py --write    # takes today's hashes, after a wanted change

`files` are SHA-256 of Parquet files and hold under the versions of constraints.txt, on any
machine. `values` are SHA-256 of a column's decoded values and hold under any versions: a Parquet
footer names its writer, and encodings differ between versions, values do not.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import dnr_core
from dnr_core.api.context import open_context

HELD = Path(__file__).with_suffix(".json")
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
COMPANIES = ("neobank", "marketplace")


def pinned(name: str) -> str:
    """The version of a package under which files are held."""
    found = re.search(rf"^{name}==(\S+)$", CONSTRAINTS.read_text("utf-8"), re.M)
    if found is None:
        raise ValueError(f"{CONSTRAINTS} has no {name}")
    return found[1]


def other_versions() -> str:
    """What is installed in another version than the pinned one; empty where all are the same."""
    told = ((name, version(name), pinned(name)) for name in ("pyarrow", "numpy"))
    return ", ".join(f"{name} {here}, not {held}" for name, here, held in told if here != held)


def hashes() -> dict[str, Any]:
    """Make both companies, and return the hashes of their files and of their columns' values."""
    files: dict[str, str] = {}
    values: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in COMPANIES:
            data, meta = Path(folder, name, "data"), Path(folder, name, "meta")
            dnr_core.generate_warehouse(
                name,
                out=data,
                meta=meta,
                scale="0.004",
                snapshot_days=3,
                quality="typical",
                context=open_context(environ={}),
            )
            for root in (data, meta):
                for path in sorted(root.rglob("*.parquet")):
                    where = f"{name}/{path.relative_to(root.parent).as_posix()}"
                    files[where] = hashlib.sha256(path.read_bytes()).hexdigest()
                    table = pq.read_table(path)
                    for column in table.column_names:
                        told = json.dumps(table[column].to_pylist(), default=str)
                        values[f"{where}:{column}"] = hashlib.sha256(told.encode()).hexdigest()
    return {"files": files, "values": values}


def differences(held: dict[str, str], found: dict[str, str]) -> list[str]:
    """Names whose hash is another one, or that only one side has."""
    return sorted(name for name in {*held, *found} if held.get(name) != found.get(name))


def main() -> int:
    """Compare, or write."""
    found = hashes()
    if "--write" in sys.argv:
        if other := other_versions():
            print(f"install the versions of constraints.txt first: {other}", file=sys.stderr)
            return 2
        HELD.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    held = json.loads(HELD.read_text("utf-8"))
    off = [name for part in held for name in differences(held[part], found[part])]
    print("\n".join(off) or "all the same")
    return 1 if off else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The shipped companies, by a stranger's SQL: every violation is in the ledger, and vice versa."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dnr_core.config.settings import Settings, WarehouseSettings
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import generate_warehouse, repair

INSTALLED = sorted({"neobank", "marketplace"} & {e.name for e in entry_points(group="dnr")})
STRANGER = Path(__file__).with_name("strangers_sql.py")


def looked_at(data: Path, meta: Path, profile: str) -> tuple[int, dict]:
    """What the stranger's script says of a company, and its exit code."""
    done = subprocess.run(
        [sys.executable, str(STRANGER), str(data), str(meta), profile, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def catalogue():
    return load_plugins()


@pytest.fixture(scope="module")
def made(catalogue, tmp_path_factory):
    """Make a tiny company of a profile, once."""
    known = {}

    def make(name: str, quality: str):
        if (name, quality) not in known:
            folder = tmp_path_factory.mktemp(f"{name}-{quality}")
            options = WarehouseSettings(quality=quality, scale="tiny", snapshot_days=10)
            known[name, quality] = generate_warehouse(
                name,
                Settings(warehouse=options),
                catalogue,
                out=folder / "data",
                meta=folder / "meta",
            )
        return known[name, quality]

    return make


@pytest.mark.parametrize("quality", ["clean", "typical", "severe"])
@pytest.mark.parametrize("name", INSTALLED)
def test_a_stranger_finds_what_the_profile_says(made, name, quality):
    """Every rate, incident and load is the profile's, and the ledger joined to the tables leaves
    nothing on either side. (`nox -s calibration` does the same at larger scales.)"""
    folder = made(name, quality)
    code, told = looked_at(folder.path, folder.meta, quality)
    assert (code, told["off"]) == (0, [])
    assert len(told["measured"]) > 30


@pytest.mark.parametrize("quality", ["typical", "severe"])
@pytest.mark.parametrize("name", INSTALLED)
def test_repair_gives_the_clean_company_back(made, catalogue, tmp_path, name, quality):
    """A repaired company has the SHA-256 of the clean one's files: nothing else was touched."""
    folder = made(name, quality)
    fixed = repair(folder.path, folder.meta, tmp_path / "fixed", catalogue)
    assert fixed.manifest.files == made(name, "clean").manifest.files


def rewritten(path: Path, target: Path, change) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(change(pq.read_table(path)), target)


LOST = {
    "key_null": (1, ": found and not in the ledger"),
    "fk_failure": (1, "orphan"),
    "duplicate": (1, "copies: found and not in the ledger"),
    "lag_surge": (20, "lag_surge-03: % of its rows"),
    "write_gap": (20, "loads outside base lag and ledger"),
}
"""Kinds whose last entries are taken out of the ledger: how many, and what is said then."""


def with_entries_lost(ledger):
    gone = set()
    for kind, (count, _) in LOST.items():
        places = [n for n, told in enumerate(ledger["kind"].to_pylist()) if told == kind]
        gone |= set(places[-count:])
    return ledger.take([n for n in range(ledger.num_rows) if n not in gone])


def with_a_null(table):
    place = table.column_names.index("customer_id")
    values = table["customer_id"].to_pylist()
    values[values.index(next(v for v in values if v is not None))] = None
    return table.set_column(place, table.schema.field(place), [values])


@pytest.mark.parametrize(
    ("part", "change", "profile", "told"),
    [
        ("ledger", with_entries_lost, "typical", [said for _, said in LOST.values()]),
        ("invoice", with_a_null, "typical", ["null customer_id: found and not in the ledger"]),
        ("invoice", lambda table: table, "severe", ["key nulls but for spikes", "duplicates"]),
    ],
)
def test_the_stranger_is_not_easily_pleased(made, tmp_path, part, change, profile, told):
    """Entries too few in the ledger, one null too many in the files, or the rates of another profile:
    the script says what is off, each of it, and fails."""
    folder = made("neobank", "typical")
    data, meta = tmp_path / "data", tmp_path / "meta"
    for source, target in ((folder.path, data), (folder.meta, meta)):
        for path in source.rglob("*.parquet"):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    broken = {
        "ledger": meta / "ledger.parquet",
        "invoice": data / "fact_subscription_invoice" / "part-00000.parquet",
    }[part]
    source = broken.resolve()
    broken.unlink()
    rewritten(source, broken, change)
    code, answer = looked_at(data, meta, profile)
    assert code == 1
    for said in told:
        assert any(said in line for line in answer["off"]), said

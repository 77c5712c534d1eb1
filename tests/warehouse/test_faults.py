"""Faults in the middle of a run: a thread's exception, a killed process, a disk that is really full."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from attrs import evolve

from dnr_core.errors import DnrError, FolderError, InputError, PluginError, UnfinishedError
from dnr_core.hookspecs import hookimpl
from dnr_core.model import Synthesis
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import describe, generate_warehouse, repair
from dnr_core.workspace import sha256_of

SALES, CHUNK = 12_000, 500
CHUNKS, CHUNKS_A_PART = 24, 4


def failing(shop, at, fault):
    """The shop, with `fault` called before a chunk of its sales is made."""

    def generate(company, chunk):
        if chunk == at:
            fault()
        return sales.generate(company, chunk)

    people, sales, stock = shop.synthesis.families
    families = (people, evolve(sales, generate=generate), stock)
    return evolve(shop, synthesis=Synthesis(families, shop.synthesis.parents))


def bytes_of(folder: Path) -> dict[str, str]:
    """Hashes of everything that a folder holds but locks."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def finished_parts(data: Path) -> dict[str, int]:
    """The part files in the staging folder that have a record, and where they lie on the disk."""
    stage = data / ".partial"
    names = {path.stem for path in (stage / ".parts").glob("sales-*.json")}
    files = [path for path in stage.glob("fact_*/*.parquet") if f"sales-{path.stem[5:]}" in names]
    return {path.relative_to(stage).as_posix(): path.stat().st_ino for path in files}


@pytest.fixture(scope="module")
def shop(make_shop):
    return make_shop(SALES, CHUNK)


@pytest.fixture(scope="module")
def run(shop, make_catalogue, settings):
    """Generate the shop, or another like it, into a folder's `data` and `meta`."""

    def generate(folder: Path, kind=None, progress=None, **changes):
        return generate_warehouse(
            kind or shop,
            settings(**{"workers": 2, "snapshot_days": 2, **changes}),
            make_catalogue(shop=shop),
            out=folder / "data",
            meta=folder / "meta",
            progress=progress,
        )

    return generate


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder)
    return bytes_of(folder)


def test_a_plugin_is_named_where_its_thread_fails(shop, settings, tmp_path):
    """An exception in a worker's thread names plugin, distribution, archetype, family and chunk."""

    def fault():
        raise KeyError("price_list")

    class Plugin:
        __name__ = "shop_plugin"

        @hookimpl
        def dnr_archetypes(self):
            return [failing(shop, 9, fault)]

    catalogue = load_plugins(extra=[Plugin()])
    with pytest.raises(PluginError) as caught:
        generate_warehouse(
            "shop", settings(workers=2), catalogue, out=tmp_path / "data", meta=tmp_path / "meta"
        )
    for piece in ("plugin", "'shop'", "'sales'", "chunk 9", "KeyError", "price_list"):
        assert piece in str(caught.value)
    owner = next(str(p) for p in catalogue.plugins if "shop" in p.brings.get("archetypes", ()))
    assert owner in str(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("worn out"), MemoryError()])
def test_a_thread_that_fails_leaves_finished_parts(shop, run, undisturbed, tmp_path, error):
    """After an exception in one thread nothing counts as finished, the parts that were are kept, and
    running again makes the others only: the bytes are those of an undisturbed run."""

    def fault():
        raise error

    with pytest.raises((DnrError, MemoryError)):
        run(tmp_path, failing(shop, CHUNKS - 2, fault))
    with pytest.raises(UnfinishedError):
        describe(tmp_path / "data")
    with pytest.raises(DnrError):
        repair(tmp_path / "data", tmp_path / "meta", tmp_path / "fixed", load_plugins())
    kept = finished_parts(tmp_path / "data")
    assert len(kept) >= 3 * (CHUNKS // CHUNKS_A_PART - 2)
    run(tmp_path)
    assert bytes_of(tmp_path) == undisturbed
    for name, place in kept.items():
        assert (tmp_path / "data" / name).stat().st_ino == place


KILLED = textwrap.dedent("""
    import importlib.util, os, pathlib, signal, sys
    def load(name, path):
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    here, folder, chunk = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    shops, faults = load("shops", here / "conftest.py"), load("faults", here / "test_faults.py")
    shop = shops.Shop(faults.SALES, faults.CHUNK).archetype()
    dying = faults.failing(shop, chunk, lambda: os.kill(os.getpid(), signal.SIGKILL))
    catalogue = shops.Catalogue(
        archetypes={"shop": shop},
        profiles={p.name: p for p in shops.PROFILES},
        defect_kinds={k.name: k for k in shops.KINDS},
    )
    options = shops.Settings(warehouse=shops.WarehouseSettings(workers=2, snapshot_days=2))
    faults.generate_warehouse(
        dying, options, catalogue, out=folder / "data", meta=folder / "meta"
    )
""")


def test_a_process_killed_in_the_middle_of_a_chunk_is_gone_on_with(run, undisturbed, tmp_path):
    """SIGKILL while files are open: their beginnings are no parts, the finished ones are kept."""
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, here, str(tmp_path), str(CHUNKS - 3)],
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(UnfinishedError):
        describe(tmp_path / "data")
    kept = finished_parts(tmp_path / "data")
    assert kept
    run(tmp_path)
    assert bytes_of(tmp_path) == undisturbed
    for name, place in kept.items():
        assert (tmp_path / "data" / name).stat().st_ino == place


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with 8 MB, where this machine lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


class Filler:
    """Progress that fills the disk once so many rows are made, as another program would."""

    def __init__(self, disk: Path, rows: int) -> None:
        self.file, self.left = disk / "of_somebody_else", rows

    def start(self, task, total, unit):
        if unit == "tables" and self.left > 0:
            self.fill()

    def advance(self, task, amount=1):
        self.left -= amount
        if self.left <= 0 and not self.file.exists():
            self.fill()

    def done(self, task, note=""):
        pass

    def fill(self):
        with self.file.open("wb", buffering=0) as handle:
            while True:
                try:
                    handle.write(b"x" * 4096)
                except OSError:
                    return


@pytest.mark.parametrize("rows", [1_000, 30_000, 10**9])
def test_a_disk_that_fills_in_the_middle_is_told(run, undisturbed, small_disk, rows):
    """Where another program fills the disk (early, late, or before the measurement) the error says
    so, nothing counts as finished, and with room the run is gone on with."""
    filler = Filler(small_disk, rows)
    with pytest.raises(FolderError, match=r"full|No space") as caught:
        run(small_disk, progress=filler)
    assert str(small_disk) in str(caught.value)
    with pytest.raises(UnfinishedError):
        describe(small_disk / "data")
    kept = finished_parts(small_disk / "data")
    filler.file.unlink()
    run(small_disk)
    assert bytes_of(small_disk) == undisturbed
    for name, place in kept.items():
        assert (small_disk / "data" / name).stat().st_ino == place
    assert rows == 1_000 or kept


def test_a_disk_too_small_is_refused_before_a_file(run, small_disk):
    """The estimate is held against what is really free, and nothing is written."""
    with pytest.raises(FolderError, match=r"needs about [\d.]+ GB.*has 0\.0 GB free"):
        run(small_disk, scale="100")
    assert not list(small_disk.iterdir())


def test_a_damaged_ledger_is_told_and_nothing_is_repaired(run, shop, make_catalogue, tmp_path):
    """Repair names the part and the folders, and leaves no company that would pass for clean."""
    run(tmp_path)
    ledger = tmp_path / "meta" / "ledger.parquet"
    ledger.write_bytes(ledger.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be repaired"):
        repair(tmp_path / "data", tmp_path / "meta", tmp_path / "fixed", make_catalogue(shop=shop))
    assert not (tmp_path / "fixed" / "manifest.json").exists()

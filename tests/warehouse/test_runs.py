"""Runs that are killed, crowded or starved: the same bytes in the end, and nothing in between."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dnr_core.errors import FolderError, FolderHeldError, UnfinishedError
from dnr_core.warehouse import describe, generate_warehouse
from dnr_core.workspace import MANIFEST, held, read_manifest, sha256_of

SALES, CHUNK = 12_000, 1_000

CHILD = textwrap.dedent("""
    import importlib.util, itertools, os, pathlib, signal, sys
    conftest, out, meta, moment, when, sales, chunk = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("shop_of_the_tests", conftest)
    shop_module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shop_module)
    from dnr_core.warehouse import generate_warehouse
    rename, counter = pathlib.Path.replace, itertools.count(1)
    def counted(self, target):
        count = next(counter)
        if count == int(moment) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = rename(self, target)
        if count == int(moment):
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    pathlib.Path.replace = counted
    shop = shop_module.Shop(int(sales), int(chunk)).archetype()
    catalogue = shop_module.Catalogue(
        archetypes={"shop": shop},
        profiles={p.name: p for p in shop_module.PROFILES},
        defect_kinds={k.name: k for k in shop_module.KINDS},
    )
    options = shop_module.Settings(
        warehouse=shop_module.WarehouseSettings(workers=2, snapshot_days=5)
    )
    generate_warehouse("shop", options, catalogue, out=pathlib.Path(out), meta=pathlib.Path(meta))
""")


def start(folder: Path, moment: int, when: str = "after", **options) -> subprocess.Popen[str]:
    """Generate in another process that kills itself around a rename; moment 0 is never."""
    arguments = [Path(__file__).with_name("conftest.py"), folder / "data", folder / "meta"]
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            CHILD,
            *map(str, arguments),
            str(moment),
            when,
            str(SALES),
            str(CHUNK),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def bytes_of(folder: Path) -> dict[str, str]:
    """Hashes of everything that a folder holds but locks."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


@pytest.fixture(scope="module")
def run(make_shop, make_catalogue, settings):
    """Generate the small shop in this process, into a folder's `data` and `meta`."""
    catalogue = make_catalogue(shop=make_shop(SALES, CHUNK))

    def generate(folder: Path, **changes):
        options = settings(**{"workers": 2, "snapshot_days": 5, **changes})
        return generate_warehouse(
            "shop", options, catalogue, out=folder / "data", meta=folder / "meta"
        )

    return generate


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory):
    """Hashes of all files of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder)
    return bytes_of(folder)


@pytest.mark.parametrize("workers", [1, 5])
def test_workers_change_no_byte(run, undisturbed, tmp_path, workers):
    """One, two and five workers write the same files, manifest and truth included."""
    run(tmp_path, workers=workers)
    assert bytes_of(tmp_path) == undisturbed


def test_another_seed_changes_the_rows(run, undisturbed, tmp_path):
    """The seed decides the rows: another one gives other files."""
    run(tmp_path, seed=1)
    name = "data/fact_sale/part-00000.parquet"
    assert bytes_of(tmp_path)[name] != undisturbed[name]


@pytest.mark.parametrize(
    ("moment", "when"),
    # 2 is the plan's mark, the teens the parts and their records, the end the publishing.
    [(2, "after"), (7, "before"), (14, "after"), (25, "before"), (33, "after"), (46, "before")],
)
def test_a_killed_run_is_finished_by_the_next(run, undisturbed, tmp_path, moment, when):
    """After SIGKILL at any moment the folder is no result, and running again gives the bytes of
    an undisturbed run."""
    child = start(tmp_path, moment, when)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(UnfinishedError):
        read_manifest(tmp_path / "data")
    run(tmp_path)
    assert bytes_of(tmp_path) == undisturbed


def test_a_run_killed_twice_goes_on(run, undisturbed, tmp_path):
    """Parts that a killed run finished are not made again, and the end is the same."""
    for moment in (12, 9):
        child = start(tmp_path, moment)
        child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
    stage = tmp_path / "data" / ".partial"
    records = [json.loads(path.read_text()) for path in stage.rglob("*.json")]
    kept = {name: (stage / name).stat().st_ino for record in records for name in record["files"]}
    assert kept
    run(tmp_path)
    assert bytes_of(tmp_path) == undisturbed
    for name, inode in kept.items():
        assert (tmp_path / "data" / name).stat().st_ino == inode


def test_another_plan_starts_afresh(run, undisturbed, tmp_path):
    """What a killed run of other settings left is not used, nor does it stay."""
    child = start(tmp_path, 14)
    child.communicate(timeout=60)
    run(tmp_path, seed=1)
    fresh = tmp_path / "fresh"
    run(fresh, seed=1)
    assert {**bytes_of(tmp_path / "data")} == bytes_of(fresh / "data")
    assert bytes_of(tmp_path / "meta") == bytes_of(fresh / "meta")


def test_a_finished_warehouse_is_left_as_it_is(run, undisturbed, tmp_path):
    """The same call on a finished folder makes nothing again; a damaged file is made again."""
    run(tmp_path)
    part = tmp_path / "data" / "fact_sale" / "part-00001.parquet"
    before = part.stat().st_ino
    run(tmp_path)
    assert part.stat().st_ino == before
    part.write_bytes(part.read_bytes()[:1000])
    run(tmp_path)
    assert bytes_of(tmp_path) == undisturbed


def test_a_second_run_is_refused(run, tmp_path):
    """While one run holds the folder, another is told so and changes nothing."""
    with held(tmp_path / "data"), pytest.raises(FolderHeldError, match="another run"):
        run(tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_full_disk_is_told_and_finished_parts_are_kept(run, undisturbed, tmp_path):
    """Where a file cannot grow the error says so, nothing counts as finished, and the next run
    with room goes on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(FolderError, match="full") as caught:
            run(tmp_path, workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "kept" in caught.value.hint
    with pytest.raises(UnfinishedError):
        describe(tmp_path / "data")
    records = list((tmp_path / "data" / ".partial").rglob("*.json"))
    assert records
    run(tmp_path)
    assert bytes_of(tmp_path) == undisturbed


def test_a_folder_that_cannot_be_made_is_told(run, tmp_path):
    """A path on which no folder can be made gives one clear error."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FolderError, match="cannot write"):
        run(tmp_path / "file")


def test_a_folder_of_someone_else_is_refused(run, tmp_path):
    """Files that dnr did not write are neither mixed with nor removed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(FolderError, match=r"thesis\.txt"):
        run(tmp_path)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_an_interrupt_stops_and_keeps_finished_parts(
    make_shop, make_catalogue, settings, undisturbed, run, tmp_path
):
    """Ctrl-C ends the run as an interrupt, with the parts done kept for the next one."""

    class Impatient:
        rows = 0

        def start(self, task, total, unit):
            pass

        def advance(self, task, amount=1):
            self.rows += amount
            if self.rows > 20_000:
                signal.raise_signal(signal.SIGINT)

        def done(self, task, note=""):
            pass

    options = settings(workers=1, snapshot_days=5)
    # A shell without job control starts its background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            generate_warehouse(
                "shop",
                options,
                make_catalogue(shop=make_shop(SALES, CHUNK)),
                out=tmp_path / "data",
                meta=tmp_path / "meta",
                progress=Impatient(),
            )
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "data" / MANIFEST).exists()
    assert list((tmp_path / "data" / ".partial").rglob("*.json"))
    run(tmp_path)
    assert bytes_of(tmp_path) == undisturbed


def test_the_truth_lies_apart_and_other_files_of_it_stay(run, tmp_path):
    """Nothing of the ledger lies in the data folder, and labels that others wrote are kept."""
    run(tmp_path)
    assert not [p for p in bytes_of(tmp_path / "data") if "ledger" in p or "incident" in p]
    assert set(bytes_of(tmp_path / "meta")) == {
        "ledger.parquet",
        "incidents.parquet",
        "manifest.json",
    }
    (tmp_path / "meta" / "labels_slack.parquet").write_text("labels of made talk")
    run(tmp_path, seed=1)
    assert (tmp_path / "meta" / "labels_slack.parquet").read_text() == "labels of made talk"

"""Warehouses in a store that is not a folder: whole or not at all, also where it fails for a while."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pyarrow.fs
import pytest
from attrs import evolve

from dnr_core.config.settings import Paths
from dnr_core.errors import ConfigError, FolderError
from dnr_core.warehouse import generate_warehouse, store
from dnr_core.workspace import MANIFEST, read_manifest, sha256_of


class Shaky(pyarrow.fs.FileSystemHandler):
    """A store over a folder. Writes fail as an object store's do where `broken` says so."""

    def __init__(self, root: Path) -> None:
        self.files = pyarrow.fs.SubTreeFileSystem(str(root), pyarrow.fs.LocalFileSystem())
        self.broken = lambda number, attempt: False
        self.writes, self.attempts, self.written = 0, Counter(), Counter()

    def get_type_name(self):
        return "shaky"

    def normalize_path(self, path):
        return path

    def get_file_info(self, paths):
        return self.files.get_file_info(paths)

    def get_file_info_selector(self, selector):
        return self.files.get_file_info(selector)

    def create_dir(self, path, recursive):
        self.files.create_dir(path, recursive=recursive)

    def open_input_stream(self, path):
        return self.files.open_input_stream(path)

    def open_output_stream(self, path, metadata):
        self.writes += 1
        self.attempts[path] += 1
        if self.broken(self.writes, self.attempts[path]):
            raise OSError(f"When writing '{path}': AWS Error SLOW_DOWN: please wait\nand a trace")
        self.written[path] += 1
        return self.files.open_output_stream(path)

    def delete_file(self, path):
        self.files.delete_file(path)

    def open_input_file(self, path):
        raise NotImplementedError

    def open_append_stream(self, path, metadata):
        raise NotImplementedError

    def copy_file(self, source, target):
        raise NotImplementedError

    def move(self, source, target):
        raise NotImplementedError

    def delete_dir(self, path):
        raise NotImplementedError

    def delete_dir_contents(self, path, missing_dir_ok=False):
        raise NotImplementedError

    def delete_root_dir_contents(self):
        raise NotImplementedError


@pytest.fixture
def shaky(tmp_path, monkeypatch):
    """The store behind shaky://bucket/shop, its files in `tmp_path`/remote; waits are short."""
    remote = tmp_path / "remote"
    remote.mkdir()
    handler = Shaky(remote)
    files = pyarrow.fs.PyFileSystem(handler)
    known = SimpleNamespace(from_uri=lambda uri: (files, uri.rpartition("@")[2]))
    monkeypatch.setattr(pyarrow.fs, "FileSystem", known)
    monkeypatch.setattr(store, "WAITS_SECONDS", (0.0, 0.01, 0.01))
    return handler


@pytest.fixture
def run(make_shop, make_catalogue, settings, tmp_path):
    """Generate the small shop somewhere."""
    catalogue = make_catalogue(shop=make_shop(6_000, 1_000))

    def generate(out="shaky://key:secret@bucket/shop", meta="meta", **changes):
        options = settings(**{"workers": 2, "snapshot_days": 5, **changes})
        options = evolve(options, paths=Paths(data=tmp_path / "data"))
        return generate_warehouse("shop", options, catalogue, out=out, meta=tmp_path / meta)

    return generate


def remote(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "remote").iterdir()
    return found / "shop"


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def test_a_store_gets_the_bytes_of_a_folder(shaky, run, tmp_path):
    """What lies in the store is what would lie in a folder, manifest included; no copy stays here,
    and no message has the URI's key."""
    run(tmp_path / "folder", "m")
    made = run()
    assert hashes(remote(tmp_path)) == hashes(tmp_path / "folder")
    assert hashes(tmp_path / "meta") == hashes(tmp_path / "m")
    assert not hashes(tmp_path / "data")
    assert str(made).startswith("shaky://bucket/shop: shop, ")
    assert "secret" not in str(made)


def test_a_file_uri_is_a_folder(run, tmp_path):
    """`file://` names a folder, and is handled as one."""
    made = run((tmp_path / "a folder").as_uri(), "m")
    assert made.path == tmp_path / "a folder"
    assert read_manifest(tmp_path / "a folder").kind == "warehouse"
    with pytest.raises(ConfigError, match="another machine"):
        run("file://elsewhere/data")


def test_a_store_that_fails_for_a_while_is_waited_for(shaky, run, tmp_path):
    """Writes that fail two times in three cost time and nothing else."""
    shaky.broken = lambda number, attempt: attempt % 3
    run()
    run(tmp_path / "folder", "m")
    assert hashes(remote(tmp_path)) == hashes(tmp_path / "folder")


def test_a_store_that_stays_away_is_told_and_gone_on_with(shaky, run, tmp_path):
    """After the last attempt one clear error; nothing there counts as finished; the next run sends
    what is missing and makes nothing again."""
    shaky.broken = lambda number, attempt: number > 8
    with pytest.raises(FolderError, match=r"shaky://bucket/shop: it failed 4 times") as caught:
        run()
    assert "SLOW_DOWN" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "trace" not in str(caught.value)
    assert "again" in caught.value.hint
    assert not list((tmp_path / "remote").rglob(MANIFEST))
    sent = {path for path in shaky.written if path.endswith(".parquet")}
    assert sent
    shaky.broken = lambda number, attempt: False
    run()
    assert all(shaky.written[path] == 1 for path in sent)
    run(tmp_path / "folder", "m")
    assert hashes(remote(tmp_path)) == hashes(tmp_path / "folder")


def test_a_finished_warehouse_in_a_store_is_left_as_it_is(shaky, run, tmp_path):
    """The same call sends nothing again; another plan replaces it, and what others put there stays."""
    run()
    before = shaky.writes
    run()
    assert shaky.writes == before
    (remote(tmp_path) / "notes.txt").write_text("mine")
    run(seed=1, snapshot_days=1)
    run(tmp_path / "folder", "m", seed=1, snapshot_days=1)
    here = hashes(remote(tmp_path))
    assert here.pop("notes.txt")
    assert here == hashes(tmp_path / "folder")


def test_a_place_that_cannot_be_written_is_told_before_anything_is_made(shaky, run, tmp_path):
    """Whether the place can be written is tried first, not after hours of making."""
    shaky.broken = lambda number, attempt: True
    with pytest.raises(FolderError, match="failed 4 times"):
        run()
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_place_of_someone_else_is_refused(shaky, run, tmp_path):
    """Files that dnr did not write are not mixed with, and nothing is made."""
    place = tmp_path / "remote" / "bucket" / "shop"
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("mine")
    with pytest.raises(FolderError, match=r"thesis\.txt"):
        run()
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("uri", ["blub://key:secret@bucket/shop", "s3://?region=us-east-1"])
def test_a_uri_of_no_store_is_told(run, uri):
    """A scheme that pyarrow does not know, and a store without a bucket, without the key."""
    with pytest.raises(ConfigError, match=r"blub://bucket/shop|no bucket") as caught:
        run(uri)
    assert "secret" not in str(caught.value)

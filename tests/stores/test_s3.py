"""A company in an S3 bucket, from a server that is there and one that comes late."""

from __future__ import annotations

import threading

import pyarrow.fs
import pyarrow.parquet as pq
import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.errors import FolderError
from dnr_core.warehouse import store
from dnr_core.workspace import read_manifest


@pytest.fixture
def generate(tmp_path, port, monkeypatch):
    """Make a tiny bank in the bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)
    uri = (
        f"s3://bucket/made/neobank?scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
    )

    def make(out: str = uri, **more):
        context = open_context(environ={})
        return dnr_core.generate_warehouse(
            "neobank", scale="tiny", out=out, context=context, **more
        )

    make.uri = uri
    return make


def content(uri: str) -> dict[str, bytes]:
    files, base = pyarrow.fs.FileSystem.from_uri(uri)
    found = files.get_file_info(pyarrow.fs.FileSelector(base, recursive=True))
    return {
        info.path.removeprefix(f"{base}/"): files.open_input_stream(info.path).read()
        for info in found
        if info.is_file
    }


def test_a_bucket_holds_the_bytes_of_a_folder(start_server, generate, tmp_path):
    """The bucket has the folder's files and no other, and pyarrow reads a table from there."""
    start_server()
    made = generate()
    generate("folder", meta="m")
    manifest = read_manifest(tmp_path / "folder")
    here = content(generate.uri)
    assert set(here) == {*manifest.files, "manifest.json"}
    for name, held in here.items():
        assert held == (tmp_path / "folder" / name).read_bytes()
    files, base = pyarrow.fs.FileSystem.from_uri(generate.uri)
    table = pq.read_table(f"{base}/dim_customer", filesystem=files)
    assert table.num_rows == made.manifest.extra["rows"]["dim_customer"]


def test_a_server_that_comes_late_is_waited_for(start_server, generate):
    """The server starts seconds after the run: it is waited for."""
    later = threading.Timer(3, start_server)
    later.start()
    made = generate()
    later.join()
    assert set(content(generate.uri)) == {*made.manifest.files, "manifest.json"}


def test_a_server_that_never_comes_is_told(generate, monkeypatch, port):
    """No server: one plain error that names the place and what failed."""
    monkeypatch.setattr(store, "WAITS_SECONDS", (0.1,))
    with pytest.raises(FolderError, match=r"s3://bucket/made/neobank: it failed 2 times") as caught:
        generate()
    assert "again" in caught.value.hint


def test_a_bucket_that_is_not_there_is_told_at_once(start_server, generate, monkeypatch):
    """A missing bucket does not come by waiting."""
    start_server()
    monkeypatch.setattr(store, "WAITS_SECONDS", (60.0,))
    with pytest.raises(FolderError, match="s3://nowhere/neobank"):
        generate(generate.uri.replace("bucket/made", "nowhere"))


class Uploads:
    """Progress that calls `act` once, when so many files are sent."""

    def __init__(self, files, act):
        self.left, self.act = files, act

    def start(self, task, total, unit):
        pass

    def advance(self, task, amount=1):
        if task.endswith("upload"):
            self.left -= 1
            if self.left == 0:
                self.act()

    def done(self, task, note=""):
        pass


def test_a_server_that_dies_in_the_middle_is_gone_on_with(
    start_server, generate, monkeypatch, tmp_path
):
    """A server that is killed while files are sent: one error, what is made is kept here, and the next
    run sends all that the server has lost, making nothing again."""
    start_server()
    monkeypatch.setattr(store, "WAITS_SECONDS", (0.1,))
    with pytest.raises(FolderError, match="it failed 2 times") as caught:
        generate(progress=Uploads(3, start_server.stop))
    assert "kept" in caught.value.hint
    (kept,) = (p for p in (tmp_path / "data" / ".outgoing").iterdir() if p.is_dir())
    made = read_manifest(kept)
    start_server()  # It comes back empty.
    assert generate().manifest == made
    assert set(content(generate.uri)) == {*made.files, "manifest.json"}

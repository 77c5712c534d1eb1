"""Files appear whole or not at all; a folder without manifest is unfinished; a lock holds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core import workspace
from dnr_core.errors import FolderError, FolderHeldError, InputError, UnfinishedError
from dnr_core.workspace import Manifest

WRITER = """
import sys, time
from pathlib import Path
from dnr_core.workspace import whole_file
with whole_file(Path(sys.argv[1])) as handle:
    handle.write(b"half")
    handle.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def manifest(**files: str) -> Manifest:
    return Manifest(
        kind="warehouse", version="0.1.0", settings={}, files=files, archetype="a", seed=1
    )


def stage(folder: Path, **content: str) -> Manifest:
    for name, text in content.items():
        workspace.write_text(workspace.staging(folder) / name, text)
    return manifest(**dict.fromkeys(content, "0" * 64))


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    """SIGKILL in the middle of a write leaves what was there before, whole."""
    target = tmp_path / "table.bin"
    target.write_bytes(b"old")
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert target.read_bytes() == b"old"


def test_a_full_disk_leaves_no_file_and_says_so(tmp_path: Path) -> None:
    """A write that the system refuses in the middle ends in one message, with nothing behind."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from dnr_core.workspace import write_bytes\nfrom dnr_core.errors import FolderError\n"
        "try: write_bytes(Path(sys.argv[1]), b'x' * 5000)\n"
        "except FolderError as error: print(error, '|', error.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "big.bin")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the disk is full" in done.stdout
    assert "free some space" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_in_one_folder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """The lock holds while the process lives and goes with it, also when it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from dnr_core.workspace import held\n"
        "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    with (
        pytest.raises(FolderHeldError, match="another run is writing to"),
        workspace.held(tmp_path),
    ):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            with workspace.held(tmp_path):
                break
        except FolderHeldError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_publishing_replaces_what_was_published_and_nothing_else_remains(tmp_path: Path) -> None:
    """Old files that the new result lacks are gone; the staging folder too; the manifest is last."""
    folder = tmp_path / "out"
    workspace.publish(folder, stage(folder, a="1", b="2"))
    workspace.publish(folder, stage(folder, b="3", c="4"))
    assert sorted(p.name for p in folder.iterdir()) == ["b", "c", "manifest.json"]
    assert (folder / "b").read_text() == "3"
    assert workspace.read_manifest(folder).files == {"b": "0" * 64, "c": "0" * 64}


def test_publishing_leaves_alone_what_others_put_there(tmp_path: Path) -> None:
    """A folder that another command made inside stays, whatever is published around it."""
    folder = tmp_path / "out"
    workspace.publish(folder, stage(folder, a="1"))
    (folder / "qc").mkdir()
    (folder / "qc" / "qc_summary.json").write_text("{}")
    workspace.publish(folder, stage(folder, b="2"))
    assert sorted(p.name for p in folder.iterdir()) == ["b", "manifest.json", "qc"]
    (folder / "manifest.json").unlink()
    (folder / "b").unlink()
    with pytest.raises(FolderError, match="qc"):
        workspace.claim(folder, "report")
    workspace.claim(folder, "report", beside=("qc",))


def test_files_of_a_run_that_was_killed_while_publishing_do_not_stay(tmp_path: Path) -> None:
    """The next run, of another plan, removes what the killed one had moved into place."""
    folder = tmp_path / "out"
    workspace.publish(folder, stage(folder, old="1"))
    stage(folder, moved="2", other="3")
    code = (
        "import os, signal, sys; from pathlib import Path; from dnr_core import workspace\n"
        "real = Path.replace\n"
        "def replace(self, target):\n"
        "    done = real(self, target)\n"
        "    if Path(target).name == 'moved': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return done\n"
        "Path.replace = replace\n"
        "workspace.publish(Path(sys.argv[1]), workspace.Manifest(kind='warehouse', version='0.1.0',"
        " settings={}, files={'moved': 'x', 'other': 'y'}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (folder / "moved").exists()
    with pytest.raises(UnfinishedError):
        workspace.read_manifest(folder)
    workspace.publish(folder, stage(folder, new="4"))
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "new"]


def test_a_folder_without_manifest_is_unfinished(tmp_path: Path) -> None:
    """Readers refuse it, and say how to go on."""
    with pytest.raises(UnfinishedError, match=r"has no manifest\.json") as caught:
        workspace.read_manifest(tmp_path)
    assert "goes on from where it stopped" in caught.value.hint
    with pytest.raises(InputError, match="there is no folder"):
        workspace.read_manifest(tmp_path / "nowhere")


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda v: json.dumps(v).encode()
    )
)
def test_a_damaged_manifest_is_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever stands in the file, the reader ends in one of our errors."""
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match="manifest"):
        workspace.read_manifest(folder)


@pytest.mark.parametrize("path", ["../thesis.txt", "/etc/passwd", "a/../../b", ""])
def test_a_manifest_that_points_outside_is_refused(path: str, tmp_path: Path) -> None:
    """No file outside of the folder is ever read, moved or removed because a manifest says so."""
    workspace.write_manifest(tmp_path, manifest(**{path: "0"}))
    with pytest.raises(InputError, match="outside of its folder"):
        workspace.read_manifest(tmp_path)


def test_a_folder_of_somebody_elses_files_is_left_alone(tmp_path: Path) -> None:
    """Files that dnr did not write are never overwritten; another kind of result neither."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderError, match=r"has files that dnr did not write \(thesis.txt\)"):
        workspace.claim(tmp_path, "warehouse")
    folder = tmp_path / "out"
    workspace.publish(folder, stage(folder, a="1"))
    workspace.claim(folder, "warehouse")
    with pytest.raises(FolderError, match="holds a warehouse, not a report"):
        workspace.claim(folder, "report")

"""A run of talk that is killed leaves nothing that reads, and the next one finishes the job."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dnr_core.comms import read_comms
from dnr_core.errors import InputError

MAKE = """
import sys
from pathlib import Path
from attrs import evolve
from dnr_core.comms import generate_comms
from dnr_core.config import Settings
from dnr_core.plugins import load_plugins

base, warehouse = map(Path, sys.argv[1:])
settings = Settings()
comms = evolve(settings.comms, slack_threads=300, emails=100, nlq=100)
generate_comms("marketplace", evolve(settings, comms=comms), load_plugins(),
               warehouse=warehouse, out=base / "comms", meta=base / "meta")
"""


def start(base: Path, warehouse: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", MAKE, str(base), str(warehouse)])


def hashes(base: Path) -> dict[str, str]:
    return {
        path.relative_to(base).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(base.rglob("*"))
        if path.is_file() and path.name != ".dnr.lock"
    }


@pytest.fixture(scope="module")
def undisturbed(
    warehouse: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    folder = warehouse()
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"shop"', '"marketplace"'))
    base = tmp_path_factory.mktemp("undisturbed")
    assert start(base, folder).wait() == 0
    return folder, hashes(base)


@pytest.mark.parametrize("moment", ["meta/labels_slack.parquet", "comms/.partial"])
def test_a_killed_run_is_finished_by_the_next(
    undisturbed: tuple[Path, dict[str, str]], tmp_path: Path, moment: str
) -> None:
    """Killed while it writes there is no folder that reads; running again gives the same bytes."""
    folder, expected = undisturbed
    process = start(tmp_path, folder)
    while not (tmp_path / moment).exists() and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    if not (tmp_path / "comms" / "manifest.json").exists():
        with pytest.raises(InputError):
            read_comms(tmp_path / "comms")
    assert start(tmp_path, folder).wait() == 0
    assert hashes(tmp_path) == expected
    assert read_comms(tmp_path / "comms").nlq.num_rows == 100

"""Runs the command in this process, in a working folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from dnr_core.cli.app import run


@frozen
class Outcome:
    """Exit code and both streams of one call."""

    code: int
    out: str
    err: str


@pytest.fixture
def dnr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Call `dnr(...)` as a shell would; the working folder is `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        return Outcome(code, streams.out, streams.err)

    return call

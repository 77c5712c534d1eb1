"""Warehouses in a real S3-compatible server. Not collected unless DNR_STORES is set.

It names a Python that has `moto[server]`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

if not os.environ.get("DNR_STORES"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start_server(port: int) -> Iterator[Callable[[], None]]:
    """Start the server with an empty bucket `bucket`, and wait for it."""
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        python = os.environ["DNR_STORES"]
        program = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        running.append(
            subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(URLError, ConnectionError):
                urlopen(Request(f"http://127.0.0.1:{port}/bucket", method="PUT")).close()
                return
            time.sleep(0.1)
        pytest.fail("the server did not start")

    def stop() -> None:
        running[-1].kill()
        running[-1].wait()

    start.stop = stop  # type: ignore[attr-defined]
    yield start
    for process in running:
        process.kill()
        process.wait()

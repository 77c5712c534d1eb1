"""Room: warehouse. The local engine: threads, each of which makes whole parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

from dnr_core.model import Family
from dnr_core.warehouse.parts import PartRecord

Part = tuple[Family, int]


def worker_count(setting: int) -> int:
    """Return the number of threads for the setting; 0 is one for each core that we may use."""
    if setting:
        return setting
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def run_local(
    parts: Sequence[Part],
    build: Callable[[Family, int], PartRecord],
    stop: Event,
    workers: int,
) -> Iterator[PartRecord]:
    """Make parts in threads and yield their records as they are done.

    The first fault (or an interrupt) sets `stop`, lets the parts in hand give up, and is raised.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="dnr-part") as pool:
        waiting = list(reversed(parts))
        running: set[Future[PartRecord]] = set()
        try:
            while waiting or running:
                # Only as many as there are threads, so that a fault leaves nothing queued.
                while waiting and len(running) < workers:
                    running.add(pool.submit(build, *waiting.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BaseException:
            stop.set()
            raise

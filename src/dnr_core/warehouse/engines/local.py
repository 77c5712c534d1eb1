"""Room: warehouse. The local engine: threads, each of which makes whole parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

from attrs import frozen

from dnr_core.warehouse.engines import Order, Part
from dnr_core.warehouse.parts import PartRecord


def worker_count(setting: int) -> int:
    """Return the number of threads for the setting; 0 is one for each core that we may use."""
    if setting:
        return setting
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@frozen
class LocalEngine:
    """Makes parts in so many threads."""

    workers: int

    def make(
        self, order: Order, parts: Sequence[Part], written: Callable[[int], None]
    ) -> Iterator[PartRecord]:
        """Make parts and yield their records as they are done.

        The first fault (or an interrupt) lets the parts in hand give up, and is raised.
        """
        stop = Event()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="dnr-part") as pool:
            waiting = list(reversed(parts))
            running: set[Future[PartRecord]] = set()
            try:
                while waiting or running:
                    # Only as many as there are threads, so that a fault leaves nothing queued.
                    while waiting and len(running) < self.workers:
                        part = waiting.pop()
                        running.add(
                            pool.submit(order.make, part, stopped=stop.is_set, written=written)
                        )
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            except BaseException:
                stop.set()
                raise

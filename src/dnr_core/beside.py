"""Room: beside. Work in a second thread, which ends with the work that it stands beside.

Python runs in one thread at a time, but a database does not, nor does a wait for a network: while
one thread has a query run, the other goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


class StoppedError(BaseException):
    """Ends the work in the thread; no guard against faults takes it for one."""


class Beside(Generic[T]):
    """A piece of work in a thread of its own.

    Use it as a context manager: where the block is left before the work is done (an error, Ctrl-C),
    the work is stopped at its next `stoppable` step, and waited for.
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        """Begin `work`; `name` is the thread's."""
        self._lock = Lock()
        self._stops: list[Callable[[], object]] = []
        self._stopped = False
        self._results: list[T] = []
        self._faults: list[BaseException] = []
        self._thread = Thread(target=copy_context().run, args=(self._run, work), name=name)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what still runs, and wait for its end."""
        with self._lock:
            self._stopped = True
            for stop in self._stops:
                stop()
        self._thread.join()

    def result(self) -> T:
        """Wait for the work and return its result, or raise what it raised."""
        self._thread.join()
        if self._faults:
            raise self._faults[0]
        return self._results[0]

    def _run(self, work: Callable[[], T]) -> None:
        _HERE.set(self)
        try:
            self._results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._faults.append(error)

    @contextmanager
    def _step(self, stop: Callable[[], object]) -> Iterator[None]:
        with self._lock:
            if self._stopped:
                raise StoppedError
            self._stops.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)


_HERE: ContextVar[Beside[Any] | None] = ContextVar("dnr_beside", default=None)


@contextmanager
def stoppable(stop: Callable[[], object]) -> Iterator[None]:
    """Say how the block is ended early: `stop` is called from another thread.

    Where the work stands beside no other, it is never called.

    Raises:
        StoppedError: the work was stopped before this step.
    """
    here = _HERE.get()
    if here is None:
        yield
        return
    with here._step(stop):
        yield

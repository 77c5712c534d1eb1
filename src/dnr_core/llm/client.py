"""Room: llm. Many requests to one provider: cached, capped, retried, repaired, validated."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from threading import Event, Thread
from typing import Any, TypeVar

from dnr_core.beside import stoppable
from dnr_core.errors import BudgetError, ConfigError
from dnr_core.llm.budget import Budget
from dnr_core.llm.cache import Cache
from dnr_core.llm.outcome import Completed, Outcome
from dnr_core.llm.retry import Backoff
from dnr_core.llm.run import Rules, Run
from dnr_core.model import Provider, Request
from dnr_core.progress import Progress, Silent

T = TypeVar("T")

_LOOK_SECONDS = 0.1


def complete_all(
    requests: Sequence[Request],
    provider: Provider,
    *,
    budget: Budget,
    cache: Cache | None = None,
    concurrency: int = 5,
    timeout_seconds: float = 15.0,
    retries: int = 2,
    max_parse_errors_in_row: int = 50,
    max_failures_in_row: int = 50,
    on_outcome: Callable[[Outcome], None] | None = None,
    progress: Progress = Silent(),  # noqa: B008  it has no state
    task: str = "",
    backoff: Backoff = Backoff(),  # noqa: B008  it has no state
) -> Completed:
    """Ask `provider` for an answer to each request, and keep what could be had.

    An item gets at most `2 + retries` calls: the first, the retries of faults that may pass, and
    one repair of an answer that does not fit its schema. The worst case of a call is reserved from
    `budget` before it is made. Answers that fit are put into `cache` as they arrive; requests that
    are in it, and equal requests of one run, are asked once. Works in plain code and where an event
    loop is running already (it blocks either way). `local` providers are asked one by one, with no
    cache, cost, timeout or retry.

    Args:
        requests: what to ask, in the order of the items.
        provider: who is asked.
        budget: the cap; it may be shared by several runs.
        cache: where answers are kept; None asks for everything.
        concurrency: calls in flight at the most.
        timeout_seconds: for one call, from its beginning to the last byte of its answer.
        retries: further calls for an item whose call failed in a way that may pass.
        max_parse_errors_in_row: so many neighbouring items without a usable answer stop the run;
            calls in flight finish.
        max_failures_in_row: so many neighbouring items whose calls failed after all retries stop
            the run: the service is down, and each further item would wait in vain.
        on_outcome: told each outcome as it comes (from another thread where an event loop is
            running), except those that were not started. What it raises ends the run.
        progress: told of `task`, where that is not "".
        task: name of the task.
        backoff: waits between tries.

    Returns:
        The outcomes in the order of the requests, why the run stopped early, and what it cost.

    Raises:
        BudgetError: the provider costs money and its model has no price.
        FolderError: the cache cannot be read or written.
    """
    if not provider.local and budget.price is None:
        raise BudgetError(
            f"the price of the model {provider.model!r} is not known, so its cost cannot be capped",
            hint="give the price of a million prompt and completion tokens with --price",
        )
    if concurrency < 1 or retries < 0 or timeout_seconds <= 0:
        raise ConfigError("concurrency and timeout must be positive, and retries not negative")
    rules = Rules(
        concurrency=concurrency,
        timeout_seconds=timeout_seconds,
        retries=retries,
        max_parse_errors_in_row=max_parse_errors_in_row,
        max_failures_in_row=max_failures_in_row,
        backoff=backoff,
    )
    run = Run(requests, provider, budget=budget, cache=cache, rules=rules)
    if on_outcome is not None:
        run.listeners.append(on_outcome)
    if not task:
        return run_to_end(run.complete())
    progress.start(task, len(requests), "items")
    advance = _Batched(progress, task)
    run.listeners.append(advance)
    try:
        completed = run_to_end(run.complete())
    except BaseException:
        # Also at Ctrl-C: a bar that nobody ends stays on the terminal.
        progress.done(task, "stopped")
        raise
    advance.flush()
    progress.done(task, completed.reason)
    return completed


class _Batched:
    """Moves a task on by the hundred where items are fast, and by one where they are paid for."""

    _MANY = 128

    def __init__(self, progress: Progress, task: str) -> None:
        self._progress = progress
        self._task = task
        self._waiting = 0

    def __call__(self, outcome: Outcome) -> None:
        self._waiting += 1
        if outcome.cost_usd or self._waiting >= self._MANY:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._progress.advance(self._task, self._waiting)
            self._waiting = 0


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where this thread has a running loop (a notebook)."""
    if _has_running_loop():
        return _run_beside(work)
    return asyncio.run(_stoppable(work))


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Await work that another thread may end: the calls in flight are ended with it."""
    loop, job = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        if job is not None:
            loop.call_soon_threadsafe(job.cancel)

    try:
        with stoppable(stop):
            return await work
    finally:
        # What was stopped before it began is not awaited, which Python would warn of.
        work.close()


def _has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_beside(work: Coroutine[Any, Any, T]) -> T:
    results: list[T] = []
    faults: list[BaseException] = []
    jobs: list[Callable[[], object]] = []
    begun = Event()

    async def body() -> T:
        loop, job = asyncio.get_running_loop(), asyncio.current_task()
        if job is not None:
            jobs.append(lambda: loop.call_soon_threadsafe(job.cancel))
        begun.set()
        return await work

    def thread_body() -> None:
        try:
            results.append(asyncio.run(body()))
        except BaseException as error:  # noqa: BLE001  it is raised in the caller's thread
            faults.append(error)

    thread = Thread(target=contextvars.copy_context().run, args=(thread_body,), name="dnr-llm")
    thread.start()
    task = asyncio.current_task()
    cancelled_before = 0 if task is None else task.cancelling()
    try:
        while thread.is_alive():
            thread.join(_LOOK_SECONDS)
            # `asyncio.run` turns Ctrl-C into a cancelled task, and not into an exception here.
            if task is not None and task.cancelling() > cancelled_before:
                raise asyncio.CancelledError
    except BaseException:
        # Ctrl-C while waiting: the calls in flight are ended before it goes on.
        begun.wait()
        for cancel in jobs:
            cancel()
        thread.join()
        raise
    if faults:
        raise faults[0]
    return results[0]

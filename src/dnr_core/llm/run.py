"""Room: llm. One run over many requests: who is asked next, what a call leads to, when to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from math import fsum

from attrs import evolve, frozen

from dnr_core.errors import (
    FatalProviderError,
    ProviderError,
    ProviderTimeoutError,
    TransientProviderError,
)
from dnr_core.llm.answers import InvalidAnswer, Validator, parse_answer
from dnr_core.llm.budget import Budget, Reservation
from dnr_core.llm.cache import Cache, Keys
from dnr_core.llm.item import Item, repair
from dnr_core.llm.outcome import Completed, Outcome, Spend, Status, Stopped
from dnr_core.llm.retry import Backoff
from dnr_core.llm.sound import sound
from dnr_core.llm.streaks import Streaks
from dnr_core.model import ClosableProvider, ManyProvider, Provider, Reply, Request

_log = logging.getLogger("dnr.llm")

_TOGETHER = 256
"""Requests that a local provider is given at once, where it takes many, or the cache."""


@frozen
class Rules:
    """How a run behaves; see `complete_all`."""

    concurrency: int
    timeout_seconds: float
    retries: int
    max_parse_errors_in_row: int
    max_failures_in_row: int
    backoff: Backoff


class Run:
    """The state of one run; `complete` does it. It is used once."""

    def __init__(
        self,
        requests: Sequence[Request],
        provider: Provider,
        *,
        budget: Budget,
        cache: Cache | None,
        rules: Rules,
    ) -> None:
        self.listeners: list[Callable[[Outcome], None]] = []
        self._requests = requests
        self._provider = provider
        self._budget = budget
        self._cache = None if provider.local else cache
        self._rules = rules
        self._outcomes: list[Outcome | None] = [None] * len(requests)
        self._keys: dict[int, bytes] = {}
        self._equals: dict[int, list[int]] = {}
        self._validators: dict[int, Validator] = {}
        self._parse_errors, self._failures = Streaks(), Streaks()
        self._in_flight = 0
        self._settled, self._halted = asyncio.Event(), asyncio.Event()
        self._not_before = 0.0
        self._stopped: Stopped = ""
        self._reason = ""
        self._calls = self._doubted = 0
        self._kept_usd = 0.0

    async def complete(self) -> Completed:
        """Ask for everything that is not cached, and close the provider's connections."""
        try:
            if self._provider.local:
                await self._ask_in_turn()
            else:
                await self._ask_together(self._look_up())
        finally:
            if isinstance(self._provider, ClosableProvider):
                await self._provider.aclose()
        return self._completed()

    # Cached answers come first, so that a run that stops early has all that was paid for.
    def _look_up(self) -> list[int]:
        if self._cache is None:
            return list(range(len(self._requests)))
        first: dict[bytes, int] = {}
        keys = Keys(self._provider.model)
        for index, request in enumerate(self._requests):
            key = self._keys[index] = keys.of(request)
            if first.setdefault(key, index) != index:
                self._equals.setdefault(first[key], []).append(index)
        missing: list[int] = []
        entries = list(first.items())
        for start in range(0, len(entries), _TOGETHER):
            part = entries[start : start + _TOGETHER]
            replies = self._cache.get_many([key for key, _ in part])
            missing += [i for key, i in part if not self._is_usable(i, replies.get(key))]
        for index in first.values():
            self._give_to_equals(index)
        return missing

    def _is_usable(self, index: int, reply: Reply | None) -> bool:
        """Record a cached reply as the answer, where there is one and it fits."""
        if reply is None:
            return False
        try:
            value = parse_answer(reply.raw, self._validator(self._requests[index]))
        except InvalidAnswer:
            return False
        self._record(Outcome(index, "ok", value, reply.usage, cached=True))
        return True

    def _give_to_equals(self, index: int) -> None:
        outcome = self._outcomes[index]
        if outcome is None:
            return
        for other in self._equals.pop(index, ()):
            same = evolve(outcome, index=other, cost_usd=0.0, cached=True, attempts=0)
            self._record(same)

    def _validator(self, request: Request) -> Validator:
        # Requests of one run share a few schema objects, which `requests` keeps alive.
        found = self._validators.get(id(request.schema))
        if found is None:
            found = self._validators[id(request.schema)] = Validator(request.schema)
        return found

    async def _ask_in_turn(self) -> None:
        for start in range(0, len(self._requests), _TOGETHER):
            part = self._requests[start : start + _TOGETHER]
            replies = await self._replies(part)
            for index, (request, reply) in enumerate(zip(part, replies, strict=True), start):
                if self._stopped:
                    return
                self._record(await self._answer(index, request, reply))

    async def _replies(self, part: Sequence[Request]) -> Sequence[Reply | None]:
        """Return the first reply to each request of a part; None for those to be asked alone."""
        if isinstance(self._provider, ManyProvider):
            try:
                replies = await self._provider.complete_many([sound(each) for each in part])
            except Exception:  # noqa: BLE001  a plugin may raise anything; alone, it is one item's
                _log.info("together they could not be answered: each is asked alone")
            else:
                if len(replies) == len(part):
                    return replies
        return [None] * len(part)

    async def _ask_together(self, missing: Sequence[int]) -> None:
        waiting = iter(missing)
        count = min(self._rules.concurrency, len(missing))
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, waiting: Iterator[int]) -> None:
        for index in waiting:
            if self._halted.is_set():
                return
            outcome = await self._answer(index, self._requests[index])
            if outcome.status != "not_started":
                self._record(outcome)
                self._give_to_equals(index)

    async def _answer(self, index: int, request: Request, first: Reply | None = None) -> Outcome:
        """Make the calls that one item needs, at most `2 + retries`; `first` is the first's reply."""
        item = Item(index, request)
        ask, retries, repaired = sound(request), 0, False
        while True:
            if first is None:
                got = await self._call(item, ask)
            else:
                got, first = self._counted(item, first), None
            if isinstance(got, Outcome):
                return got
            if isinstance(got, TransientProviderError):
                if retries >= self._rules.retries or self._halted.is_set() or self._provider.local:
                    return item.ended("failed", str(got))
                await self._back_off(retries, got.retry_after_seconds)
                retries += 1
                continue
            if got.finish != "stop":
                return item.ended("refused", f"the model ended with {got.finish!r}")
            try:
                value = parse_answer(got.raw, self._validator(request))
            except InvalidAnswer as invalid:
                complaint = str(invalid)
            else:
                if self._cache is not None:
                    self._cache.put(self._keys[index], got)
                return item.ended("ok", value=value)
            if repaired or self._halted.is_set():
                return item.ended("parse_error", complaint)
            ask, repaired = repair(ask, complaint), True

    async def _call(self, item: Item, ask: Request) -> Reply | TransientProviderError | Outcome:
        """Make one call within the budget; its reservation is closed when this returns."""
        if self._provider.local:
            return await self._call_freely(item, ask)
        await self._wait_for_turn()
        reservation = await self._reserve(ask)
        unasked: Status = "failed" if item.calls else "not_started"
        if reservation is None:
            self._stop("budget", "the cap does not allow a further call")
            return item.ended(unasked, "the cap does not allow a further call")
        if self._halted.is_set():
            self._budget.release(reservation)
            return item.ended(unasked, self._reason)
        item.calls += 1
        self._calls += 1
        self._in_flight += 1
        try:
            return await self._call_reserved(item, ask, reservation)
        finally:
            self._in_flight -= 1
            self._settled.set()

    async def _call_freely(
        self, item: Item, ask: Request
    ) -> Reply | TransientProviderError | Outcome:
        item.calls += 1
        self._calls += 1
        try:
            reply = await self._provider.complete(ask)
        except ProviderError as error:
            return self._fault(item, error)
        except Exception as error:  # noqa: BLE001  a plugin may raise anything
            return item.ended("failed", f"the provider raised {type(error).__name__}")
        item.count(reply.usage)
        return reply

    def _counted(self, item: Item, reply: Reply) -> Reply:
        """Count a call that was made together with others."""
        item.calls += 1
        self._calls += 1
        item.count(reply.usage)
        return reply

    async def _call_reserved(
        self, item: Item, ask: Request, reservation: Reservation
    ) -> Reply | TransientProviderError | Outcome:
        seconds = self._rules.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                reply = await self._provider.complete(ask)
        except TimeoutError:
            self._keep(reservation)
            return ProviderTimeoutError(f"no answer within {seconds:g} s")
        except ProviderError as error:
            if isinstance(error, TransientProviderError) and error.maybe_charged:
                self._keep(reservation)
            else:
                self._budget.release(reservation)
            return self._fault(item, error)
        except BaseException as error:
            # Cut off in the middle, or a fault of the provider's own: it may have been charged.
            self._keep(reservation)
            if not isinstance(error, Exception):
                raise
            return item.ended("failed", f"the provider raised {type(error).__name__}")
        cost, believed = self._budget.settle(reservation, reply.usage)
        item.cost_usd += cost
        if believed:
            item.count(reply.usage)
        self._doubted += not believed
        return reply

    def _fault(self, item: Item, error: ProviderError) -> TransientProviderError | Outcome:
        if isinstance(error, TransientProviderError):
            return error
        if isinstance(error, FatalProviderError):
            self._stop("fatal", str(error))
        return item.ended("failed", str(error))

    def _keep(self, reservation: Reservation) -> None:
        self._kept_usd += self._budget.keep(reservation)

    async def _reserve(self, ask: Request) -> Reservation | None:
        tokens = self._provider.prompt_tokens_at_most(ask), ask.max_tokens
        while True:
            reservation = self._budget.reserve(*tokens)
            # Calls in flight mostly cost less than they reserved: what they free may be enough.
            if reservation or not self._in_flight or not self._budget.can_ever_fit(*tokens):
                return reservation
            self._settled.clear()
            await self._settled.wait()

    async def _back_off(self, retries: int, retry_after_seconds: float | None) -> None:
        backoff = self._rules.backoff
        seconds = backoff.wait_seconds(retries, retry_after_seconds)
        if retry_after_seconds is not None:
            # The server is too busy for everyone: the others wait as well before a new call.
            loop = asyncio.get_running_loop()
            self._not_before = max(self._not_before, loop.time() + seconds)
            return
        await self._sleep(seconds)

    async def _wait_for_turn(self) -> None:
        wait = self._not_before - asyncio.get_running_loop().time()
        if wait > 0:
            await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the run is halted."""
        waits = [
            asyncio.ensure_future(self._rules.backoff.sleep(seconds)),
            asyncio.ensure_future(self._halted.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _record(self, outcome: Outcome) -> None:
        self._outcomes[outcome.index] = outcome
        if outcome.status == "parse_error":
            if self._parse_errors.mark(outcome.index) >= self._rules.max_parse_errors_in_row:
                self._stop("parse_errors", "too many answers in a row could not be used")
        elif outcome.status == "failed":
            length = self._failures.mark(outcome.index)
            if length >= self._rules.max_failures_in_row:
                self._stop("failures", f"too many calls in a row failed: {outcome.reason}")
        for listener in self.listeners:
            listener(outcome)

    def _stop(self, why: Stopped, reason: str) -> None:
        # Being out of money ends no call and no search in the cache; every other reason does more.
        if self._stopped in {"", "budget"}:
            if why != self._stopped:
                _log.info("stopped: %s", why)
            self._stopped, self._reason = why, reason
            if why != "budget":
                self._halted.set()

    def _completed(self) -> Completed:
        left = self._reason or "the run stopped before it"
        outcomes = tuple(
            outcome or Outcome(index, "not_started", reason=left)
            for index, outcome in enumerate(self._outcomes)
        )
        own = [o for o in outcomes if not o.cached and o.usage is not None]
        return Completed(
            outcomes=outcomes,
            stopped=self._stopped,
            reason=self._reason,
            spend=Spend(
                spent_usd=round(fsum(o.cost_usd for o in outcomes), 12),
                kept_usd=round(self._kept_usd, 12),
                calls=self._calls,
                cached=sum(o.cached for o in outcomes),
                prompt_tokens=sum(o.usage.prompt_tokens for o in own if o.usage),
                completion_tokens=sum(o.usage.completion_tokens for o in own if o.usage),
                doubted=self._doubted,
            ),
        )

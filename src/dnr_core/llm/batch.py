"""Room: llm. Requests as jobs of a service: cheaper, slower, and gone on with after a kill."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import fsum
from typing import Final

from attrs import evolve

from dnr_core.errors import (
    BudgetError,
    ConfigError,
    FatalProviderError,
    ProviderError,
    TransientProviderError,
)
from dnr_core.llm.answers import InvalidAnswer, Validator, parse_answer
from dnr_core.llm.budget import Budget, Reservation
from dnr_core.llm.cache import Cache, Job, Keys
from dnr_core.llm.client import run_to_end
from dnr_core.llm.outcome import Completed, Outcome, Spend, Stopped
from dnr_core.llm.sound import sound
from dnr_core.model import (
    BatchProvider,
    ClosableProvider,
    Provider,
    ProviderFault,
    Reply,
    Request,
)

JOB_ITEMS: Final = 10_000
"""Requests of one job at the most."""

_FAULTS_IN_ROW: Final = 20
_TOO_DEAR: Final = "the cap does not allow a further call"


def complete_in_batch(
    requests: Sequence[Request],
    provider: Provider,
    *,
    budget: Budget,
    cache: Cache,
    poll_seconds: float = 30.0,
    on_outcome: Callable[[Outcome], None] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Completed:
    """Ask for all answers by jobs of the service, and wait for them (up to a day).

    A job is written into the cache before it is submitted, so that a run which is killed finds
    it again, and pays for nothing twice. There is no repair: an answer that does not fit is a
    parse error, which a later run asks anew. Where the cap does not allow the worst case of all at
    once, the rest waits for what the first jobs leave of it. What an open job of an earlier run brings is charged
    to this run's budget as far as its cap allows it, for it was committed under the earlier one's.
    Where the service refuses a job or stays out of reach, the run stops, and open jobs are kept.

    Args:
        requests: what to ask.
        provider: a `BatchProvider`.
        budget: the cap, at the provider's `batch_price`; the worst case of each item is reserved.
        cache: where answers and open jobs are kept.
        poll_seconds: how often a job is looked at.
        on_outcome: told each outcome as it comes.
        sleep: waits; replaced in tests.

    Raises:
        ConfigError: the provider takes no jobs.
        BudgetError: the model has no price.
    """
    if not isinstance(provider, BatchProvider):
        raise ConfigError(
            f"the provider of the model {provider.model!r} takes no batches",
            hint="leave out --batch, or choose another --provider",
        )
    if budget.price is None:
        raise BudgetError(
            f"the price of the model {provider.model!r} is not known, so its cost cannot be capped",
            hint="give the price of a million prompt and completion tokens with --price",
        )
    run = _BatchRun(requests, provider, provider, budget, cache)
    run.on_outcome, run.sleep, run.poll_seconds = on_outcome, sleep, poll_seconds
    return run_to_end(run.complete())


class _BatchRun:
    """The state of one run over jobs."""

    def __init__(
        self,
        requests: Sequence[Request],
        provider: Provider,
        jobs: BatchProvider,
        budget: Budget,
        cache: Cache,
    ) -> None:
        self.on_outcome: Callable[[Outcome], None] | None = None
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        self.poll_seconds = 30.0
        self._provider, self._jobs = provider, jobs
        self._budget, self._cache = budget, cache
        self._requests = [sound(request) for request in requests]
        self._items: dict[bytes, list[int]] = {}
        keys = Keys(provider.model)
        for index, request in enumerate(requests):
            self._items.setdefault(keys.of(request), []).append(index)
        self._outcomes: dict[int, Outcome] = {}
        self._validators: dict[int, Validator] = {}
        self._reserved: dict[bytes, Reservation] = {}
        self._stopped: Stopped = ""
        self._reason = ""
        self._kept_usd = 0.0
        self._calls = self._doubted = 0

    async def complete(self) -> Completed:
        for key, reply in self._cache.get_many(list(self._items)).items():
            self._use_cached(key, reply)
        try:
            await self._ask()
        except ProviderError as error:
            self._stopped = "fatal" if isinstance(error, FatalProviderError) else "failures"
            self._reason = str(error)
        finally:
            for reservation in self._reserved.values():
                # Its job is still open, or was submitted without our hearing of it.
                self._kept_usd += self._budget.keep(reservation)
            if isinstance(self._provider, ClosableProvider):
                await self._provider.aclose()
        return self._completed()

    async def _ask(self) -> None:
        for job in await self._open_jobs():
            for key in job.keys:
                self._reserve(key)
            await self._finish(job)
        # What is done costs less than it reserved: the rest of the cap is for a further round.
        while jobs := self._new_jobs():
            for job in jobs:
                await self._submit(job)
            for job in self._cache.jobs(self._provider.model):
                if any(key in self._items for key in job.keys):
                    await self._finish(job)

    def _use_cached(self, key: bytes, reply: Reply) -> None:
        try:
            value = parse_answer(reply.raw, self._validator(key))
        except InvalidAnswer:
            return
        self._end(key, Outcome(0, "ok", value, reply.usage, cached=True))

    async def _open_jobs(self) -> list[Job]:
        """Return the jobs of an earlier run that have answers for this one."""
        found: list[Job] = []
        for job in self._cache.jobs(self._provider.model):
            if not any(key in self._items and not self._ended(key) for key in job.keys):
                continue
            name = job.name or await self._jobs.find_batch(job.tag)
            if name is None:
                # It was written down and never submitted.
                self._cache.drop_job(job)
                continue
            found.append(evolve(job, name=name))
        return found

    def _new_jobs(self) -> list[Job]:
        keys: list[bytes] = []
        self._stopped, self._reason = "", ""
        for key in self._items:
            if self._ended(key):
                continue
            if self._reserve(key):
                keys.append(key)
            else:
                self._stopped, self._reason = "budget", _TOO_DEAR
        return [
            Job(secrets.token_hex(16), None, tuple(keys[at : at + JOB_ITEMS]))
            for at in range(0, len(keys), JOB_ITEMS)
        ]

    def _reserve(self, key: bytes) -> bool:
        if key not in self._items or self._ended(key) or key in self._reserved:
            return False
        request = self._requests[self._items[key][0]]
        bound = self._provider.prompt_tokens_at_most(request)
        reservation = self._budget.reserve(bound, request.max_tokens)
        if reservation is not None:
            self._reserved[key] = reservation
        return reservation is not None

    async def _submit(self, job: Job) -> None:
        self._cache.put_job(job, self._provider.model)
        requests = [self._requests[self._items[key][0]] for key in job.keys]
        try:
            name = await self._jobs.submit_batch(requests, job.tag)
        except ProviderError as error:
            if not (isinstance(error, TransientProviderError) and error.maybe_charged):
                self._cache.drop_job(job)
                for key in job.keys:
                    self._budget.release(self._reserved.pop(key))
            raise
        self._calls += len(requests)
        self._cache.put_job(evolve(job, name=name), self._provider.model)

    async def _finish(self, job: Job) -> None:
        """Wait for a job, store its replies, and forget it when all of them are stored."""
        try:
            replies = await self._wait_for(job)
        except (TransientProviderError, FatalProviderError):
            raise
        except ProviderError:
            # Refused as a whole: there is nothing to come back for, and nothing was charged.
            for key in job.keys:
                if key in self._reserved:
                    self._budget.release(self._reserved.pop(key))
            self._cache.drop_job(job)
            raise
        for position, key in enumerate(job.keys):
            self._take(key, replies.get(position))
        self._cache.drop_job(job)

    async def _wait_for(self, job: Job) -> Mapping[int, Reply | ProviderFault]:
        faults = 0
        while True:
            try:
                replies = await self._jobs.collect_batch(job.name or "")
            except TransientProviderError:
                faults += 1
                if faults >= _FAULTS_IN_ROW:
                    raise
            else:
                faults = 0
                if replies is not None:
                    return replies
            await self.sleep(self.poll_seconds)

    def _take(self, key: bytes, got: Reply | ProviderFault | None) -> None:
        """Turn what a job brought for one key into a stored reply and an outcome."""
        if key not in self._items or self._ended(key):
            # Another run's request: it checks the answer when it reads it.
            if isinstance(got, Reply) and got.finish == "stop" and self._cache.get(key) is None:
                self._cache.put(key, got)
            return
        reservation = self._reserved.pop(key, None)
        if not isinstance(got, Reply):
            reason = "the job brought no answer" if got is None else got.reason
            if reservation is not None and got is None:
                self._kept_usd += self._budget.keep(reservation)
            elif reservation is not None:
                self._budget.release(reservation)
            self._end(key, Outcome(0, "failed", attempts=1, reason=reason))
            return
        cost, believed = 0.0, True
        if reservation is not None:
            cost, believed = self._budget.settle(reservation, got.usage)
        self._doubted += not believed
        outcome = Outcome(0, "ok", None, got.usage if believed else None, cost, attempts=1)
        if got.finish != "stop":
            reason = f"the model ended with {got.finish!r}"
            self._end(key, evolve(outcome, status="refused", reason=reason))
            return
        try:
            value = parse_answer(got.raw, self._validator(key))
        except InvalidAnswer as invalid:
            self._end(key, evolve(outcome, status="parse_error", reason=str(invalid)))
            return
        self._cache.put(key, got)
        self._end(key, evolve(outcome, value=value))

    def _end(self, key: bytes, outcome: Outcome) -> None:
        first = True
        for index in self._items[key]:
            own = evolve(outcome, index=index)
            if not first:
                own = evolve(own, cost_usd=0.0, cached=True, attempts=0)
            self._outcomes[index] = own
            first = False
            if self.on_outcome is not None:
                self.on_outcome(own)

    def _ended(self, key: bytes) -> bool:
        return self._items[key][0] in self._outcomes

    def _validator(self, key: bytes) -> Validator:
        schema = self._requests[self._items[key][0]].schema
        found = self._validators.get(id(schema))
        if found is None:
            found = self._validators[id(schema)] = Validator(schema)
        return found

    def _completed(self) -> Completed:
        outcomes = tuple(
            self._outcomes.get(index) or Outcome(index, "not_started", reason=self._reason)
            for index in range(len(self._requests))
        )
        own = [o.usage for o in outcomes if o.usage is not None and not o.cached]
        return Completed(
            outcomes=outcomes,
            stopped=self._stopped,
            reason=self._reason,
            spend=Spend(
                spent_usd=round(fsum(o.cost_usd for o in outcomes), 12),
                kept_usd=round(self._kept_usd, 12),
                calls=self._calls,
                cached=sum(o.cached for o in outcomes),
                prompt_tokens=sum(usage.prompt_tokens for usage in own),
                completion_tokens=sum(usage.completion_tokens for usage in own),
                doubted=self._doubted,
            ),
        )

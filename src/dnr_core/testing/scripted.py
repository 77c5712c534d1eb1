"""Room: testing. A provider that plays a script of replies and faults, and counts what it bills."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from dnr_core.errors import (
    DnrError,
    FatalProviderError,
    ProviderError,
    TransientProviderError,
)
from dnr_core.model import Price, Reply, Request, Usage
from dnr_core.model.llm import Finish


@frozen
class Answer:
    """Reply with `value`: a mapping is sent as JSON, a text as it is, well formed or not.

    `usage` is what the server says it counted: None says nothing. By default it counts a quarter of
    the prompt's bytes and of the answer's. `after_seconds` is how long the reply takes.
    """

    value: Mapping[str, Any] | str
    usage: Usage | Literal["counted"] | None = "counted"
    finish: Finish = "stop"
    after_seconds: float = 0.0

    @property
    def raw(self) -> str:
        """The text of the reply."""
        if isinstance(self.value, str):
            return self.value
        return json.dumps(self.value, sort_keys=True)


@frozen
class Fault:
    """Raise `error`. `billed` says that the call is charged all the same."""

    error: BaseException
    billed: bool = field(default=False, kw_only=True)
    after_seconds: float = field(default=0.0, kw_only=True)

    @classmethod
    def busy(cls, retry_after_seconds: float | None = None) -> Fault:
        """Too many requests; not charged."""
        return cls(
            TransientProviderError(
                "too many requests", retry_after_seconds=retry_after_seconds, maybe_charged=False
            )
        )

    @classmethod
    def cut_off(cls) -> Fault:
        """A connection that is cut in the middle of the reply, which is charged."""
        error = TransientProviderError("the connection was cut", maybe_charged=True)
        return cls(error, billed=True)

    @classmethod
    def rejected(cls) -> Fault:
        """A request that the server does not take; another try makes no sense."""
        return cls(ProviderError("the server does not take this request"))

    @classmethod
    def wrong_key(cls) -> Fault:
        """A key that the server does not know: the run should end."""
        return cls(FatalProviderError("the key is wrong"))


@frozen
class Hang:
    """Never answer; the call is charged."""


PRICE: Final = Price(prompt_usd_per_million=0.15, completion_usd_per_million=0.60)

Step: TypeAlias = Answer | Fault | Hang
Script: TypeAlias = Sequence[Step] | Callable[[Request, int], Step]


class ScriptedProvider:
    """A provider of `dnr_core.model.Provider` for tests.

    A sequence is played one step a call, in the order of the calls; when it has ended, `then` is
    played on and on. A function gets the request and the number of earlier calls for its item.
    `calls` has every request that was made, `billed` the tokens of those that a real server would
    charge for: counted apart from dnr's own books.

    Args:
        script: what to play.
        then: what comes after the last step of a sequence; without it a further call is an error.
        model: the model's name.
        price: price of a million tokens; None is a model whose price is not known.
        local: whether it costs nothing and is asked in turn.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        then: Step | None = None,
        model: str = "scripted",
        price: Price | None = PRICE,
        local: bool = False,
    ) -> None:
        self.model = model
        self.price = price
        self.local = local
        self.calls: list[Request] = []
        self.billed: list[Usage] = []
        self.most_in_flight = 0
        self.closed = 0
        self._in_flight = 0
        self._function = script if callable(script) else None
        self._steps: Iterator[Step] = iter(() if callable(script) else script)
        self._then = then
        self._by_item: dict[str, int] = {}

    async def complete(self, request: Request) -> Reply:
        """Play the next step."""
        step = self._next(request)
        self.calls.append(request)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            return await self._play(step, request)
        finally:
            self._in_flight -= 1

    def prompt_tokens_at_most(self, request: Request) -> int:
        """Return the bytes of the prompt."""
        return len(request.instructions.encode()) + len(request.item.encode()) + 1

    async def aclose(self) -> None:
        """Count that the run was closed."""
        self.closed += 1

    @property
    def billed_usd(self) -> float:
        """US dollars that a real server would have charged."""
        if self.price is None or self.local:
            return 0.0
        prompt = sum(usage.prompt_tokens for usage in self.billed)
        completion = sum(usage.completion_tokens for usage in self.billed)
        return self.price.cost_usd(Usage(prompt, completion))

    def calls_for(self, item: str) -> int:
        """Return how many calls were made for an item."""
        return self._by_item.get(item, 0)

    def _next(self, request: Request) -> Step:
        earlier = self._by_item.get(request.item, 0)
        self._by_item[request.item] = earlier + 1
        if self._function is not None:
            return self._function(request, earlier)
        step = next(self._steps, self._then)
        if step is None:
            raise ScriptEndedError("the script has ended, and there was one more call")
        return step

    async def _play(self, step: Step, request: Request) -> Reply:
        if isinstance(step, Hang):
            self.billed.append(self._counted(request, ""))
            await asyncio.Event().wait()
        if isinstance(step, Fault):
            await asyncio.sleep(step.after_seconds)
            if step.billed:
                self.billed.append(self._counted(request, ""))
            raise step.error.with_traceback(None)
        if not isinstance(step, Answer):
            raise TypeError(f"{type(step).__name__} is no step of a script")
        # Billed when the work begins, as a real server does that is then too slow to be heard.
        counted = self._counted(request, step.raw)
        self.billed.append(counted)
        if step.after_seconds:
            await asyncio.sleep(step.after_seconds)
        usage = counted if isinstance(step.usage, str) else step.usage
        return Reply(raw=step.raw, usage=usage, model=self.model, finish=step.finish)

    def _counted(self, request: Request, raw: str) -> Usage:
        return Usage(
            prompt_tokens=max(1, self.prompt_tokens_at_most(request) // 4),
            completion_tokens=min(request.max_tokens, len(raw) // 4 + 1),
        )


class ScriptEndedError(DnrError):
    """A call that the script did not foresee."""

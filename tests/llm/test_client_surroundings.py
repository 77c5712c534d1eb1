"""Where a run runs and what it tells: loops, listeners, progress, waits, local providers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from dnr_core.llm import Backoff, Budget, complete_all
from dnr_core.model import Reply, Request
from dnr_core.progress import Silent
from dnr_core.testing import Answer, Fault, ScriptedProvider

GOOD = Answer({"theme": "late", "confidence": 0.5})
BAD = Answer("no JSON")


def names(count: int) -> list[str]:
    return [f"item {n}" for n in range(count)]


def run(requests: Any, provider: Any, backoff: Backoff, cap_usd: float = 1.0, **more: Any) -> Any:
    budget = Budget(cap_usd, provider.price)
    return complete_all(requests, provider, budget=budget, backoff=backoff, **more)


def test_it_works_inside_a_running_loop(requests_for: Any, no_waits: Backoff) -> None:
    """As in a notebook; errors arrive there too."""

    async def notebook() -> Any:
        good = run(requests_for(names(3)), ScriptedProvider(then=GOOD), no_waits)
        with pytest.raises(ZeroDivisionError):
            run(
                requests_for(names(3)),
                ScriptedProvider(then=GOOD),
                no_waits,
                on_outcome=lambda _outcome: 1 / 0,
            )
        return good

    assert asyncio.run(notebook()).count("ok") == 3


def test_what_on_outcome_raises_ends_the_run(requests_for: Any, no_waits: Backoff) -> None:
    """No further call is made, and the provider is closed."""
    provider = ScriptedProvider(lambda _r, _n: Answer(GOOD.value, after_seconds=0.002))

    def stop(_outcome: object) -> None:
        raise KeyboardInterrupt

    budget = Budget(1.0, provider.price)
    with pytest.raises(KeyboardInterrupt):
        complete_all(
            requests_for(names(50)), provider, budget=budget, on_outcome=stop, backoff=no_waits
        )
    assert len(provider.calls) <= 10
    assert provider.closed == 1
    assert provider.billed_usd <= budget.spent_usd + budget.reserved_usd
    assert threading.active_count() < 20


def test_progress_is_told(requests_for: Any, no_waits: Backoff) -> None:
    """The task starts with the number of items, moves on by each, and ends."""
    told: list[tuple[Any, ...]] = []

    class Told(Silent):
        def start(self, task: str, total: int | None, unit: str) -> None:
            told.append(("start", task, total, unit))

        def advance(self, task: str, amount: int = 1) -> None:
            told.append(("advance", amount))

        def done(self, task: str, note: str = "") -> None:
            told.append(("done", note))

    for local in (True, False):
        told.clear()
        provider = ScriptedProvider(then=GOOD, local=local)
        run(requests_for(names(300)), provider, no_waits, progress=Told(), task="classify slack")
        assert told[0] == ("start", "classify slack", 300, "items")
        assert sum(entry[1] for entry in told if entry[0] == "advance") == 300
        assert told[-1] == ("done", "")


def test_a_local_provider_is_asked_in_turn_and_costs_nothing(
    requests_for: Any, no_waits: Backoff
) -> None:
    """No budget, no price, one at a time; bad answers and faults are told as for any other."""
    script = [GOOD, BAD, BAD, Fault.busy(), Fault(ValueError("hush")), BAD, GOOD]
    provider = ScriptedProvider(script, local=True, price=None)
    budget = Budget(0.0, None)
    done = complete_all(requests_for(names(5)), provider, budget=budget, backoff=no_waits)
    statuses = ["ok", "parse_error", "failed", "failed", "ok"]
    assert [o.status for o in done.outcomes] == statuses
    assert [o.attempts for o in done.outcomes] == [1, 2, 1, 1, 2]
    assert provider.most_in_flight == 1
    assert done.spent_usd == 0


def test_waits_grow_and_are_bounded() -> None:
    """Each wait doubles, is jittered by half, and never exceeds the most."""
    low, high = Backoff(draw=lambda: 0.0), Backoff(draw=lambda: 1.0)
    assert [low.wait_seconds(n) for n in range(3)] == [0.25, 0.5, 1.0]
    assert [high.wait_seconds(n) for n in range(3)] == [0.5, 1.0, 2.0]
    assert high.wait_seconds(1000) == 30.0
    assert high.wait_seconds(0, retry_after_seconds=float("inf")) == 30.0
    assert high.wait_seconds(0, retry_after_seconds=float("nan")) == 0.5
    assert high.wait_seconds(0, retry_after_seconds=-1) == 0.5
    assert 4 <= high.wait_seconds(0, retry_after_seconds=4) < 4.1


def test_when_one_is_told_to_wait_all_wait(requests_for: Any) -> None:
    """Retry-After is for everyone: no other call starts before it is over."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    provider = ScriptedProvider([Fault.busy(20.0)], then=GOOD)
    run(requests_for(names(4)), provider, Backoff(sleep=sleep), concurrency=1)
    assert len(waited) == 4
    assert all(seconds > 15 for seconds in waited)


class Many(ScriptedProvider):
    """A local provider that also takes many requests at once, and counts how often."""

    def __init__(self, *args: Any, spoiled: str = "", **more: Any) -> None:
        super().__init__(*args, local=True, **more)
        self.parts: list[int] = []
        self.spoiled = spoiled

    async def complete_many(self, asked: list[Request]) -> list[Reply]:
        self.parts.append(len(asked))
        if any(request.item == self.spoiled for request in asked):
            raise ValueError("hush")
        return [await self.complete(request) for request in asked]


def test_a_local_provider_that_takes_many_is_asked_by_parts(
    requests_for: Any, no_waits: Backoff
) -> None:
    """With the outcomes that single calls give: repaired, counted, in order, and stopped alike."""
    for count, play in (
        (600, lambda r, n: BAD if r.item.endswith("7") and n == 0 else GOOD),
        (600, lambda _r, _n: BAD),
    ):
        many, single = Many(play), ScriptedProvider(play, local=True)
        together = run(requests_for(names(count)), many, no_waits)
        alone = run(requests_for(names(count)), single, no_waits)
        assert [(o.status, o.value, o.attempts) for o in together.outcomes] == [
            (o.status, o.value, o.attempts) for o in alone.outcomes
        ]
        assert (together.stopped, together.calls) == (alone.stopped, alone.calls)
        assert 0 < len(many.parts) <= 3
        assert max(many.parts) > 100


def test_one_request_that_spoils_a_part_fails_alone(requests_for: Any, no_waits: Backoff) -> None:
    """Where many together raise, each is asked by itself, so no message can silence another."""

    def play(request: Request, _earlier: int) -> Any:
        return Fault(ValueError("hush")) if request.item == "item 5" else GOOD

    provider = Many(play, spoiled="item 5")
    done = run(requests_for(names(300)), provider, no_waits)
    assert [o.index for o in done.outcomes if o.status != "ok"] == [5]
    assert done.outcomes[5].reason == "the provider raised ValueError"
    assert len(provider.parts) == 2


def test_a_provider_that_loses_a_reply_is_asked_for_each(
    requests_for: Any, no_waits: Backoff
) -> None:
    """Fewer replies than requests could be anyone's, so none of them is taken."""

    class Loses(Many):
        async def complete_many(self, asked: list[Request]) -> list[Reply]:
            return (await super().complete_many(asked))[1:]

    done = run(requests_for(names(20)), Loses(lambda _r, _n: GOOD), no_waits)
    assert done.count("ok") == 20


def test_a_lone_surrogate_reaches_no_provider_that_takes_many(
    requests_for: Any, no_waits: Backoff
) -> None:
    """As with single calls, the text is one that could be sent."""
    provider = Many(lambda _r, _n: GOOD)
    run(requests_for(["a\ud800b"]), provider, no_waits)
    assert [call.item for call in provider.calls] == ["a\ufffdb"]

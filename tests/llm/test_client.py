"""Many requests: order, stops, faults of one item."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dnr_core.errors import (
    ConfigError,
    FatalProviderError,
    TransientProviderError,
)
from dnr_core.llm import Backoff, Budget, complete_all, estimate
from dnr_core.model import Reply, Request
from dnr_core.testing import Answer, Fault, ScriptedProvider

GOOD = Answer({"theme": "late", "confidence": 0.5})
BAD = Answer("no JSON")


def names(count: int) -> list[str]:
    return [f"item {n}" for n in range(count)]


def run(requests: Any, provider: Any, backoff: Backoff, cap_usd: float = 1.0, **more: Any) -> Any:
    budget = Budget(cap_usd, provider.price)
    return complete_all(requests, provider, budget=budget, backoff=backoff, **more)


def test_outcomes_come_in_the_order_of_the_requests(requests_for: Any, no_waits: Backoff) -> None:
    """However long each takes, and `on_outcome` hears of each once."""
    draw = random.Random(1)
    times = {name: draw.random() / 50 for name in names(40)}
    heard: list[int] = []

    def play(request: Request, _earlier: int) -> Answer:
        theme = "late" if int(request.item.split()[1]) % 2 else "none"
        return Answer({"theme": theme, "confidence": 1}, after_seconds=times[request.item])

    provider = ScriptedProvider(play)
    done = run(
        requests_for(names(40)), provider, no_waits, on_outcome=lambda o: heard.append(o.index)
    )
    assert [o.index for o in done.outcomes] == list(range(40))
    assert [o.value["theme"] for o in done.outcomes] == ["none", "late"] * 20
    assert sorted(heard) == list(range(40))
    assert heard != list(range(40))
    assert provider.most_in_flight == 5
    assert provider.closed == 1


def test_no_requests_is_no_work(no_waits: Backoff) -> None:
    """An empty run is complete, and costs nothing."""
    done = run([], ScriptedProvider(), no_waits)
    assert (done.outcomes, done.stopped, done.calls) == ((), "", 0)


@pytest.mark.parametrize("first", [0, 7])
def test_fifty_parse_errors_in_a_row_stop_the_run(
    requests_for: Any, no_waits: Backoff, first: int
) -> None:
    """Calls in flight finish; what comes after is not started."""
    good = {f"item {n}" for n in range(first)}
    provider = ScriptedProvider(lambda request, _: GOOD if request.item in good else BAD)
    done = run(requests_for(names(200)), provider, no_waits)
    assert done.stopped == "parse_errors"
    assert done.count("ok") == first
    assert 50 <= done.count("parse_error") <= 54
    assert done.count("not_started") == 200 - first - done.count("parse_error")
    started = [o.status != "not_started" for o in done.outcomes]
    assert started == sorted(started, reverse=True)


def test_parse_errors_that_are_not_in_a_row_do_not_stop(
    requests_for: Any, no_waits: Backoff
) -> None:
    """One good answer among forty-nine bad ones is enough."""
    provider = ScriptedProvider(
        lambda request, _: GOOD if int(request.item.split()[1]) % 50 == 49 else BAD
    )
    done = run(requests_for(names(200)), provider, no_waits)
    assert done.stopped == ""
    assert (done.count("parse_error"), done.count("ok")) == (196, 4)


def test_rows_are_counted_by_item_and_not_by_time(requests_for: Any, no_waits: Backoff) -> None:
    """Bad answers that arrive one after another, with a slow good item between, are no row."""

    def play(request: Request, _earlier: int) -> Answer:
        number = int(request.item.split()[1])
        if number % 10 == 0:
            return Answer(GOOD.value, after_seconds=0.02)
        return BAD

    done = run(
        requests_for(names(60)), ScriptedProvider(play), no_waits, max_parse_errors_in_row=10
    )
    assert done.stopped == ""
    done = run(requests_for(names(60)), ScriptedProvider(play), no_waits, max_parse_errors_in_row=9)
    assert done.stopped == "parse_errors"


def test_a_fatal_error_keeps_what_is_done(requests_for: Any, no_waits: Backoff) -> None:
    """No new call is made after it, and calls in flight may still bring what they were paid for."""

    def play(request: Request, _earlier: int) -> Any:
        number = int(request.item.split()[1])
        if number == 10:
            return Fault(FatalProviderError("the key is wrong"))
        return Answer(GOOD.value, after_seconds=0.01)

    provider = ScriptedProvider(play)
    done = run(requests_for(names(100)), provider, no_waits)
    assert done.stopped == "fatal"
    assert done.reason == "the key is wrong"
    assert done.outcomes[10].status == "failed"
    assert 10 <= done.count("ok") <= 14
    assert len(provider.calls) <= 15


def test_a_stop_ends_the_waits_of_others(requests_for: Any) -> None:
    """An item that backs off for half a minute makes no further call when the run has stopped."""
    wrong = Fault(FatalProviderError("the key is wrong"), after_seconds=0.05)
    script = [Fault(TransientProviderError("busy", retry_after_seconds=29.0)), wrong]
    provider = ScriptedProvider(script, then=GOOD)
    ended = run(requests_for(["a", "b", "c"]), provider, Backoff(), concurrency=2)
    assert [o.status for o in ended.outcomes] == ["failed", "failed", "not_started"]
    assert len(provider.calls) == 2


def test_a_service_that_is_down_stops_the_run(requests_for: Any, no_waits: Backoff) -> None:
    """Fifty items in a row that failed after all retries are enough to know."""
    provider = ScriptedProvider(then=Fault.busy())
    done = run(requests_for(names(200)), provider, no_waits)
    assert done.stopped == "failures"
    assert 50 <= done.count("failed") <= 54
    assert len(provider.calls) <= 54 * 3


def test_a_rejected_request_fails_alone(requests_for: Any, no_waits: Backoff) -> None:
    """It is not tried again, costs nothing, and the others go on."""
    provider = ScriptedProvider([Fault.rejected()], then=GOOD)
    done = run(requests_for(names(5)), provider, no_waits, concurrency=1)
    assert [o.status for o in done.outcomes] == ["failed", "ok", "ok", "ok", "ok"]
    assert len(provider.calls) == 5
    assert done.kept_usd == 0


def test_a_provider_with_a_bug_fails_its_item_and_quotes_nothing(
    requests_for: Any, no_waits: Backoff
) -> None:
    """Only the class of the error is told, for its text may hold a message."""
    provider = ScriptedProvider([Fault(KeyError("hush"))], then=GOOD)
    done = run(requests_for(names(2)), provider, no_waits, concurrency=1)
    assert done.outcomes[0].reason == "the provider raised KeyError"
    assert done.kept_usd > 0
    assert done.outcomes[1].status == "ok"


def test_a_lone_surrogate_reaches_no_provider(requests_for: Any, no_waits: Backoff) -> None:
    """It could not be sent; the place of it is kept."""
    provider = ScriptedProvider(then=GOOD)
    done = run(requests_for(["a\ud800b\ud83d\ude00", "é"]), provider, no_waits, concurrency=1)
    assert done.count("ok") == 2
    assert estimate(requests_for(["a\ud800b"]), provider).items == 1
    assert [call.item for call in provider.calls] == ["a\ufffdb\U0001f600", "é"]


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"retries": -1}, {"timeout_seconds": 0.0}], ids=str
)
def test_rules_that_cannot_be_are_refused(
    requests_for: Any, no_waits: Backoff, wrong: dict[str, Any]
) -> None:
    """Before any call."""
    with pytest.raises(ConfigError):
        run(requests_for(["a"]), ScriptedProvider(then=GOOD), no_waits, **wrong)


class _Wrong:
    model, price, local = "m", None, True

    async def complete(self, request: Request) -> Reply:
        return Reply(raw=5, usage=None, model="m")  # type: ignore[arg-type]

    def prompt_tokens_at_most(self, request: Request) -> int:
        return 1


def test_a_reply_that_is_no_text_is_a_parse_error(requests_for: Any, no_waits: Backoff) -> None:
    """A plugin that breaks its contract spoils its own items alone."""
    done = run(requests_for(["a"]), _Wrong(), no_waits)
    assert done.outcomes[0].status == "parse_error"

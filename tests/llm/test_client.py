"""Many requests: order, stops, money, where it runs."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.errors import (
    BudgetError,
    ConfigError,
    FatalProviderError,
    ProviderTimeoutError,
    TransientProviderError,
)
from dnr_core.llm import Backoff, Budget, complete_all, estimate
from dnr_core.llm.estimate import Calibration
from dnr_core.model import Price, Reply, Request, Usage
from dnr_core.progress import Silent
from dnr_core.testing import Answer, Fault, Hang, ScriptedProvider

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


def test_a_call_that_hangs_keeps_its_reservation(requests_for: Any, no_waits: Backoff) -> None:
    """Timed-out money is neither spent nor free again."""
    provider = ScriptedProvider(
        [Hang(), Fault(ProviderTimeoutError("slow"), billed=True)], then=GOOD
    )
    budget = Budget(1.0, provider.price)
    [request] = requests_for(["a"])
    done = complete_all([request], provider, budget=budget, backoff=no_waits, timeout_seconds=0.05)
    assert done.outcomes[0].status == "ok"
    worst = budget.cost_usd(provider.prompt_tokens_at_most(request), 64)
    assert done.kept_usd == budget.reserved_usd == pytest.approx(2 * worst)
    assert provider.billed_usd <= budget.spent_usd + budget.reserved_usd


def test_the_cap_stops_the_run_and_wastes_little(requests_for: Any, no_waits: Backoff) -> None:
    """It goes on while a worst case fits, counting what calls in flight will free."""
    provider = ScriptedProvider(lambda _r, _n: Answer(GOOD.value, after_seconds=0.001))
    requests = requests_for(names(300))
    cap = 0.002
    budget = Budget(cap, provider.price)
    done = complete_all(requests, provider, budget=budget, backoff=no_waits)
    assert done.stopped == "budget"
    assert provider.billed_usd <= cap
    worst = budget.cost_usd(provider.prompt_tokens_at_most(requests[-1]), 64)
    assert cap - budget.spent_usd < worst
    assert budget.reserved_usd == 0
    assert all(o.reason for o in done.outcomes if o.status == "not_started")


def test_one_item_that_is_too_dear_does_not_stop_the_others(
    requests_for: Any, no_waits: Backoff
) -> None:
    """A megabyte of text cannot keep the rest of the messages from being heard."""
    provider = ScriptedProvider(then=GOOD)
    requests = requests_for(["a", "x" * 1_000_000, "b", "c"])
    done = run(requests, provider, no_waits, cap_usd=0.1)
    assert [o.status for o in done.outcomes] == ["ok", "not_started", "ok", "ok"]
    assert done.stopped == "budget"


def test_a_cap_of_nothing_starts_nothing(requests_for: Any, no_waits: Backoff) -> None:
    """No call is made, and the run says why."""
    provider = ScriptedProvider(then=GOOD)
    done = run(requests_for(names(3)), provider, no_waits, cap_usd=0.0)
    assert (done.stopped, done.count("not_started"), len(provider.calls)) == ("budget", 3, 0)


def test_a_model_without_a_price_does_not_start(requests_for: Any, no_waits: Backoff) -> None:
    """The error says how to give one; a given price starts it."""
    provider = ScriptedProvider(then=GOOD, price=None)
    with pytest.raises(BudgetError) as caught:
        run(requests_for(["a"]), provider, no_waits)
    assert "--price" in caught.value.hint
    assert not provider.calls
    budget = Budget(1.0, Price(1.0, 1.0))
    assert complete_all(requests_for(["a"]), provider, budget=budget).count("ok") == 1


def test_one_budget_holds_over_several_runs(requests_for: Any, no_waits: Backoff) -> None:
    """What one source spent is not there for the next."""
    provider = ScriptedProvider(then=GOOD)
    budget = Budget(0.0005, provider.price)
    for _ in range(4):
        complete_all(requests_for(names(30)), provider, budget=budget, backoff=no_waits)
    assert provider.billed_usd <= 0.0005


_STEPS = st.sampled_from(
    [
        GOOD,
        BAD,
        Answer(GOOD.value, after_seconds=0.0005),
        Answer(GOOD.value, usage=None),
        Answer(GOOD.value, usage=Usage(10**12, -1)),
        Answer(GOOD.value, usage=Usage(1, 1)),
        Answer("", finish="refusal"),
        Answer("{", finish="length"),
        Fault.busy(),
        Fault.busy(3.0),
        Fault.cut_off(),
        Fault.rejected(),
        Fault(ProviderTimeoutError("slow"), billed=True),
        Fault(RuntimeError("bug"), billed=True),
        Hang(),
    ]
)


@settings(max_examples=1000, deadline=None)
@given(
    steps=st.lists(_STEPS, max_size=40),
    then=_STEPS.filter(lambda step: not isinstance(step, Hang)),
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=25),
    concurrency=st.integers(1, 8),
    retries=st.integers(0, 3),
    cap_share=st.floats(0.0, 1.2),
)
def test_what_the_server_charges_is_never_above_the_cap(
    steps: list[Any],
    then: Any,
    sizes: list[int],
    concurrency: int,
    retries: int,
    cap_share: float,
) -> None:
    """A thousand runs at random faults, sizes, caps and concurrency, counted on the server's side."""

    async def sleep(_seconds: float) -> None:
        return None

    schema = {"type": "object", "properties": {"theme": {"type": "string"}}, "required": ["theme"]}
    requests = [
        Request("classify", "i", f"{n}" + "x" * size, schema, 64) for n, size in enumerate(sizes)
    ]
    provider = ScriptedProvider(steps, then=then)
    cap = cap_share * estimate(requests, provider).cost_usd_worst
    budget = Budget(cap, provider.price)
    done = complete_all(
        requests,
        provider,
        budget=budget,
        concurrency=concurrency,
        retries=retries,
        timeout_seconds=0.002,
        backoff=Backoff(sleep=sleep),
    )
    # Usage(1, 1) is a lie that can be true, so those calls are left out of the comparison.
    if not any(isinstance(s, Answer) and s.usage == Usage(1, 1) for s in [*steps, then]):
        assert provider.billed_usd <= cap + 1e-15
    assert budget.spent_usd + budget.reserved_usd <= cap + 1e-15
    assert len(done.outcomes) == len(requests)
    assert all(outcome.attempts <= retries + 2 for outcome in done.outcomes)
    assert done.calls == len(provider.calls)
    assert done.spent_usd == pytest.approx(budget.spent_usd, abs=1e-11)
    assert done.kept_usd == pytest.approx(budget.kept_usd, abs=1e-11)


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


def test_the_estimate_bounds_the_bill_and_learns_from_replies(
    requests_for: Any, no_waits: Backoff
) -> None:
    """The worst case is never below the bill; after a few replies the expected cost is near it."""
    draw = random.Random(3)
    requests = requests_for([f"item {n} " + "word " * draw.randint(1, 200) for n in range(300)])
    provider = ScriptedProvider(then=GOOD)
    before = estimate(requests, provider)
    sample = run(requests[:20], provider, no_waits)
    learned = Calibration.of(requests, sample.outcomes, provider)
    after = estimate(requests, provider, calibration=learned)
    provider = ScriptedProvider(then=GOOD)
    run(requests, provider, no_waits)
    assert provider.billed_usd <= before.cost_usd_worst == after.cost_usd_worst
    assert after.cost_usd_expected == pytest.approx(provider.billed_usd, rel=0.05)
    prompts = sorted(usage.prompt_tokens for usage in provider.billed)
    assert after.prompt_tokens_p90 == pytest.approx(prompts[269], rel=0.05)
    assert before.items == 300


def test_an_estimate_of_nothing_and_of_a_local_provider(requests_for: Any) -> None:
    """No items have no cost, and a local provider has none either."""
    assert estimate([], ScriptedProvider()).cost_usd_worst == 0
    local = estimate(requests_for(["a"]), ScriptedProvider(local=True))
    assert (local.cost_usd_worst, local.prompt_tokens_p90 > 0) == (0, True)
    dear = estimate(requests_for(["a"]), ScriptedProvider(price=None), price=Price(1e6, 0.0))
    assert dear.cost_usd_worst == ScriptedProvider().prompt_tokens_at_most(requests_for(["a"])[0])


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

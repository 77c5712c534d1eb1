"""Money: the cap holds, whatever happens and however many ask."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.errors import (
    BudgetError,
    ProviderTimeoutError,
)
from dnr_core.llm import Backoff, Budget, complete_all, estimate
from dnr_core.model import Price, Request, Usage
from dnr_core.testing import Answer, Fault, Hang, ScriptedProvider

GOOD = Answer({"theme": "late", "confidence": 0.5})
BAD = Answer("no JSON")


def names(count: int) -> list[str]:
    return [f"item {n}" for n in range(count)]


def run(requests: Any, provider: Any, backoff: Backoff, cap_usd: float = 1.0, **more: Any) -> Any:
    budget = Budget(cap_usd, provider.price)
    return complete_all(requests, provider, budget=budget, backoff=backoff, **more)


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

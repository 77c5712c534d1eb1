"""What a run may cost, before it and after the first replies."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dnr_core.llm import Backoff, Budget, complete_all, estimate
from dnr_core.llm.estimate import Calibration
from dnr_core.model import Price
from dnr_core.testing import Answer, ScriptedProvider

GOOD = Answer({"theme": "late", "confidence": 0.5})


def run(requests: Any, provider: Any, backoff: Backoff, cap_usd: float = 1.0, **more: Any) -> Any:
    budget = Budget(cap_usd, provider.price)
    return complete_all(requests, provider, budget=budget, backoff=backoff, **more)


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

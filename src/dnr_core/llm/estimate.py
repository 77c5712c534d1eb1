"""Room: llm. What a run may cost, offline; better after the first real replies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from dnr_core.llm.budget import Budget
from dnr_core.llm.outcome import Outcome
from dnr_core.llm.sound import sound
from dnr_core.model import Price, Provider, Request

_PROMPT_PERCENT = 25
"""Tokens to a hundred of the bound (which counts bytes) before any reply was seen.

The requests of two made companies came to 21 to 25 with the tokenizer o200k_base, by how tightly
the server writes the schema."""

_ANSWER_PERCENT = 70
"""Tokens of an answer to a hundred of those allowed: the longest of the classifier has 33 of 64,
and 45 where the model writes it over several lines."""


@frozen
class Calibration:
    """How many tokens the server counted for how many that were reserved.

    Whole numbers of tokens, added up over calls that were answered at the first attempt.
    """

    prompt_tokens: int = _PROMPT_PERCENT
    prompt_bound: int = 100
    completion_tokens: int = _ANSWER_PERCENT
    completion_bound: int = 100

    @classmethod
    def of(
        cls, requests: Sequence[Request], outcomes: Iterable[Outcome], provider: Provider
    ) -> Calibration:
        """Return the ratios over `outcomes`; the prior ones where nothing was answered."""
        prompt = prompt_bound = completion = completion_bound = 0
        for outcome in outcomes:
            if outcome.usage is None or outcome.attempts > 1:
                continue
            request = requests[outcome.index]
            prompt += outcome.usage.prompt_tokens
            prompt_bound += provider.prompt_tokens_at_most(sound(request))
            completion += outcome.usage.completion_tokens
            completion_bound += request.max_tokens
        if not prompt or not prompt_bound or not completion_bound:
            return cls()
        return cls(prompt, prompt_bound, completion, completion_bound)


@frozen
class Estimate:
    """Tokens and money for one call an item, at the provider's price.

    `prompt_tokens_p90` is the 90th percentile of an item's expected prompt tokens (nearest rank).
    `cost_usd_worst` is what would be reserved if all were asked at once: nothing that is answered
    at the first attempt can cost more. `cost_usd_expected` uses the calibration.
    `cost_usd_p90` is the expected cost of an item at the 90th percentile of the prompts.
    All money is 0 for local providers.
    """

    items: int
    prompt_tokens_p90: int
    cost_usd_worst: float
    cost_usd_expected: float
    cost_usd_p90: float


def estimate(
    requests: Sequence[Request],
    provider: Provider,
    *,
    calibration: Calibration | None = None,
    price: Price | None = None,
) -> Estimate:
    """Estimate what `requests` cost, without asking anyone.

    Args:
        requests: one call each.
        provider: counts the upper bound of the prompt's tokens, and knows the price.
        calibration: ratios from real replies; by default a prior for English text and JSON.
        price: wins over the provider's.
    """
    known = calibration or Calibration()
    bounds = [provider.prompt_tokens_at_most(sound(request)) for request in requests]
    expected = [-(-bound * known.prompt_tokens // known.prompt_bound) for bound in bounds]
    answers = [
        -(-request.max_tokens * known.completion_tokens // known.completion_bound)
        for request in requests
    ]
    p90 = _p90(expected)
    money = Budget(0.0, None if provider.local else price or provider.price)
    return Estimate(
        items=len(requests),
        prompt_tokens_p90=p90,
        cost_usd_worst=money.cost_usd(sum(bounds), sum(r.max_tokens for r in requests)),
        cost_usd_expected=money.cost_usd(sum(expected), sum(answers)),
        cost_usd_p90=money.cost_usd(p90, max(answers, default=0)),
    )


def _p90(values: Sequence[int]) -> int:
    if not values:
        return 0
    rank = -(-len(values) * 9 // 10)
    return sorted(values)[rank - 1]

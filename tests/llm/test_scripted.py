"""The scripted provider, which authors test with."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dnr_core.errors import TransientProviderError
from dnr_core.llm import Budget, complete_all
from dnr_core.model import BatchProvider, ClosableProvider, Provider, Request, Usage
from dnr_core.testing import Answer, Fault, ScriptedProvider

GOOD = Answer({"theme": "late", "confidence": 0.5})


def test_it_is_a_provider_and_takes_no_jobs() -> None:
    """It fulfils the contract that real ones fulfil."""
    provider = ScriptedProvider()
    assert isinstance(provider, Provider)
    assert isinstance(provider, ClosableProvider)
    assert not isinstance(provider, BatchProvider)


def test_a_sequence_is_played_in_the_order_of_the_calls(requests_for: Any) -> None:
    """Step by step, and then `then`."""
    provider = ScriptedProvider([Fault.busy(), GOOD], then=Answer("rest"))
    [request] = requests_for(["a"])

    async def play() -> list[str]:
        with pytest.raises(TransientProviderError):
            await provider.complete(request)
        return [(await provider.complete(request)).raw for _ in range(3)]

    assert asyncio.run(play()) == ['{"confidence": 0.5, "theme": "late"}', "rest", "rest"]
    assert provider.calls_for("a") == len(provider.calls) == 4


def test_a_function_sees_the_request_and_its_earlier_calls(requests_for: Any) -> None:
    """So that each item can have a story of its own."""
    seen: list[tuple[str, int]] = []

    def story(request: Request, earlier: int) -> Answer:
        seen.append((request.item, earlier))
        return Answer("no JSON") if earlier == 0 else GOOD

    provider = ScriptedProvider(story)
    done = complete_all(
        requests_for(["a", "b"]), provider, budget=Budget(1.0, provider.price), concurrency=1
    )
    assert done.count("ok") == 2
    assert seen == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_a_call_too_many_is_told(requests_for: Any) -> None:
    """A script without `then` says how many calls there should be."""
    provider = ScriptedProvider([GOOD])
    done = complete_all(
        requests_for(["a", "b"]), provider, budget=Budget(1.0, provider.price), concurrency=1
    )
    assert [o.status for o in done.outcomes] == ["ok", "failed"]
    assert "ScriptEndedError" in done.outcomes[1].reason


def test_it_keeps_books_of_its_own(requests_for: Any) -> None:
    """What is billed is counted whatever the reply claims, and not for turned-away calls."""
    script = [Fault.busy(), Answer(GOOD.value, usage=Usage(1, 1)), Fault.cut_off()]
    provider = ScriptedProvider(script, then=GOOD)
    complete_all(
        requests_for(["aaaa" * 50, "b"]),
        provider,
        budget=Budget(1.0, provider.price),
        concurrency=1,
    )
    assert len(provider.calls) == 4
    assert [usage.prompt_tokens for usage in provider.billed] == [54, 4, 4]
    assert provider.billed_usd > 0
    assert ScriptedProvider(then=GOOD, local=True).billed_usd == 0

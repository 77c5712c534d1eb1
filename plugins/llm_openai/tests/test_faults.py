"""Each fault of a server: what is tried again, how many calls, what is charged, what is kept."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from dnr_core.llm import Budget, Cache, complete_all
from dnr_core.model import Price

PRICE = Price(0.15, 0.60)
HTML = "<html><body>Please sign in</body></html>"
ALWAYS = 9


def run(requests: Any, provider: Any, waits: Any, cap_usd: float = 1.0, **more: Any) -> Any:
    budget = Budget(cap_usd, PRICE)
    done = complete_all(requests, provider, budget=budget, backoff=waits.backoff(), **more)
    assert done.spent_usd + done.kept_usd == pytest.approx(
        budget.spent_usd + budget.reserved_usd, abs=1e-12
    )
    return done


# name, what the server does, times, timeout, status, calls, calls that may have been charged
TRANSIENT = [
    ("429 once", lambda a: a.status(429), 1, 15, "ok", 2, 0),
    ("429 always", lambda a: a.status(429), ALWAYS, 15, "failed", 3, 0),
    ("500 once", lambda a: a.status(500), 1, 15, "ok", 2, 1),
    ("500 always", lambda a: a.status(500), ALWAYS, 15, "failed", 3, 3),
    ("502 with HTML", lambda a: a.status(502, HTML, "text/html"), ALWAYS, 15, "failed", 3, 3),
    ("503 once", lambda a: a.status(503), 1, 15, "ok", 2, 0),
    ("503 always", lambda a: a.status(503), ALWAYS, 15, "failed", 3, 0),
    ("hangs once", lambda a: a.odd("hang"), 1, 1.0, "ok", 2, 1),
    ("hangs always", lambda a: a.odd("hang"), ALWAYS, 0.7, "failed", 3, 3),
    ("drips", lambda a: a.odd("drip"), 1, 1.0, "ok", 2, 1),
    ("cut in the body", lambda a: a.odd("cut"), 2, 15, "ok", 3, 2),
    ("closed without a word", lambda a: a.odd("close"), ALWAYS, 15, "failed", 3, 3),
    ("200 with HTML", lambda a: a.status(200, HTML, "text/html"), ALWAYS, 15, "failed", 3, 3),
    ("200 with bad JSON", lambda a: a.status(200, '{"id": '), 1, 15, "ok", 2, 1),
    ("200 with other JSON", lambda a: a.status(200, '{"x": [1]}'), 1, 15, "ok", 2, 1),
    ("200 with a list", lambda a: a.status(200, "[1, 2]"), 1, 15, "ok", 2, 1),
]


@pytest.mark.parametrize(
    ("act", "times", "timeout", "status", "calls", "kept"),
    [case[1:] for case in TRANSIENT],
    ids=[case[0] for case in TRANSIENT],
)
def test_a_fault_that_may_pass_is_tried_twice_more(
    server: Any,
    provider: Any,
    acts: Any,
    waits: Any,
    requests_for: Any,
    act: Any,
    times: int,
    timeout: float,
    status: str,
    calls: int,
    kept: int,
) -> None:
    """It is tried at most twice more, and keeps its worst case exactly where it may be charged."""
    server.script = [act(acts)] * times
    [request] = requests_for(["my secret message"])
    done = run([request], provider, waits, timeout_seconds=timeout)
    [outcome] = done.outcomes
    assert (outcome.status, outcome.attempts, server.calls) == (status, calls, calls)
    worst = PRICE.prompt_usd_per_million * provider.prompt_tokens_at_most(request) / 1e6
    worst += PRICE.completion_usd_per_million * request.max_tokens / 1e6
    assert done.kept_usd == pytest.approx(kept * worst)
    assert (outcome.cost_usd > 0) == (status == "ok")
    assert server.books.usd <= done.spent_usd + done.kept_usd
    assert "secret" not in outcome.reason
    assert len(waits.seconds) == calls - 1


def test_retry_after_is_respected_within_bounds(
    server: Any, provider: Any, acts: Any, waits: Any, requests_for: Any
) -> None:
    """The wait is what the server asks for, up to half a minute; nonsense is ignored."""
    answers = ["7", "99999", "soon", "-3"]
    seen = []
    for answer in answers:
        server.script = [acts.status(429, headers={"Retry-After": answer})]
        waits.seconds.clear()
        done = run(requests_for(["a"]), provider, waits)
        assert done.outcomes[0].status == "ok"
        seen.append(waits.seconds[0])
    assert seen[0] == pytest.approx(7, abs=0.1)
    assert seen[1] == pytest.approx(30, abs=0.1)
    assert seen[2:] == [0.5, 0.5]


BODIES = [
    ("401", 401, "invalid_api_key"),
    ("403", 403, "unsupported_country"),
    ("404 for the model", 404, "model_not_found"),
    ("429 for an empty account", 429, "insufficient_quota"),
]


@pytest.mark.parametrize(("code", "named"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
def test_a_wrong_key_or_an_empty_account_stops_at_once(
    server: Any,
    provider: Any,
    acts: Any,
    waits: Any,
    requests_for: Any,
    tmp_path: Path,
    code: int,
    named: str,
) -> None:
    """One call is made after the good ones, nothing of it is charged, and what is done is kept."""
    bad = acts.status(code, f'{{"error": {{"message": "sk-very", "code": "{named}"}}}}')
    server.script, server.then = [acts.say(), acts.say()], bad
    requests = requests_for([f"message {n}" for n in range(20)])
    with Cache.open(tmp_path) as cache:
        done = run(requests, provider, waits, cache=cache, concurrency=1)
        assert done.stopped == "fatal"
        assert server.calls == 3
        assert [o.status for o in done.outcomes] == ["ok"] * 2 + ["failed"] + ["not_started"] * 17
        assert done.kept_usd == 0
        assert done.spent_usd == pytest.approx(server.books.usd)
        assert f"{code} ({named})" in done.reason
        assert "sk-very" not in done.reason
        server.then = acts.say()
        again = run(requests, provider, waits, cache=cache)
    assert again.count("ok") == 20
    assert server.calls == 3 + 18


@pytest.mark.parametrize(
    ("say", "calls"),
    [
        ({"content": None, "refusal": "I will not read secret things"}, 1),
        ({"content": '{"theme": "la', "finish": "length"}, 1),
        ({"content": "", "finish": "content_filter"}, 1),
    ],
    ids=["refusal", "length", "content_filter"],
)
def test_a_refusal_or_a_cut_off_answer_is_final(
    server: Any,
    provider: Any,
    acts: Any,
    waits: Any,
    requests_for: Any,
    tmp_path: Path,
    say: Any,
    calls: int,
) -> None:
    """It is charged, never tried again in the run, and never put into the cache."""
    server.script = [acts.say(**say)]
    with Cache.open(tmp_path) as cache:
        done = run(requests_for(["a"]), provider, waits, cache=cache)
        assert done.outcomes[0].status == "refused"
        assert server.calls == calls
        assert done.spent_usd == pytest.approx(server.books.usd)
        assert len(cache) == 0


BAD_ANSWERS = {
    "no JSON": "The theme is late.",
    "a code fence": '```json\n{"theme": "late", "confidence": 0.5}\n```',
    "another schema": '{"topic": "late"}',
    "a value that is not allowed": '{"theme": "early", "confidence": 0.5}',
    "out of range": '{"theme": "late", "confidence": 1.5}',
    "an extra key": '{"theme": "late", "confidence": 0.5, "note": "x"}',
    "a key twice": '{"theme": "late", "theme": "wrong", "confidence": 0.5}',
    "NaN": '{"theme": "late", "confidence": NaN}',
    "nested a million deep": "[" * 500_000,
    "empty": "",
    "nothing": None,
}


@pytest.mark.parametrize("content", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_answer_that_does_not_fit_is_repaired_once(
    server: Any,
    provider: Any,
    acts: Any,
    waits: Any,
    requests_for: Any,
    tmp_path: Path,
    content: str | None,
) -> None:
    """One repair that works makes it good; one that does not is a parse error after two calls."""
    [request] = requests_for(["a"])
    server.script = [acts.say(content)]
    with Cache.open(tmp_path) as cache:
        done = run([request], provider, waits, cache=cache)
        assert (done.outcomes[0].status, server.calls) == ("ok", 2)
        assert done.outcomes[0].value == {"theme": "late", "confidence": 0.5}
        assert done.spent_usd == pytest.approx(server.books.usd)
        assert run([request], provider, waits, cache=cache).outcomes[0].cached
        assert server.calls == 2
    server.then = acts.say(content)
    done = run([request], provider, waits)
    assert (done.outcomes[0].status, server.calls) == ("parse_error", 4)
    repair = server.books.bodies[-1]["messages"]
    assert repair[0]["content"].endswith("Name the theme.")
    assert repair[1]["content"] == "a"


def test_an_item_gets_four_calls_at_the_most(
    server: Any, provider: Any, acts: Any, waits: Any, requests_for: Any
) -> None:
    """Two retries and one repair make four calls, in whatever order they are needed."""
    bad = acts.say("no JSON")
    for script in (
        [acts.status(500), acts.status(503), bad, bad],
        [bad, acts.status(500), acts.status(503), bad],
        [acts.status(500), bad, acts.status(503), acts.status(500)],
    ):
        server.script = list(script)
        before = server.calls
        done = run(requests_for(["a"]), provider, waits)
        assert done.outcomes[0].status in {"parse_error", "failed"}
        assert server.calls - before == 4


USAGES = {
    "missing": None,
    "negative": {"prompt_tokens": -5, "completion_tokens": 3, "total_tokens": -2},
    "huge": {"prompt_tokens": 10**15, "completion_tokens": 3, "total_tokens": 10**15},
    "zero": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "texts": {"prompt_tokens": "many", "completion_tokens": "few", "total_tokens": "x"},
    "fractions": {"prompt_tokens": 1.5, "completion_tokens": 2.5, "total_tokens": 4},
    "half": {"prompt_tokens": 12},
    "a list": [1, 2],
}


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES.keys())
def test_a_count_that_cannot_be_is_charged_at_the_worst_case(
    server: Any, provider: Any, acts: Any, waits: Any, requests_for: Any, usage: Any
) -> None:
    """The answer is used, the whole reservation is charged, and the doubt is counted."""
    server.script = [acts.say(usage=usage)]
    [request] = requests_for(["a"])
    done = run([request], provider, waits)
    [outcome] = done.outcomes
    assert outcome.status == "ok"
    assert outcome.usage is None
    assert done.spend.doubted == 1
    worst = 0.15 * provider.prompt_tokens_at_most(request) + 0.60 * request.max_tokens
    assert done.spent_usd == pytest.approx(worst / 1e6)


def test_a_server_that_is_not_there_costs_nothing(
    make_provider_at: Any, waits: Any, requests_for: Any
) -> None:
    """A refused connection is tried again, charged nothing, and in the end stops the run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    done = run(
        requests_for([f"m{n}" for n in range(12)]),
        make_provider_at(url),
        waits,
        max_failures_in_row=4,
        concurrency=2,
    )
    assert done.stopped == "failures"
    assert done.count("failed") <= 5
    assert (done.spent_usd, done.kept_usd) == (0, 0)
    assert "cannot be reached" in done.reason


def test_nothing_of_messages_replies_or_keys_is_logged(
    server: Any,
    provider: Any,
    acts: Any,
    waits: Any,
    requests_for: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At DEBUG, through good calls and every kind of fault, no text of ours or theirs is logged."""
    caplog.set_level(logging.DEBUG)
    server.script = [
        acts.say("a reply with hush-reply in it"),
        acts.status(500),
        acts.say(),
        acts.status(401, '{"error": {"message": "hush-server"}}'),
    ]
    done = run(requests_for(["hush-message one", "hush-message two"]), provider, waits)
    told = caplog.text + repr(done) + repr(provider) + "".join(o.reason for o in done.outcomes)
    told += "".join(map(repr, done.outcomes))
    assert "hush" not in told
    assert "sk-very-secret-key" not in told

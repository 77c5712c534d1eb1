"""Money and time, counted on the server's side."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dnr_core.llm import Budget, Cache, complete_all
from dnr_core.model import Price

PRICE = Price(0.15, 0.60)


@pytest.mark.parametrize("seed", range(8))
def test_the_server_never_charges_more_than_the_cap(
    server: Any, provider: Any, acts: Any, waits: Any, requests_for: Any, seed: int
) -> None:
    """Whatever goes wrong, and however many ask at once, the server's own count stays in the cap."""
    draw = random.Random(seed)
    faults = [acts.say(), acts.say(), acts.say(), acts.say("no"), acts.say(usage=None)]
    faults += [acts.say(finish="length"), acts.status(429), acts.status(500), acts.status(503)]
    faults += [acts.odd("cut"), acts.odd("close"), acts.status(200, "<html>", "text/html")]
    faults += [acts.say(usage={"prompt_tokens": 1, "completion_tokens": 10**9})]
    server.choose = lambda _body: draw.choice(faults)
    requests = requests_for([f"message {n} " * draw.randint(1, 60) for n in range(40)])
    worst = sum(0.15 * provider.prompt_tokens_at_most(r) + 0.60 * 64 for r in requests) / 1e6
    cap = worst * draw.uniform(0.02, 0.9)
    budget = Budget(cap, PRICE)
    done = complete_all(
        requests,
        provider,
        budget=budget,
        concurrency=draw.randint(1, 12),
        backoff=waits.backoff(),
        max_failures_in_row=1000,
    )
    assert server.books.usd <= cap
    assert server.books.usd <= budget.spent_usd + budget.reserved_usd <= cap
    assert done.calls == server.calls


SCRIPT = """
import sys, pathlib
from dnr_core.llm import Budget, Cache, complete_all
from dnr_core.model import Price, Request
from dnr_llm_openai.provider import make
schema = {schema!r}
provider = make("gpt-4o-mini", {{"base_url": {url!r}, "price_usd_per_million": (0.15, 0.60), "environ": {{}}}})
requests = [Request("classify", "Name the theme.", f"item {{n}}", schema, 64) for n in range({items})]
with Cache.open(pathlib.Path({folder!r})) as cache:
    done = complete_all(requests, provider, budget=Budget(1.0, Price(0.15, 0.60)), cache=cache)
print(done.count("ok"), done.calls, done.cached)
"""


def test_a_killed_run_makes_exactly_the_calls_that_are_missing(
    server: Any, requests_for: Any, tmp_path: Path
) -> None:
    """After SIGKILL in mid-run, running again asks only for what had not arrived."""
    items = 60
    schema = requests_for(["x"])[0].schema
    code = SCRIPT.format(schema=schema, url=server.url, items=items, folder=str(tmp_path))
    server.delay_seconds = 0.03
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while server.calls < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with Cache.open(tmp_path) as cache:
        kept = len(cache)
    before = server.calls
    # At most the calls in flight were lost.
    assert before - 5 <= kept <= before < items
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(items), str(items - kept), str(kept)]
    assert server.calls - before == items - kept
    assert [path.name for path in tmp_path.iterdir()] == ["replies.sqlite"]


def test_works_where_an_event_loop_is_running(
    server: Any, provider: Any, waits: Any, requests_for: Any
) -> None:
    """In a notebook's running loop the same call does the same."""
    import asyncio

    async def notebook() -> Any:
        return complete_all(requests_for(["a", "b"]), provider, budget=Budget(1.0, PRICE))

    assert asyncio.run(notebook()).count("ok") == 2


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import asyncio, signal, sys
from dnr_core.llm import Budget, complete_all
from dnr_core.model import Price, Request
from dnr_llm_openai.provider import make
schema = {schema!r}
settings = {{"base_url": {url!r}, "price_usd_per_million": (0.15, 0.60), "environ": {{}}}}
requests = [Request("classify", "Name the theme.", f"item {{n}}", schema, 64) for n in range(500)]
budget = Budget(1.0, Price(0.15, 0.60))

async def notebook():
    complete_all(requests, make("gpt-4o-mini", settings), budget=budget)

try:
    asyncio.run(notebook()) if {inside} else complete_all(
        requests, make("gpt-4o-mini", settings), budget=budget
    )
except KeyboardInterrupt:
    print("interrupted", budget.spent_usd + budget.reserved_usd)
"""


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "in a running loop"])
def test_ctrl_c_ends_a_run_and_its_calls(server: Any, requests_for: Any, inside: bool) -> None:
    """It ends at once, with calls in flight kept in the books."""
    schema = requests_for(["x"])[0].schema
    code = INTERRUPTED.format(schema=schema, url=server.url, inside=inside)
    server.delay_seconds = 0.05
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while server.calls < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert err == ""
    said, committed = out.split()
    assert said == "interrupted"
    assert server.calls < 500
    assert server.books.usd <= float(committed)

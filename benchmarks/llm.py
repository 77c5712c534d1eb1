"""Room: benchmarks. Speed of the LLM client: its own cost an item, the cache, a slow server.

Of the offline provider: how many packed items a second one core classifies, by processor time,
beside splitting the same texts into words and counting them, which no machine's other work changes.

Run: python benchmarks/llm.py [--offline]
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

from recorded import tell, tell_memory

from dnr_core.llm import Budget, Cache, complete_all, make_provider
from dnr_core.model import THEMES, Price, Reply, Request, Usage
from dnr_core.plugins import load_plugins

SCHEMA = {
    "type": "object",
    "properties": {
        "theme": {"type": "string", "enum": ["late", "wrong", "none"]},
        "relevance": {"type": "string", "enum": ["positive", "hard_negative", "negative"]},
        "theme_confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "relevance_confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["theme", "relevance", "theme_confidence", "relevance_confidence"],
    "additionalProperties": False,
}
ANSWER = (
    '{"theme": "late", "relevance": "positive",'
    ' "theme_confidence": 0.75, "relevance_confidence": 0.5}'
)
PRICE = Price(0.15, 0.60)
REPLY = Reply(ANSWER, Usage(300, 30), "bench")


class Instant:
    """Answers at once, so that what is left is the client's own time."""

    model, price = "bench", PRICE

    def __init__(self, *, local: bool) -> None:
        self.local = local

    async def complete(self, _request: Request) -> Reply:
        return REPLY

    def prompt_tokens_at_most(self, request: Request) -> int:
        return len(request.item) + 1000


def requests(count: int) -> list[Request]:
    return [Request("classify", "Name the theme.", f"item {n}", SCHEMA, 64) for n in range(count)]


def local(count: int = 50_000) -> None:
    asked = requests(count)
    times = []
    for _ in range(3):
        gc.collect()
        begun = time.process_time()
        done = complete_all(asked, Instant(local=True), budget=Budget(0, None))
        times.append(time.process_time() - begun)
        assert done.count("ok") == count
    print(f"client alone, local provider: {min(times) / count * 1e6:.1f} us of CPU an item")


def offline(count: int = 4_000) -> None:
    """Threads, mails and questions as the offline provider writes them, then classified by it."""
    provider = make_provider(load_plugins(), "mock", "mock-1")
    texts = []
    for seed in range(count):
        theme = THEMES[seed % len(THEMES)]
        kind = ("slack_thread", "slack_thread", "slack_thread", "email", "nlq")[seed % 5]
        brief = {"kind": kind, "theme": theme, "relevance": "positive", "seed": seed,
                 "band": ("plain", "indirect", "no_keyword")[seed % 3], "table": "fact_order",
                 "table_names": ["orders"], "speakers": ["pm", "bi"], "messages": 4 + seed % 5}  # fmt: skip
        raw = asyncio.run(provider.complete(Request("write", "", json.dumps(brief), {}, 1200))).raw
        texts.append("\n".join(m["text"] for m in json.loads(raw)["messages"]))
    asked = [Request("classify", "Name the theme.", text, SCHEMA, 64) for text in texts]

    chars = sum(map(len, texts)) / count

    def alone() -> None:
        asyncio.run(provider.complete_many(asked))

    def with_client() -> None:
        done = complete_all(asked, provider, budget=Budget(0, None))
        assert done.count("ok") == count

    def yardstick() -> None:
        for text in texts:
            Counter(text.lower().split())

    ways = {
        "words split and counted": yardstick,
        "offline provider": alone,
        "offline provider and the client": with_client,
    }
    times = dict.fromkeys(ways, float("inf"))
    for _ in range(9):
        for name, work in ways.items():
            gc.collect()
            begun = time.process_time()
            work()
            times[name] = min(times[name], time.process_time() - begun)
    base = times["words split and counted"]
    for name, seconds in times.items():
        if name != "words split and counted":
            tell(f"{name}, of words split and counted", seconds / base, "lower")
        print(
            f"{name}: {count / seconds:,.0f} items a second a core ({seconds / base:.2f} times"
            f" the first), {chars:.0f} characters each"
        )


def cached(count: int = 10_000) -> None:
    asked = requests(count)
    with tempfile.TemporaryDirectory() as folder, Cache.open(Path(folder)) as cache:
        for name in ("write to the cache", "read from the cache"):
            begun = time.process_time()
            complete_all(asked, Instant(local=False), budget=Budget(10, PRICE), cache=cache)
            print(f"{name}: {(time.process_time() - begun) / count * 1e6:.0f} us of CPU an item")


class Handler(BaseHTTPRequestHandler):
    """Answers after 200 ms."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    delay_seconds = 0.2

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.delay_seconds)
        usage = {"prompt_tokens": 300, "completion_tokens": 30, "total_tokens": 330}
        message = {"role": "assistant", "content": ANSWER}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = json.dumps(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
                "usage": usage,
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def slow_server(count: int = 400, concurrency: int = 5) -> None:
    from dnr_llm_openai.provider import make

    # A process of its own, as a real server would be.
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    child = get_context("fork").Process(target=server.serve_forever, daemon=True)
    child.start()
    settings = {
        "base_url": f"http://127.0.0.1:{server.server_port}/v1",
        "price_usd_per_million": (0.15, 0.60),
        "environ": {},
    }
    provider = make("gpt-4o-mini", settings)
    with tempfile.TemporaryDirectory() as folder, Cache.open(Path(folder)) as cache:
        begun = time.perf_counter()
        done = complete_all(
            requests(count),
            provider,
            budget=Budget(1, PRICE),
            cache=cache,
            concurrency=concurrency,
        )
        took = time.perf_counter() - begun
    assert done.count("ok") == count
    bare = asyncio.run(_bare(settings["base_url"], count, concurrency))
    ideal = count / concurrency * Handler.delay_seconds
    print(f"server of 200 ms, five at a time: {ideal / took:.1%} of the ideal throughput")
    print(f"the same by a bare HTTP client:   {ideal / bare:.1%} of the ideal throughput")
    child.terminate()
    server.server_close()


async def _bare(url: str, count: int, concurrency: int) -> float:
    """Seconds of the same calls without SDK, budget, cache and validation."""
    import httpx2

    left = iter(range(count))

    async def work(client: httpx2.AsyncClient) -> None:
        for _ in left:
            reply = await client.post(f"{url}/chat/completions", json={"model": "m"})
            reply.json()

    async with httpx2.AsyncClient() as client:
        begun = time.perf_counter()
        await asyncio.gather(*(work(client) for _ in range(concurrency)))
        return time.perf_counter() - begun


if __name__ == "__main__":
    if sys.argv[1:] == ["--offline"]:
        offline()
    else:
        local()
        offline()
        cached()
        slow_server()
    tell_memory("the process")

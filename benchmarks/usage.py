"""Room: benchmarks. How far the estimate of a cost is from what a server counts.

A local server answers as the chat completions API does and counts tokens as GPT-4o does (o200k_base,
by the package `bpe-openai`, which brings its tables: `pip install bpe-openai`). How the service
writes the schema of an answer into the prompt is not published, so both ways are counted: tight,
and with line breaks and indents.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from typing import Any

from dnr_core.llm import Budget, complete_all, estimate, make_provider
from dnr_core.llm.estimate import Calibration
from dnr_core.model import Price, Provider, Request
from dnr_core.plugins import load_plugins

PRICE = Price(0.15, 0.60)
PILOT = 60
MESSAGE_TOKENS, REPLY_TOKENS = 3, 3
"""What a message's frame and the beginning of a reply take, as the vendor's cookbook counts."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the offline provider would, and counts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    encoding: Any = None
    mock: Any = None
    indent: int | None = None

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        system, user = (message["content"] for message in body["messages"])
        schema = body["response_format"]["json_schema"]["schema"]
        asked = Request("classify", system, user, schema, body["max_tokens"])
        answer = asyncio.run(self.mock.complete(asked)).raw
        wide = json.dumps(schema, indent=self.indent)
        prompt = sum(len(self.encoding.encode(text)) for text in (system, user, wide))
        prompt += 2 * MESSAGE_TOKENS + REPLY_TOKENS
        usage = {"prompt_tokens": prompt, "completion_tokens": len(self.encoding.encode(answer))}
        message = {"role": "assistant", "content": answer}
        reply = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {**usage, "total_tokens": sum(usage.values())},
        }
        sent = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


@contextmanager
def counting_server(indent: int | None) -> Iterator[str]:
    """Serve in a process of its own; gives the address."""
    from bpe_openai import get_encoding

    Handler.encoding = get_encoding("o200k_base")
    Handler.mock = make_provider(load_plugins(), "mock", "mock-1")
    Handler.indent = indent
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    child = get_context("fork").Process(target=server.serve_forever, daemon=True)
    child.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        child.terminate()
        child.join()
        server.server_close()


def provider_at(url: str) -> Provider:
    """The OpenAI provider, at another address."""
    settings = {
        "base_url": url,
        "price_usd_per_million": (PRICE.prompt_usd_per_million, PRICE.completion_usd_per_million),
    }
    return make_provider(load_plugins(), "openai", "gpt-4o-mini", settings=settings, env={})


def recorded(name: str, requests: Sequence[Request]) -> Iterator[str]:
    """Rows: the estimate before any call and after a pilot, and what was charged."""
    for how, indent in (("tight", None), ("indented", 2)):
        with counting_server(indent) as url:
            provider = provider_at(url)
            done = complete_all(requests, provider, budget=Budget(10, PRICE))
        if done.count("ok") != len(requests):
            raise SystemExit(f"{done.count('ok')} of {len(requests)} were answered: {done.reason}")
        before = estimate(requests, provider, price=PRICE)
        # What a run learns from: the first answers of each source are spread over all of them here.
        step = max(1, len(requests) // (3 * PILOT))
        known = Calibration.of(requests, done.outcomes[::step], provider)
        after = estimate(requests, provider, price=PRICE, calibration=known)
        spent = done.spent_usd
        yield (
            f"| {name} | {how} | {len(requests):,} | ${spent:.3f} | ${before.cost_usd_expected:.3f}"
            f" | {before.cost_usd_expected / spent - 1:+.1%} | {after.cost_usd_expected / spent - 1:+.1%}"
            f" | ${before.cost_usd_worst:.2f} |"
        )

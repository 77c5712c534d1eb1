"""A real HTTP server that behaves, or misbehaves, as it is told, and keeps books of its own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from attrs import define, field, frozen

from dnr_core.llm import Backoff
from dnr_core.model import Request
from dnr_llm_openai.provider import OpenAIProvider, make

KEY = "sk-very-secret-key"
SCHEMA = {
    "type": "object",
    "properties": {
        "theme": {"type": "string", "enum": ["late", "wrong", "none"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["theme", "confidence"],
    "additionalProperties": False,
}
GOOD = '{"theme": "late", "confidence": 0.5}'


@frozen
class Say:
    """A completion with this content."""

    content: str | None = GOOD
    finish: str | None = "stop"
    refusal: str | None = None
    usage: Any = "counted"


@frozen
class Status:
    """An answer with this status and body."""

    code: int
    body: str = '{"error": {"message": "secret words of the server", "code": "some_code"}}'
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Odd:
    """Something that no server should do: "hang", "cut", "drip", "close"."""

    how: str


Act = Say | Status | Odd


@define
class Books:
    """What the server saw, and what it charges for: whatever it began to generate."""

    bodies: list[dict[str, Any]] = field(factory=list)
    headers: list[Mapping[str, str]] = field(factory=list)
    pico_usd: int = 0
    lock: Any = field(factory=threading.Lock)

    @property
    def usd(self) -> float:
        return self.pico_usd / 1e12


class Server:
    """Plays `script` in the order of the calls and then `then`, or asks `choose` for each one."""

    def __init__(self) -> None:
        self.script: list[Act] = []
        self.then: Act = Say()
        self.choose: Callable[[dict[str, Any]], Act] | None = None
        self.delay_seconds = 0.0
        self.books = Books()
        self.ending = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def calls(self) -> int:
        return len(self.books.bodies)

    def close(self) -> None:
        self.ending.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _next(self, body: dict[str, Any]) -> Act:
        with self.books.lock:
            self.books.bodies.append(body)
            if self.choose is not None:
                return self.choose(body)
            return self.script.pop(0) if self.script else self.then

    def _charge(self, body: dict[str, Any], content: str) -> tuple[int, int]:
        sent = sum(len(message["content"].encode()) for message in body["messages"])
        schema = len(json.dumps(body.get("response_format", {})))
        counts = (sent + schema) // 2 + 8, min(body["max_tokens"], len(content) // 2 + 1)
        with self.books.lock:
            self.books.pico_usd += counts[0] * 150_000 + counts[1] * 600_000
        return counts

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                server.books.headers.append({k.lower(): v for k, v in self.headers.items()})
                try:
                    self._play(server._next(body), body)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def _play(self, act: Act, body: dict[str, Any]) -> None:
                if server.delay_seconds:
                    time.sleep(server.delay_seconds)
                if isinstance(act, Status):
                    self._send(act.code, act.body.encode(), act.content_type, act.headers)
                elif isinstance(act, Say):
                    self._send(200, self._completion(act, body), "application/json", {})
                elif act.how == "close":
                    self._end()
                else:
                    self._misbehave(act.how, self._completion(Say(), body))

            def _misbehave(self, how: str, content: bytes) -> None:
                if how == "hang":
                    server.ending.wait(30)
                    self._end()
                    return
                self._head(200, len(content), "application/json", {})
                if how == "cut":
                    self.wfile.write(content[: len(content) // 2])
                    self._end()
                    return
                for byte in content:
                    if server.ending.wait(0.02):
                        break
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                self._end()

            def _end(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def _head(self, code: int, length: int, kind: str, more: Mapping[str, str]) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(length))
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()

            def _send(self, code: int, content: bytes, kind: str, more: Mapping[str, str]) -> None:
                self._head(code, len(content), kind, more)
                self.wfile.write(content)

            def _completion(self, act: Say, body: dict[str, Any]) -> bytes:
                prompt, completion = server._charge(body, act.content or "")
                counted = {
                    "prompt_tokens": prompt,
                    "completion_tokens": completion,
                    "total_tokens": prompt + completion,
                }
                message: dict[str, Any] = {"role": "assistant", "content": act.content}
                if act.refusal is not None:
                    message["refusal"] = act.refusal
                choice = {"index": 0, "finish_reason": act.finish, "message": message}
                reply: dict[str, Any] = {
                    "id": "c1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": body["model"],
                    "choices": [choice],
                }
                if act.usage is not None:
                    reply["usage"] = counted if act.usage == "counted" else act.usage
                return json.dumps(reply).encode()

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def provider(server: Server) -> OpenAIProvider:
    return provider_at(server.url)


def provider_at(url: str, **more: Any) -> OpenAIProvider:
    settings = {
        "base_url": url,
        "price_usd_per_million": (0.15, 0.60),
        "environ": {"OPENAI_API_KEY": KEY},
        **more,
    }
    return make("gpt-4o-mini", settings)


@pytest.fixture
def make_provider_at() -> Callable[..., OpenAIProvider]:
    return provider_at


@pytest.fixture
def acts() -> Any:
    """The classes of acts, for test modules, which cannot import this one."""

    class Acts:
        say, status, odd = Say, Status, Odd

    return Acts


@pytest.fixture
def requests_for() -> Callable[[Sequence[str]], list[Request]]:
    def make_requests(items: Sequence[str]) -> list[Request]:
        return [Request("classify", "Name the theme.", item, SCHEMA, 64) for item in items]

    return make_requests


class Waits:
    """Waits that take no time, and are written down."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def backoff(self) -> Backoff:
        return Backoff(sleep=self.sleep, draw=lambda: 1.0)


@pytest.fixture
def waits() -> Waits:
    return Waits()

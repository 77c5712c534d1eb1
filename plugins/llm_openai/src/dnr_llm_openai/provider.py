"""Room: plugin openai. One request becomes one chat completion; nothing is retried here."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpx2
import openai

from dnr_core.model import Price, ProviderFault, Reply, Request
from dnr_llm_openai import jobs
from dnr_llm_openai.faults import provider_error
from dnr_llm_openai.prices import list_price
from dnr_llm_openai.replies import parse_reply
from dnr_llm_openai.settings import OpenAISettings, find_key
from dnr_llm_openai.wire import Layout

T = TypeVar("T")

# What a server adds around two messages and a schema; no tokenizer makes more tokens than bytes.
_FRAME_TOKENS: Final = 64
# Words that instructor puts around the schema in the formats "tools" and "json".
_WORDING_TOKENS: Final = 512


class OpenAIProvider:
    """A provider of `dnr_core.model.Provider` for chat completions.

    Connections belong to the event loop that opened them; `aclose` ends them, and the next call
    opens new ones.
    """

    local: Final = False

    def __init__(self, model: str, settings: OpenAISettings, key: str) -> None:
        self.model = model
        self.price = _price(model, settings)
        self.batch_price = jobs.half(self.price)
        self._settings = settings
        self._key = key
        self._client: openai.AsyncOpenAI | None = None
        self._layouts: dict[tuple[int, str], Layout] = {}
        _keep_messages_out_of_logs()

    def __repr__(self) -> str:
        return f"OpenAIProvider(model={self.model!r}, url={self._settings.url!r})"

    async def complete(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            ProviderError: the kind says whether another try makes sense.
        """
        body = self._layout(request).body(request, self.model)
        # The SDK's typed call walks through every argument and model: twice the work of this one.
        work = self._open().post("/chat/completions", cast_to=httpx2.Response, body=body)
        response = await _translated(work)
        return parse_reply(response.content, self.model)

    def prompt_tokens_at_most(self, request: Request) -> int:
        """Return an upper bound: a token of a byte-level tokenizer stands for at least one byte.

        The server writes the schema into the prompt in a form of its own, once; it is counted as
        JSON with line breaks and indents, the longest form there is.
        """
        texts = len(request.instructions.encode("utf-8", "replace"))
        texts += len(request.item.encode("utf-8", "replace"))
        wording = 0 if self._settings.answer_format == "json_schema" else _WORDING_TOKENS
        return texts + self._layout(request).size_bytes + wording + _FRAME_TOKENS

    async def submit_batch(self, requests: Sequence[Request], tag: str) -> str:
        """Start a job of the batch API."""
        bodies = [self._layout(request).body(request, self.model) for request in requests]
        return await _translated(jobs.submit(self._open(), bodies, tag))

    async def find_batch(self, tag: str) -> str | None:
        """Return the job that carries `tag`."""
        return await _translated(jobs.find(self._open(), tag))

    async def collect_batch(self, job: str) -> Mapping[int, Reply | ProviderFault] | None:
        """Return what a job brought, None while it runs."""
        return await _translated(jobs.collect(self._open(), job, self.model))

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _open(self) -> openai.AsyncOpenAI:
        if self._client is None:
            # The core retries and ends slow calls, for all providers alike.
            self._client = openai.AsyncOpenAI(
                api_key=self._key, base_url=self._settings.url, max_retries=0
            )
        return self._client

    def _layout(self, request: Request) -> Layout:
        key = id(request.schema), request.instructions
        found = self._layouts.get(key)
        # A layout keeps its schema alive, so that no other one can have its id.
        if found is None:
            found = Layout(request.schema, request.instructions, self._settings.answer_format)
            self._layouts[key] = found
        return found


async def _translated(work: Awaitable[T]) -> T:
    try:
        return await work
    except (openai.OpenAIError, ValueError) as error:
        # ValueError: a body that says it is JSON, and is none.
        fault = provider_error(error)
    # Outside of the handler: the SDK's error holds the server's text, and must not be chained.
    raise fault


def make(model: str, settings: Mapping[str, Any]) -> OpenAIProvider:
    """Make the provider; the factory that the plugin names.

    Raises:
        ConfigError: a wrong setting, or no key.
    """
    environ: Mapping[str, str] = settings.get("environ", {})
    own = OpenAISettings.of(settings, environ)
    return OpenAIProvider(model, own, find_key(own, environ))


def _price(model: str, settings: OpenAISettings) -> Price | None:
    if settings.price_usd_per_million is not None:
        prompt, completion = settings.price_usd_per_million
        return Price(float(prompt), float(completion))
    return list_price(model, settings.url)


def _keep_messages_out_of_logs() -> None:
    # At DEBUG both packages log whole requests, messages and all.
    for name in ("openai", "instructor"):
        logger = logging.getLogger(name)
        # A level of its own, so that turning on DEBUG for everything does not reach it.
        logger.setLevel(max(logger.level, logging.INFO))

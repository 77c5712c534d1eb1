"""Room: provider. Answers a request of any purpose, offline, the same way every time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from dnr_core.errors import ProviderError
from dnr_core.model.llm import Price, Reply, Request, Usage
from dnr_llm_mock.classifier import Classification, classify
from dnr_llm_mock.entities import entities
from dnr_llm_mock.writer import write

FREE: Final = Price(0.0, 0.0)
MODEL: Final = "mock-1"
CHARS_PER_TOKEN: Final = 4
# A token of any tokenizer covers at least one byte.
BYTES_PER_CHAR_AT_MOST: Final = 4


@frozen
class MockProvider:
    """The offline provider: local, free, deterministic.

    It reads the request and nothing else: no label, no plan, no file of a run.
    """

    model: str = MODEL
    price: Price | None = FREE
    local: bool = True

    async def complete(self, request: Request) -> Reply:
        """Answer one request.

        Raises:
            ProviderError: a request to write whose item is no brief, or an unknown purpose.
        """
        return self.answer(request)

    async def complete_many(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answer many requests; together where that is faster, which is when classifying.

        Raises:
            ProviderError: as `complete`, for any of them.
        """
        asked = [request.item for request in requests if request.purpose == "classify"]
        said = iter(classify(asked))
        return [
            _reply(self.model, request, _classification(next(said), request.schema))
            if request.purpose == "classify"
            else self.answer(request)
            for request in requests
        ]

    def answer(self, request: Request) -> Reply:
        """What `complete` gives, without an event loop."""
        purpose = request.purpose
        if purpose == "classify":
            raw = _classification(classify([request.item])[0], request.schema)
        elif purpose == "entities":
            found = entities(request.instructions, request.item, request.schema)
            raw = json.dumps(found, separators=(",", ":"))
        elif purpose == "write":
            raw = json.dumps(write(request.item), ensure_ascii=False, separators=(",", ":"))
        else:
            raise ProviderError(f"the offline provider has no answer for purpose {purpose!r}")
        return _reply(self.model, request, raw)

    def prompt_tokens_at_most(self, request: Request) -> int:
        """Upper bound of the prompt's tokens: its bytes, at most four a character."""
        return (len(request.instructions) + len(request.item)) * BYTES_PER_CHAR_AT_MOST


def _reply(model: str, request: Request, raw: str) -> Reply:
    prompt = len(request.instructions) + len(request.item)
    usage = Usage(prompt // CHARS_PER_TOKEN + 1, len(raw) // CHARS_PER_TOKEN + 1)
    return Reply(raw, usage, model)


def _classification(result: Classification, schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties") or {}
    theme = _allowed(result.theme, properties.get("theme"), "none")
    relevance = _allowed(result.relevance, properties.get("relevance"), "negative")
    return (
        f'{{"theme":{theme},"relevance":{relevance},'
        f'"theme_confidence":{result.theme_confidence:.4f},'
        f'"relevance_confidence":{result.relevance_confidence:.4f}}}'
    )


_quoted = lru_cache(maxsize=64)(json.dumps)


def _allowed(value: str, part: Mapping[str, Any] | None, other: str) -> str:
    """The value in JSON where the schema allows it, else `other`, else the first allowed."""
    options = part.get("enum") if part else None
    if not options or value in options:
        return _quoted(value)
    return _quoted(other if other in options else options[0])


def make(model: str = MODEL, settings: Mapping[str, Any] | None = None) -> MockProvider:  # noqa: ARG001
    """Factory named by the plugin; the offline provider has one model and no settings.

    A report must not say that messages were read by the model that another provider would use.
    """
    return MockProvider()

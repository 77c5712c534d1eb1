"""Room: plugin openai. What a server sent, which may be anything, becomes a reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dnr_core.model import Reply, Usage
from dnr_llm_openai.faults import no_completion


def parse_reply(body: bytes, model: str) -> Reply:
    """Return the reply in the body of an answer with status 200.

    Raises:
        TransientProviderError: there is no completion in it.
    """
    try:
        completion = json.loads(body)
    except (ValueError, RecursionError):
        completion = None
    return read_reply(completion, model)


def read_reply(completion: object, model: str) -> Reply:
    """Return the reply in a decoded completion; `model` is its name where the server tells none.

    Raises:
        TransientProviderError: there is no completion in it.
    """
    choices = _get(completion, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = _get(choice, "message")
    if not isinstance(message, Mapping):
        raise no_completion()
    usage = _usage(_get(completion, "usage"))
    named = _get(completion, "model")
    served = named if isinstance(named, str) and named else model
    if _get(message, "refusal"):
        return Reply(raw="", usage=usage, model=served, finish="refusal")
    finish, raw = _get(choice, "finish_reason"), _text(message)
    if finish == "length":
        return Reply(raw=raw, usage=usage, model=served, finish="length")
    if finish == "content_filter":
        return Reply(raw=raw, usage=usage, model=served, finish="content_filter")
    return Reply(raw=raw, usage=usage, model=served)


def _get(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _text(message: object) -> str:
    calls = _get(message, "tool_calls")
    if isinstance(calls, list) and calls:
        arguments = _get(_get(calls[0], "function"), "arguments")
        if isinstance(arguments, str):
            return arguments
    content = _get(message, "content")
    return content if isinstance(content, str) else ""


def _usage(found: object) -> Usage | None:
    prompt, completion = _get(found, "prompt_tokens"), _get(found, "completion_tokens")
    if type(prompt) is not int or type(completion) is not int:
        return None
    return Usage(prompt_tokens=prompt, completion_tokens=completion)

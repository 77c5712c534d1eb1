"""Room: plugin openai. A completion as the SDK decodes it, which is unchecked, becomes a reply."""

from __future__ import annotations

from openai.types.chat import ChatCompletion

from dnr_core.model import Reply, Usage
from dnr_llm_openai.faults import no_completion


def read_reply(completion: object, model: str) -> Reply:
    """Return the reply in a completion.

    Raises:
        TransientProviderError: there is no completion in it.
    """
    # The SDK does not check what it decodes: a lying server can put anything anywhere.
    choices = getattr(completion, "choices", None)
    if not isinstance(completion, ChatCompletion) or not isinstance(choices, list) or not choices:
        raise no_completion()
    message = getattr(choices[0], "message", None)
    if message is None:
        raise no_completion()
    usage = _usage(getattr(completion, "usage", None))
    named = getattr(completion, "model", None)
    served = named if isinstance(named, str) and named else model
    if getattr(message, "refusal", None):
        return Reply(raw="", usage=usage, model=served, finish="refusal")
    finish = getattr(choices[0], "finish_reason", None)
    raw = _text(message)
    if finish == "length":
        return Reply(raw=raw, usage=usage, model=served, finish="length")
    if finish == "content_filter":
        return Reply(raw=raw, usage=usage, model=served, finish="content_filter")
    return Reply(raw=raw, usage=usage, model=served)


def _text(message: object) -> str:
    calls = getattr(message, "tool_calls", None)
    if isinstance(calls, list) and calls:
        arguments = getattr(getattr(calls[0], "function", None), "arguments", None)
        if isinstance(arguments, str):
            return arguments
    content = getattr(message, "content", None)
    return content if isinstance(content, str) else ""


def _usage(found: object) -> Usage | None:
    prompt = getattr(found, "prompt_tokens", None)
    completion = getattr(found, "completion_tokens", None)
    if type(prompt) is not int or type(completion) is not int:
        return None
    return Usage(prompt_tokens=prompt, completion_tokens=completion)

"""Room: plugin openai. What goes over the wire for one request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import instructor
from instructor.processing.response import handle_response_model
from pydantic import BaseModel

from dnr_core.model import Request

_MODES: Final = {
    "json_schema": instructor.Mode.JSON_SCHEMA,
    "tools": instructor.Mode.TOOLS,
    "json": instructor.Mode.JSON,
}
# Strict structured outputs refuse these; the core checks them when the answer is there.
_NOT_STRICT: Final = frozenset({"minLength", "maxLength", "uniqueItems", "default", "$schema"})


class Layout:
    """What is the same on the wire for all requests of one schema and one text of instructions.

    instructor lays out the schema for the chosen format. Its retries and its parsing are not used:
    they would pay again and put replies into errors and logs, and the core does both itself.
    """

    def __init__(self, schema: Mapping[str, Any], instructions: str, answer_format: str) -> None:
        sent = {"title": "Answer", **_strict(schema)}

        class Answer(BaseModel):
            """The answer to the task."""

            @classmethod
            def model_json_schema(cls, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
                return dict(sent)

        _, arguments = handle_response_model(
            Answer,
            mode=_MODES[answer_format],
            messages=[
                {"role": "system", "content": instructions},
                {"role": "user", "content": "the item"},
            ],
        )
        if answer_format == "json_schema":
            # instructor leaves this out, and without it the schema is a mere suggestion.
            arguments["response_format"]["json_schema"]["strict"] = True
        self.schema = schema
        self.size_bytes = len(json.dumps(sent, indent=2).encode())
        self._system = arguments.pop("messages")[0]
        self._arguments = arguments

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Return the body of one chat completion."""
        return {
            "model": model,
            "messages": [self._system, {"role": "user", "content": request.item}],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            **self._arguments,
        }


def _strict(value: Any, *, names: bool = False) -> Any:
    if isinstance(value, Mapping):
        # Below `properties` the keys are names of the answer's own, and none of them is dropped.
        return {
            key: _strict(each, names=not names and key in {"properties", "$defs"})
            for key, each in value.items()
            if names or key not in _NOT_STRICT
        }
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return value

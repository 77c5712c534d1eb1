"""Requests and waits for the tests of the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from dnr_core.llm import Backoff
from dnr_core.model import Request

SCHEMA = {
    "type": "object",
    "properties": {
        "theme": {"type": "string", "enum": ["late", "wrong", "none"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["theme", "confidence"],
    "additionalProperties": False,
}


@pytest.fixture
def requests_for() -> Callable[[Sequence[str]], list[Request]]:
    def make(items: Sequence[str]) -> list[Request]:
        return [Request("classify", "Name the theme.", item, SCHEMA, 64) for item in items]

    return make


@pytest.fixture
def schema() -> dict[str, object]:
    return SCHEMA


@pytest.fixture
def no_waits() -> Backoff:
    async def sleep(_seconds: float) -> None:
        return None

    return Backoff(sleep=sleep)

"""Room: llm. One item of a run, while its calls are made."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from attrs import evolve

from dnr_core.llm.outcome import Outcome, Status
from dnr_core.model import Request, Usage


class Item:
    """What is known of one item while its calls are made."""

    __slots__ = ("calls", "completion_tokens", "cost_usd", "index", "prompt_tokens", "request")

    def __init__(self, index: int, request: Request) -> None:
        self.index = index
        self.request = request
        self.calls = 0
        self.cost_usd = 0.0
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def count(self, usage: Usage | None) -> None:
        """Add the tokens that the server counted for a call."""
        if usage is not None:
            self.prompt_tokens += usage.prompt_tokens
            self.completion_tokens += usage.completion_tokens

    def ended(
        self, status: Status, reason: str = "", value: Mapping[str, Any] | None = None
    ) -> Outcome:
        """Return what became of it."""
        usage = None
        if self.prompt_tokens:
            usage = Usage(self.prompt_tokens, self.completion_tokens)
        return Outcome(
            self.index,
            status,
            value,
            usage,
            self.cost_usd,
            False,
            self.calls,
            reason,
        )


@cache
def _repair_text() -> str:
    return (files("dnr_core.llm") / "prompts" / "repair.txt").read_text(encoding="utf-8")


def repair(request: Request, complaint: str) -> Request:
    """Return the request that asks for an answer anew and says what was wrong with the last one."""
    # In front: a provider may rely on how the instructions end.
    text = _repair_text().format(complaint=complaint)
    return evolve(request, instructions=f"{text}\n{request.instructions}")

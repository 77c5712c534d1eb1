"""Room: llm. What became of each request, and of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Any, Literal

from attrs import evolve, field, frozen

from dnr_core.model import Usage

Status = Literal["ok", "parse_error", "refused", "failed", "not_started"]
Stopped = Literal["", "budget", "parse_errors", "failures", "fatal"]


@frozen
class Outcome:
    """What became of one request.

    `status` is "ok" (`value` fits the schema), "parse_error" (no usable answer, also after one
    repair), "refused" (the model declined or was cut off; final), "failed" (the call failed
    after all retries) or "not_started" (no call was made). `usage` adds up all calls that were
    answered, as far as the server's count could be believed. `cost_usd` is what was settled; a
    call that may have been charged keeps its reservation in the budget instead. `attempts`
    counts calls of this run, so it is 0 for a reply from the cache. `reason` is for a person,
    and never holds text of a message or a reply; nor does the repr.
    """

    index: int
    status: Status
    value: Mapping[str, Any] | None = field(default=None, repr=False)
    usage: Usage | None = None
    cost_usd: float = 0.0
    cached: bool = False
    attempts: int = 0
    reason: str = ""


@frozen
class Spend:
    """Money and calls of one run of `complete_all`.

    `spent_usd` is settled; `kept_usd` is reserved for calls whose charge nobody told us (timed
    out, cut off), so that their sum is never less than what was charged. `doubted` counts replies
    whose token counts were missing or impossible: they are charged at their worst case.
    """

    spent_usd: float = 0.0
    kept_usd: float = 0.0
    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    doubted: int = 0


@frozen
class Completed:
    """All outcomes, in the order of the requests, and why the run stopped early ("" if not)."""

    # Without a repr: asyncio makes one of a task's result, which costs as much as the run.
    outcomes: tuple[Outcome, ...] = field(repr=False)
    stopped: Stopped = ""
    spend: Spend = field(factory=Spend)
    reason: str = ""
    """The stop, for a person."""

    @property
    def spent_usd(self) -> float:
        """US dollars settled by this run."""
        return self.spend.spent_usd

    @property
    def kept_usd(self) -> float:
        """US dollars kept for calls that may have been charged."""
        return self.spend.kept_usd

    @property
    def calls(self) -> int:
        """Calls made, retries and repairs included."""
        return self.spend.calls

    @property
    def cached(self) -> int:
        """Requests that were answered from the cache (or by an equal request of this run)."""
        return self.spend.cached

    def count(self, status: Status) -> int:
        """Return how many requests ended with `status`."""
        return sum(outcome.status == status for outcome in self.outcomes)


def part_of(completed: Completed, start: int, end: int) -> Completed:
    """Return the outcomes from `start` to before `end` as if they had been asked for by themselves.

    Money that is kept stays with the whole: nobody says for which item it may have been charged. A
    part in which everything was begun did not stop early, unless the whole run had to.
    """
    outcomes = tuple(
        evolve(outcome, index=index) for index, outcome in enumerate(completed.outcomes[start:end])
    )
    halted = completed.stopped not in {"", "budget"}
    left = any(outcome.status == "not_started" for outcome in outcomes)
    own = [o.usage for o in outcomes if o.usage is not None and not o.cached]
    return Completed(
        outcomes,
        completed.stopped if halted or left else "",
        Spend(
            spent_usd=round(fsum(o.cost_usd for o in outcomes), 12),
            calls=sum(o.attempts for o in outcomes),
            cached=sum(o.cached for o in outcomes),
            prompt_tokens=sum(usage.prompt_tokens for usage in own),
            completion_tokens=sum(usage.completion_tokens for usage in own),
        ),
        completed.reason if halted or left else "",
    )

"""Room: testing. A rule that objects of plugins keep, what is found against it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from attrs import field, frozen

from dnr_core.model.schema import _names

Tier = Literal["must", "should"]
Kind = Literal[
    "plugin", "archetype", "defect_kind", "profile", "style", "provider", "scorer", "check"
]
Status = Literal["held", "broken", "not tried"]

KINDS: Final[dict[Kind, str]] = {
    "plugin": "plugin",
    "archetype": "archetype",
    "defect_kind": "defect kind",
    "profile": "defect profile",
    "style": "comms style",
    "provider": "LLM provider",
    "scorer": "scorer",
    "check": "QC check",
}
"""What rules are for, and what a person calls one."""


@frozen
class Problem:
    """What a rule found: where, and what is wrong there.

    `mend` is given where the rule knows better than its own general advice.
    """

    where: str
    what: str
    mend: str = ""


class NotTriedError(Exception):
    """Raised by a rule that cannot be tried on this object; its text says why."""


@frozen
class Finding:
    """A broken rule: what, where, and how to mend it."""

    rule: str
    tier: Tier
    where: str
    message: str
    mend: str

    def __str__(self) -> str:
        return f"{self.rule} ({self.tier}) {self.where}: {self.message}\n    mend: {self.mend}"


@frozen
class Outcome:
    """What became of one rule. `reason` says why it was not tried."""

    rule: Rule
    status: Status
    findings: tuple[Finding, ...] = ()
    reason: str = ""


@frozen
class Rule:
    """One rule. `must` rules keep a plugin from breaking runs; `should` rules make it good.

    `check(trial)` yields a `Problem` for each place that breaks it. A rule is tried only where
    those of `after` hold: what stands on a broken one would only say the same in other words.
    """

    id: str
    kind: Kind
    tier: Tier
    title: str
    why: str
    mend: str
    check: Callable[[Any], Iterable[Problem]] = field(repr=False)
    after: tuple[str, ...] = field(default=(), converter=_names)

    def finding(self, problem: Problem) -> Finding:
        """Return a problem as a finding against this rule."""
        mend = problem.mend or self.mend
        return Finding(self.id, self.tier, problem.where, problem.what, mend)


def rule(
    id: str,  # noqa: A002 - it is what the attribute is called
    kind: Kind,
    tier: Tier,
    title: str,
    *,
    why: str,
    mend: str,
    after: str | tuple[str, ...] = (),
) -> Callable[[Callable[[Any], Iterable[Problem]]], Rule]:
    """Turn a function that yields problems into a rule."""

    def made(check: Callable[[Any], Iterable[Problem]]) -> Rule:
        return Rule(id, kind, tier, title, why, mend, check, after)

    return made

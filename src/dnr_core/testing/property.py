"""Room: testing. Properties: an example that breaks one is looked for among drawn ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from dnr_core.errors import ConfigError
from dnr_core.testing.rule import Problem

T = TypeVar("T")


class MissingExtraError(ConfigError):
    """What the kit needs is not installed: no fault of the object."""


class _FoundError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def first_found(
    strategy: Callable[[Any], Any], holds: Callable[[T], Problem | None], examples: int
) -> Iterator[Problem]:
    """Yield the problem of the first of `examples` drawn examples that has one.

    Args:
        strategy: makes the strategy from `hypothesis.strategies`.
        holds: returns what is wrong with an example, or None.
        examples: how many are drawn; the same ones in each run.

    Raises:
        MissingExtraError: Hypothesis is not installed.
    """
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import strategies as st
    except ImportError:
        raise MissingExtraError(
            "some rules try drawn examples, for which Hypothesis is not installed",
            hint="pip install 'dnr-core[testing]'",
        ) from None

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        # An example may be a whole company: one that fails is told as it is, for shrinking takes minutes.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(strategy(st))
    def tried(example: T) -> None:
        problem = holds(example)
        if problem is not None:
            raise _FoundError(problem)

    try:
        tried()
    except _FoundError as found:
        yield found.problem

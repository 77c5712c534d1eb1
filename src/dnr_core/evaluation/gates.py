"""Room: evaluation. What is asked of scores, and whether they reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen


@frozen
class Asked:
    """A score against what is asked of it: at least, or at most, `limit`; None was not measured."""

    name: str
    value: float | None
    limit: float
    is_most: bool = False

    @property
    def met(self) -> bool | None:
        """None where there was nothing to measure."""
        if self.value is None:
            return None
        return self.value <= self.limit if self.is_most else self.value >= self.limit

    @property
    def words(self) -> str:
        """What is asked, for a person."""
        return f"at {'most' if self.is_most else 'least'} {self.limit:.2f}"


class Judged(Protocol):
    """A gate of any score; `passed` None had nothing to measure."""

    @property
    def name(self) -> str:
        """What is judged."""

    @property
    def passed(self) -> bool | None:
        """Whether it is reached."""


def measured_words(value: float | None) -> str:
    """Return a score for a person."""
    return "not measured" if value is None else f"{value:.3f}"


class Gated:
    """Scores with gates. `summary` is what their JSON file holds."""

    __slots__ = ()
    summary: Mapping[str, Any]
    gates: Sequence[Judged]

    @property
    def passed(self) -> bool:
        """True where no gate failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the gates that did not pass."""
        return tuple(gate.name for gate in self.gates if gate.passed is False)

    def as_dict(self) -> dict[str, Any]:
        """Return what the JSON file holds."""
        return dict(self.summary)

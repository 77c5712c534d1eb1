"""Room: progress. One interface: bars on a terminal, lines in a pipe, a callback for programs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a long call reports to. Calls may come from any thread."""

    def start(self, task: str, total: int | None, unit: str) -> None:
        """Begin (or resize) the task of that name."""

    def advance(self, task: str, amount: int = 1) -> None:
        """Move the task on."""

    def done(self, task: str, note: str = "") -> None:
        """End the task; `note` is one line for a person."""


class Silent:
    """Reports nothing: the default of the Python API."""

    def start(self, task: str, total: int | None, unit: str) -> None:
        """Ignore."""

    def advance(self, task: str, amount: int = 1) -> None:
        """Ignore."""

    def done(self, task: str, note: str = "") -> None:
        """Ignore."""

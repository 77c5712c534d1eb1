"""Room: llm. Runs of neighbours in item order, whatever the order in which items finish."""

from __future__ import annotations


class Streaks:
    """Marks positions, and knows how long the run of marked neighbours around each one is."""

    def __init__(self) -> None:
        self._other_end: dict[int, int] = {}

    def mark(self, position: int) -> int:
        """Mark a position (once), and return the length of its run."""
        first = self._other_end.get(position - 1, position)
        last = self._other_end.get(position + 1, position)
        # Only the ends of a run are kept true: no one asks for its middle again.
        self._other_end[position] = position
        self._other_end[first] = last
        self._other_end[last] = first
        return last - first + 1

"""Room: cli. Progress on stderr: bars on a terminal, one line a finished task in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

_REFRESH_SECONDS = 0.2
_WORTH_A_LINE_SECONDS = 1.0


class Lines:
    """Says each task once, when it is done; quick ones only where they have something to note."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._total: dict[str, int] = {}
        self._unit: dict[str, str] = {}

    def start(self, task: str, total: int | None, unit: str) -> None:  # noqa: ARG002 - lines need no total
        """Begin (or resize) the task of that name."""
        with self._lock:
            self._started.setdefault(task, time.monotonic())
            self._unit[task] = unit
            self._total.setdefault(task, 0)

    def advance(self, task: str, amount: int = 1) -> None:
        """Move the task on."""
        with self._lock:
            self._total[task] = self._total.get(task, 0) + amount

    def done(self, task: str, note: str = "") -> None:
        """End the task; `note` is one line for a person."""
        with self._lock:
            seconds = time.monotonic() - self._started.pop(task, time.monotonic())
            amount, unit = self._total.pop(task, 0), self._unit.pop(task, "")
        if seconds < _WORTH_A_LINE_SECONDS and not note:
            return
        counted = f"{amount:,} {unit}, " if amount else ""
        print(f"{task}: {note or 'done'} ({counted}{seconds:.1f} s)", file=sys.stderr, flush=True)  # noqa: T201


class Bars:
    """Bars with rate and time left; finished tasks leave one line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bars: Any = None
        self._ids: dict[str, Any] = {}
        self._lines = Lines()

    def start(self, task: str, total: int | None, unit: str) -> None:
        """Begin (or resize) the task of that name."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._lines.start(task, total, unit)
        with self._lock:
            if self._bars is None:
                self._bars = Progress(
                    TextColumn("{task.description}"),
                    BarColumn(),
                    TextColumn("{task.completed:,.0f} {task.fields[unit]}"),
                    TextColumn("{task.fields[rate]}"),
                    TimeRemainingColumn(),
                    console=Console(stderr=True),
                    transient=True,
                    refresh_per_second=1 / _REFRESH_SECONDS,
                )
                self._bars.start()
            if task in self._ids:
                self._bars.update(self._ids[task], total=total)
            else:
                self._ids[task] = self._bars.add_task(task, total=total, unit=unit, rate="")

    def advance(self, task: str, amount: int = 1) -> None:
        """Move the task on."""
        self._lines.advance(task, amount)
        with self._lock:
            if self._bars is None or task not in self._ids:
                return
            number = self._ids[task]
            self._bars.advance(number, amount)
            speed = self._bars.tasks[self._bars.task_ids.index(number)].speed
            if speed:
                self._bars.update(number, rate=f"{speed:,.0f}/s")

    def done(self, task: str, note: str = "") -> None:
        """End the task; `note` is one line for a person."""
        with self._lock:
            if self._bars is not None and task in self._ids:
                self._bars.remove_task(self._ids.pop(task))
                if not self._ids:
                    self._bars.stop()
                    self._bars = None
        self._lines.done(task, note)

"""Room: warehouse. Engines: each makes the parts that it is asked for, and says what they are.

Part files do not depend on the engine: all of them run `Order.make`, somewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from dnr_core.model import Family
from dnr_core.warehouse.parts import PartRecord, build_part, save_record
from dnr_core.warehouse.plan import Plan
from dnr_core.workspace import disk_errors

Part = tuple[Family, int]


@frozen
class Order:
    """A company to be made, and where: `folder` is its place, the other two are built in."""

    plan: Plan
    folder: Path
    stage: Path
    truth: Path

    def make(
        self,
        part: Part,
        *,
        stopped: Callable[[], bool] = lambda: False,
        written: Callable[[int], None] = lambda _: None,
    ) -> PartRecord:
        """Make one part, and save its record, which makes it finished.

        Raises:
            PluginError: the archetype or a kind is faulty.
            FolderError: the folder cannot be written.
            Stopped: `stopped` became true.
        """
        with disk_errors(self.folder):
            record = build_part(
                self.plan,
                *part,
                stage=self.stage,
                truth=self.truth,
                stopped=stopped,
                written=written,
            )
            save_record(self.stage, record)
            return record


class Engine(Protocol):
    """Who makes parts."""

    def make(
        self, order: Order, parts: Sequence[Part], written: Callable[[int], None]
    ) -> Iterator[PartRecord]:
        """Make parts and yield their records as they are done; `written` is told of rows.

        Contract: the first fault ends it, is raised as `Order.make` raises it, and leaves what is
        finished in place. After it, and at the end, nothing of it runs on.
        """
        ...

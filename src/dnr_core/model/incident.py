"""Room: model. One dated event that people can notice."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from dnr_core.model.schema import _names


@frozen
class Incident:
    """An incident as it was planned (the truth), from `start` to before `end`, instants in UTC.

    `size` is the kind's own: added share of nulls for a spike, factor for a surge, hours for a gap.
    """

    id: str
    kind: str
    table: str
    columns: tuple[str, ...] = field(converter=_names)
    start: datetime
    end: datetime
    size: float

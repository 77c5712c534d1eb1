"""Room: model. Which defects are put into a clean warehouse, and what each kind is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import field, frozen


@frozen
class DefectRate:
    """A share of rows of each targeted table that a kind breaks.

    `share` lies in [0, 0.4] and is what SQL measures on the finished table. `tables` and
    `columns` narrow the target; empty means every fact table, every column that the kind can break.
    `options` are the kind's own.
    """

    kind: str
    share: float
    tables: tuple[str, ...] = field(default=(), converter=tuple, kw_only=True)
    columns: tuple[str, ...] = field(default=(), converter=tuple, kw_only=True)
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)


@frozen
class IncidentRate:
    """Dated events of a kind: `per_quarter` of them over the history, each of `size`."""

    kind: str
    per_quarter: float
    size: float
    tables: tuple[str, ...] = field(default=(), converter=tuple, kw_only=True)
    columns: tuple[str, ...] = field(default=(), converter=tuple, kw_only=True)
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)


@frozen
class LagProfile:
    """Base lag between event and load: a parameter, not a defect, so it is in no ledger.

    `slow_share` of the rows take `slow_minutes` (from, to), the others `usual_minutes`.
    """

    usual_minutes: tuple[int, int]
    slow_minutes: tuple[int, int]
    slow_share: float


@frozen
class DefectProfile:
    """A named mix of defects. With `lag` None, `loaded_at` is the event time."""

    name: str
    title: str
    rates: tuple[DefectRate, ...] = field(default=(), converter=tuple, kw_only=True)
    incidents: tuple[IncidentRate, ...] = field(default=(), converter=tuple, kw_only=True)
    lag: LagProfile | None = field(default=None, kw_only=True)


@frozen
class DefectKind:
    """A kind of defect: what finds it, what need it makes, and how it is applied.

    `metric` is the health metric that sees it, or None. `dated` kinds are incidents.
    `apply(task) -> DefectOutcome` is the callable or its dotted path
    (`dnr_core.warehouse.corrupt` has both classes); it is pure and works on one chunk.
    """

    name: str
    title: str
    theme: str
    metric: str | None
    apply: Callable[..., Any] | str
    dated: bool = field(default=False, kw_only=True)
    stage: Literal["values", "copies", "loads"] = field(default="values", kw_only=True)
    """Values are changed first, copies made of sound rows next, load times set last."""
    finds: str | None = field(default=None, kw_only=True)
    """Dotted path of `finds(tables, table, rate) -> ibis expression` for kinds no metric sees."""

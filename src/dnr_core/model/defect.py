"""Room: model. Which defects are put into a clean warehouse, and what each kind is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen

from dnr_core.model.schema import _names


@frozen
class DefectRate:
    """A share of rows of each targeted table that a kind breaks.

    `share` lies in [0, 0.4] and is what SQL measures on the finished table. `tables` and
    `columns` narrow the target; empty means every fact table, every column that the kind can break.
    `options` are the kind's own.
    """

    kind: str
    share: float
    tables: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    columns: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)


@frozen
class IncidentRate:
    """Dated events of a kind: `per_quarter` of them over the history, each of `size`."""

    kind: str
    per_quarter: float
    size: float
    tables: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    columns: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)
    breaks: Literal["required_keys", "loads", "values"] = field(default="values", kw_only=True)
    """Which columns an incident may break: one required key, the load time, or one of `columns`."""
    row_share: float | None = field(default=None, kw_only=True)
    """Share of the window's rows that it touches; None where `size` is that share."""
    total: int | None = field(default=None, kw_only=True)
    """How many over the whole history, instead of `per_quarter`."""
    hours: int | None = field(default=None, kw_only=True)
    """Length of the window; None is one local day."""


@frozen
class LagProfile:
    """Base lag between event and load: a parameter, not a defect, so it is in no ledger.

    `slow_share` of the rows take `slow_minutes` (from, to), the others `usual_minutes`.
    """

    usual_minutes: tuple[int, int]
    slow_minutes: tuple[int, int]
    slow_share: float


def _rates(values: Iterable[DefectRate]) -> tuple[DefectRate, ...]:
    return tuple(values)


def _incident_rates(values: Iterable[IncidentRate]) -> tuple[IncidentRate, ...]:
    return tuple(values)


@frozen
class DefectProfile:
    """A named mix of defects. With `lag` None, `loaded_at` is the event time."""

    name: str
    title: str
    rates: tuple[DefectRate, ...] = field(default=(), converter=_rates, kw_only=True)
    incidents: tuple[IncidentRate, ...] = field(default=(), converter=_incident_rates, kw_only=True)
    lag: LagProfile | None = field(default=None, kw_only=True)


@frozen
class DefectKind:
    """A kind of defect: what finds it, what need it makes, and how it is applied.

    `metric` is the health metric that sees it, or None. `dated` kinds are incidents.
    `apply(task) -> DefectOutcome` is the callable or its dotted path
    (both classes are in `dnr_core.model`); it is pure and works on one chunk.
    """

    name: str
    title: str
    theme: str
    metric: str | None
    apply: Callable[..., Any] | str
    dated: bool = field(default=False, kw_only=True)
    stage: Literal["values", "copies", "loads"] = field(default="values", kw_only=True)
    """Values are changed first, copies made of sound rows next, load times set last."""
    targets: Callable[..., tuple[str, ...]] | str | None = field(default=None, kw_only=True)
    """`targets(schema, table)` gives the columns (or labels of foreign keys) that it can break,
    none where the table is not for it. None (or no callable) is: the columns that the rate names."""
    denominator: Literal["rows", "keyed_rows"] = field(default="rows", kw_only=True)
    """What a rate is a share of: all finished rows, or those with at least one non-null key."""
    nulls_keys: bool = field(default=False, kw_only=True)
    """Whether a broken row loses one of its required keys."""
    exclusive: bool = field(default=True, kw_only=True)
    """Whether its rows may have no other defect of values. False only for kinds that leave keys
    alone, so that they disturb no rate of others; they never break a cell twice."""
    selects: Literal["events", "loads"] = field(default="events", kw_only=True)
    """Whether an incident's window is looked up by event time or by load time."""
    takes_codes: bool = field(default=False, kw_only=True)
    """Whether `apply` takes categories in `task.clean` as they are made: dictionary arrays over the
    schema's `values`. Others get text, which costs a few nanoseconds a value to unpack."""
    finds: str | None = field(default=None, kw_only=True)
    """Dotted path of `finds(tables, table, rate) -> ibis expression` for kinds no metric sees."""

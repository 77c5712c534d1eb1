"""Room: model. Which defects are put into a clean warehouse, and what each kind is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen

from dnr_core.model.schema import _names

Breaks = Literal["required_keys", "loads", "values", "rows", "days"]
"""What incidents break; see `IncidentRate.breaks`."""


@frozen
class Option:
    """A number that a kind takes, from `low` to `high` (both allowed), and what it is without."""

    name: str
    default: float
    low: float
    high: float
    meaning: str = ""
    whole: bool = field(default=False, kw_only=True)
    """Whether it has to be a whole number."""


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
    """The kind's own, and for every kind `where: {column: [values]}`, `from` and `until` (instants,
    or days in the company's zone; `until` is outside)."""
    source: str = field(default="", kw_only=True, eq=False, repr=False)
    """Where it was written ("mine.yaml line 7"), for messages."""


@frozen
class IncidentRate:
    """Dated events of a kind: `per_quarter` of them over the history, each of `size`.

    The options `from` and `until` say between which days they fall, `where` which rows they touch.
    """

    kind: str
    per_quarter: float
    size: float
    tables: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    columns: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    options: Mapping[str, Any] = field(factory=dict, kw_only=True)
    breaks: Breaks = field(default="values", kw_only=True)
    """Which columns an incident may break: one required key, the load time, one of `columns`, whole
    rows (of facts to which no table points), or all values of a snapshot's day."""
    row_share: float | None = field(default=None, kw_only=True)
    """Share of the window's rows that it touches; None where `size` is that share."""
    total: int | None = field(default=None, kw_only=True)
    """How many over the whole history, instead of `per_quarter`."""
    hours: int | None = field(default=None, kw_only=True)
    """Length of the window; None is `days` local days."""
    days: int = field(default=1, kw_only=True)
    """Local days of a window without `hours`."""
    from_hour: int | None = field(default=None, kw_only=True)
    """The local hour at which the window begins; None is midnight, and with `hours` some hour from
    9 to 13. Without `hours` the window ends at its last midnight all the same."""
    within_rate: bool = field(default=False, kw_only=True)
    """Whether its rows are part of the rate of the same metric on that table, not on top of it."""
    source: str = field(default="", kw_only=True, eq=False, repr=False)
    """Where it was written, for messages."""


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
    stage: Literal["values", "copies", "loads", "removals"] = field(default="values", kw_only=True)
    """Rows are removed first, then values changed, load times set, and copies made of sound rows.
    What is removed is no part of the finished table, so that other rates are shares of the rest;
    only dated kinds remove rows."""
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
    """Dotted path of `finds(tables, schema, table, rate) -> ibis expression` for kinds that no metric
    sees: the rows (or the days, the pauses) that it broke, found in finished files (`tables` by name)."""
    after_children: bool = field(default=False, kw_only=True)
    """Whether its rows must have children that are made in the same chunk and have load times."""
    breaks: Breaks = field(default="values", kw_only=True)
    """What its incidents break where a profile file asks for them."""
    row_share: float | None = field(default=None, kw_only=True)
    """Which share of its window's rows an incident touches where a profile file does not say; None
    where the size is that share."""
    size: Option | None = field(default=None, kw_only=True)
    """Which sizes its incidents may have; None leaves that to the kind."""
    options: tuple[Option, ...] | None = field(default=None, kw_only=True)
    """The numbers it takes in a rate's options; None leaves them to the kind."""

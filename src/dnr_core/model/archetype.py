"""Room: model. A kind of company: schema, money, KPIs, guardrails, words, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from dnr_core.model.schema import Schema, _names
from dnr_core.model.synthesis import Synthesis

if TYPE_CHECKING:
    import ibis.expr.types as ir


@frozen
class Amount:
    """An amount of money in a row: the product of `product_of`, divided by `divide_by`.

    The product is summed first and divided last, so that sums of integers stay exact.
    `minor_units` is how many of the amount's units make one of the currency: 100 for cents,
    1 for whole currency units.
    """

    product_of: tuple[str, ...] = field(converter=_names)
    divide_by: int = 1
    minor_units: int = 100


@frozen
class Condition:
    """A row counts where `column` `op` `value` holds; `value` is a tuple for `in`."""

    column: str
    op: Literal["eq", "ne", "in", "ge", "gt", "le", "lt", "not_null"]
    value: str | int | float | bool | tuple[str | int, ...] | None = None


def _conditions(values: Iterable[Condition]) -> tuple[Condition, ...]:
    return tuple(values)


@frozen
class RevenueStream:
    """Which rows of `table` carry revenue, and how much.

    `time` is the column whose local month the money belongs to; None means the table's event
    time. `keyed_by` are the columns by which rows of other tables reach this money (an order
    reaches its payment's fee by `order_id`): a table that has no stream of its own and has all
    of them shares each key's amount evenly over its rows with that key.
    """

    name: str
    table: str
    amount: Amount
    time: str | None = field(default=None, kw_only=True)
    where: tuple[Condition, ...] = field(default=(), converter=_conditions, kw_only=True)
    keyed_by: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    title: str = field(default="", kw_only=True)
    is_revenue: bool = field(default=True, kw_only=True)
    """False for volumes that are shown beside revenue and never added to it, such as GMV."""


@frozen
class KpiContext:
    """What a KPI's expression is given.

    `tables` holds each table with a row once (the earliest `loaded_at` of its business key).
    `local_day(timestamp)` gives an integer column, days since 1970-01-01 in the business zone;
    `local_month(timestamp)` an integer column, 12 x year + month - 1. `months` are the local
    months to report on as the same integers.
    """

    tables: Mapping[str, ir.Table]
    local_day: Callable[[Any], Any]
    local_month: Callable[[Any], Any]
    months: tuple[int, ...]


@frozen
class Kpi:
    """A figure by local month. `expression(context)` gives an Ibis table `(month, value)`."""

    name: str
    title: str
    unit: Literal["count", "cents", "share"]
    expression: Callable[[KpiContext], Any] | str
    """The callable, or its dotted path."""


@frozen
class GuardrailResult:
    """What a guardrail measured. `checks` says, by name, measured, limit and passed."""

    metrics: Mapping[str, float | int | None]
    checks: tuple[Mapping[str, Any], ...]

    @property
    def passed(self) -> bool:
        """True where every check passed."""
        return all(bool(check["passed"]) for check in self.checks)


@frozen
class Guardrail:
    """An archetype's own check of health, shown in `data_health.json` under `name`.

    `settings_path` is where its settings lie in the configuration (below `report.`), and
    `settings` the attrs class that reads them. `measure(tables, settings, local_clock, execute)`
    is the callable or its dotted path; it returns a `GuardrailResult`. `tables` are as they lie,
    duplicates and all; `local_clock` has `day(ts)` and `hour(ts)`, integer columns in the business
    zone, and `seconds(ts)`, whole seconds since 1970; `execute(expression) -> list of dicts`.
    """

    name: str
    title: str
    settings_path: str
    settings: type
    measure: Callable[..., GuardrailResult] | str


def _streams(values: Iterable[RevenueStream]) -> tuple[RevenueStream, ...]:
    return tuple(values)


def _kpis(values: Iterable[Kpi]) -> tuple[Kpi, ...]:
    return tuple(values)


def _guardrails(values: Iterable[Guardrail]) -> tuple[Guardrail, ...]:
    return tuple(values)


@frozen
class Archetype:
    """A kind of company.

    `volumes` are the expected rows by table at the `evaluation` scale; tables in `fixed_tables`
    do not scale. `vocabulary` gives words to the slots of made messages ("dashboard": (...)).
    `synthesis` is None for a real company, else a `Synthesis` or the dotted path of one.
    """

    name: str
    title: str
    schema: Schema
    streams: tuple[RevenueStream, ...] = field(default=(), converter=_streams, kw_only=True)
    kpis: tuple[Kpi, ...] = field(default=(), converter=_kpis, kw_only=True)
    guardrails: tuple[Guardrail, ...] = field(default=(), converter=_guardrails, kw_only=True)
    currency: str = field(default="USD", kw_only=True)
    tz: str | None = field(default=None, kw_only=True)
    """Business time zone of a real company; None leaves it to the settings."""
    stored_tz: str | None = field(default=None, kw_only=True)
    """Zone of the timestamps that are stored without one; None means UTC."""
    volumes: Mapping[str, int] = field(factory=dict, kw_only=True)
    fixed_tables: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    vocabulary: Mapping[str, tuple[str, ...]] = field(factory=dict, kw_only=True)
    synthesis: Synthesis | str | None = field(default=None, kw_only=True)

    @property
    def revenue_streams(self) -> tuple[RevenueStream, ...]:
        """The streams that are revenue."""
        return tuple(stream for stream in self.streams if stream.is_revenue)

    def problems(self) -> tuple[str, ...]:
        """Names that resolve to nothing, as sentences."""
        found = list(self.schema.problems())
        for stream in self.streams:
            if stream.table not in self.schema:
                found.append(
                    f"revenue stream {stream.name!r} names the unknown table {stream.table!r}"
                )
                continue
            used = {*stream.amount.product_of, *(c.column for c in stream.where), *stream.keyed_by}
            used |= {stream.time} if stream.time else set()
            missing = sorted(used - set(self.schema[stream.table].column_names))
            found += [
                f"revenue stream {stream.name!r}: table {stream.table!r} has no column {name!r}"
                for name in missing
            ]
        found += [
            f"volumes name the unknown table {name!r}"
            for name in self.volumes
            if name not in self.schema
        ]
        return tuple(found)

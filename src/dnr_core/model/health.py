"""Room: model. What a stranger sees in a warehouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import field, frozen

if TYPE_CHECKING:
    import pyarrow as pa

Metric = Literal[
    "rows",
    "key_null",
    "fk_failure",
    "fk_missing",
    "fk_temporal",
    "duplicate",
    "late",
    "lag_p50_minutes",
    "lag_p95_minutes",
    "freshness_minutes",
]
"""`rows` counts rows; the next six are rows of that kind over the rows that could be; `late` are
rows later than the lag SLO over rows with both times; the last three have a value only.
"""

METRIC_THEME: Final[dict[str, str]] = {
    "key_null": "join_keys_orphans",
    "fk_failure": "join_keys_orphans",
    "duplicate": "duplicates_dedup",
    "late": "freshness_ingest_lag",
}
"""Which need a broken metric makes; a defect kind of a plugin names its own theme."""

MEASURE_COLUMNS: Final[tuple[str, ...]] = (
    "table",
    "column",
    "day",
    "metric",
    "numerator",
    "denominator",
    "value",
    "revenue_cents",
)
"""Long form. `column` is "" for the whole table, a column, or a foreign key's label. `day` is the
local day (date32), null for rows without one and for figures over the whole history, which
carry `day` null and `scope` in the table's metadata. `value` is percent for shares, rows for
`rows`, minutes for the last three. `revenue_cents` is revenue on the numerator's
rows, null where no money reaches the table.
"""


@frozen
class NotMeasured:
    """A figure that is not shown, and why, in words for a person."""

    table: str
    column: str
    metric: str
    reason: str


@frozen
class SloVerdict:
    """One table's (or key's) figure against its limit.

    `value` and `slo` have the kind's unit: percent for shares, minutes for lag. `margin` is
    `slo - value`; `since` the first local day of the unbroken run of breaching days that reaches
    the window's end.
    """

    table: str
    column: str
    kind: Literal["key_null_pct", "fk_orphan_pct", "dup_keys_pct", "p95_ingest_lag_min"]
    value: float | None
    slo: float
    passed: bool | None
    since: date | None = None
    trend: float | None = None
    """Change of the value from the window's first half to its second, same unit."""

    @property
    def margin(self) -> float | None:
        """How far below the limit the value is; negative where it is breached."""
        return None if self.value is None else self.slo - self.value


@frozen
class DetectedIncident:
    """An incident that the warehouse alone shows: local days `start` to `end`, both included.

    `value` and `usual` are shares, rows or minutes as the kind has it; `rows` the affected rows;
    `noise_factor` how many times noisier the column is than chance.
    """

    kind: Literal[
        "null_spike", "orphan_spike", "duplicate_spike", "volume_drop", "write_gap", "lag_surge"
    ]
    table: str
    column: str
    start: date
    end: date
    value: float
    usual: float
    rows: int
    p_value: float | None = None
    noise_factor: float | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    revenue_cents: float | None = None
    fired: tuple[str, ...] = ()
    """For a lag surge: which of "p50" and "p95" showed it; p95 alone means a part of the rows."""
    shape: Literal["days", "step", "ramp"] = "days"
    """Days that stand out, or a level that rose at once or bit by bit and stayed until `end`."""


@frozen
class Detectable:
    """The smallest incident of a kind that could have been seen on a day of the usual size.

    `smallest` is a rise of the share for spikes, the share of rows lost for drops, hours of silence
    for gaps, the factor of the lag for surges. None: not judged, because `rows_a_day` (the median)
    are too few. `noise_factor` is how many times noisier than chance the column is.
    """

    kind: str
    table: str
    column: str
    rows_a_day: float
    smallest: float | None
    noise_factor: float | None = None


@frozen
class Proof:
    """How to see a figure oneself: SQL in the backend's dialect and keys of some affected rows."""

    table: str
    column: str
    metric: str
    sql: str
    keys_sql: str | None = None
    keys: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        if not self.keys:
            return self.sql
        rows = "\n".join(
            # A key with controls in it is quoted, so that it says so and commands no terminal.
            "  "
            + ", ".join(f"{k}={v if str(v).isprintable() else repr(v)}" for k, v in row.items())
            for row in self.keys
        )
        return f"{self.sql}\n\n-- keys of affected rows\n{self.keys_sql}\n\n{rows}"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


@frozen
class MonthlyFigure:
    """One figure of a local month; `month` is its first day.

    `complete` is False for a month that the history covers in part.
    """

    name: str
    title: str
    unit: str
    month: date
    value: float | None
    complete: bool = True


@frozen
class HealthResult:
    """Everything measured on one warehouse.

    `measures` has `MEASURE_COLUMNS`, by local day, over the whole history. `totals` has the same
    columns with `day` null and a column `scope` ("history" or "window"): one row a table, column
    and metric. Window and history are local days, `window_end` and `history_end` included.
    """

    archetype: str
    tz: str
    as_of: datetime
    window_start: date
    window_end: date
    history_start: date | None
    history_end: date | None
    measures: pa.Table
    totals: pa.Table
    slos: tuple[SloVerdict, ...]
    incidents: tuple[DetectedIncident, ...]
    revenue: tuple[MonthlyFigure, ...]
    kpis: tuple[MonthlyFigure, ...]
    guardrails: Mapping[str, Any]
    not_measured: tuple[NotMeasured, ...]
    proofs: tuple[Proof, ...]
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    column_days_tested: int = field(default=0, kw_only=True)
    false_flags_expected: float = field(default=0.0, kw_only=True)
    revenue_monthly_median_cents: float | None = field(default=None, kw_only=True)
    """Median monthly revenue of the last three full local months; None where no money is declared."""
    affected_total: Callable[[tuple[tuple[str, str, str], ...]], float | None] | None = field(
        default=None, kw_only=True, eq=False, repr=False
    )
    """Revenue in the window on rows affected by any of `(table, column, metric)`, each row once."""
    backend: str = field(default="duckdb", kw_only=True)
    detectable_rise: Mapping[str, float] = field(factory=dict, kw_only=True)
    """By table: the smallest one-day rise of a share that could have been seen at its size."""
    detectable: tuple[Detectable, ...] = field(default=(), kw_only=True)
    """The same by kind, table and column, with the usual size it holds for."""

    def __str__(self) -> str:
        return "\n".join(" ".join(line) for line in self._verdicts()) or "nothing was measured"

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>"
            for line in self._verdicts()
        )
        head = "".join(
            f"<th>{name}</th>" for name in ("table", "key", "figure", "value", "verdict")
        )
        period = f"{self.window_start} to {self.window_end}, {self.tz}"
        return (
            f"<p>{escape(self.archetype)}, {escape(period)}</p><table><tr>{head}</tr>{rows}</table>"
        )

    def _verdicts(self) -> list[tuple[str, ...]]:
        words = {True: "within", False: "over", None: "not measured"}
        return [
            (
                verdict.table,
                verdict.column,
                verdict.kind,
                "" if verdict.value is None else f"{verdict.value:.4g}",
                f"{words[verdict.passed]} {verdict.slo:g}",
            )
            for verdict in self.slos
        ]

"""Room: ranking. The health of a warehouse as arrays: what the ranking sums and resamples."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from dnr_core.model.health import HealthResult, SloVerdict

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EPOCH: Final = date(1970, 1, 1)
RATE_METRICS: Final = ("key_null", "fk_failure", "duplicate", "late")
USED_METRICS: Final = (*RATE_METRICS, "fk_missing", "fk_temporal", "rows", "lag_p95_minutes")
SLO_KIND: Final = {
    "key_null": "key_null_pct",
    "fk_failure": "fk_orphan_pct",
    "duplicate": "dup_keys_pct",
    "late": "p95_ingest_lag_min",
}
LATE_TAIL_SHARE: Final = 0.05
"""The p95 lag is over its limit exactly where more than this share of rows is later than the limit."""


def day_number(day: date) -> int:
    """Return days since 1970-01-01."""
    return (day - EPOCH).days


@frozen
class Series:
    """One metric of one table by local day, in order of days. Counts are rows, money is cents."""

    days: Ints
    numerator: Floats
    denominator: Floats
    value: Floats
    revenue_cents: Floats

    def within(self, first: int, last: int) -> Series:
        """Return the days from `first` to `last`, both included."""
        low, high = np.searchsorted(self.days, [first, last + 1])
        cut = slice(int(low), int(high))
        return Series(
            self.days[cut],
            self.numerator[cut],
            self.denominator[cut],
            self.value[cut],
            self.revenue_cents[cut],
        )


@frozen
class Total:
    """One metric of one table over the window. `revenue_cents` is None where no money reaches it."""

    numerator: float
    denominator: float
    value: float | None
    revenue_cents: float | None


_EMPTY: Final = Series(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0), np.empty(0))


class Measures:
    """Table-wide measures of a health result, indexed by table and metric."""

    def __init__(self, health: HealthResult) -> None:
        self.first = day_number(health.window_start)
        self.last = day_number(health.window_end)
        self._series = _by_day(health.measures)
        starts = [int(series.days[0]) for series in self._series.values()]
        self.history_first = min([self.first, *starts])
        self.totals: dict[tuple[str, str], Total] = {}
        self.parts: dict[tuple[str, str], dict[str, Total]] = {}
        self.rows_ever: dict[str, float] = {}
        for row in _totals(health.totals):
            if row["scope"] != "window":
                if row["metric"] == "rows" and not row["column"]:
                    self.rows_ever[str(row["table"])] = float(row["numerator"] or 0)
                continue
            key = (str(row["table"]), str(row["metric"]))
            total = Total(
                float(row["numerator"] or 0),
                float(row["denominator"] or 0),
                _optional(row["value"]),
                _optional(row["revenue_cents"]),
            )
            if row["column"]:
                self.parts.setdefault(key, {})[str(row["column"])] = total
            else:
                self.totals[key] = total
        self._verdicts: dict[tuple[str, str], SloVerdict] = {
            (verdict.table, verdict.kind): verdict for verdict in health.slos if not verdict.column
        }

    @property
    def window_days(self) -> int:
        """Local days of the window."""
        return self.last - self.first + 1

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables with any figure over the window, by name."""
        return tuple(sorted({table for table, _ in self.totals}))

    def series(self, table: str, metric: str) -> Series:
        """Return a metric by day over the whole history; of no days where it was not measured."""
        return self._series.get((table, metric), _EMPTY)

    def window_series(self, table: str, metric: str) -> Series:
        """Return a metric by day in the window."""
        return self.series(table, metric).within(self.first, self.last)

    def verdict(self, table: str, metric: str) -> SloVerdict | None:
        """Return the table's verdict on a metric, None where it has none."""
        return self._verdicts.get((table, SLO_KIND[metric]))


def _floats(table: pa.Table, name: str) -> Floats:
    import pyarrow as pa

    column = table.column(name).cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _used(table: pa.Table) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(table["metric"].cast(pa.string()), pa.array(USED_METRICS))


def _by_day(measures: pa.Table) -> dict[tuple[str, str], Series]:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.equal(measures["column"].cast(pa.string()), "")
    kept = measures.filter(pc.and_(pc.and_(_used(measures), whole), pc.is_valid(measures["day"])))
    kept = kept.sort_by([("table", "ascending"), ("metric", "ascending"), ("day", "ascending")])
    if kept.num_rows == 0:
        return {}
    days = np.asarray(kept["day"].cast(pa.int32()).to_numpy(), dtype=np.int64)
    columns = [_floats(kept, n) for n in ("numerator", "denominator", "value", "revenue_cents")]
    tables = kept["table"].cast(pa.string()).to_pylist()
    metrics = kept["metric"].cast(pa.string()).to_pylist()
    starts = [
        row
        for row in range(kept.num_rows)
        if row == 0 or (tables[row], metrics[row]) != (tables[row - 1], metrics[row - 1])
    ]
    found: dict[tuple[str, str], Series] = {}
    for start, end in zip(starts, [*starts[1:], kept.num_rows], strict=True):
        parts = [column[start:end] for column in columns]
        found[tables[start], metrics[start]] = Series(
            days[start:end],
            np.nan_to_num(parts[0]),
            np.nan_to_num(parts[1]),
            parts[2],
            np.nan_to_num(parts[3]),
        )
    return found


def _totals(totals: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = totals.filter(_used(totals)).to_pylist()
    return rows


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)

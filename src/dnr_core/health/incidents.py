"""Room: health. Incidents of a whole warehouse: every detector over every fact table, ranked."""

from __future__ import annotations

from attrs import frozen

from dnr_core.health.connect import Warehouse
from dnr_core.health.gaps import find_gaps, loaded_hours, smallest_gap
from dnr_core.health.local_time import LocalClock
from dnr_core.health.longform import Measured, Span
from dnr_core.health.rates import RateFindings, find_spikes
from dnr_core.health.surges import find_surges
from dnr_core.health.volume import find_drops
from dnr_core.model.health import Detectable, DetectedIncident

_SHARES = {"null_spike", "orphan_spike", "duplicate_spike"}


@frozen
class Findings:
    """Incidents, worst first; what could have been seen; and how much was looked at."""

    incidents: tuple[DetectedIncident, ...]
    detectable: tuple[Detectable, ...]
    shares: RateFindings


def detect(
    warehouse: Warehouse,
    tables: list[Measured],
    clock: LocalClock,
    span: Span,
    least_rise: float,
) -> Findings:
    """Find the incidents of fact tables; `least_rise` is the least rise of a share on one day.

    Only load times are read from the warehouse, by hour; the rest is in what was counted.
    """
    shares = find_spikes(tables, span, least_rise)
    found, seen = list(shares.incidents), list(shares.by_column)
    for measured in tables:
        if measured.counts.frame.table.kind != "fact":
            continue
        drops, smallest = find_drops(measured, span)
        found += drops
        seen.append(smallest)
        hours = loaded_hours(warehouse, measured, clock, span)
        gaps = find_gaps(measured, hours, span) if hours else []
        found += gaps
        if hours:
            seen.append(smallest_gap(measured, hours, span))
        if measured.lags.by_day:
            surges, smallest = find_surges(measured, span, gaps)
            found += surges
            seen.append(smallest)
    # Ranked by rows times rise, then in an order that never changes.
    ranked = sorted(found, key=lambda i: (-_weight(i), i.table, i.column, i.kind, i.start, i.shape))
    return Findings(tuple(ranked), tuple(seen), shares)


def _weight(incident: DetectedIncident) -> float:
    rise = abs(incident.value - incident.usual)
    if incident.kind not in _SHARES:
        rise = rise / max(incident.usual, 1.0)
    return round(incident.rows * rise, 6)

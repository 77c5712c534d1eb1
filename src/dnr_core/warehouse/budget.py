"""Room: warehouse. Incidents whose rows are part of a rate: what is left of it for the other days.

By how much an incident fills a rate depends on how many rows its window has, and no chunk knows
that of the others. So the rows are counted first: the families concerned are generated once more,
which is paid for only by profiles that ask for it (`within_rate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from dnr_core.errors import ConfigError
from dnr_core.model import Incident
from dnr_core.synth.draw import exactly
from dnr_core.warehouse.allot import inside, micros, segment
from dnr_core.warehouse.arrow import plain
from dnr_core.warehouse.chunks import clean_chunk
from dnr_core.warehouse.incidents import row_share
from dnr_core.warehouse.mix import Target
from dnr_core.warehouse.plan import Plan
from dnr_core.warehouse.work import event_times


def dated_shares(plan: Plan) -> dict[str, Fraction]:
    """Return which share of a table's finished rows incidents break within a rate.

    Returns:
        Shares by the target's `mark`; rates without such incidents are not in it.

    Raises:
        ConfigError: there is no rate that an incident could be part of, or it is too small.
    """
    within = [incident for incident in plan.incidents if plan.rates[incident.id].within_rate]
    if not within:
        return {}
    owners = {incident.id: _owner(plan, incident) for incident in within}
    rows, broken = _counted(plan, within)
    found: dict[str, Fraction] = {}
    for incident in within:
        target = owners[incident.id]
        mine = [t for t in plan.targets if t.table == incident.table]
        copies = sum((t.share for t in mine if t.kind.stage == "copies"), Fraction(0))
        finished = Fraction(rows[incident.table]) / (1 - copies)
        if finished:
            share = broken[incident.id] / finished
            found[target.mark] = found.get(target.mark, Fraction(0)) + share
    for target in plan.targets:
        taken = found.get(target.mark, Fraction(0))
        if taken > target.share:
            raise ConfigError(
                f"{target.rate.source or f'profile {plan.profile.name!r}'}, {target.kind.name}: "
                f"incidents within the rate break {float(taken):.2%} of {target.table}, "
                f"which is more than the whole rate of {float(target.share):.2%}",
                hint="have fewer or smaller incidents, a larger share, or leave within_rate out",
            )
    return found


def _owner(plan: Plan, incident: Incident) -> Target:
    """Return the rate that an incident is part of: its table's, as a whole, with the same metric."""
    metric, rate = plan.kinds[incident.kind].metric, plan.rates[incident.id]
    for target in plan.targets:
        narrowed = target.rate.columns or target.rate.options.keys() & {"where", "from", "until"}
        same = target.table == incident.table and target.kind.metric == metric
        if same and metric is not None and not narrowed and not target.kind.dated:
            return target
    raise ConfigError(
        f"{rate.source or f'profile {plan.profile.name!r}'}, {incident.kind}: within_rate, but "
        f"no rate of the same metric falls on the whole of {incident.table}",
        hint="add such a rate (for a null spike, key_null), or leave within_rate out",
    )


def _counted(
    plan: Plan, incidents: list[Incident]
) -> tuple[Mapping[str, int], Mapping[str, Fraction]]:
    """Count the rows of tables, missing ones aside, and what incidents break in their windows."""
    tables = {incident.table for incident in incidents}
    gone = [
        incident
        for incident in plan.incidents
        if incident.table in tables and plan.kinds[incident.kind].stage == "removals"
    ]
    rows = dict.fromkeys(tables, Fraction(0))
    broken = {incident.id: Fraction(0) for incident in incidents}
    for family in plan.synthesis.families:
        if not tables & set(family.tables):
            continue
        for chunk in range(plan.chunks[family.name]):
            made = clean_chunk(plan, family, chunk)
            for name in sorted(tables & set(family.tables)):
                clean = made[name]
                times = event_times(plan.archetype.schema[name], clean, plan.company.tz)
                rows[name] += clean.num_rows
                if times is None or not len(times):
                    continue
                for incident in (*incidents, *gone):
                    window = (micros(incident.start), micros(incident.end))
                    if incident.table != name or times.max() < window[0]:
                        continue
                    flags = inside(times, window)
                    where = plan.rates[incident.id].options.get("where")
                    if where and flags.any():
                        meant = segment({"where": where}, plain(clean), None, plan.company.tz)
                        flags = flags if meant is None else flags & meant
                    share = exactly(row_share(plan.rates[incident.id]))
                    count = share * int(np.count_nonzero(flags))
                    if incident in gone:
                        rows[name] -= count
                    else:
                        broken[incident.id] += count
    return {name: round(count) for name, count in rows.items()}, broken

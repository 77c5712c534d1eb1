"""Room: warehouse. Breaks one clean chunk as the plan says: incidents, rates, loads, copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
from attrs import frozen

from dnr_core.model import CellChange, DefectKind, Incident, Schema
from dnr_core.synth.draw import Flags, Indices, choose, exactly
from dnr_core.warehouse.allot import (
    has_values,
    inside,
    key_columns,
    micros,
    segment,
    wanted_rows,
)
from dnr_core.warehouse.incidents import row_share
from dnr_core.warehouse.lag import base_lag_us
from dnr_core.warehouse.mix import COMMON_OPTIONS, Target
from dnr_core.warehouse.plan import Plan
from dnr_core.warehouse.tally import Tally
from dnr_core.warehouse.work import Work, event_times, instants, times_us


@frozen
class Finished:
    """A finished table of a chunk.

    What `tally` noted is numbered before the rows that are not `present` were taken out.
    """

    rows: pa.Table
    tally: Tally
    clean_rows: int
    present: Flags | None = None
    """Which clean rows are not removed; None means all."""


def corrupt_chunk(plan: Plan, chunk: int, clean: Mapping[str, pa.Table]) -> dict[str, Finished]:
    """Return a chunk's finished tables and their ledgers. Pure: the same for any order of chunks."""
    done: dict[str, Finished] = {}
    for name in children_first(plan.archetype.schema, clean):
        finished = {child: known.rows for child, known in done.items()}
        done[name] = _corrupt_table(plan, chunk, name, clean, finished)
    return {name: done[name] for name in clean}


def children_first(schema: Schema, names: Iterable[str]) -> tuple[str, ...]:
    """Return tables in an order in which those that point to another come before it."""
    left, order = list(names), []
    while left:
        free = [
            name
            for name in left
            if not any(child.name in left for child in schema.children(name) if child.name != name)
        ]
        # A circle of keys has no such order; any will do.
        order.append((free or left)[0])
        left.remove(order[-1])
    return tuple(order)


def _corrupt_table(
    plan: Plan,
    chunk: int,
    name: str,
    tables: Mapping[str, pa.Table],
    finished: Mapping[str, pa.Table],
) -> Finished:
    table, clean = plan.archetype.schema[name], tables[name]
    targets = [target for target in plan.targets if target.table == name]
    incidents = [incident for incident in plan.incidents if incident.table == name]
    lagged = table.loaded_at is not None and plan.profile.lag is not None
    if not clean.num_rows or not (targets or incidents or lagged):
        return Finished(clean, Tally(table, clean), clean.num_rows)
    event_us = event_times(table, clean, plan.company.tz)
    loaded_us: Indices | None = None
    if table.loaded_at and event_us is not None:
        loaded_us = event_us.copy()
        if plan.profile.lag:
            loaded_us += base_lag_us(plan.company, plan.profile.lag, name, chunk, clean.num_rows)
    work = Work(
        plan=plan,
        table=table,
        chunk=chunk,
        clean=clean,
        siblings=tables,
        event_us=event_us,
        loaded_us=loaded_us,
        free=np.ones(clean.num_rows, dtype=np.bool_),
        sound=np.ones(clean.num_rows, dtype=np.bool_),
        tally=Tally(table, clean),
        finished_siblings=finished,
    )
    for incident in _staged(plan, incidents, "removals"):
        _dated(work, plan.kinds[incident.kind], incident)
    unkeyed = 0
    for incident in _staged(plan, incidents, "values"):
        touched = _dated(work, plan.kinds[incident.kind], incident)
        if plan.kinds[incident.kind].nulls_keys and len(key_columns(table)) == 1:
            unkeyed += touched
    for stage in ("values", "loads"):
        for target in targets:
            if target.kind.stage == stage:
                _rate(work, target, targets, unkeyed)
    for incident in _staged(plan, incidents, "loads"):
        _dated(work, plan.kinds[incident.kind], incident)
    for target in targets:
        if target.kind.stage == "copies":
            _copies(work, target, targets)
    _loads_of_copies(work, _staged(plan, incidents, "loads"))
    return Finished(work.finished(), work.tally, clean.num_rows, work.present)


def _staged(plan: Plan, incidents: list[Incident], stage: str) -> list[Incident]:
    return [incident for incident in incidents if plan.kinds[incident.kind].stage == stage]


def _dated(work: Work, kind: DefectKind, incident: Incident) -> int:
    """Apply an incident to its window's rows, and return how many it touched."""
    times = work.loaded_us if kind.selects == "loads" else work.event_us
    if times is None:
        return 0
    bounds = (micros(incident.start), micros(incident.end))
    first, last = work.extent("loads" if kind.selects == "loads" else "events")
    if last < bounds[0] or first >= bounds[1]:
        return 0
    window = inside(times, bounds)
    if work.present is not None:
        window &= work.present
    rate = work.plan.rates[incident.id]
    if "where" in rate.options:
        # Its period has said on which days it falls, and nothing of rows.
        meant = segment({"where": rate.options["where"]}, work.plain, None, work.plan.company.tz)
        window = window if meant is None else window & meant
    count = int(np.count_nonzero(window))
    if not count:
        return 0
    wanted = work.rounded(exactly(row_share(rate)) * count, kind.name, incident.id)
    if kind.stage == "values":
        window &= work.free if kind.exclusive else work.untouched(incident.columns)
        filled = has_values(work.table, work.clean, incident.columns)
        window = window if filled is None else window & filled
    available = np.flatnonzero(window)
    rows = available[choose(work.rng("rows", incident.id), len(available), wanted)]
    if not len(rows):
        return 0
    outcome = work.run(
        kind,
        rows,
        columns=incident.columns,
        size=incident.size,
        options=rate.options,
        path=(incident.id,),
        incident=incident,
    )
    if kind.stage == "removals":
        work.remove(kind, outcome, incident)
    else:
        work.write(kind, outcome, incident)
    return len(rows)


def _eligible(work: Work, target: Target) -> Flags | None:
    flags: Flags | None = None
    if not target.rate.options.keys().isdisjoint(COMMON_OPTIONS):
        flags = segment(target.rate.options, work.plain, work.event_us, work.plan.company.tz)
    for more in (has_values(work.table, work.clean, target.columns), work.present):
        if more is not None:
            flags = more if flags is None else flags & more
    return flags


def _rate(work: Work, target: Target, targets: list[Target], unkeyed: int) -> None:
    kind = target.kind
    eligible = _eligible(work, target)
    base = work.clean.num_rows if eligible is None else int(np.count_nonzero(eligible))
    amount = wanted_rows(target, targets, work.table, base, unkeyed)
    wanted = work.rounded(amount, kind.name, target.place)
    available = np.ones_like(work.free)
    if kind.stage == "values":
        available = work.free if kind.exclusive else work.untouched(target.columns)
    if eligible is not None:
        available = available & eligible
    if kind.after_children:
        available = available & work.child_loads()[1]
    places = np.flatnonzero(available)
    rows = places[choose(work.rng("rows", kind.name, target.place), len(places), wanted)]
    if not len(rows):
        return
    outcome = work.run(
        kind,
        rows,
        columns=target.columns,
        size=target.rate.share,
        options=target.rate.options,
        path=(target.place,),
    )
    if kind.stage == "values":
        work.sound[rows] = False
        if kind.exclusive:
            work.free[rows] = False
    work.write(kind, outcome, None)


def _copies(work: Work, target: Target, targets: list[Target]) -> None:
    """Copy sound rows; where more copies than sound rows are wanted, some come again."""
    kind = target.kind
    eligible = _eligible(work, target)
    base = work.clean.num_rows if eligible is None else int(np.count_nonzero(eligible))
    wanted = work.rounded(
        wanted_rows(target, targets, work.table, base, 0), kind.name, target.place
    )
    sound = work.sound if eligible is None else work.sound & eligible
    places = np.flatnonzero(sound)
    if not len(places) or not wanted:
        return
    rng = work.rng("rows", kind.name, target.place)
    rounds, rest = divmod(wanted, len(places))
    picks = [places] * rounds + [places[choose(rng, len(places), rest)]]
    rows = np.sort(np.concatenate(picks), kind="stable")
    outcome = work.run(
        kind,
        rows,
        columns=target.columns,
        size=target.rate.share,
        options=target.rate.options,
        path=(target.place,),
    )
    for copies in outcome.copies:
        at = work.clean.num_rows + len(work.copy_rows)
        work.copy_rows = np.concatenate([work.copy_rows, copies.rows])
        if work.loaded_us is not None:
            loads = work.loaded_us[copies.rows] + copies.delay_us
            before = work.copy_us
            work.copy_us = loads if before is None else np.concatenate([before, loads])
        work.tally.note(
            rows=np.arange(at, at + len(copies.rows), dtype=np.int64),
            clean_rows=copies.rows,
            column="",
            kind=kind.name,
            subkind=copies.subkind,
            incident_id=None,
            original=None,
        )


def _loads_of_copies(work: Work, incidents: list[Incident]) -> None:
    """A copy cannot load while loading stands still: what moves loads by load time moves copies too."""
    for incident in incidents:
        kind = work.plan.kinds[incident.kind]
        if work.copy_us is None or kind.selects != "loads":
            continue
        window = inside(work.copy_us, (micros(incident.start), micros(incident.end)))
        rows = np.flatnonzero(window)
        if not len(rows):
            continue
        event_us = None if work.event_us is None else work.event_us[work.copy_rows]
        outcome = work.run(
            kind,
            rows,
            columns=incident.columns,
            size=incident.size,
            options=work.plan.rates[incident.id].options,
            path=(incident.id, "copies"),
            incident=incident,
            times=(event_us, work.copy_us),
        )
        for change in outcome.changes:
            _move_copies(work, kind, incident, change)


def _move_copies(work: Work, kind: DefectKind, incident: Incident, change: CellChange) -> None:
    if change.column != work.table.loaded_at or work.copy_us is None:
        return
    original = work.copy_us[change.rows]
    work.copy_us[change.rows] = times_us(change.values)
    work.tally.note(
        rows=change.rows + work.clean.num_rows,
        clean_rows=work.copy_rows[change.rows],
        column=change.column,
        kind=kind.name,
        subkind=change.subkind,
        incident_id=incident.id,
        original=instants(original),
    )

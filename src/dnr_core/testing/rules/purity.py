"""Room: testing. Rules for how archetypes are made: purity, parents, rates, figures (ARC009 to ARC012)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import asdict, evolve

from dnr_core.errors import DnrError
from dnr_core.model import (
    Company,
    DefectProfile,
    DefectRate,
    Family,
    ForeignKey,
    GuardrailResult,
    Table,
)
from dnr_core.synth.draw import generator
from dnr_core.testing.property import first_found
from dnr_core.testing.rule import NotTriedError, Problem, rule
from dnr_core.testing.trials import ArchetypeTrial

MOST_CHUNKS: Final = 6
"""So many chunks of a family are made again: its first, its last, and some between."""

OTHER_PROCESS_SECONDS: Final = 120


def digest(made: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a chunk's tables, whatever lies under their nulls and codes."""
    whole = hashlib.sha256()
    for name in sorted(made):
        rows = made[name]
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        columns = [
            column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
            for column in table.columns
        ]
        file = io.BytesIO()
        pq.write_table(pa.Table.from_arrays(columns, names=table.column_names), file)
        whole.update(f"{name}\n".encode())
        whole.update(file.getvalue())
    return whole.hexdigest()


def some_chunks(family: Family, company: Company) -> list[int]:
    """Return which chunks of a family are made again."""
    count = family.chunks(company)
    if count <= MOST_CHUNKS:
        return list(range(count))
    return sorted({round(n * (count - 1) / (MOST_CHUNKS - 1)) for n in range(MOST_CHUNKS)})


def digests(families: tuple[Family, ...], company: Company) -> dict[str, str]:
    """Return the digest of some chunks of each family, by `family/chunk`, last one first."""
    found = {}
    for family in reversed(families):
        for chunk in reversed(some_chunks(family, company)):
            found[f"{family.name}/{chunk}"] = digest(family.generate(company, chunk))
    return found


@rule(
    "ARC009",
    "archetype",
    "must",
    "A chunk is a pure function",
    why="Threads, executors and runs that go on after a kill make chunks in any order and place, and must get the same rows.",
    mend="draw from `synth.stream_of(company, table, column)` by the row's id; use no clock, file, global, `hash()` or generator kept between calls",
    after="ARC006",
)
def chunks_are_pure(trial: ArchetypeTrial) -> Iterator[Problem]:
    """The same chunk twice, in the other order, and in another process."""
    families, company = trial.synthesis.families, trial.plan.company
    first = {}
    for family in families:
        for chunk in some_chunks(family, company):
            first[f"{family.name}/{chunk}"] = digest(family.generate(company, chunk))
    again = digests(families, company)
    changed = [name for name in first if first[name] != again[name]]
    for name in changed:
        yield Problem(f"chunk {name}", "made again, after others, it has other rows")
    path = trial.subject.synthesis
    if changed or not isinstance(path, str):
        return
    elsewhere = _elsewhere(path, company)
    for name, own in first.items():
        if own != elsewhere.get(name):
            yield Problem(f"chunk {name}", "made in another process, it has other rows")


def _elsewhere(path: str, company: Company) -> dict[str, str]:
    """Make the chunks in a fresh interpreter with another hash seed, time zone and folder."""
    told = {**asdict(company), "as_of": company.as_of.isoformat()}
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        "PYTHONHASHSEED": "271828",
        "TZ": "Asia/Tokyo",
    }
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "dnr_core.testing.elsewhere", path, json.dumps(told)],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=environ,
            timeout=OTHER_PROCESS_SECONDS,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise NotTriedError(f"another process could not make it: {lines[-1]}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


@rule(
    "ARC010",
    "archetype",
    "must",
    "Seeds make other companies of the same kind",
    why="A benchmark over many seeds is worth nothing where all of them give the same rows, or some cannot be made.",
    mend="take the company's seed into every draw (`synth.stream_of(company, ...)`)",
    after="ARC009",
)
def seeds_differ(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Another seed gives other rows; a seed of 63 bits, and months of 28 to 31 days, can be made."""
    plan = trial.plan
    for family in trial.synthesis.families:
        own = digest(family.generate(plan.company, 0))
        for seed in (0, (1 << 63) - 1):
            other = evolve(plan.company, seed=seed)
            try:
                made = digest(family.generate(other, 0))
            except Exception as error:
                yield Problem(
                    f"family {family.name}", f"seed {seed}: {type(error).__name__}: {error}"
                )
                continue
            facts = [t for t in family.tables if trial.subject.schema[t].kind == "fact"]
            if made == own and facts:
                yield Problem(
                    f"family {family.name}",
                    f"seed {seed} gives the rows of seed {plan.company.seed}",
                )


@rule(
    "ARC011",
    "archetype",
    "must",
    "Parents answer for their keys",
    why="Orphans are made of ids that exist nowhere, and of parents that came later; a wrong answer breaks their rate.",
    mend="give `Synthesis.parents` an entry a parent (`synth.parent` makes one), whose `missing` ids are in no row and whose `later` ids came after the event",
    after="ARC006",
)
def parents_answer(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Missing ids are missing, and later parents exist and came later."""
    for table in trial.subject.schema.facts:
        for key in table.foreign_keys:
            if len(key.columns) == 1:
                yield from _parent(trial, table, key)


def _parent(trial: ArchetypeTrial, table: Table, key: ForeignKey) -> Iterator[Problem]:
    where = f"parent {key.to}"
    parent = trial.synthesis.parents.get(key.to)
    if parent is None:
        yield Problem(where, f"{table.name}.{key.label} points to it, and it has no `Parent`")
        return
    company, rng = trial.plan.company, generator(7, "kit", key.to)
    own = trial.rows[key.to]
    ids = own.column(key.to_columns[0]).combine_chunks()
    missing = pa.array(np.asarray(parent.missing(company, 64, rng))).cast(ids.type)
    if len(missing) != 64:
        yield Problem(where, f"`missing` gave {len(missing)} ids, where 64 were asked for")
    there = pc.sum(pc.is_in(missing, value_set=ids)).as_py() or 0
    if there:
        yield Problem(where, f"{there} of 64 ids that `missing` gave are in its table")
    event = table.event_time
    if parent.later is None or key.parent_time is None or event is None or event.through:
        return
    times = pc.coalesce(*(trial.rows[table.name].column(c) for c in event.columns)).drop_null()
    instants = times.combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False)[:512]
    if not len(instants):
        return
    keys, found = parent.later(company, instants, rng)
    chosen = pa.array(np.asarray(keys)[np.asarray(found)]).cast(ids.type)
    place = pc.index_in(chosen, value_set=ids)
    if place.null_count:
        yield Problem(where, f"{place.null_count} ids that `later` gave are not in its table")
        return
    since = own.column(key.parent_time).combine_chunks().take(place).cast(pa.int64())
    early = int((since.to_numpy(zero_copy_only=False) <= instants[np.asarray(found)]).sum())
    if early:
        yield Problem(where, f"{early} ids that `later` gave had come by the time of the event")


@rule(
    "ARC012",
    "archetype",
    "must",
    "Rates are what a stranger's SQL measures",
    why="Calibrated defects are what dnr is for: on any mix of rates, sizes and seeds the finished files must show them.",
    mend="look at keys, parents and business keys of the table: rows of one chunk must be independent of how many there are",
    after=("ARC007", "ARC009", "ARC011"),
)
def rates_hold(trial: ArchetypeTrial) -> Iterator[Problem]:
    """A property over drawn rates, seeds and sizes, all kinds with a metric at once."""
    kinds = [
        kind
        for kind in trial.workshop.catalogue.defect_kinds.values()
        if kind.metric is not None and not kind.dated
    ]
    if not kinds:
        raise NotTriedError("no defect kind with a metric is installed")
    if not trial.subject.schema.facts:
        raise NotTriedError("it has no fact table")
    usual = trial.workshop.scale_for(trial.subject)

    def mixes(st: Any) -> Any:
        shares = st.fixed_dictionaries({k.name: st.integers(60, 120) for k in kinds})
        return st.tuples(shares, st.integers(0, 1 << 31), st.sampled_from((0.5, 1.0)))

    def holds(example: tuple[Mapping[str, int], int, float]) -> Problem | None:
        permille, seed, size = example
        rates = tuple(DefectRate(name, share / 1000) for name, share in permille.items())
        profile = DefectProfile("kit_mix", "A mix", rates=rates)
        told = f"with {', '.join(f'{n} {s / 10:g} %' for n, s in permille.items())}, seed {seed}"
        try:
            made = trial.workshop.broken(
                trial.subject, profile, seed=seed, scale=round(usual * size, 5)
            )
        except DnrError as error:
            return Problem("synthesis", f"{told}: {error}")
        return off_target(made.manifest.extra["calibration"], told, _slack(trial))

    yield from first_found(mixes, holds, trial.workshop.examples)


def _slack(trial: ArchetypeTrial) -> int:
    """Rows by which a rate may be off: each chunk rounds up or down at random, which adds up slowly."""
    return 6 + isqrt(max(trial.plan.chunks.values()))


def off_target(calibration: list[dict[str, Any]], told: str, slack_rows: int) -> Problem | None:
    """Return the first rate of a finished company that is not the one that was asked for."""
    for entry in calibration:
        target, rows = entry["target"], entry["denominator"]
        if target is None or not rows or entry["dated_rows"]:
            continue
        wanted = target * rows
        if abs(entry["numerator"] - wanted) > slack_rows:
            return Problem(
                f"table {entry['table']}, {entry['metric']}",
                f"{entry['numerator']:,} of {rows:,} rows {told}, where {wanted:,.0f} were asked for",
            )
    return None


@rule(
    "ARC017",
    "archetype",
    "must",
    "Figures and guardrails can be measured",
    why="A KPI without a value shows nothing, and a guardrail that raises ends the report.",
    mend="mend the expression: a KPI is an Ibis table `(month, value)`, a guardrail returns a `GuardrailResult` whose checks have name, measured, limit and passed",
    after=("ARC002", "ARC007"),
)
def figures_are_measured(trial: ArchetypeTrial) -> Iterator[Problem]:
    """KPIs give months, guardrails give checks."""
    if not trial.subject.kpis and not trial.subject.guardrails:
        return
    _ = trial.synthesis
    from dnr_core.api.look import measure_health

    made = trial.workshop.broken(trial.subject, DefectProfile("kit_none", "No defect"))
    context = trial.workshop.context(trial.subject)
    try:
        health = measure_health(made.path, archetype=trial.subject, context=context)
    except DnrError as error:
        yield Problem("figures", str(error))
        return
    shown = {figure.name for figure in health.kpis if figure.value is not None}
    why = {missing.metric: missing.reason for missing in health.not_measured}
    for kpi in trial.subject.kpis:
        if kpi.name not in shown:
            yield Problem(f"KPI {kpi.name}", why.get(kpi.name, "it has no value in any month"))
    for guardrail in trial.subject.guardrails:
        result = health.guardrails.get(guardrail.name)
        where = f"guardrail {guardrail.name}"
        if not isinstance(result, GuardrailResult):
            yield Problem(where, why.get(guardrail.name, f"it gave {type(result).__name__}"))
            continue
        for check in result.checks:
            lacking = sorted({"name", "measured", "limit", "passed"} - check.keys())
            if lacking:
                yield Problem(where, f"one of its checks lacks {', '.join(lacking)}")


@rule(
    "ARC018",
    "archetype",
    "should",
    "A chunk fits into memory at any scale",
    why="A chunk is the unit of memory: a worker holds one at a time, whatever the company's size.",
    mend="cut families into chunks of about 250,000 rows (`synth.events` and `synth.rows_by_id` do)",
    after="ARC009",
)
def chunks_are_small(trial: ArchetypeTrial) -> Iterator[Problem]:
    """No chunk of a family has many more rows at the scale `evaluation` than is good."""
    company = evolve(trial.plan.company, scale=1.0)
    volumes = trial.subject.volumes
    for family in trial.synthesis.families:
        chunks = max(1, family.chunks(company))
        largest = max((volumes.get(name, 0) for name in family.tables), default=0)
        if largest / chunks > LARGEST_CHUNK_ROWS:
            yield Problem(
                f"family {family.name}",
                f"{largest:,} rows lie in {chunks} chunks at the scale `evaluation`",
            )


LARGEST_CHUNK_ROWS: Final = 600_000
"""Twice of what chunks should have: the rule is for those that are not cut at all."""

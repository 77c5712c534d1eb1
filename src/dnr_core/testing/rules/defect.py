"""Room: testing. Rules for defect kinds: DEF001 and on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnr_core.errors import DnrError
from dnr_core.model import THEMES, DefectOutcome, DefectProfile, load
from dnr_core.model.health import Metric
from dnr_core.testing.property import first_found
from dnr_core.testing.rule import Problem, rule
from dnr_core.testing.rules.purity import off_target
from dnr_core.testing.trials import KindTrial, Step
from dnr_core.warehouse.mix import MOST_SHARE

LEAST_BROKEN: Final = 0.8
"""A dated kind breaks at least this share of the rows of its window."""

SLACK_ROWS: Final = 8
"""Rows by which a rate may be off: chunks round up or down at random."""

_METRICS: Final = frozenset(get_args(Metric))


@rule(
    "DEF001",
    "defect_kind",
    "must",
    "Theme, metric and stage are ones that dnr knows",
    why="A theme that nobody ranks or a metric that nobody measures hides the defect from every report.",
    mend=f"take a theme of dnr_core.model.THEMES, a metric of health or None, and remove rows only in dated kinds; no more than {MOST_SHARE:.0%} may be broken",
)
def words_are_known(trial: KindTrial) -> Iterator[Problem]:
    """Its theme, its metric, and a stage that fits."""
    kind = trial.subject
    where = f"defect kind {kind.name}"
    if kind.theme not in THEMES:
        yield Problem(where, f"its theme {kind.theme!r} is none of {', '.join(THEMES)}")
    if kind.metric is not None and kind.metric not in _METRICS:
        yield Problem(where, f"its metric {kind.metric!r} is none that health measures")
    if kind.stage == "removals" and not kind.dated:
        yield Problem(where, "it removes rows and is not dated")
    for option in kind.options or ():
        if not option.low <= option.default <= option.high:
            yield Problem(
                f"{where}, option {option.name}",
                f"its default {option.default:g} is not from {option.low:g} to {option.high:g}",
            )


@rule(
    "DEF002",
    "defect_kind",
    "must",
    "Every dotted path leads somewhere",
    why="A path is followed only when it is needed, so a slip of the finger would show in the middle of a run.",
    mend="write it as 'package.module:function', of something that can be imported",
)
def paths_resolve(trial: KindTrial) -> Iterator[Problem]:
    """What it applies, where, and what finds it."""
    kind = trial.subject
    for name, path in (("apply", kind.apply), ("targets", kind.targets), ("finds", kind.finds)):
        if path is None:
            continue
        try:
            found: Any = load(path)
        except Exception as error:
            yield Problem(name, f"{path!r} cannot be imported: {type(error).__name__}: {error}")
            continue
        if not callable(found):
            yield Problem(name, f"{path!r} is nothing that can be called")


@rule(
    "DEF003",
    "defect_kind",
    "must",
    "Targets are columns or keys of the table, and there are some",
    why="A kind that finds nothing to break does nothing wherever it is asked for, and says nothing.",
    mend="let `targets(schema, table)` return names of the table's columns, or labels of its foreign keys; give the contract class an archetype that has some",
    after="DEF002",
)
def targets_exist(trial: KindTrial) -> Iterator[Problem]:
    """What it can break on the archetypes that it is tried on."""
    kind, some = trial.subject, False
    for archetype in trial.candidates:
        for table in archetype.schema.tables:
            known = {*table.column_names, *(key.label for key in table.foreign_keys)}
            try:
                found = trial.places(archetype).get(table.name, ())
            except Exception as error:
                yield Problem(
                    f"targets on {archetype.name}.{table.name}", f"{type(error).__name__}: {error}"
                )
                return
            some = some or bool(found)
            for name in found:
                if name not in known:
                    yield Problem(
                        f"targets on {archetype.name}.{table.name}", f"there is no {name!r}"
                    )
                    return
    if not some:
        names = ", ".join(archetype.name for archetype in trial.candidates)
        yield Problem(f"defect kind {kind.name}", f"it finds nothing to break on {names}")


@rule(
    "DEF004",
    "defect_kind",
    "must",
    "It breaks what it is given, and nothing else",
    why="Rates of all kinds hold together only because each kind keeps to the rows that were dealt to it.",
    mend="change only `task.rows`, in columns of the table, with values of the column's type, and return a `DefectOutcome`",
    after="DEF003",
)
def keeps_to_its_rows(trial: KindTrial) -> Iterator[Problem]:
    """Rows, columns and types, as the engine checks them."""
    try:
        steps = trial.steps
    except DnrError as error:
        yield Problem(f"defect kind {trial.subject.name} on {trial.company.name}", str(error))
        return
    if not steps:
        yield Problem(
            f"defect kind {trial.subject.name} on {trial.company.name}", "it was never called"
        )


@rule(
    "DEF005",
    "defect_kind",
    "must",
    "It is a pure function of its task",
    why="Chunks are broken on any worker, in any order, and again after a kill: the bytes must be the same.",
    mend="draw from `task.rng` only, keep nothing between calls but what `task.shared` is for, and change no array in place",
    after="DEF004",
)
def is_pure(trial: KindTrial) -> Iterator[Problem]:
    """The same tasks, last chunk first, give the same outcome and leave what they got as it was."""
    first = trial.steps
    again = trial.run(backwards=True)
    where = f"defect kind {trial.subject.name} on {trial.company.name}"
    if len(first) != len(again):
        yield Problem(where, f"it was called {len(first)} times, then {len(again)} times")
        return
    for one, two in zip(first, again, strict=True):
        chunk = f"{one.task.table.name}, chunk {one.task.chunk}"
        if not one.task.clean.equals(two.task.clean) or not np.array_equal(
            one.task.rows, two.task.rows
        ):
            yield Problem(f"{where}, {chunk}", "it changed what it was given")
            return
        if _told(one.outcome) != _told(two.outcome):
            yield Problem(f"{where}, {chunk}", "the same task gave another outcome")
            return


def _told(outcome: DefectOutcome) -> list[Any]:
    told: list[Any] = [
        (c.column, c.label, c.subkind, c.rows.tolist(), c.values.to_pylist())
        for c in outcome.changes
    ]
    told += [(c.subkind, c.rows.tolist(), c.delay_us.tolist()) for c in outcome.copies]
    told += [(r.subkind, r.rows.tolist()) for r in outcome.removals]
    return told


@rule(
    "DEF006",
    "defect_kind",
    "must",
    "What it reports is what it did",
    why="The ledger is the truth that tools are scored against: a cell in it that is as it was makes a sound row count as broken.",
    mend="leave out cells whose new value is the old one, or choose another value; name each cell once",
    after="DEF005",
)
def ledger_is_true(trial: KindTrial) -> Iterator[Problem]:
    """Each reported cell differs from the clean one, and comes once."""
    for step in trial.steps:
        where = f"{step.task.table.name}, chunk {step.task.chunk}"
        for change in step.outcome.changes:
            rows = np.asarray(change.rows)
            if len(np.unique(rows)) < len(rows):
                yield Problem(f"{where}, column {change.column}", "a row is named twice")
                return
            same = _unchanged(step, change.column, rows, change.values)
            if same:
                yield Problem(
                    f"{where}, column {change.column}",
                    f"{same} of {len(rows)} reported cells have their old value",
                )
                return


def _unchanged(step: Step, column: str, rows: Any, values: pa.Array) -> int:
    if column == step.task.table.loaded_at:
        # Load times are moved by the base lag and by kinds before this one; the engine keeps them.
        return 0
    old = step.task.clean.column(column).take(pa.array(rows)).combine_chunks()
    if pa.types.is_dictionary(old.type):
        old = old.cast(pa.string())
    values = values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
    same = pc.fill_null(pc.equal(old, values.cast(old.type)), False)
    both = pc.and_(pc.is_null(old), pc.is_null(values))
    return int(pc.sum(pc.or_(same, both)).as_py() or 0)


@rule(
    "DEF007",
    "defect_kind",
    "must",
    "Its rate is what a stranger's SQL measures",
    why="Calibrated defects are what dnr is for: the share that a profile asks for must be there in the finished files.",
    mend="break every row of `task.rows`, so that its metric (or `finds`) sees each of them once",
    after="DEF006",
)
def rate_holds(trial: KindTrial) -> Iterator[Problem]:
    """A property over drawn shares and seeds; dated kinds break the rows of their window."""
    if trial.subject.dated:
        yield from _window_is_broken(trial)
        return

    def drawn(st: Any) -> Any:
        return st.tuples(st.integers(60, 250), st.integers(0, 1 << 31))

    def holds(example: tuple[int, int]) -> Problem | None:
        permille, seed = example
        profile = trial.profile(permille / 1000)
        told = f"with a share of {permille / 10:g} %, seed {seed}"
        try:
            made = trial.workshop.broken(
                trial.company,
                profile,
                kinds=(trial.subject,),
                seed=seed,
            )
        except DnrError as error:
            return Problem(f"defect kind {trial.subject.name}", f"{told}: {error}")
        extra = made.manifest.extra
        entries = extra["calibration"]
        found = off_target(entries, told, SLACK_ROWS)
        if found is None and trial.subject.finds is None and trial.subject.metric is None:
            return _by_ledger(made.meta, extra["rows"], profile, told)
        return found

    yield from first_found(drawn, holds, trial.workshop.examples)


def _by_ledger(
    meta: Any, rows: Mapping[str, int], profile: DefectProfile, told: str
) -> Problem | None:
    """No metric and no query sees it: then the ledger is all there is."""
    import pyarrow.parquet as pq

    ledger = pq.read_table(meta / "ledger.parquet", columns=["table", "part", "row"])
    for rate in profile.rates:
        (name,) = rate.tables
        own = ledger.filter(pc.equal(ledger["table"], name))
        broken = own.group_by(["part", "row"]).aggregate([]).num_rows
        wanted = rate.share * rows[name]
        if abs(broken - wanted) > SLACK_ROWS:
            what = f"{broken:,} of {rows[name]:,} rows {told}, where {wanted:,.0f} were asked for"
            return Problem(f"table {name}", what)
    return None


def _window_is_broken(trial: KindTrial) -> Iterator[Problem]:
    for step in trial.steps:
        given, done = len(step.task.rows), _touched(step)
        # Some rows may look the same afterwards, such as stock that did not change since yesterday.
        if done < given * LEAST_BROKEN:
            yield Problem(
                f"{step.task.table.name}, chunk {step.task.chunk}",
                f"{given - done:,} of {given:,} rows that it was given are as they were",
            )
            return


def _touched(step: Step) -> int:
    outcome = step.outcome
    pieces = [np.asarray(c.rows) for c in outcome.changes]
    pieces += [np.asarray(c.rows) for c in outcome.copies]
    pieces += [np.asarray(r.rows) for r in outcome.removals]
    return len(np.unique(np.concatenate(pieces))) if pieces else 0


@rule(
    "DEF008",
    "defect_kind",
    "should",
    "It can be found in finished files",
    why="A defect that neither a metric nor a query finds cannot be told from a sound row, so no report and no check can know of it.",
    mend="name the `metric` that sees it, or ship `finds`, an Ibis expression of its rows",
    after="DEF002",
)
def can_be_found(trial: KindTrial) -> Iterator[Problem]:
    """A metric or a query of its own."""
    if trial.subject.metric is None and trial.subject.finds is None:
        yield Problem(f"defect kind {trial.subject.name}", "no metric and no query finds it")


@rule(
    "DEF009",
    "defect_kind",
    "should",
    "It says what it takes",
    why="Without it a profile file may give any option and any size, and a slip of the finger is not told.",
    mend="declare `options` (an empty tuple where it takes none), and `size` of a dated kind",
)
def says_what_it_takes(trial: KindTrial) -> Iterator[Problem]:
    """Its options, and the size of its incidents."""
    kind = trial.subject
    if kind.options is None:
        yield Problem(f"defect kind {kind.name}", "it does not say which options it takes")
    if kind.dated and kind.size is None:
        yield Problem(f"defect kind {kind.name}", "it does not say which sizes its incidents have")

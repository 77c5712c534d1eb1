"""Room: testing. Rules for archetypes: ARC001 and on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from dnr_core.errors import DnrError
from dnr_core.model import Schema, Synthesis, load
from dnr_core.synth import ARROW_TYPES
from dnr_core.testing.rule import NotTriedError, Problem, rule
from dnr_core.testing.trials import ArchetypeTrial

SLOTS: Final = ("dashboard", "report", "team", "metric", "source_system")
"""What made talk asks an archetype's vocabulary for most."""

MOST_ROWS: Final = 300_000


def _repeated(names: Iterator[str] | tuple[str, ...]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


@rule(
    "ARC001",
    "archetype",
    "must",
    "Every name resolves",
    why="A key, a stream or a volume that names a table or column that is not there fails in the middle of a run.",
    mend="correct the name, or declare the table or column",
)
def names_resolve(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Tables and columns that keys, times, streams, volumes and fixed tables name."""
    archetype = trial.subject
    for sentence in archetype.problems():
        yield Problem("schema", sentence)
    for name in archetype.fixed_tables:
        if name not in archetype.schema:
            yield Problem("fixed_tables", f"there is no table {name!r}")
    yield from _times(archetype.schema)


def _times(schema: Schema) -> Iterator[Problem]:
    for table in schema.tables:
        event = table.event_time
        if event is None or event.through is None or event.through not in schema:
            continue
        for name in event.columns:
            if name not in schema[event.through].column_names:
                yield Problem(
                    f"event time of {table.name}", f"{event.through!r} has no column {name!r}"
                )


@rule(
    "ARC002",
    "archetype",
    "must",
    "Every dotted path leads somewhere",
    why="A path is followed only when it is needed, so a slip of the finger would show in the middle of a run.",
    mend="write it as 'package.module:attribute', of something that can be imported",
)
def paths_resolve(trial: ArchetypeTrial) -> Iterator[Problem]:
    """The synthesis, and what KPIs and guardrails call."""
    archetype = trial.subject
    told = [(f"KPI {kpi.name}", kpi.expression) for kpi in archetype.kpis]
    told += [(f"guardrail {g.name}", g.measure) for g in archetype.guardrails]
    for where, path in told:
        try:
            if not callable(load(path)):
                yield Problem(where, f"{path!r} is nothing that can be called")
        except Exception as error:
            # An author's module may raise anything when it is imported.
            yield Problem(where, f"{path!r} cannot be imported: {type(error).__name__}: {error}")
    if archetype.synthesis is None:
        return
    try:
        if not isinstance(load(archetype.synthesis), Synthesis):
            yield Problem("synthesis", f"{archetype.synthesis!r} is no dnr_core.model.Synthesis")
    except Exception as error:
        # Here, too.
        yield Problem(
            "synthesis",
            f"{archetype.synthesis!r} cannot be imported: {type(error).__name__}: {error}",
        )


@rule(
    "ARC003",
    "archetype",
    "must",
    "Names are unique",
    why="Of two columns, streams or figures of one name, people and code would mean either.",
    mend="rename one of them",
)
def names_are_unique(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Tables, columns of a table, streams, KPIs, guardrails."""
    archetype = trial.subject
    groups = {
        "tables": archetype.schema.names,
        "streams": tuple(stream.name for stream in archetype.streams),
        "KPIs": tuple(kpi.name for kpi in archetype.kpis),
        "guardrails": tuple(guardrail.name for guardrail in archetype.guardrails),
        **{f"columns of {t.name}": t.column_names for t in archetype.schema.tables},
    }
    for where, names in groups.items():
        for name in _repeated(names):
            yield Problem(where, f"{name!r} comes more than once")


@rule(
    "ARC004",
    "archetype",
    "must",
    "Keys point to a key of their type",
    why="Orphans are found by joining a key to its parent; joined to anything but the parent's own key the rates mean nothing.",
    mend="point `to_columns` to the parent's primary or business key, with the same types",
    after=("ARC001", "ARC003"),
)
def keys_fit(trial: ArchetypeTrial) -> Iterator[Problem]:
    """What a foreign key names is the key of its parent, and of the same type."""
    schema = trial.subject.schema
    for table in schema.tables:
        for key in table.foreign_keys:
            parent = schema[key.to]
            where = f"foreign key {table.name}.{key.label}"
            if set(key.to_columns) not in (set(parent.primary_key), set(parent.business_key)):
                yield Problem(where, f"{', '.join(key.to_columns)} is no key of {key.to}")
            for mine, theirs in zip(key.columns, key.to_columns, strict=True):
                own, other = table.column(mine).type, parent.column(theirs).type
                if own != other:
                    yield Problem(where, f"{mine} is {own}, but {key.to}.{theirs} is {other}")


@rule(
    "ARC005",
    "archetype",
    "must",
    "Each table is made by one family",
    why="A table that no family makes stays empty, and one that two make has each row twice.",
    mend="name every table in exactly one `Family.tables`, with a type that can be made",
    after=("ARC001", "ARC002", "ARC003"),
)
def families_cover(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Families and tables, one to one or one to many."""
    made = [name for family in trial.synthesis.families for name in family.tables]
    for name in _repeated(tuple(made)):
        yield Problem(f"table {name}", "more than one family makes it")
    for name in _repeated(tuple(family.name for family in trial.synthesis.families)):
        yield Problem(f"family {name}", "another family has its name")
    schema = trial.subject.schema
    for name in sorted(set(made) - set(schema.names)):
        yield Problem(f"table {name}", "a family makes it, but the schema does not declare it")
    for table in schema.tables:
        if table.name not in made:
            yield Problem(f"table {table.name}", "no family makes it")
        for column in table.columns:
            if column.type not in ARROW_TYPES:
                yield Problem(
                    f"column {table.name}.{column.name}", f"nothing can be made of {column.type!r}"
                )


@rule(
    "ARC006",
    "archetype",
    "must",
    "A chunk is what the schema declares",
    why="Writers, defects and repair rely on the declared columns, types and keys, and on rows that load when they happen.",
    mend="return a record batch with the declared columns (dnr_core.synth.record_batch does), no null in a required one, and load times equal to event times",
    after=("ARC004", "ARC005"),
)
def chunks_are_as_declared(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Columns, types, nulls and load times of every chunk of a small company."""
    try:
        rows = trial.rows
    except DnrError as error:
        yield Problem("synthesis", str(error))
        return
    for table in trial.subject.schema.tables:
        made = rows.get(table.name)
        if made is None or not made.num_rows:
            yield Problem(f"table {table.name}", "not one row was made")
            continue
        for name in table.business_key:
            nulls = made.column(name).null_count
            if nulls:
                yield Problem(f"column {table.name}.{name}", f"{nulls} nulls in a key")
        for column in table.columns:
            strange = _strange(made.column(column.name), column.values)
            if strange:
                yield Problem(
                    f"column {table.name}.{column.name}",
                    f"{strange[0]!r} is none of its declared values",
                )


def _strange(values: object, allowed: tuple[str, ...]) -> list[str]:
    import pyarrow.compute as pc

    if not allowed:
        return []
    seen = {str(value) for value in pc.unique(values).to_pylist() if value is not None}
    return sorted(seen - set(allowed))


@rule(
    "ARC007",
    "archetype",
    "must",
    "A clean company has no violation",
    why="Defects are put into a clean company at known rates; what is broken before would be counted with them.",
    mend="draw parents from those that existed by then (`existing`), and give each row a key of its own",
    after="ARC006",
)
def clean_is_clean(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Null keys, orphans, parents that came later, duplicates and lag, counted by SQL."""
    _ = trial.rows
    words = {
        "key_null": "rows with a null key",
        "duplicate": "rows whose business key came before",
        "fk_missing": "rows whose parent does not exist",
        "fk_temporal": "rows whose parent came later than they did",
        "lag_p95_minutes": "minutes of lag",
    }
    for (table, metric, column), count in trial.workshop.violations(trial.subject).items():
        of_keys = metric in {"key_null", "fk_missing", "fk_temporal"}
        if metric not in words or of_keys != bool(column):
            continue
        where = f"table {table}" + (f", key {column}" if column else "")
        yield Problem(where, f"{count:,} {words[metric]}")


@rule(
    "ARC008",
    "archetype",
    "must",
    "Volumes are as declared",
    why="Disk, chunks, incidents and the volume check are planned from the declared volumes.",
    mend="correct `volumes` (rows at the scale `evaluation`, 18 months), or list the table in `fixed_tables`",
    after="ARC006",
)
def volumes_hold(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Rows within a tenth of the volumes, or four standard deviations where that is more."""
    _ = trial.synthesis
    wanted = trial.workshop.expected(trial.subject)
    for table in trial.subject.schema.tables:
        if table.name not in wanted:
            yield Problem(f"table {table.name}", "it has no volume")
            continue
        rows, told = trial.rows[table.name].num_rows, wanted[table.name]
        fixed = table.name in trial.subject.fixed_tables
        slack = 0.0 if fixed else max(told * 0.1, 4 * told**0.5)
        if abs(rows - told) > slack:
            what = (
                f"{rows:,} rows at scale {trial.plan.company.scale:g}, where {told:,} are declared"
            )
            yield Problem(f"table {table.name}", what)


@rule(
    "ARC013",
    "archetype",
    "must",
    "The vocabulary covers the tables",
    why="Made talk says everyday names, and demand finds the tables by them: a table without one is never heard of.",
    mend="give each table a `title` or `aliases` (what people call it, plural), unlike those of any other table",
    after="ARC001",
)
def vocabulary_covers_tables(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Each table has an everyday name, and no two have the same."""
    seen: dict[str, str] = {}
    for table in trial.subject.schema.tables:
        technical = table.name.replace("_", " ").lower()
        names = {" ".join(name.lower().split()): name for name in (table.title, *table.aliases)}
        if "" in names:
            yield Problem(f"table {table.name}", "one of its names is empty")
        elif set(names) == {technical} and "_" in table.name:
            yield Problem(f"table {table.name}", "people have no name for it")
        for said, name in names.items():
            if said and seen.setdefault(said, table.name) != table.name:
                yield Problem(f"table {table.name}", f"{seen[said]} is also called {name!r}")


@rule(
    "ARC014",
    "archetype",
    "should",
    "People have words for what they work with",
    why="Without its own dashboards, reports and teams, a company's talk sounds like everyone's.",
    mend=f"fill the slots {', '.join(SLOTS)} of `vocabulary` with at least two wordings each",
)
def slots_are_filled(trial: ArchetypeTrial) -> Iterator[Problem]:
    """The slots of made talk."""
    if trial.subject.synthesis is None:
        raise NotTriedError("it describes a real company, whose talk is not made")
    for slot in SLOTS:
        if len(set(trial.subject.vocabulary.get(slot, ()))) < 2:
            yield Problem(f"vocabulary, slot {slot}", "it has less than two wordings")


@rule(
    "ARC015",
    "archetype",
    "should",
    "Keys and money have everyday names",
    why="People complain about columns by the names they use: 'the order number', not order_id.",
    mend="give the column `aliases`",
    after="ARC001",
)
def columns_are_named(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Columns of foreign keys, event times and money."""
    schema = trial.subject.schema
    for table in schema.facts:
        used = [column for key in table.foreign_keys for column in key.columns]
        for stream in trial.subject.streams:
            used += stream.amount.product_of if stream.table == table.name else ()
        for name in dict.fromkeys(used):
            if not table.column(name).aliases:
                yield Problem(f"column {table.name}.{name}", "people have no name for it")


@rule(
    "ARC016",
    "archetype",
    "should",
    "There is money, and a time for each fact",
    why="Without a revenue stream needs are ranked by rows, and a fact without a time has no days and no lag.",
    mend="declare a `RevenueStream`, and `event_time` of each fact",
    after="ARC001",
)
def money_and_time(trial: ArchetypeTrial) -> Iterator[Problem]:
    """Revenue streams, event times."""
    if not trial.subject.revenue_streams:
        yield Problem("streams", "no stream is revenue")
    for table in trial.subject.schema.facts:
        if table.event_time is None:
            yield Problem(f"table {table.name}", "it is a fact without an event time")

"""Room: health. Each row of a table becomes a day, a set of marks and its money, in one read.

A mark is a bit: this key is null, this key finds no parent, this row came late. Counting rows
and summing money by local day and set of marks gives every share of the table at once, and the
union of several without counting a row twice. Foreign keys meet distinct parent keys in left
joins, which every backend does well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import field, frozen

from dnr_core.health.connect import Warehouse, family_of
from dnr_core.health.local_time import PLAUSIBLE_FROM, PLAUSIBLE_TO, LocalClock
from dnr_core.health.money import (
    MICRO,
    Purse,
    Reach,
    is_whole,
    linked_streams,
    own_streams,
    row_amount,
    unit_of,
)
from dnr_core.health.once import once
from dnr_core.model.archetype import RevenueStream
from dnr_core.model.health import NotMeasured
from dnr_core.model.schema import ForeignKey, Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

BITS: Final = 60
"""Marks in one integer column; a table with more has several such columns."""


@frozen
class Mark:
    """`kind` on `label`: a column, a foreign key's label, a stream's name, or ""."""

    kind: str
    label: str = ""


@frozen
class Layout:
    """The marks of a table in the order of their bits."""

    marks: tuple[Mark, ...]

    @property
    def words(self) -> int:
        """How many integer columns hold them."""
        return max(1, -(-len(self.marks) // BITS))

    def bit(self, kind: str, label: str = "") -> int:
        """The mark as an integer with one bit set; 0 where the table has no such mark."""
        try:
            return 1 << self.marks.index(Mark(kind, label))
        except ValueError:
            return 0

    def bits(self, kind: str, labels: tuple[str, ...]) -> int:
        """The marks of a kind on several labels."""
        found = 0
        for label in labels:
            found |= self.bit(kind, label)
        return found


@frozen
class Frame:
    """A table ready to be counted.

    `rows` has `day`, `marks_0` ..., `amount_0` ... (integers, one a stream of `purse`),
    `event_s`, `loaded_s`, `lag_s` (seconds, null where unknown) and `key_0` ... (the business
    key). `keys` are the foreign keys that can be judged.
    """

    table: Table
    layout: Layout
    rows: ir.Table
    purse: Purse
    keys: tuple[ForeignKey, ...]
    has_event: bool
    has_lag: bool
    not_measured: tuple[NotMeasured, ...] = field(converter=tuple)

    @property
    def mark_columns(self) -> tuple[str, ...]:
        """Names of the integer columns that hold the marks."""
        return tuple(f"marks_{word}" for word in range(self.layout.words))

    @property
    def amount_columns(self) -> tuple[str, ...]:
        """Names of the integer columns that hold the money."""
        return tuple(f"amount_{place}" for place in range(len(self.purse.reaches)))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold the business key."""
        return tuple(f"key_{place}" for place in range(len(self.table.business_key)))

    @property
    def ordering(self) -> tuple[str, ...]:
        """By which columns the first of several copies is chosen, the most telling one first."""
        return ("loaded_s", "day", *self.mark_columns, *self.amount_columns)


@frozen
class Timed:
    """A table with its times in seconds and its local day; `parents` says which joins are made."""

    rows: ir.Table
    parents: frozenset[str]
    has_event: bool
    has_lag: bool
    date_only: bool
    not_measured: tuple[NotMeasured, ...]


def event_columns(table: Table) -> tuple[str, ...]:
    """The columns that say when a row of the table itself happened."""
    if table.event_time and not table.event_time.through:
        return table.event_time.columns
    if table.event_time is None and table.created_at:
        return (table.created_at,)
    return ()


def first_of(table: ir.Table, columns: tuple[str, ...]) -> Any:
    """The first value of the columns that is not null."""
    return ibis.coalesce(*(table[name] for name in columns))


def parent_keys(
    warehouse: Warehouse, key: ForeignKey, events: tuple[str, ...], clock: LocalClock
) -> ir.Table:
    """Return the distinct keys of a parent, with `since_s`, and `event_s` of the columns `events`."""
    parent = warehouse.table(key.to)
    columns: dict[str, Any] = {f"p_{i}": parent[c] for i, c in enumerate(key.to_columns)}
    if key.parent_time:
        columns["since_s"] = clock.seconds(parent[key.parent_time])
    if events:
        columns["happened_s"] = clock.seconds(first_of(parent, events))
    names = [f"p_{i}" for i in range(len(key.to_columns))]
    known = parent.select(**columns)
    known = known.filter(*(known[name].notnull() for name in names))
    # A parent that is there twice exists since the earlier of its times.
    earliest = {name: known[name].min() for name in ("since_s", "happened_s") if name in columns}
    distinct = known.group_by(names).agg(**earliest) if earliest else known.distinct()
    scratch = f"parent:{key.to}:{key.to_columns}:{key.parent_time}:{events}"
    return warehouse.scratch(scratch, distinct)


def _join(
    rows: ir.Table, keys: ir.Table, place: int, own: tuple[str, ...], wanted: dict[str, str]
) -> ir.Table:
    """Left join `rows` to distinct parent keys as columns `parent_{place}` and those wanted."""
    parent = keys.rename({f"j{place}_{name}": name for name in keys.columns})
    predicates = [rows[column] == parent[f"j{place}_p_{part}"] for part, column in enumerate(own)]
    joined = rows.left_join(parent, predicates)
    kept: dict[str, Any] = {name: joined[name] for name in rows.columns}
    kept[f"parent_{place}"] = joined[f"j{place}_p_0"].notnull()
    kept |= {new: joined[f"j{place}_{old}"] for old, new in wanted.items()}
    return joined.select(**kept)


def judged_keys(
    warehouse: Warehouse, table: Table
) -> tuple[tuple[ForeignKey, ...], list[NotMeasured]]:
    """Split a table's foreign keys into those that can be judged and reasons for the others."""
    judged: list[ForeignKey] = []
    reasons: list[NotMeasured] = []
    for key in table.foreign_keys:
        if key.to not in warehouse:
            why = f"the table {key.to} it names is not there"
            reasons.append(NotMeasured(table.name, key.label, "fk_failure", why))
            continue
        mine, theirs = warehouse.table(table.name), warehouse.table(key.to)
        clash = next(
            (
                (own, other)
                for own, other in zip(key.columns, key.to_columns, strict=True)
                if not _comparable(mine[own].type(), theirs[other].type())
            ),
            None,
        )
        if clash:
            own, other = clash
            why = (
                f"{table.name}.{own} is {mine[own].type()} and {key.to}.{other} is "
                f"{theirs[other].type()}: such keys cannot be compared"
            )
            reasons.append(NotMeasured(table.name, key.label, "fk_failure", why))
            continue
        judged.append(key)
    return tuple(judged), reasons


def _comparable(one: Any, other: Any) -> bool:
    families = {family_of(one), family_of(other)}
    return len(families) == 1 or families == {"whole number", "number"}


def timed(warehouse: Warehouse, table: Table, clock: LocalClock, extra: dict[str, Any]) -> Timed:
    """Give a table `event_s`, `loaded_s`, `lag_s` and `day`, beside its own and `extra` columns."""
    source = warehouse.table(table.name)
    reasons: list[NotMeasured] = []
    columns: dict[str, Any] = {f"own_{c}": source[c] for c in _kept(table)} | extra
    own = event_columns(table)
    date_only = bool(own) and first_of(source, own).type().is_date()
    if own and date_only:
        columns["event_day"] = clock.day(first_of(source, own))
    elif own:
        columns["event_raw"] = clock.seconds(first_of(source, own))
    if table.loaded_at:
        columns["loaded_s"] = clock.seconds(source[table.loaded_at])
    rows = source.select(**columns)
    parents: frozenset[str] = frozenset()
    through = table.event_time.through if table.event_time else None
    if through and table.event_time:
        key = next(k for k in table.foreign_keys if k.to == through)
        judged, _ = judged_keys(warehouse, table)
        if key in judged:
            place = table.foreign_keys.index(key)
            wanted = {"happened_s": "event_raw"}
            wanted |= {"since_s": f"since_{place}"} if key.parent_time else {}
            known = parent_keys(warehouse, key, table.event_time.columns, clock)
            names = tuple(f"own_{c}" for c in key.columns)
            rows = _join(rows, known, place, names, wanted)
            parents = frozenset({key.label})
        else:
            reasons.append(
                NotMeasured(table.name, "", "late", f"its time lies in {through}, out of reach")
            )
    none = ibis.null("int64")
    raw = rows.event_raw if "event_raw" in rows.columns else none
    sound = raw.between(PLAUSIBLE_FROM, PLAUSIBLE_TO)
    rows = rows.mutate(
        event_s=ibis.ifelse(sound, raw, none),
        implausible=(raw.notnull() & ~sound).coalesce(ibis.literal(value=False)),
        loaded_s=_sound(rows.loaded_s) if table.loaded_at else none,
    )
    day = rows.event_day if date_only else clock.day_of_seconds(rows.event_s)
    if date_only:
        plausible = day.between(PLAUSIBLE_FROM // 86_400, PLAUSIBLE_TO // 86_400)
        rows = rows.mutate(implausible=(day.notnull() & ~plausible))
        day = ibis.ifelse(plausible, day, none)
    if through:
        # An item whose order is not found happened on the day on which it was loaded.
        day = ibis.coalesce(day, clock.day_of_seconds(rows.loaded_s))
    rows = rows.mutate(day=day, lag_s=rows.loaded_s - rows.event_s)
    has_event = bool(own) or bool(parents)
    has_lag = has_event and not date_only and table.loaded_at is not None
    if table.kind == "fact" and not has_lag and not reasons:
        why = _no_lag(table, date_only=date_only)
        reasons += [NotMeasured(table.name, "", m, why) for m in ("late", "lag_p95_minutes")]
    return Timed(rows, parents, has_event, has_lag, date_only, tuple(reasons))


def _sound(seconds: Any) -> Any:
    return ibis.ifelse(seconds.between(PLAUSIBLE_FROM, PLAUSIBLE_TO), seconds, ibis.null("int64"))


def _no_lag(table: Table, *, date_only: bool) -> str:
    if table.loaded_at is None:
        return "no load time on this table"
    return (
        "its events have a date and no time of day" if date_only else "no event time on this table"
    )


def _kept(table: Table) -> tuple[str, ...]:
    """The table's own columns that marks are made of."""
    keys = [column for key in table.foreign_keys for column in key.columns]
    return tuple(dict.fromkeys((*table.business_key, *keys)))


@frozen
class Judged:
    """A table's rows with each mark as a boolean expression on them."""

    rows: ir.Table
    terms: dict[Mark, Any]
    keys: tuple[ForeignKey, ...]
    base: Timed
    reaches: tuple[Reach, ...]
    late_seconds: int
    not_measured: tuple[NotMeasured, ...]


def judge(
    warehouse: Warehouse,
    table: Table,
    clock: LocalClock,
    late_minutes: float,
    *,
    with_money: bool = True,
    only: frozenset[str] | None = None,
) -> Judged:
    """Join a table to its parents and say of each row what is wrong with it.

    `only` names the foreign keys to judge, by label; None is all of them.
    """
    source = warehouse.table(table.name)
    own = own_streams(warehouse.archetype, table) if with_money else ()
    linked = [
        stream
        for stream in (linked_streams(warehouse.archetype, table) if with_money else ())
        if stream.table in warehouse
    ]
    extra = {f"amount_{place}": row_amount(source, stream) for place, stream in enumerate(own)}
    extra |= {f"link_{c}": source[c] for s in linked for c in s.keyed_by}
    base = timed(warehouse, table, clock, extra)
    rows = base.rows
    reaches = [Reach(stream, unit_of(source, stream), shared=False) for stream in own]
    judged, reasons = judged_keys(warehouse, table)
    judged = tuple(k for k in judged if only is None or k.label in only)
    for place, key in enumerate(table.foreign_keys):
        if key not in judged or key.label in base.parents:
            continue
        wanted = {"since_s": f"since_{place}"} if key.parent_time else {}
        known = parent_keys(warehouse, key, (), clock)
        rows = _join(rows, known, place, tuple(f"own_{c}" for c in key.columns), wanted)
    for place, stream in enumerate(linked, start=len(own)):
        shares, units = _shares(warehouse, table, stream)
        names = tuple(f"link_{c}" for c in stream.keyed_by)
        rows = _join(rows, shares, 100 + place, names, {"share": f"amount_{place}"})
        rows = rows.mutate(**{f"amount_{place}": rows[f"amount_{place}"].coalesce(0)})
        reaches.append(Reach(stream, units, shared=True))
    terms = _terms(table, rows, base, judged, late_minutes)
    for stream in linked:
        terms[Mark("unlinked", stream.name)] = _unlinked(table, rows, stream.keyed_by, judged)
    return Judged(
        rows,
        terms,
        judged,
        base,
        tuple(reaches),
        round(late_minutes * 60),
        (*base.not_measured, *reasons),
    )


def frame(
    warehouse: Warehouse,
    table: Table,
    clock: LocalClock,
    late_minutes: float,
    *,
    with_money: bool = True,
    only: frozenset[str] | None = None,
) -> Frame:
    """Prepare a table for counting; `late_minutes` is its limit of ingest lag."""
    judged = judge(warehouse, table, clock, late_minutes, with_money=with_money, only=only)
    layout = Layout(tuple(judged.terms))
    rows = judged.rows.mutate(**_words(list(judged.terms.values()), layout.words))
    kept = {name: rows[name] for name in ("day", "event_s", "loaded_s", "lag_s")}
    kept |= {f"marks_{word}": rows[f"marks_{word}"] for word in range(layout.words)}
    kept |= {f"amount_{place}": rows[f"amount_{place}"] for place in range(len(judged.reaches))}
    kept |= {f"key_{place}": rows[f"own_{c}"] for place, c in enumerate(table.business_key)}
    return Frame(
        table,
        layout,
        rows.select(**kept),
        Purse(judged.reaches),
        judged.keys,
        judged.base.has_event,
        judged.base.has_lag,
        judged.not_measured,
    )


def _terms(
    table: Table, rows: ir.Table, base: Timed, judged: tuple[ForeignKey, ...], late_minutes: float
) -> dict[Mark, Any]:
    terms: dict[Mark, Any] = {}
    for column in dict.fromkeys(c for key in table.foreign_keys for c in key.columns):
        terms[Mark("null", column)] = rows[f"own_{column}"].isnull()
    for place, key in enumerate(table.foreign_keys):
        if key not in judged:
            continue
        whole = _all_of([rows[f"own_{c}"].notnull() for c in key.columns])
        found = rows[f"parent_{place}"]
        terms[Mark("missing", key.label)] = whole & ~found
        if key.parent_time and table.event_time and base.has_event:
            # Of a date only the day is known, so it is compared with the parent's local day.
            since = rows[f"since_{place}"]
            terms[Mark("temporal", key.label)] = found & (since > _moment(rows, base))
    if table.business_key:
        terms[Mark("unkeyed")] = ~_all_of([rows[f"own_{c}"].notnull() for c in table.business_key])
    terms[Mark("implausible")] = rows.implausible
    if base.has_lag:
        terms[Mark("lagged")] = rows.lag_s.notnull()
        terms[Mark("early")] = rows.lag_s < 0
        terms[Mark("late")] = rows.lag_s > round(late_minutes * 60)
    return terms


def _moment(rows: ir.Table, base: Timed) -> Any:
    """The last second at which the row can have happened."""
    # The day's end in UTC plus the widest offset errs on the side of no finding for dates.
    return (rows.day + 1) * 86_400 + 43_200 if base.date_only else rows.event_s


def _all_of(terms: list[Any]) -> Any:
    result = terms[0]
    for term in terms[1:]:
        result = result & term
    return result


def _unlinked(
    table: Table, rows: ir.Table, link: tuple[str, ...], judged: tuple[ForeignKey, ...]
) -> Any:
    broken = ~_all_of([rows[f"link_{column}"].notnull() for column in link])
    for place, key in enumerate(table.foreign_keys):
        if key in judged and set(key.columns) <= set(link):
            whole = _all_of([rows[f"own_{c}"].notnull() for c in key.columns])
            broken = broken | (whole & ~rows[f"parent_{place}"])
    return broken


def _words(terms: list[Any], words: int) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for word in range(words):
        total: Any = None
        for place, term in enumerate(terms[word * BITS : (word + 1) * BITS]):
            # Null means "not known", which is no finding.
            bit = ibis.ifelse(term, ibis.literal(1 << place, "int64"), ibis.literal(0, "int64"))
            total = bit if total is None else total + bit
        columns[f"marks_{word}"] = ibis.literal(0, "int64") if total is None else total
    return columns


def _shares(warehouse: Warehouse, table: Table, stream: RevenueStream) -> tuple[ir.Table, int]:
    """Return link keys with the amount that each row of `table` with that key carries."""
    payer = warehouse.table(stream.table)
    scale = MICRO if is_whole(payer, stream) else 1
    paid = once(warehouse, warehouse.archetype.schema[stream.table])
    paid = paid.select(
        **{f"p_{i}": paid[c] for i, c in enumerate(stream.keyed_by)},
        amount=row_amount(paid, stream),
    )
    names = [f"p_{i}" for i in range(len(stream.keyed_by))]
    sums = paid.filter(*(paid[n].notnull() for n in names))
    sums = sums.group_by(names).agg(amount=sums.amount.sum())
    mine = warehouse.table(table.name)
    mine = mine.select(**{f"q_{i}": mine[c] for i, c in enumerate(stream.keyed_by)})
    others = [f"q_{i}" for i in range(len(stream.keyed_by))]
    counts = mine.filter(*(mine[n].notnull() for n in others))
    counts = counts.group_by(others).agg(sharers=counts.count())
    joined = sums.inner_join(
        counts, [sums[a] == counts[b] for a, b in zip(names, others, strict=True)]
    )
    amount = joined.amount.cast("int64") * scale
    share = (amount - amount % joined.sharers) / joined.sharers
    shares = joined.select(
        **{name: joined[name] for name in names}, share=share.round().cast("int64")
    )
    units = unit_of(payer, stream) * scale
    return warehouse.scratch(f"shares:{table.name}:{stream.name}", shares), units

"""Room: health. Each row of a table becomes a day, a set of marks and its money, in one read.

A mark is a bit: this key is null, this key finds no parent, this row came late. Counting rows
and summing money by local day and set of marks gives every share of the table at once, and the
union of several without counting a row twice. Foreign keys meet distinct parent keys in left
joins, which every backend does well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add, and_, or_
from typing import TYPE_CHECKING, Any, Final

import ibis
from attrs import frozen

from dnr_core.health.connect import Warehouse
from dnr_core.health.local_time import LocalClock
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
from dnr_core.health.once import once, repeated_keys
from dnr_core.health.times import Timed, judged_keys, left_join, meet, parent_keys, timed
from dnr_core.model.archetype import RevenueStream
from dnr_core.model.health import NotMeasured
from dnr_core.model.schema import ForeignKey, Table

if TYPE_CHECKING:
    import ibis.expr.types as ir

BITS: Final = 60
"""Marks in one integer column; a table with more has several such columns."""
PART_BITS: Final = 6
"""A part of the lag is 2 to this many seconds."""


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
    `event_s`, `loaded_s` (seconds, null where unknown) and `key_0` ... (the business
    key). `keys` are the foreign keys that can be judged.
    """

    table: Table
    layout: Layout
    rows: ir.Table
    purse: Purse
    keys: tuple[ForeignKey, ...]
    has_event: bool
    has_lag: bool
    not_measured: tuple[NotMeasured, ...]

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
    with_day: bool = True,
    source: ir.Table | None = None,
) -> Judged:
    """Join a table to its parents and say of each row what is wrong with it.

    `only` names the foreign keys to judge, by label; None is all of them. `source` are some of
    the table's rows; all of them, unless given.
    """
    source = warehouse.table(table.name) if source is None else source
    own = own_streams(warehouse.archetype, table) if with_money else ()
    linked = [
        stream
        for stream in (linked_streams(warehouse.archetype, table) if with_money else ())
        if stream.table in warehouse
    ]
    extra = {f"amount_{place}": row_amount(source, stream) for place, stream in enumerate(own)}
    extra |= {f"link_{c}": source[c] for s in linked for c in s.keyed_by}
    base = timed(
        warehouse, table, clock, own=_kept(table), extra=extra, with_day=with_day, source=source
    )
    rows = base.rows
    reaches = [Reach(stream, unit_of(source, stream), shared=False) for stream in own]
    judged, reasons = judged_keys(warehouse, table)
    judged = tuple(k for k in judged if only is None or k.label in only)
    for place, key in enumerate(table.foreign_keys):
        if key not in judged or key.label in base.parents:
            continue
        since = (f"since_{place}", (key.parent_time,)) if key.parent_time else None
        wanted = {"since_s": since} if since else {}
        known = parent_keys(warehouse, key, (), clock)
        rows = meet(warehouse, key, known, rows, place, wanted)
    for place, stream in enumerate(linked, start=len(own)):
        shares, units = _shares(warehouse, table, stream)
        names = tuple(f"link_{c}" for c in stream.keyed_by)
        rows = left_join(rows, shares, 100 + place, names, {"share": f"amount_{place}"})
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
    source: ir.Table | None = None,
) -> Frame:
    """Prepare a table (or `source`, some of its rows) for counting.

    `late_minutes` is the table's limit of ingest lag.
    """
    judged = judge(warehouse, table, clock, late_minutes, source=source)
    layout = Layout(tuple(judged.terms))
    rows = judged.rows.mutate(**_words(list(judged.terms.values()), layout.words))
    kept = {name: rows[name] for name in ("day", "event_s", "loaded_s")}
    kept |= {f"marks_{word}": rows[f"marks_{word}"] for word in range(layout.words)}
    kept |= {f"amount_{place}": rows[f"amount_{place}"] for place in range(len(judged.reaches))}
    # The other keys, which name a row whose business key has a null.
    kept |= {f"own_{c}": rows[f"own_{c}"] for c in _kept(table) if c not in table.business_key}
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
        whole = all_of([rows[f"own_{c}"].notnull() for c in key.columns])
        found = rows[f"parent_{place}"]
        terms[Mark("missing", key.label)] = whole & ~found
        if key.parent_time and table.event_time and base.has_event:
            # Of a date only the day is known, so it is compared with the parent's local day.
            since = rows[f"since_{place}"]
            terms[Mark("temporal", key.label)] = found & (since > _moment(rows, base))
    if table.business_key:
        terms[Mark("unkeyed")] = ~all_of([rows[f"own_{c}"].notnull() for c in table.business_key])
    dated = rows.day if base.date_only else rows.event_s
    terms[Mark("implausible")] = rows.timed & dated.isnull()
    if base.has_lag:
        lag = rows.loaded_s - rows.event_s
        terms[Mark("lagged")] = lag.notnull()
        terms[Mark("early")] = lag < 0
        terms[Mark("late")] = lag > round(late_minutes * 60)
    return terms


def _moment(rows: ir.Table, base: Timed) -> Any:
    """The last second at which the row can have happened."""
    # The day's end in UTC plus the widest offset errs on the side of no finding for dates.
    return (rows.day + 1) * 86_400 + 43_200 if base.date_only else rows.event_s


def folded(terms: Sequence[Any], join: Callable[[Any, Any], Any]) -> Any:
    """Join terms, at least one, as a balanced tree: SQLite's parser gives up on deep brackets."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return join(folded(terms[:middle], join), folded(terms[middle:], join))


def all_of(terms: Sequence[Any]) -> Any:
    """True where every term is; there is at least one."""
    return folded(terms, and_)


def any_of(terms: Sequence[Any]) -> Any:
    """True where some term is; there is at least one."""
    return folded(terms, or_)


def _unlinked(
    table: Table, rows: ir.Table, link: tuple[str, ...], judged: tuple[ForeignKey, ...]
) -> Any:
    broken = ~all_of([rows[f"link_{column}"].notnull() for column in link])
    for place, key in enumerate(table.foreign_keys):
        if key in judged and set(key.columns) <= set(link):
            whole = all_of([rows[f"own_{c}"].notnull() for c in key.columns])
            broken = broken | (whole & ~rows[f"parent_{place}"])
    return broken


def _words(terms: list[Any], words: int) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for word in range(words):
        # Null means "not known", which is no finding.
        bits = [
            ibis.ifelse(term, ibis.literal(1 << place, "int64"), ibis.literal(0, "int64"))
            for place, term in enumerate(terms[word * BITS : (word + 1) * BITS])
        ]
        columns[f"marks_{word}"] = folded(bits, add) if bits else ibis.literal(0, "int64")
    return columns


def _with_sharers(
    warehouse: Warehouse, table: Table, stream: RevenueStream, sums: ir.Table, names: list[str]
) -> ir.Table:
    """Give link keys (columns `names`) how many rows of the table share each as `sharers`."""
    if set(stream.keyed_by) == set(table.business_key):
        # One row each, but for the keys that are there more than once.
        found = repeated_keys(warehouse, table)
        if found is None:
            return sums.mutate(sharers=ibis.literal(1, "int64"))
        places = [table.business_key.index(c) for c in stream.keyed_by]
        others = found.select(
            **{f"q_{i}": found[f"key_{place}"] for i, place in enumerate(places)},
            several=found.copies,
        )
        match = [sums[name] == others[f"q_{i}"] for i, name in enumerate(names)]
        joined = sums.left_join(others, match)
        return joined.select(*sums.columns, sharers=joined.several.coalesce(1).cast("int64"))
    mine = warehouse.table(table.name)
    mine = mine.select(**{f"q_{i}": mine[c] for i, c in enumerate(stream.keyed_by)})
    others_of = [f"q_{i}" for i in range(len(stream.keyed_by))]
    counts = mine.filter(*(mine[n].notnull() for n in others_of))
    counts = counts.group_by(others_of).agg(sharers=counts.count())
    return sums.inner_join(
        counts, [sums[a] == counts[b] for a, b in zip(names, others_of, strict=True)]
    )


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
    if set(stream.keyed_by) != set(warehouse.archetype.schema[stream.table].business_key):
        # Of its business key each row is there once already.
        sums = sums.group_by(names).agg(amount=sums.amount.sum())
    joined = _with_sharers(warehouse, table, stream, sums, names)
    amount = joined.amount.cast("int64") * scale
    share = (amount - amount % joined.sharers) / joined.sharers
    shares = joined.select(
        **{name: joined[name] for name in names}, share=share.round().cast("int64")
    )
    units = unit_of(payer, stream) * scale
    return warehouse.scratch(f"shares:{table.name}:{stream.name}", shares), units

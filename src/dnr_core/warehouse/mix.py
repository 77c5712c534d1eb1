"""Room: warehouse. A profile on an archetype: what falls where, and what is refused before any file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, Final

from attrs import field, frozen

from dnr_core.errors import ConfigError, PluginError
from dnr_core.model import (
    Archetype,
    Company,
    DefectKind,
    DefectProfile,
    DefectRate,
    Incident,
    IncidentRate,
    Option,
    Table,
    load,
)
from dnr_core.suggestions import did_you_mean
from dnr_core.synth.draw import exactly
from dnr_core.warehouse.calendar import History
from dnr_core.warehouse.incidents import can_break, days_of, row_share

MOST_SHARE: Final = 0.4
"""A larger share is no defect but another table."""

COMMON_OPTIONS: Final = ("where", "from", "until")

Rates = list[tuple[Incident, IncidentRate]]


@frozen
class Target:
    """A rate on one table: the columns that it may break there."""

    rate: DefectRate
    kind: DefectKind
    table: str
    columns: tuple[str, ...]
    place: int
    """Its place in the profile, which keeps two rates of a kind apart."""
    dated: Fraction = field(default=Fraction(0), kw_only=True)
    """Share of the finished rows that incidents within the rate have broken already."""

    @property
    def mark(self) -> str:
        """What tells it from the profile's other targets."""
        return f"{self.table}/{self.place}"

    @property
    def share(self) -> Fraction:
        """The exact share of the finished rows (or keyed rows) that it breaks itself."""
        return exactly(self.rate.share) - self.dated


@frozen
class Asked:
    """One rate of a profile and where it was written, for messages."""

    profile: DefectProfile
    rate: DefectRate | IncidentRate
    archetype: Archetype

    def refuse(self, fault: str, hint: str = "") -> ConfigError:
        """Return the error that says what is wrong with it."""
        place = self.rate.source or f"profile {self.profile.name!r}"
        return ConfigError(f"{place}, {self.rate.kind}: {fault}", hint=hint)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that it names; all, where it names none."""
        schema = self.archetype.schema
        named = tuple(schema[name] for name in self.rate.tables)
        return named or schema.tables


def broken_columns(kind: DefectKind, archetype: Archetype, table: Table) -> tuple[str, ...]:
    """Return the columns (or key labels) of a table that a kind can break."""
    if kind.targets is None:
        return table.column_names
    return tuple(load(kind.targets)(archetype.schema, table))


def check_profile(
    archetype: Archetype,
    profile: DefectProfile,
    kinds: Mapping[str, DefectKind],
    company: Company,
) -> tuple[str, ...]:
    """Refuse rates that name what is not there, or ask for what cannot be.

    Returns:
        Notes, one for each sort of incident that fits no table of this archetype.

    Raises:
        ConfigError: it says which rate, what is wrong, and what is allowed.
    """
    notes: list[str] = []
    history = History.of(company)
    rates: tuple[DefectRate | IncidentRate, ...] = (*profile.rates, *profile.incidents)
    for rate in rates:
        asked, kind = Asked(profile, rate, archetype), kinds[rate.kind]
        _check_names(asked)
        _check_segment(asked)
        _check_period(asked, history)
        check_options(asked.refuse, kind, rate.options)
        if isinstance(rate, DefectRate):
            _check_rate(asked, rate, kind)
            continue
        check_incident(asked.refuse, kind, rate)
        if not _check_incident(asked, rate, company):
            notes.append(nowhere(rate.kind, archetype))
    return tuple(notes)


def nowhere(kind: str, archetype: Archetype) -> str:
    """Return the note on a rate that names no table and fits none."""
    return f"{archetype.name} has no table that can have {kind}, so there is none"


def _check_names(asked: Asked) -> None:
    schema = asked.archetype.schema
    for name in asked.rate.tables:
        if name not in schema:
            raise asked.refuse(
                f"{asked.archetype.name} has no table {name!r}",
                did_you_mean(name, schema.names) or f"its tables are {', '.join(schema.names)}",
            )
    known = {c for t in asked.tables for c in t.column_names} | {
        key.label for t in asked.tables for key in t.foreign_keys
    }
    for column in (*asked.rate.columns, *_where(asked)):
        if column not in known:
            inside = " or ".join(asked.rate.tables) or asked.archetype.name
            raise asked.refuse(
                f"there is no column {column!r} in {inside}",
                did_you_mean(column, known) or f"known there: {', '.join(sorted(known))}",
            )


def _where(asked: Asked) -> Mapping[str, Any]:
    wanted = asked.rate.options.get("where", {})
    if not isinstance(wanted, Mapping):
        raise asked.refuse(f"`where` is {wanted!r}, but must give values by column")
    return wanted


def _check_segment(asked: Asked) -> None:
    """Refuse values that a column cannot have: the segment would be empty without a word."""
    for name, wanted in _where(asked).items():
        values = wanted if isinstance(wanted, list | tuple) else [wanted]
        if not values:
            raise asked.refuse(f"`where` names no value of {name}")
        for table in asked.tables:
            if name not in table.column_names:
                continue
            column = table.column(name)
            for value in values:
                if column.values and value not in column.values:
                    raise asked.refuse(
                        f"{table.name}.{name} is never {value!r}",
                        did_you_mean(str(value), column.values)
                        or f"it is one of {', '.join(column.values)}",
                    )
                if not _is_of(value, column.type):
                    raise asked.refuse(
                        f"{value!r} is no value of {table.name}.{name}, which is {column.type}"
                    )


def _is_of(value: Any, kind: str) -> bool:
    if kind in {"int64", "int32", "int16"}:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in {"float64", "decimal"}:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    return isinstance(value, date)


def _check_period(asked: Asked, history: History) -> None:
    for name in ("from", "until"):
        if name in asked.rate.options and not isinstance(asked.rate.options[name], date):
            raise asked.refuse(f"`{name}` is no day or instant: {asked.rate.options[name]!r}")
    period = days_of(asked.rate.options, history)
    if period is None:
        return
    if period[1] <= 0 or period[0] >= history.days:
        raise asked.refuse(
            f"its period lies outside of the history, {history.first} to before {history.end}"
        )
    if period[0] > period[1] or (isinstance(asked.rate, IncidentRate) and period[0] == period[1]):
        raise asked.refuse("`from` is not before `until`")
    if isinstance(asked.rate, DefectRate):
        for table in asked.tables:
            if asked.rate.tables and not _has_time(table):
                raise asked.refuse(f"{table.name} has no time of its own for a period")


def _has_time(table: Table) -> bool:
    own = table.event_time is not None and table.event_time.through is None
    return bool(own or table.loaded_at or table.created_at or table.snapshot_day)


def check_options(refuse: Any, kind: DefectKind, options: Mapping[str, Any]) -> None:
    """Refuse options that a kind does not have, and numbers that it does not take.

    Args:
        refuse: makes the error from a message and a hint.
        kind: whose options they are.
        options: those of a rate, the common ones among them.
    """
    if kind.options is None:
        return
    known = {option.name: option for option in kind.options}
    for name, value in options.items():
        if name in COMMON_OPTIONS:
            continue
        if name not in known:
            raise refuse(
                f"it has no option {name!r}",
                did_you_mean(name, [*known, *COMMON_OPTIONS])
                or f"it has {', '.join([*known, *COMMON_OPTIONS])}",
            )
        _check_number(refuse, known[name], value)


def _check_number(refuse: Any, option: Option, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not option.low <= value <= option.high or (option.whole and value % 1):
        sort = "a whole number" if option.whole else "a number"
        raise refuse(
            f"{option.name} is {value!r}, but must be {sort} from {option.low:g} to {option.high:g}",
            option.meaning,
        )


def _check_rate(asked: Asked, rate: DefectRate, kind: DefectKind) -> None:
    if kind.dated:
        raise asked.refuse("it is dated and belongs under incidents, not rates")
    if kind.stage == "removals":
        raise PluginError(f"defect kind {kind.name!r} removes rows, which only dated kinds may")
    if not 0 <= rate.share <= MOST_SHARE:
        raise asked.refuse(
            f"a share of {rate.share} is not possible", f"shares lie between 0 and {MOST_SHARE}"
        )
    for table in asked.tables:
        columns = broken_columns(kind, asked.archetype, table)
        hit = [c for c in columns if not rate.columns or c in rate.columns]
        if hit or not rate.tables:
            continue
        wanted = f" of {', '.join(rate.columns)}" if rate.columns and columns else ""
        raise asked.refuse(
            f"there is nothing{wanted} in {table.name} that it can break",
            f"it can break {', '.join(columns)} there" if columns else "",
        )


def check_incident(refuse: Any, kind: DefectKind, rate: IncidentRate) -> None:
    """Refuse sizes and windows that an incident cannot have, whatever the archetype."""
    if not kind.dated:
        raise refuse("it is not dated and belongs under rates, not incidents")
    if kind.size is not None:
        _check_number(refuse, kind.size, rate.size)
    if rate.per_quarter < 0 or (rate.total is not None and rate.total < 0):
        raise refuse("there cannot be fewer than 0 incidents")
    if not 0 < row_share(rate) <= 1:
        raise refuse(
            f"it touches {row_share(rate):g} of the rows of its window",
            "give row_share, above 0 and at most 1",
        )
    if rate.days < 1 or (rate.hours is not None and rate.hours < 1):
        raise refuse("its window is shorter than an hour", "give days or hours, at least 1")
    if rate.from_hour is not None and not 0 <= rate.from_hour <= 23:
        raise refuse(f"from_hour is {rate.from_hour}, but must be from 0 to 23")
    if rate.breaks == "values" and not rate.columns:
        raise refuse("it has to be said which column it breaks", "give columns")


def _check_incident(asked: Asked, rate: IncidentRate, company: Company) -> bool:
    schema = asked.archetype.schema
    fits = [table for table in asked.tables if can_break(rate, schema, table)]
    if rate.tables:
        for table in asked.tables:
            if table not in fits:
                raise asked.refuse(f"{table.name} cannot have it: {_why_not(rate, schema, table)}")
    if rate.breaks == "days" and fits and min(company.snapshot_days, 600 * 31) <= rate.size:
        raise asked.refuse(
            f"a snapshot of {company.snapshot_days} days has no day that repeats the one "
            f"{rate.size:g} days before it",
            "give more snapshot_days, or a smaller size",
        )
    return bool(fits)


def _why_not(rate: IncidentRate, schema: Any, table: Table) -> str:
    if rate.breaks == "days":
        return "it is no snapshot with a day in its key"
    if table.kind != "fact":
        return "it is no fact table"
    if rate.breaks == "rows":
        if table.event_time is None:
            return "its rows have no time"
        names = ", ".join(child.name for child in schema.children(table.name))
        return f"{names} would point to rows that are gone"
    if rate.breaks == "loads":
        return "it has no load time"
    asked = ", ".join(rate.columns)
    return f"none of its columns is {asked}" if asked else "it has no required key"


def targets_of(
    archetype: Archetype,
    profile: DefectProfile,
    kinds: Mapping[str, DefectKind],
    together: Iterable[Sequence[str]],
) -> tuple[Target, ...]:
    """Return the rates of a profile that was checked, table by table.

    Args:
        archetype: whose tables they fall on.
        profile: whose rates they are.
        kinds: its kinds.
        together: the tables of each family, which are made chunk by chunk together.
    """
    family = {name: set(names) for names in together for name in names}
    found: list[Target] = []
    for place, rate in enumerate(profile.rates):
        kind = kinds[rate.kind]
        tables = [archetype.schema[n] for n in rate.tables] or list(archetype.schema.facts)
        for table in tables:
            columns = broken_columns(kind, archetype, table)
            columns = tuple(c for c in columns if not rate.columns or c in rate.columns)
            if not columns or rate.share <= 0:
                continue
            if kind.after_children and not any(
                child.name in family[table.name] for child in archetype.schema.children(table.name)
            ):
                continue
            found.append(Target(rate, kind, table.name, columns, place))
    return tuple(found)


def refuse_what_cannot_hold(
    archetype: Archetype,
    profile: DefectProfile,
    targets: tuple[Target, ...],
    incidents: Rates,
    kinds: Mapping[str, DefectKind],
) -> None:
    """Refuse a mix whose rows, which must be disjoint, are more than there are.

    Raises:
        ConfigError: it says on which table, and what adds up to how much.
    """
    for table in archetype.schema.tables:
        mine = [t for t in targets if t.table == table.name]
        copies = sum((t.share for t in mine if t.kind.stage == "copies"), Fraction(0))
        broken = sum(
            (t.share for t in mine if t.kind.stage == "values" and t.kind.exclusive), Fraction(0)
        )
        dated = max(
            (
                exactly(row_share(rate))
                for incident, rate in incidents
                if incident.table == table.name
                and kinds[incident.kind].stage == "values"
                and kinds[incident.kind].exclusive
            ),
            default=Fraction(0),
        )
        if copies >= 1:
            raise ConfigError(
                f"profile {profile.name!r}: {table.name} would consist of copies alone"
            )
        # Copies enlarge the table, and what is a share of it must fit into the rows before.
        needed = broken / (1 - copies) + dated
        if needed > 1 or (copies and needed >= 1):
            parts = ", ".join(f"{t.kind.name} {float(t.share):.1%}" for t in mine)
            parts += f", and {float(dated):.1%} more on one day" if dated else ""
            lines = sorted({t.rate.source for t in mine if t.rate.source})
            place = f" ({'; '.join(lines)})" if lines else ""
            raise ConfigError(
                f"profile {profile.name!r}{place} cannot hold on {table.name}: {parts} need "
                f"{float(needed):.1%} of the rows before copies, each row having one defect",
                hint="lower one of the rates; copies are made of sound rows only",
            )

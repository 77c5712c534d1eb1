"""Room: warehouse. What will be made: every decision that needs no row, checked before any file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from dnr_core.config.settings import DEFAULT_AS_OF, WarehouseSettings, scale_factor
from dnr_core.config.zones import zone_of
from dnr_core.errors import ConfigError, PluginError
from dnr_core.model import (
    Archetype,
    Company,
    DefectKind,
    DefectProfile,
    DefectRate,
    Family,
    Incident,
    Synthesis,
    Table,
    load,
)
from dnr_core.synth import ARROW_TYPES
from dnr_core.synth.draw import exactly
from dnr_core.warehouse.calendar import as_of_instant
from dnr_core.warehouse.incidents import expected_volumes, plan_incidents, rate_of, row_share
from dnr_core.workspace import dump_json

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

CHUNKS_PER_PART: Final = 4
"""A part file holds this many chunks, whatever the number of workers."""

LAYOUT: Final = 1
"""Raised when the same plan would give other bytes."""

MOST_SHARE: Final = 0.4


@frozen
class Target:
    """A rate on one table: the columns that it may break there."""

    rate: DefectRate
    kind: DefectKind
    table: str
    columns: tuple[str, ...]
    place: int
    """Its place in the profile, which keeps two rates of a kind apart."""

    @property
    def share(self) -> Fraction:
        """The exact share."""
        return exactly(self.rate.share)


@frozen
class Plan:
    """A company to be made. Equal plans make equal bytes, and `fingerprint` names the plan."""

    archetype: Archetype
    company: Company
    profile: DefectProfile
    kinds: Mapping[str, DefectKind]
    synthesis: Synthesis
    chunks: Mapping[str, int]
    incidents: tuple[Incident, ...]
    targets: tuple[Target, ...]
    versions: Mapping[str, str]
    owner: str = ""
    """The plugin that brings the archetype, for messages."""

    @property
    def title(self) -> str:
        """The archetype and whose it is, for messages."""
        name = f"archetype {self.archetype.name!r}"
        return f"{name} of plugin {self.owner}" if self.owner else name

    @property
    def parts(self) -> tuple[tuple[Family, int], ...]:
        """All parts, family by family."""
        return tuple(
            (family, part)
            for family in self.synthesis.families
            for part in range(part_count(self.chunks[family.name]))
        )

    @property
    def expected_rows(self) -> int:
        """Clean rows to expect; 0 where the archetype does not say."""
        return sum(expected_volumes(self.archetype, self.company).values())

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that decide every byte, as the manifest holds them."""
        return {
            "archetype": self.archetype.name,
            "seed": self.company.seed,
            "scale": self.company.scale,
            "months": self.company.months,
            "as_of": self.company.as_of.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tz": self.company.tz,
            "trajectory": self.company.trajectory,
            "snapshot_days": self.company.snapshot_days,
            "quality": self.profile.name,
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides the bytes."""
        told = {
            "layout": LAYOUT,
            "settings": self.settings,
            "profile": repr(self.profile),
            "schema": repr(self.archetype.schema),
            "chunks": dict(self.chunks),
            "versions": dict(self.versions),
        }
        return hashlib.sha256(dump_json(told).encode()).hexdigest()


def part_count(chunks: int) -> int:
    """Return how many part files a family of that many chunks has; at least one."""
    return max(1, -(-chunks // CHUNKS_PER_PART))


def part_chunks(chunks: int, part: int) -> range:
    """Return the chunks of a part."""
    return range(part * CHUNKS_PER_PART, min((part + 1) * CHUNKS_PER_PART, chunks))


def parse_scale(text: str | float) -> float:
    """Return a scale as a factor of the `evaluation` volumes.

    Raises:
        ConfigError: it is neither a name nor a positive, finite number.
    """
    try:
        return scale_factor(str(text))
    except ValueError as error:
        raise ConfigError(
            f"warehouse.scale is {text!r}, but {error}", hint="25 is 25 times evaluation"
        ) from None


def company_from(
    archetype: Archetype, settings: WarehouseSettings, scale: str | float | None = None
) -> Company:
    """Return the company that the settings describe; `scale` overrides theirs.

    Raises:
        ConfigError: a scale, time zone or as-of that cannot be used.
    """
    tz = archetype.tz or settings.tz
    zone_of(tz)
    return Company(
        archetype=archetype.name,
        seed=settings.seed,
        scale=parse_scale(settings.scale if scale is None else scale),
        months=settings.months,
        as_of=as_of_instant(settings.as_of or DEFAULT_AS_OF, tz),
        tz=tz,
        trajectory=settings.trajectory,
        snapshot_days=settings.snapshot_days,
    )


def resolved_targets(kind: DefectKind, archetype: Archetype, table: Table) -> tuple[str, ...]:
    """Return the columns (or key labels) of a table that a kind can break."""
    if kind.targets is None:
        return table.column_names
    return tuple(load(kind.targets)(archetype.schema, table))


def _check_names(rate: Any, archetype: Archetype, profile: DefectProfile) -> None:
    where = f"profile {profile.name!r}, {rate.kind}"
    for name in rate.tables:
        if name not in archetype.schema:
            raise ConfigError(
                f"{where}: {archetype.name} has no table {name!r}",
                hint=f"its tables are {', '.join(archetype.schema.names)}",
            )
    tables = [archetype.schema[name] for name in rate.tables] or list(archetype.schema.tables)
    known = {c for t in tables for c in t.column_names} | {
        key.label for t in tables for key in t.foreign_keys
    }
    for column in (*rate.columns, *rate.options.get("where", ())):
        if column not in known:
            inside = " or ".join(rate.tables) or archetype.name
            raise ConfigError(f"{where}: there is no column {column!r} in {inside}")


def _targets(
    archetype: Archetype, profile: DefectProfile, kinds: Mapping[str, DefectKind]
) -> tuple[Target, ...]:
    found: list[Target] = []
    for place, rate in enumerate(profile.rates):
        _check_names(rate, archetype, profile)
        if not 0 <= rate.share <= MOST_SHARE:
            raise ConfigError(
                f"profile {profile.name!r}, {rate.kind}: a share of {rate.share} is not possible",
                hint=f"shares lie between 0 and {MOST_SHARE}",
            )
        tables = [archetype.schema[n] for n in rate.tables] or list(archetype.schema.facts)
        for table in tables:
            columns = resolved_targets(kinds[rate.kind], archetype, table)
            columns = tuple(c for c in columns if not rate.columns or c in rate.columns)
            if columns and rate.share > 0:
                found.append(Target(rate, kinds[rate.kind], table.name, columns, place))
    return tuple(found)


def _refuse_what_cannot_hold(
    archetype: Archetype,
    profile: DefectProfile,
    targets: tuple[Target, ...],
    incidents: tuple[Incident, ...],
    kinds: Mapping[str, DefectKind],
) -> None:
    """Refuse a mix whose rows, which must be disjoint, are more than there are."""
    for table in archetype.schema.tables:
        mine = [t for t in targets if t.table == table.name]
        copies = sum((t.share for t in mine if t.kind.stage == "copies"), Fraction(0))
        broken = sum(
            (t.share for t in mine if t.kind.stage == "values" and t.kind.exclusive), Fraction(0)
        )
        dated = max(
            (
                exactly(row_share(rate_of(incident, profile)))
                for incident in incidents
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
            raise ConfigError(
                f"profile {profile.name!r} cannot hold on {table.name}: {parts} need "
                f"{float(needed):.1%} of the rows before copies, each row having one defect",
                hint="lower one of the rates; copies are made of sound rows only",
            )


def _synthesis(archetype: Archetype) -> Synthesis:
    if archetype.synthesis is None:
        raise ConfigError(
            f"archetype {archetype.name!r} describes a real company and cannot be made",
            hint="only archetypes with a synthesis can; `dnr plugins` lists them",
        )
    try:
        synthesis = load(archetype.synthesis)
    except ImportError as error:
        raise PluginError(f"archetype {archetype.name!r}: {error}") from error
    owners: dict[str, str] = {}
    for family in synthesis.families:
        for name in family.tables:
            if name not in archetype.schema or name in owners:
                fault = f"is also in {owners[name]!r}" if name in owners else "is not declared"
                raise PluginError(
                    f"archetype {archetype.name!r}, family {family.name!r}: table {name!r} {fault}"
                )
            owners[name] = family.name
    for table in archetype.schema.tables:
        if table.name not in owners:
            raise PluginError(
                f"archetype {archetype.name!r}: no family generates the table {table.name!r}"
            )
        for column in table.columns:
            if column.type not in ARROW_TYPES:
                raise PluginError(
                    f"archetype {archetype.name!r}: {table.name}.{column.name} has the type "
                    f"{column.type!r}, which cannot be made"
                )
    return synthesis


def make_plan(
    archetype: str | Archetype,
    settings: WarehouseSettings,
    catalogue: Catalogue,
    *,
    scale: str | float | None = None,
) -> Plan:
    """Decide what a company will be, and refuse what cannot be, before any file is touched.

    Raises:
        ConfigError: a setting, name or mix of rates that cannot be used.
        PluginError: the archetype's synthesis is faulty.
    """
    kind_of = archetype if isinstance(archetype, Archetype) else catalogue.archetype(archetype)
    profile = catalogue.profile(settings.quality)
    synthesis = _synthesis(kind_of)
    company = company_from(kind_of, settings, scale)
    names = {rate.kind for rate in profile.rates} | {rate.kind for rate in profile.incidents}
    kinds = {name: catalogue.defect_kind(name) for name in sorted(names)}
    for rate in profile.incidents:
        _check_names(rate, kind_of, profile)
    incidents = plan_incidents(kind_of, company, profile, expected_volumes(kind_of, company))
    targets = _targets(kind_of, profile, kinds)
    _refuse_what_cannot_hold(kind_of, profile, targets, incidents, kinds)
    chunks = {family.name: int(family.chunks(company)) for family in synthesis.families}
    return Plan(
        archetype=kind_of,
        company=company,
        profile=profile,
        kinds=kinds,
        synthesis=synthesis,
        chunks=chunks,
        incidents=incidents,
        targets=targets,
        versions=_versions(),
        owner=next(
            (str(p) for p in catalogue.plugins if kind_of.name in p.brings.get("archetypes", ())),
            "",
        ),
    )


def _versions() -> dict[str, str]:
    """Versions that decide bytes: ours, and those of what encodes them."""
    found = {}
    for name in ("dnr-core", "pyarrow", "numpy"):
        found[name] = metadata.version(name)
    return found

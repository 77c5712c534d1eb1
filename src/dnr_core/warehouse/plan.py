"""Room: warehouse. What will be made: every decision that needs no row, checked before any file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from dnr_core.config.profiles import find_profile, profile_as_dict
from dnr_core.config.settings import DEFAULT_AS_OF, WarehouseSettings, scale_factor
from dnr_core.config.zones import zone_of
from dnr_core.errors import ConfigError, PluginError
from dnr_core.model import (
    Archetype,
    Company,
    DefectKind,
    DefectProfile,
    Family,
    Incident,
    IncidentRate,
    Synthesis,
    load,
)
from dnr_core.synth import ARROW_TYPES
from dnr_core.warehouse.calendar import as_of_instant
from dnr_core.warehouse.incidents import expected_volumes, rated_incidents
from dnr_core.warehouse.mix import (
    Target,
    check_profile,
    nowhere,
    refuse_what_cannot_hold,
    targets_of,
)
from dnr_core.workspace import dump_json

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

CHUNKS_PER_PART: Final = 4
"""A part file holds this many chunks, whatever the number of workers."""

LAYOUT: Final = 3
"""Raised when the same plan would give other bytes."""


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
    rates: Mapping[str, IncidentRate] = field(factory=dict)
    """The rate of each incident, by its id."""
    notes: tuple[str, ...] = ()
    """What the profile asks for and this archetype has no table for."""
    dated: Mapping[str, Fraction] = field(factory=dict)
    """Shares that incidents within a rate have of finished rows, by the target's mark."""
    shared: dict[Any, Any] = field(factory=dict, eq=False, repr=False)
    """What kinds have found out about the company and keep for other chunks of this process."""

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
            "profile": profile_as_dict(self.profile),
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
    dated: Mapping[str, Fraction] | None = None,
) -> Plan:
    """Decide what a company will be, and refuse what cannot be, before any file is touched.

    Args:
        archetype: name in the catalogue, or the object.
        settings: all that decide the company, and the profile's name or file.
        catalogue: where names are looked up.
        scale: overrides the settings' scale.
        dated: the plan's own `dated`, where somebody has counted it already.

    Raises:
        ConfigError: a setting, name or mix of rates that cannot be used.
        PluginError: the archetype's synthesis is faulty.
    """
    kind_of = archetype if isinstance(archetype, Archetype) else catalogue.archetype(archetype)
    profile = find_profile(settings.quality, catalogue)
    synthesis = _synthesis(kind_of)
    company = company_from(kind_of, settings, scale)
    names = {rate.kind for rate in profile.rates} | {rate.kind for rate in profile.incidents}
    kinds = {name: catalogue.defect_kind(name) for name in sorted(names)}
    notes = check_profile(kind_of, profile, kinds, company)
    incidents = rated_incidents(kind_of, company, profile, expected_volumes(kind_of, company))
    together = [family.tables for family in synthesis.families]
    targets = targets_of(kind_of, profile, kinds, together)
    hit = {target.place for target in targets}
    notes = (
        tuple(
            nowhere(rate.kind, kind_of)
            for place, rate in enumerate(profile.rates)
            if rate.share > 0 and place not in hit
        )
        + notes
    )
    refuse_what_cannot_hold(kind_of, profile, targets, incidents, kinds)
    chunks = {family.name: int(family.chunks(company)) for family in synthesis.families}
    plan = Plan(
        archetype=kind_of,
        company=company,
        profile=profile,
        kinds=kinds,
        synthesis=synthesis,
        chunks=chunks,
        incidents=tuple(incident for incident, _ in incidents),
        rates={incident.id: rate for incident, rate in incidents},
        notes=notes,
        targets=targets,
        versions=_versions(),
        owner=next(
            (str(p) for p in catalogue.plugins if kind_of.name in p.brings.get("archetypes", ())),
            "",
        ),
    )
    if dated is None:
        from dnr_core.warehouse.budget import dated_shares

        dated = dated_shares(plan)
    return evolve(
        plan,
        dated=dated,
        targets=tuple(
            evolve(target, dated=dated.get(target.mark, Fraction(0))) for target in targets
        ),
    )


def _versions() -> dict[str, str]:
    """Versions that decide bytes: ours, and those of what encodes them."""
    found = {}
    for name in ("dnr-core", "pyarrow", "numpy"):
        found[name] = metadata.version(name)
    return found

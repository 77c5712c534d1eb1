"""Room: testing. An object on trial: what the rules of its kind look at, worked out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import pyarrow as pa
from attrs import define, evolve, field

from dnr_core.catalogue import PluginProblem
from dnr_core.errors import ConfigError, DnrError
from dnr_core.model import (
    Archetype,
    Check,
    CommsStyle,
    DefectKind,
    DefectOutcome,
    DefectProfile,
    DefectRate,
    DefectTask,
    IncidentRate,
    Provider,
    ProviderSpec,
    Scorer,
    Synthesis,
    load,
)
from dnr_core.testing.bench import BENCH
from dnr_core.testing.rule import NotTriedError
from dnr_core.testing.workshop import Workshop
from dnr_core.warehouse import Plan, make_plan
from dnr_core.warehouse.apply import corrupt_chunk
from dnr_core.warehouse.chunks import clean_chunk
from dnr_core.warehouse.incidents import can_break
from dnr_core.warehouse.mix import broken_columns

SHARE = 0.1
"""The share that a kind is asked to break where nothing else is said."""


KEY_VARIABLE = "DNR_KIT_KEY"
NO_KEY = "not-a-key-of-anybody-0123456789"


@define(slots=False)
class ArchetypeTrial:
    """An archetype on trial."""

    subject: Archetype
    workshop: Workshop

    @cached_property
    def synthesis(self) -> Synthesis:
        """Its synthesis, imported."""
        if self.subject.synthesis is None:
            raise NotTriedError("it describes a real company, which is not made")
        return load(self.subject.synthesis)

    @cached_property
    def plan(self) -> Plan:
        """The plan of a small, clean company."""
        return self.workshop.plan(self.subject)

    @cached_property
    def rows(self) -> Mapping[str, pa.Table]:
        """All rows of the small, clean company."""
        return self.workshop.clean(self.subject)


@define
class Step:
    """One call of a kind: what it was given and what it gave back."""

    task: DefectTask
    outcome: DefectOutcome


@define(slots=False)
class KindTrial:
    """A defect kind on trial: on the archetype that is given, else on one that it can break."""

    subject: DefectKind
    workshop: Workshop
    archetype: Archetype | None = None
    columns: tuple[str, ...] = ()
    """Columns that a rate names, for kinds that do not say themselves what they break."""

    @cached_property
    def company(self) -> Archetype:
        """The archetype that it is tried on."""
        for archetype in self.candidates:
            if self.places(archetype):
                return archetype
        raise NotTriedError("it finds nothing to break on any archetype that is here")

    @cached_property
    def candidates(self) -> tuple[Archetype, ...]:
        """The archetypes that it may be tried on."""
        if self.archetype is not None:
            return (self.archetype,)
        installed = self.workshop.catalogue.archetypes.values()
        return (BENCH, *(a for a in installed if a.synthesis is not None))

    def places(self, archetype: Archetype) -> dict[str, tuple[str, ...]]:
        """Return the columns (or labels of keys) that it can break, by table."""
        found = {}
        for table in archetype.schema.tables:
            if self.subject.targets is None:
                own = tuple(c for c in self.columns if c in table.column_names)
                columns = own or _loose(table)
            else:
                columns = broken_columns(self.subject, archetype, table)
            if self.subject.dated:
                fits = can_break(self._incident((table.name,), columns), archetype.schema, table)
                columns = columns if fits else ()
            elif table.kind != "fact":
                columns = ()
            if columns:
                found[table.name] = columns
        return found

    def _incident(self, tables: tuple[str, ...], columns: tuple[str, ...]) -> IncidentRate:
        kind = self.subject
        named = columns if kind.breaks == "values" else ()
        return IncidentRate(
            kind.name,
            0,
            kind.size.default if kind.size is not None else SHARE,
            tables=tables,
            columns=named,
            total=1,
            breaks=kind.breaks,
            row_share=kind.row_share,
            days=14,
        )

    def profile(self, share: float = SHARE) -> DefectProfile:
        """Return the profile that has this kind and nothing else."""
        places = self.places(self.company)
        typical = self.workshop.catalogue.profiles.values()
        lag = next((p.lag for p in typical if p.lag is not None), None)
        if self.subject.dated:
            table, columns = next(iter(places.items()))
            incident = self._incident((table,), columns)
            return DefectProfile("kit_one", "One kind", incidents=(incident,), lag=lag)
        named = self.subject.targets is None
        rates = tuple(
            DefectRate(self.subject.name, share, tables=(table,), columns=columns if named else ())
            for table, columns in places.items()
        )
        return DefectProfile("kit_one", "One kind", rates=rates, lag=lag)

    def run(self, *, backwards: bool = False) -> list[Step]:
        """Let it break a small company chunk by chunk, and return each of its calls.

        Args:
            backwards: take the chunks last one first; the calls are returned in the usual order.

        Raises:
            PluginError: it breaks the contract.
        """
        steps: list[Step] = []
        apply: Callable[..., Any] = load(self.subject.apply)

        def recorded(task: DefectTask) -> Any:
            outcome = apply(task)
            if isinstance(outcome, DefectOutcome):
                steps.append(Step(task, outcome))
            return outcome

        watched = evolve(self.subject, apply=recorded)
        profile = self.profile()
        catalogue = self.workshop.with_objects(profile, kinds=(watched,), archetype=self.company)
        plan = make_plan(
            self.company,
            self.workshop.settings(quality=profile.name),
            catalogue,
            scale=self.workshop.scale_for(self.company),
        )
        chunks = [
            (f, chunk) for f in plan.synthesis.families for chunk in range(plan.chunks[f.name])
        ]
        calls: list[list[Step]] = []
        for family, chunk in reversed(chunks) if backwards else chunks:
            corrupt_chunk(plan, chunk, clean_chunk(plan, family, chunk))
            calls.append(steps[:])
            steps.clear()
        return [step for part in (reversed(calls) if backwards else calls) for step in part]

    @cached_property
    def steps(self) -> list[Step]:
        """Its calls on a small company."""
        return self.run()


def _loose(table: Any) -> tuple[str, ...]:
    keys = {column for key in table.foreign_keys for column in key.columns}
    times = set(table.event_time.columns) if table.event_time else set()
    fixed = keys | times | {*table.primary_key, *table.business_key, table.loaded_at}
    return tuple(name for name in table.column_names if name not in fixed)


@define(slots=False)
class ProfileTrial:
    """A defect profile on trial: on the archetype that is given, else on one that it fits."""

    subject: DefectProfile
    workshop: Workshop
    archetype: Archetype | None = None

    @cached_property
    def candidates(self) -> tuple[Archetype, ...]:
        """The archetypes that it may be tried on."""
        if self.archetype is not None:
            return (self.archetype,)
        installed = self.workshop.catalogue.archetypes.values()
        return (BENCH, *(a for a in installed if a.synthesis is not None))

    def plan(self, archetype: Archetype) -> Plan:
        """Return the plan of a small company that has it.

        Raises:
            ConfigError: it cannot be had there.
        """
        return make_plan(
            archetype,
            self.workshop.settings(quality=self.subject.name),
            self.workshop.with_objects(self.subject, archetype=archetype),
            scale=self.workshop.scale_for(archetype),
        )

    @cached_property
    def company(self) -> Archetype:
        """The first archetype that it fits."""
        faults = []
        for archetype in self.candidates:
            try:
                self.plan(archetype)
            except DnrError as error:
                faults.append(error)
                continue
            return archetype
        raise faults[0] if faults else ConfigError("there is no archetype to try it on")


@define(slots=False)
class StyleTrial:
    """A comms style on trial."""

    subject: CommsStyle
    workshop: Workshop


@define(slots=False)
class ProviderTrial:
    """A provider on trial.

    `settings` are handed to its factory. `answers` says whether it may be asked: None asks the ones
    that need no key.
    """

    subject: ProviderSpec
    workshop: Workshop
    settings: Mapping[str, Any] = field(factory=dict)
    environ: Mapping[str, str] = field(factory=dict)
    answers: bool | None = None

    def __attrs_post_init__(self) -> None:
        if self.subject.needs_key and not self.environ and not self.settings:
            # Enough for what needs no service: it is no key, and is sent nowhere.
            self.settings = {"env_key_var": KEY_VARIABLE}
            self.environ = {KEY_VARIABLE: NO_KEY}

    def make(self) -> Provider:
        """Make the provider anew."""
        factory: Any = load(self.subject.factory)
        made: Provider = factory(
            self.subject.default_model, {**self.settings, "environ": dict(self.environ)}
        )
        return made

    @cached_property
    def provider(self) -> Provider:
        """The provider."""
        return self.make()

    @property
    def asked(self) -> Provider:
        """The provider, where it may be asked."""
        may = not self.subject.needs_key if self.answers is None else self.answers
        if not may:
            raise NotTriedError("it needs a key and a service, so it is not asked")
        return self.provider


@define(slots=False)
class ScorerTrial:
    """A scorer on trial. `settings` are the report's."""

    subject: Scorer
    workshop: Workshop

    @cached_property
    def score(self) -> Callable[..., Any]:
        """The scorer's function."""
        found: Any = load(self.subject.score)
        return found  # type: ignore[no-any-return]

    @cached_property
    def settings(self) -> Any:
        """The report's settings, at their defaults."""
        from dnr_core.config.settings import ReportSettings

        return ReportSettings()


@define(slots=False)
class CheckTrial:
    """A check on trial.

    `break_it(company)` breaks its property in the folders of a `MadeCompany`; it wins over the
    check's own `breaks`, and without either the usual ways are tried.
    """

    subject: Check
    workshop: Workshop
    break_it: Callable[..., None] | None = None
    archetype: Archetype | None = None

    @property
    def breaks(self) -> Callable[..., None] | None:
        """What breaks its property: given here, or by the check itself."""
        found: Any = self.break_it if self.break_it is not None else self.subject.breaks
        return None if found is None else load(found)

    @cached_property
    def company(self) -> Archetype:
        """The archetype that it is for: the bench where it is for all."""
        if self.archetype is not None:
            return self.archetype
        if not self.subject.archetypes:
            return BENCH
        for name in self.subject.archetypes:
            found = self.workshop.catalogue.archetypes.get(name)
            if found is not None and found.synthesis is not None:
                return found
        raise NotTriedError(f"none of its archetypes is here: {', '.join(self.subject.archetypes)}")


@define(slots=False)
class PluginTrial:
    """A plugin on trial, as it was loaded."""

    name: str
    distribution: str
    problems: tuple[PluginProblem, ...]
    brings: Mapping[str, tuple[str, ...]]

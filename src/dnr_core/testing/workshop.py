"""Room: testing. Where objects are tried: small companies, made once in a scratch folder and shared."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb
import pyarrow as pa
from attrs import define, evolve, field, frozen

from dnr_core.api.answer import run_report
from dnr_core.api.context import Context, open_context
from dnr_core.api.make import generate_comms
from dnr_core.api.make import generate_warehouse as generate
from dnr_core.config.settings import Settings, WarehouseSettings
from dnr_core.errors import DnrError
from dnr_core.model import Archetype, DefectKind, DefectProfile
from dnr_core.testing.rule import NotTriedError
from dnr_core.warehouse import WarehouseFolder, expected_volumes, generate_warehouse, make_plan
from dnr_core.warehouse.arrow import plain
from dnr_core.warehouse.chunks import clean_chunk
from dnr_core.warehouse.measure import measure_table
from dnr_core.warehouse.plan import Plan, company_from

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

ROWS: Final = 20_000
"""About so many rows has a company on which something is tried, fixed tables aside."""

CLEAN: Final = DefectProfile("kit_clean", "No defect")


@frozen
class MadeCompany:
    """Folders of a company, as `dnr validate` is given them; None where it was not made."""

    archetype: Archetype
    data: Path
    meta: Path
    comms: Path | None = None
    reports: Path | None = None


@define
class Workshop:
    """Makes small companies in a folder of its own, which goes when it is closed.

    `catalogue` holds the plugins that are installed: their defect kinds, providers, archetypes.
    """

    catalogue: Catalogue
    scale: float | None = None
    """Scale of what is made; None takes one at which a company has about 20,000 rows."""
    examples: int = 4
    """How many mixes a property is tried on."""
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _made: dict[Any, Any] = field(factory=dict)
    _count: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was made."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._made.clear()

    def folder(self) -> Path:
        """Return a new, empty folder."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="dnr-kit-")
        self._count += 1
        path = Path(self._folder.name) / str(self._count)
        path.mkdir()
        return path

    def scale_for(self, archetype: Archetype) -> float:
        """Return the scale at which an archetype is small, and not so small that nothing is left."""
        if self.scale is not None:
            return self.scale
        scaled = sum(n for t, n in archetype.volumes.items() if t not in archetype.fixed_tables)
        return min(1.0, max(0.0005, round(ROWS / scaled, 4))) if scaled else 1.0

    def settings(self, *, quality: str = CLEAN.name, seed: int = 42) -> WarehouseSettings:
        """Return the settings of what is made here."""
        return WarehouseSettings(quality=quality, seed=seed, workers=1, snapshot_days=90)

    def with_objects(
        self,
        *profiles: DefectProfile,
        kinds: tuple[DefectKind, ...] = (),
        archetype: Archetype | None = None,
    ) -> Catalogue:
        """Return the catalogue with these in it, whatever else has their names."""
        known = self.catalogue
        own = {} if archetype is None else {archetype.name: archetype}
        return evolve(
            known,
            profiles={**known.profiles, **{p.name: p for p in (CLEAN, *profiles)}},
            defect_kinds={**known.defect_kinds, **{k.name: k for k in kinds}},
            archetypes={**known.archetypes, **own},
        )

    def plan(self, archetype: Archetype, *, scale: float | None = None, seed: int = 42) -> Plan:
        """Return the plan of a clean company of about 20,000 rows, or of a scale."""
        if archetype.synthesis is None:
            raise NotTriedError("it describes a real company, which cannot be made")
        scale = self.scale_for(archetype) if scale is None else scale
        return make_plan(archetype, self.settings(seed=seed), self.with_objects(), scale=scale)

    def clean(self, archetype: Archetype) -> dict[str, pa.Table]:
        """Return all rows of a clean company by table, made once.

        Raises:
            PluginError: a chunk is not what the schema declares.
        """
        key = ("clean", id(archetype))
        if key not in self._made:
            self._made[key] = (archetype, _all_rows(self.plan(archetype)))
        rows: dict[str, pa.Table] = self._made[key][1]
        return rows

    def violations(self, archetype: Archetype) -> dict[tuple[str, str, str], int]:
        """Return violations of the clean company by table, metric and column, counted by SQL."""
        rows = self.clean(archetype)
        found: dict[tuple[str, str, str], int] = {}
        with duckdb.connect(":memory:", config={"threads": 2}) as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            for name, table in rows.items():
                connection.register(name, table)
            for table in archetype.schema.tables:
                told = measure_table(connection, archetype.schema, table)
                for metric, column, value, _ in told:
                    if metric != "rows" and value:
                        found[table.name, metric, column] = round(value)
        return found

    def expected(self, archetype: Archetype) -> dict[str, int]:
        """Return the rows to expect of the clean company by table."""
        scale = self.scale_for(archetype)
        return expected_volumes(archetype, company_from(archetype, self.settings(), scale))

    def broken(
        self,
        archetype: Archetype,
        profile: DefectProfile,
        *,
        kinds: tuple[DefectKind, ...] = (),
        seed: int = 42,
        scale: float | None = None,
    ) -> WarehouseFolder:
        """Make a company with a profile's defects.

        Raises:
            ConfigError: the mix cannot hold.
            PluginError: the archetype or a kind is faulty.
        """
        folder = self.folder()
        return generate_warehouse(
            archetype,
            Settings(warehouse=self.settings(quality=profile.name, seed=seed)),
            self.with_objects(profile, kinds=kinds, archetype=archetype),
            out=folder / "data",
            meta=folder / "meta",
            scale=self.scale_for(archetype) if scale is None else scale,
        )

    def company(self, archetype: Archetype, times: int = 1) -> MadeCompany:
        """Return a company with the defects of a usual profile, talk and a report, made once.

        Talk and report are left out where no installed provider works without a key. `times` makes
        it larger, for what cannot be judged on a small one.
        """
        key = ("company", id(archetype), times)
        if key not in self._made:
            self._made[key] = (archetype, self._company(archetype, times))
        made: MadeCompany = self._made[key][1]
        return made

    def context(self, archetype: Archetype) -> Context:
        """Return the context in which its company was made and is judged: no file, no variable."""
        key = ("context", id(archetype))
        if key not in self._made:
            empty = self.folder() / "settings.yaml"
            empty.write_text("{}\n", encoding="utf-8")
            provider = self.local_provider()
            flags = {
                "warehouse.scale": str(self.scale_for(archetype)),
                "warehouse.quality": self._usual(),
                "warehouse.workers": 1,
                "comms.slack_threads": 120,
                "comms.emails": 40,
                "comms.nlq": 60,
                "cache.enabled": False,
                "comms.provider": provider,
                "classification.provider": provider,
                "entities.provider": provider,
            }
            catalogue = self.with_objects(archetype=archetype)
            context = open_context(
                empty,
                environ={},
                flags={name: value for name, value in flags.items() if value is not None},
                catalogue=catalogue,
            )
            self._made[key] = (archetype, context)
        found: Context = self._made[key][1]
        return found

    def local_provider(self) -> str | None:
        """Return the name of an installed provider that needs no key and no network."""
        from dnr_core.llm.providers import make_provider

        for spec in self.catalogue.providers.values():
            if spec.needs_key:
                continue
            try:
                if make_provider(self.catalogue, spec.name, env={}).local:
                    return spec.name
            except DnrError:
                continue
        return None

    def _usual(self) -> str:
        """The lightest installed profile that has rates and incidents: the one to judge on."""
        busy = sorted(
            (sum(rate.share for rate in profile.rates), name)
            for name, profile in self.catalogue.profiles.items()
            if profile.rates and profile.incidents
        )
        return busy[0][1] if busy else CLEAN.name

    def _company(self, archetype: Archetype, times: int) -> MadeCompany:
        folder, context = self.folder(), self.context(archetype)
        made = MadeCompany(archetype, folder / "data", folder / "meta")
        scale = min(1.0, self.scale_for(archetype) * times)
        generate(archetype.name, out=made.data, meta=made.meta, scale=scale, context=context)
        if self.local_provider() is None:
            return made
        made = evolve(made, comms=folder / "comms", reports=folder / "reports")
        generate_comms(made.data, out=made.comms, meta=made.meta, context=context)
        run_report(made.data, comms=made.comms, out=made.reports, context=context)
        return made


def _all_rows(plan: Plan) -> dict[str, pa.Table]:
    pieces: dict[str, list[pa.Table]] = {name: [] for name in plan.archetype.schema.names}
    for family in plan.synthesis.families:
        for chunk in range(plan.chunks[family.name]):
            for name, rows in clean_chunk(plan, family, chunk).items():
                # Codes of categories may be numbered anew in each chunk.
                pieces[name].append(plain(rows))
    return {name: pa.concat_tables(tables) for name, tables in pieces.items() if tables}

"""Room: evaluation. A frozen set of companies for anyone's tool: data here, truth apart, a card.

`public/COMPANY/` has the tables, the talk and `company.json`, which describes them; nothing there
says what is broken. `truth/COMPANY/` has the ledger, the incidents, the labels and the true
ranking, which `score` reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from attrs import asdict, evolve, frozen

from dnr_core.catalogue import Catalogue
from dnr_core.comms.generate import generate_comms
from dnr_core.comms.read import read_comms
from dnr_core.config.settings import DEFAULT_AS_OF, Settings
from dnr_core.config.zones import zone_of
from dnr_core.evaluation.runs import Recipe
from dnr_core.model import Archetype
from dnr_core.progress import Progress, Silent
from dnr_core.warehouse import generate_warehouse, repair
from dnr_core.workspace import (
    LOCK,
    MANIFEST,
    Manifest,
    claim,
    held,
    publish,
    sha256_of,
    staging,
    write_json,
    write_text,
)

KIND: Final = "benchmark"
FORMAT: Final = 1
PUBLIC: Final = "public"
TRUTH: Final = "truth"
RANKING: Final = "ranking.json"
TASK: Final = "benchmark"


@frozen
class BenchmarkFolder:
    """A benchmark that was written: where, which companies, how many files and bytes."""

    path: Path
    companies: tuple[str, ...]
    files: int
    bytes: int

    def __str__(self) -> str:
        size = f"{self.bytes / 1e6:.1f} MB"
        return (
            f"{self.path}: {len(self.companies)} companies ({', '.join(self.companies)}), "
            f"{self.files} files, {size}; README.md says how to enter"
        )


def export_benchmark(
    recipes: Sequence[Recipe],
    settings: Settings,
    catalogue: Catalogue,
    *,
    out: Path,
    progress: Progress | None = None,
) -> BenchmarkFolder:
    """Make each company and write the set. The same recipes and settings give the same bytes.

    Raises:
        FolderError: `out` holds something else, is read-only, or its disk is full.
        ConfigError: an unknown archetype or profile.
    """
    progress = progress or Silent()
    with held(out):
        claim(out, KIND)
        stage = staging(out)
        shutil.rmtree(stage)
        stage.mkdir()
        progress.start(TASK, len(recipes), "companies")
        for recipe in recipes:
            _company(recipe, recipe.settings(settings), catalogue, stage)
            progress.advance(TASK)
        progress.done(TASK)
        names = tuple(recipe.name for recipe in recipes)
        listed = _listed(stage)
        sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
        listed["SHA256SUMS"] = write_text(stage / "SHA256SUMS", sums)
        listed["README.md"] = write_text(stage / "README.md", _card(recipes, settings, stage))
        size = sum((stage / name).stat().st_size for name in listed)
        publish(
            out,
            Manifest(
                kind=KIND,
                version=_version(),
                settings={"comms": _plain(asdict(settings.comms))},
                files=listed,
                plugins=dict(catalogue.versions),
                extra={"recipes": [asdict(recipe) for recipe in recipes], "format": FORMAT},
            ),
        )
    return BenchmarkFolder(out, names, len(listed), size)


def _version() -> str:
    from importlib.metadata import version

    return version("dnr-core")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def _listed(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _company(recipe: Recipe, settings: Settings, catalogue: Catalogue, stage: Path) -> None:
    archetype = catalogue.archetype(recipe.archetype)
    public, truth = stage / PUBLIC / recipe.name, stage / TRUTH / recipe.name
    data, comms = public / "data", public / "comms"
    generate_warehouse(
        recipe.archetype, settings, catalogue, out=data, meta=truth, progress=Silent()
    )
    own = evolve(settings, comms=evolve(settings.comms, seed=settings.comms.seed + recipe.seed))
    generate_comms(archetype, own, catalogue, warehouse=data, out=comms, meta=truth)
    as_of = settings.warehouse.as_of or DEFAULT_AS_OF
    write_json(public / "company.json", company_document(archetype, settings, as_of))
    write_json(truth / RANKING, _true_ranking(archetype, settings, catalogue, data, comms, truth))
    # What the makers' manifests tell of rates and seeds belongs to nobody's data.
    for name in (MANIFEST, LOCK):
        (data / name).unlink(missing_ok=True)
        (truth / name).unlink(missing_ok=True)
    for name in (LOCK, "budget.json"):
        (comms / name).unlink(missing_ok=True)
    (truth / "comms_manifest.json").unlink(missing_ok=True)


def _tz(archetype: Archetype, settings: Settings) -> str:
    return archetype.tz or settings.warehouse.tz


def company_document(archetype: Archetype, settings: Settings, as_of: datetime) -> dict[str, Any]:
    """Return `company.json`: what a stranger has to know of the tables, and nothing of defects."""
    return {
        "format": FORMAT,
        "archetype": archetype.name,
        "title": archetype.title,
        "tz": _tz(archetype, settings),
        "as_of": as_of.astimezone(UTC).isoformat(),
        "window_days": settings.report.window_days,
        "currency": archetype.currency,
        "tables": [
            {
                "name": table.name,
                "title": table.title,
                "kind": table.kind,
                "columns": [
                    {"name": c.name, "type": c.type, "required": c.required} for c in table.columns
                ],
                "primary_key": list(table.primary_key),
                "business_key": list(table.business_key),
                "required_keys": list(table.required_keys),
                "foreign_keys": [
                    {
                        "columns": list(key.columns),
                        "to": key.to,
                        "to_columns": list(key.to_columns),
                        "parent_time": key.parent_time,
                    }
                    for key in table.foreign_keys
                ],
                "event_time": {
                    "columns": list(table.event_time.columns),
                    "through": table.event_time.through,
                }
                if table.event_time
                else None,
                "loaded_at": table.loaded_at,
            }
            for table in archetype.schema.tables
        ],
        "money": [
            {
                "name": stream.name,
                "table": stream.table,
                "product_of": list(stream.amount.product_of),
                "divide_by": stream.amount.divide_by,
                "is_revenue": stream.is_revenue,
            }
            for stream in archetype.streams
        ],
    }


def window_of(settings: Settings, tz: str) -> tuple[int, int]:
    """Return the first and last local day of the report's window, as days since 1970."""
    as_of = settings.warehouse.as_of or DEFAULT_AS_OF
    # The as-of is the midnight that ends the last day.
    last = (as_of.astimezone(zone_of(tz)).date() - date(1970, 1, 1)).days - 1
    return last - (settings.report.window_days or 30) + 1, last


def _true_ranking(
    archetype: Archetype,
    settings: Settings,
    catalogue: Catalogue,
    data: Path,
    comms: Path,
    truth: Path,
) -> dict[str, Any]:
    """Return the true needs, best first: those of the ledger and the labels, scored alike."""
    from dnr_core.evaluation.oracle import limit_of, oracle_ranking, true_demand
    from dnr_core.evaluation.oracle_rows import true_rows

    tz = _tz(archetype, settings)
    window = window_of(settings, tz)
    clean = data.parent / "clean"
    repair(data, truth, clean, catalogue, progress=Silent())
    rows = true_rows(
        archetype,
        catalogue,
        warehouse=data,
        meta=truth,
        clean=clean,
        tz=tz,
        window=window,
        late_minutes={
            table.name: limit_of(settings.report, table.name, "late")
            for table in archetype.schema.tables
        },
    )
    shutil.rmtree(clean)
    demand = true_demand(truth, read_comms(comms), settings, tz)
    oracle = oracle_ranking(settings, catalogue, rows, demand, window=window)
    top = {need.key for need in oracle.top}
    return {
        "format": FORMAT,
        "top": [list(need.key) for need in oracle.top],
        "needs": [
            {
                "theme": need.need.theme,
                "table": need.need.table,
                "score": round(need.score.value, 9),
                "worth_cents": round(need.worth_cents),
                "top": need.key in top,
            }
            for need in oracle.needs
        ],
    }


def _card(recipes: Sequence[Recipe], settings: Settings, stage: Path) -> str:
    """Write the data card from its packaged text, with what this set holds put in."""
    text = files("dnr_core.evaluation").joinpath("templates", "benchmark.md").read_text("utf-8")
    lines = []
    for recipe in recipes:
        rows = _rows(stage / PUBLIC / recipe.name / "data")
        lines.append(
            f"| `{recipe.name}` | {recipe.archetype} | {recipe.quality} | {recipe.scale:g} | "
            f"{recipe.seed} | {rows:,} |"
        )
    return (
        text.replace("@COMPANIES@", "\n".join(lines))
        .replace("@VERSION@", _version())
        .replace("@THREADS@", f"{settings.comms.slack_threads:,}")
        .replace("@EMAILS@", f"{settings.comms.emails:,}")
        .replace("@NLQ@", f"{settings.comms.nlq:,}")
    )


def _rows(data: Path) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in sorted(data.rglob("*.parquet")))

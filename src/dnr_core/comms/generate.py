"""Room: comms. Makes a company's talk: plan, words, tables, and, apart, the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import asdict, evolve, frozen

from dnr_core.comms import assemble
from dnr_core.comms.causes import causes_of, read_made
from dnr_core.comms.clock import WorkClock
from dnr_core.comms.draw import Draw, seed_of
from dnr_core.comms.nlq import plan_questions
from dnr_core.comms.people import Crowd, make_people, user_count
from dnr_core.comms.read import KIND
from dnr_core.comms.tables import LABEL_FILES
from dnr_core.comms.threads import Company, Planned, plan_threads
from dnr_core.comms.topics import Concern, Topics
from dnr_core.comms.words import Words, write_words
from dnr_core.comms.write import Briefs
from dnr_core.model import Archetype
from dnr_core.progress import Progress, Silent
from dnr_core.warehouse import company_of
from dnr_core.workspace import (
    MANIFEST_FORMAT,
    Manifest,
    claim,
    disk_errors,
    dump_json,
    held,
    publish,
    sha256_of,
    staging,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue
    from dnr_core.config import Settings

BUDGET: Final = "budget.json"
LABELS_MANIFEST: Final = "comms_manifest.json"
"""Beside the labels: their hashes, and the seed that they belong to. Written last."""


@frozen
class CommsFolder:
    """A finished folder of talk. `items` and `lost` are counts by source.

    `lost` items were planned and not written, because of the cap or of calls that failed.
    """

    path: Path
    meta: Path
    archetype: str
    items: Mapping[str, int]
    lost: Mapping[str, int]
    messages: int
    spent_usd: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {source}" for source, count in self.items.items())
        return "; ".join([f"{self.path}: {counts} ({self.messages:,} Slack messages)", *self.notes])

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(str(self))}</p>"


def generate_comms(
    archetype: Archetype | str,
    settings: Settings,
    catalogue: Catalogue,
    *,
    warehouse: Path,
    out: Path,
    meta: Path,
    concerns: Sequence[Concern] = (),
    progress: Progress = Silent(),  # noqa: B008  it has no state
) -> CommsFolder:
    """Make the talk of the company whose warehouse lies in `warehouse`.

    Args:
        archetype: the company's kind, or its name in the catalogue.
        settings: `comms` says how much of what; `cache` where replies are kept.
        catalogue: where the style, the provider and the kinds of defect are found.
        warehouse: a finished folder of `generate_warehouse`; only its manifest is read.
        out: the folder of the four tables, `budget.json` and the manifest.
        meta: the company's folder of truth; the labels are written there, and nothing is read.
        concerns: what people are concerned about, in place of the usual mix of themes and of talk
            about incidents.
        progress: told of the task "comms".

    Raises:
        ConfigError: an unknown style or provider, or a provider that lacks its key.
        CommsError: `warehouse` holds no company of this archetype.
        FolderError: `out` or `meta` cannot be written, or holds something else.
        ProviderError: the provider refused or failed for good; what is written stays cached.
    """
    if isinstance(archetype, str):
        archetype = catalogue.archetype(archetype)
    made = read_made(warehouse, archetype)
    told = company_of(made)
    comms = settings.comms
    style = catalogue.style(comms.style)
    clock = WorkClock(told.as_of, told.tz, comms.months)
    counts = {"slack": comms.slack_threads, "email": comms.emails, "nlq": comms.nlq}
    seed = seed_of("comms", comms.seed, archetype.name)
    people = make_people(user_count(comms.users, sum(counts.values())), Draw(seed, "people"))
    causes = (
        causes_of(archetype, made, catalogue, clock.start_us)
        if comms.sample_policy == "event_aware" and not concerns
        else ()
    )
    company = Company(seed, Topics(archetype, seed), Crowd(people), clock, causes, tuple(concerns))
    plan = {
        "slack": plan_threads(company, "slack", counts["slack"]),
        "email": plan_threads(company, "email", counts["email"]),
        "nlq": plan_questions(company, counts["nlq"]),
    }
    briefs = Briefs(archetype, style, clock)
    with ExitStack() as stack:
        stack.enter_context(held(out))
        claim(out, KIND)
        stack.enter_context(held(meta))
        words = write_words(briefs, plan, settings, catalogue, progress)
        words = _naming_tables(company, briefs, plan, words)
        tables = _tables(company, plan, words)
        labels = {
            source: assemble.labels_table(
                briefs, plan[source], words.written[source], assemble.ids_of(plan[source])
            )
            for source in plan
        }
        _write_labels(meta, labels, archetype.name, comms.seed)
        files = _stage(out, {**tables, "comms_users": assemble.users_table(people, list(plan))})
        files[BUDGET] = write_json(staging(out) / BUDGET, words.budget)
        publish(out, _manifest(settings, catalogue, made, counts, words, files))
    return CommsFolder(
        path=out,
        meta=meta,
        archetype=archetype.name,
        items={source: len(words.written[source]) for source in plan},
        lost=words.lost,
        messages=tables["slack_messages"].num_rows,
        spent_usd=float(words.budget["actual_usd"]),
        notes=words.notes,
    )


def _tables(
    company: Company, plan: Mapping[str, Sequence[Planned]], words: Words
) -> dict[str, pa.Table]:
    makers = {
        "slack_messages": ("slack", assemble.slack_table),
        "email_messages": ("email", assemble.email_table),
        "nlq": ("nlq", assemble.nlq_table),
    }
    return {
        name: make(company, plan[source], words.written[source], assemble.ids_of(plan[source]))
        for name, (source, make) in makers.items()
    }


def _naming_tables(
    company: Company, briefs: Briefs, plan: Mapping[str, Sequence[Planned]], words: Words
) -> Words:
    named = {
        source: {
            item.key: assemble.naming_table(company, briefs, item, words.written[source][item.key])
            for item in planned
            if item.key in words.written[source]
        }
        for source, planned in plan.items()
    }
    return evolve(words, written=named)


def write_parquet(path: Path, table: pa.Table) -> str:
    """Write a table as one Parquet file, and return its SHA-256 in hexadecimal."""
    with disk_errors(path.parent):
        pq.write_table(table, path, compression="zstd")
        return sha256_of(path)


def _stage(out: Path, tables: Mapping[str, pa.Table]) -> dict[str, str]:
    stage = staging(out)
    return {
        f"{name}.parquet": write_parquet(stage / f"{name}.parquet", table)
        for name, table in sorted(tables.items())
    }


def _write_labels(meta: Path, labels: Mapping[str, pa.Table], archetype: str, seed: int) -> None:
    """Put the labels beside the ledger, with a manifest of their own, written last.

    The warehouse's manifest there is not touched: either can be made again without the other.
    """
    with disk_errors(meta):
        (meta / LABELS_MANIFEST).unlink(missing_ok=True)
        for left_by_a_killed_run in (
            *meta.glob(f".{LABELS_MANIFEST}.*.tmp"),
            *meta.glob(".labels_*.tmp"),
        ):
            left_by_a_killed_run.unlink(missing_ok=True)
    files: dict[str, str] = {}
    for source, table in labels.items():
        path = meta / LABEL_FILES[source]
        temporary = path.with_name(f".{path.name}.tmp")
        files[path.name] = write_parquet(temporary, table)
        with disk_errors(meta):
            temporary.replace(path)
    content = {
        "format": MANIFEST_FORMAT,
        "kind": "labels",
        "archetype": archetype,
        "seed": seed,
        "files": files,
    }
    write_text(meta / LABELS_MANIFEST, dump_json(content))


def _manifest(
    settings: Settings,
    catalogue: Catalogue,
    warehouse: Manifest,
    counts: Mapping[str, int],
    words: Words,
    files: Mapping[str, str],
) -> Manifest:
    said: dict[str, Any] = asdict(settings.comms)
    return Manifest(
        kind=KIND,
        version=metadata.version("dnr-core"),
        settings={**said, "warehouse": dict(warehouse.settings)},
        files=files,
        archetype=warehouse.archetype,
        seed=settings.comms.seed,
        plugins=catalogue.versions,
        extra={
            "synthetic": True,
            "asked": dict(counts),
            "lost": dict(words.lost),
            "prompt_sha256": words.prompt_sha256,
        },
    )

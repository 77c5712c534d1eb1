"""Room: api. Calls that judge a made company by the truth: checks and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dnr_core.api.context import Context, open_context, optional_path
from dnr_core.api.make import installed_archetypes
from dnr_core.errors import ConfigError
from dnr_core.model import load
from dnr_core.progress import Progress, Silent

if TYPE_CHECKING:
    from dnr_core.checks import QcSummary
    from dnr_core.evaluation import HealthScores, LabelScores, RankingScores

SEEDS: Final = 10
"""Companies of each kind that are evaluated where nobody says how many."""


def validate(
    warehouse: Path | str,
    *,
    comms: Path | str | None = None,
    meta: Path | str | None = None,
    reports: Path | str | None = None,
    out: Path | str | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> QcSummary:
    """Check that a made company is what it was asked to be.

    Args:
        warehouse: folder that `generate_warehouse` made.
        comms, meta, reports: the company's other folders; checks that need one are left out
            where it is not given.
        out: folder for `qc_summary.json` and `qc_checks.csv`; None writes nothing.
        context: plugins and settings; None opens them.
        progress: what to report to.
    """
    from dnr_core import checks

    context = context or open_context()
    return checks.validate(
        Path(warehouse),
        comms=optional_path(comms),
        meta=optional_path(meta),
        reports=optional_path(reports),
        out=optional_path(out),
        settings=context.settings,
        catalogue=context.catalogue,
        progress=progress or Silent(),
    )


def evaluate_labels(
    predictions: Path | str,
    labels: Path | str,
    *,
    out: Path | str | None = None,
    context: Context | None = None,
) -> LabelScores:
    """Score a report's predictions against the true labels, joined by id.

    Args:
        predictions: a report's folder.
        labels: the company's `meta` folder.
        out: folder for the scores; None writes nothing.
        context: plugins and settings; None opens them.
    """
    from dnr_core import evaluation

    context = context or open_context()
    provider = context.catalogue.providers.get(context.settings.classification.provider)
    return evaluation.evaluate_labels(
        Path(predictions),
        Path(labels),
        context.settings,
        out=optional_path(out),
        golden=load(provider.measured)() if provider and provider.measured else None,
    )


def evaluate_health(
    archetypes: str | Sequence[str] | None = None,
    *,
    seeds: int | Sequence[int | str] | None = None,
    scales: Sequence[float | str] = (0.3,),
    profiles: Sequence[str] = ("typical", "clean"),
    trajectory: str = "T1",
    months: int = 18,
    given: Sequence[tuple[Path | str, Path | str]] = (),
    work: Path | str | None = None,
    keep: bool = False,
    workers: int = 1,
    out: Path | str | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> HealthScores:
    """Score detected incidents against the truth of made companies.

    A company is made for each combination of archetype, seed, scale and profile, measured from
    its warehouse alone, compared with its planned incidents and its ledger, and taken away. A run
    that was killed goes on when it is called again with the same arguments.

    Args:
        archetypes: names; None means those of the settings, or all installed that can be made.
        seeds: how many from 1 on, or the seeds themselves ("3-8" is a range); None means ten, or
            none where companies are given.
        scales: "tiny", "evaluation", or what to multiply its volumes by.
        profiles: names of defect profiles; incidents of one without any are false alarms.
        trajectory, months: as `generate_warehouse` has them.
        given: companies that are there: `(warehouse, meta)` each.
        work: folder of companies in the making; None means `paths.reports`/eval/work.
        keep: leave them there.
        workers: processes side by side.
        out: folder for the scores; None writes none.
        context: plugins and settings; None opens them.
        progress: told of companies as they are measured.

    Raises:
        ConfigError: a name, scale or seed that cannot be used.
        InputError: a company that is given cannot be read.
    """
    from dnr_core import evaluation

    context = context or open_context()
    catalogue = context.catalogue
    if seeds is None and not given:
        seeds = SEEDS
    names = (archetypes,) if isinstance(archetypes, str) else archetypes
    chosen = [catalogue.archetype(name).name for name in names or installed_archetypes(context)]
    for profile in profiles:
        catalogue.profile(profile)
    recipes = evaluation.recipes(
        chosen,
        tuple(profiles),
        tuple(_scale(scale) for scale in scales),
        _seeds(seeds),
        trajectory=trajectory,
        months=months,
    )
    return evaluation.evaluate_health(
        recipes,
        tuple((Path(data), Path(meta)) for data, meta in given),
        context.settings,
        catalogue,
        work=Path(work) if work is not None else context.settings.paths.reports / "eval" / "work",
        out=optional_path(out),
        workers=workers,
        keep=keep,
        progress=progress or Silent(),
    )


def evaluate_ranking(
    archetypes: str | Sequence[str] | None = None,
    *,
    seeds: int | Sequence[int | str] | None = None,
    scale: float | str = 0.05,
    talk: float = 0.2,
    work: Path | str | None = None,
    keep: bool = False,
    workers: int = 1,
    out: Path | str | None = None,
    context: Context | None = None,
    progress: Progress | None = None,
) -> RankingScores:
    """Score reports against the true ranking, over drawn companies whose problems differ.

    For each archetype and seed a company is drawn and made, ranked from its data alone, compared
    with the ranking that its ledger and labels give and with what simpler rules would have named,
    and taken away. A run that was killed goes on when it is called again with the same arguments.

    Args:
        archetypes: names; None means those of the settings, or all installed that can be made.
        seeds: how many from 1 on, or the seeds themselves ("3-8" is a range); None means ten.
        scale: what to multiply the usual volumes of a warehouse by.
        talk: what to multiply the usual volumes of messages by.
        work: folder of companies in the making; None means `paths.reports`/eval/work.
        keep: leave them there.
        workers: processes side by side.
        out: folder for the scores; None writes none.
        context: plugins and settings; None opens them.
        progress: told of companies as they are judged.

    Raises:
        ConfigError: a name, scale or seed that cannot be used.
    """
    from dnr_core import evaluation

    context = context or open_context()
    usual = context.settings.comms
    context = context.with_flags(
        {
            "warehouse.scale": str(_scale(scale)),
            "comms.slack_threads": round(usual.slack_threads * talk),
            "comms.emails": round(usual.emails * talk),
            "comms.nlq": round(usual.nlq * talk),
        }
    )
    names = (archetypes,) if isinstance(archetypes, str) else archetypes
    return evaluation.evaluate_ranking(
        [context.catalogue.archetype(name).name for name in names or installed_archetypes(context)],
        _seeds(SEEDS if seeds is None else seeds),
        context.settings,
        context.catalogue,
        work=Path(work) if work is not None else context.settings.paths.reports / "eval" / "work",
        out=optional_path(out),
        workers=workers,
        keep=keep,
        progress=progress or Silent(),
    )


def _scale(scale: float | str) -> float:
    from dnr_core.config.settings import scale_factor

    try:
        return scale_factor(str(scale))
    except ValueError as error:
        raise ConfigError(f"scale {scale!r} {error}") from None


def _seeds(seeds: int | Sequence[int | str] | None) -> tuple[int, ...]:
    if seeds is None:
        return ()
    if isinstance(seeds, int):
        return tuple(range(1, seeds + 1))
    found: list[int] = []
    for part in seeds:
        first, dash, last = str(part).partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(
                f"{part!r} is no seed", hint="seeds are whole numbers: 3,5,8 or a range, 1-20"
            )
        found += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(found))

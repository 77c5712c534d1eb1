"""Room: api. A frozen benchmark for others' tools, and the scores of what they hand in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dnr_core.api.context import Context, open_context
from dnr_core.api.make import installed_archetypes
from dnr_core.errors import ConfigError
from dnr_core.progress import Progress

if TYPE_CHECKING:
    from dnr_core.evaluation.benchmark import BenchmarkFolder
    from dnr_core.evaluation.benchmark_score import BenchmarkScores


def export_benchmark(
    out: Path | str,
    *,
    archetypes: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] = 2,
    scale: float | str = "tiny",
    quality: str = "typical",
    context: Context | None = None,
    progress: Progress | None = None,
) -> BenchmarkFolder:
    """Write a frozen set of companies: data, talk and, apart, ledger, labels and true ranking.

    The same arguments, settings and version give the same bytes.

    Args:
        out: the folder of the set.
        archetypes: names; None means all installed that can be made.
        seeds: how many companies of each kind, from seed 1 on, or the seeds themselves.
        scale: "tiny", "evaluation", or what to multiply the volumes by.
        quality: name of a defect profile.
        context: plugins and settings; None opens them. `comms` says how much talk there is.
        progress: told of companies as they are made.

    Raises:
        ConfigError: a name or scale that cannot be used.
        FolderError: `out` holds something else or cannot be written.
    """
    from dnr_core.config.settings import scale_factor
    from dnr_core.evaluation import recipes
    from dnr_core.evaluation.benchmark import export_benchmark as export

    context = context or open_context()
    catalogue = context.catalogue
    names = (archetypes,) if isinstance(archetypes, str) else archetypes
    chosen = [catalogue.archetype(name).name for name in names or installed_archetypes(context)]
    catalogue.profile(quality)
    try:
        factor = scale_factor(str(scale))
    except ValueError as error:
        raise ConfigError(f"scale {scale!r} {error}") from None
    numbers = range(1, seeds + 1) if isinstance(seeds, int) else seeds
    return export(
        recipes(chosen, (quality,), (factor,), tuple(numbers)),
        context.settings,
        catalogue,
        out=Path(out),
        progress=progress,
    )


def score(predictions: Path | str, benchmark: Path | str) -> BenchmarkScores:
    """Score defect detections, label predictions or rankings against a benchmark.

    Args:
        predictions: a folder with `defects`, `labels` or `ranking` as `.csv` or `.parquet`, some
            or all of them, or one such file.
        benchmark: the folder that `export_benchmark` wrote.

    Raises:
        InputError: a file cannot be read, lacks a column or names what is not there; or the
            benchmark is not the frozen one.
    """
    from dnr_core.evaluation.benchmark_score import score_predictions

    return score_predictions(Path(predictions), Path(benchmark))

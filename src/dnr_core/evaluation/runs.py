"""Room: evaluation. Many companies, one after another or side by side; a killed run goes on.

A job is done in a folder of its own, and its outcome, plain JSON, is kept as soon as it is there.
Outcomes are taken again only for a job of the same content, so that a run that was killed does
what is missing, and one of other settings does it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, Final

from attrs import asdict, evolve, frozen

from dnr_core.catalogue import Catalogue
from dnr_core.config.settings import Settings
from dnr_core.errors import ConfigError, UnfinishedError
from dnr_core.plugins import BUILTIN, load_plugins
from dnr_core.progress import Progress, Silent
from dnr_core.warehouse import generate_warehouse
from dnr_core.workspace import held, write_text

OUTCOMES: Final = "outcomes"
COMPANIES: Final = "companies"
Outcome = dict[str, Any]


@frozen
class Recipe:
    """What a company is made from; two companies of one recipe are equal byte by byte."""

    archetype: str
    quality: str
    scale: float
    seed: int
    trajectory: str = "T1"
    months: int = 18
    snapshot_days: int = 1

    @property
    def name(self) -> str:
        """A name that is fit for a folder."""
        parts = (self.archetype, self.quality, f"x{self.scale:g}", self.trajectory)
        return "-".join((*parts, f"{self.months}m", str(self.seed)))

    def settings(self, settings: Settings) -> Settings:
        """Return the settings with this company in them, to be made by one thread."""
        return evolve(
            settings,
            warehouse=evolve(
                settings.warehouse,
                quality=self.quality,
                scale=repr(self.scale),
                seed=self.seed,
                trajectory=self.trajectory,
                months=self.months,
                snapshot_days=self.snapshot_days,
                workers=1,
                engine="local",
            ),
        )


def recipes(
    archetypes: Sequence[str],
    qualities: Sequence[str],
    scales: Sequence[float],
    seeds: Sequence[int],
    **common: Any,
) -> tuple[Recipe, ...]:
    """Return a recipe for each combination, seeds outermost, so that a part is a fair sample."""
    return tuple(
        Recipe(archetype, quality, scale, seed, **common)
        for seed in seeds
        for scale in scales
        for quality in qualities
        for archetype in archetypes
    )


@frozen
class Company:
    """A made company, for as long as it is looked at."""

    warehouse: Path
    meta: Path
    settings: Settings
    catalogue: Catalogue


@contextmanager
def made(
    recipe: Recipe, settings: Settings, catalogue: Catalogue, folder: Path, *, keep: bool
) -> Iterator[Company]:
    """Make a company below `folder`, and take it away afterwards unless it is to be kept."""
    home = folder / COMPANIES / recipe.name
    own = recipe.settings(settings)
    generate_warehouse(
        recipe.archetype, own, catalogue, out=home / "data", meta=home / "meta", progress=Silent()
    )
    yield Company(home / "data", home / "meta", own, catalogue)
    if not keep:
        shutil.rmtree(home, ignore_errors=True)


@frozen
class Job:
    """One piece of work: a name that is fit for a file, and what it is to be done with."""

    name: str
    given: Mapping[str, Any]


Work = Callable[[Job, Settings, Catalogue, Path], Outcome]
"""A function of a module: `work(job, settings, catalogue, folder)` returns plain JSON values."""


def run_jobs(
    jobs: Sequence[Job],
    work: Work,
    settings: Settings,
    catalogue: Catalogue,
    folder: Path,
    *,
    workers: int = 1,
    task: str = "companies",
    progress: Progress | None = None,
) -> list[Outcome]:
    """Do each job, or take its outcome from an earlier run of the same, and return them in order.

    With several workers each is a process that loads the plugins for itself; then `catalogue` must
    come from installed plugins alone.

    Raises:
        FolderHeldError: another run works in the folder.
        ConfigError: several workers, and a plugin that was given as an object.
        UnfinishedError: a worker process ended; outcomes until then are kept.
        DnrError: whatever a job raised; outcomes until then are kept.
    """
    progress = progress or Silent()
    given = sorted(p.name for p in catalogue.plugins if p.distribution == "given")
    if workers > 1 and given:
        raise ConfigError(
            f"plugin {given[0]!r} was given as an object, which other processes do not have",
            hint="use one worker, or install the plugin",
        )
    content = {
        "settings": repr(settings),
        "versions": catalogue.versions,
        "work": work.__qualname__,
    }
    marks = {job.name: _fingerprint({**content, "given": dict(job.given)}) for job in jobs}
    outcomes: dict[str, Outcome] = {}
    with held(folder):
        for job in jobs:
            found = _kept(folder, job.name, marks[job.name])
            if found is not None:
                outcomes[job.name] = found
        progress.start(task, len(jobs), "companies")
        progress.advance(task, len(outcomes))
        left = [job for job in jobs if job.name not in outcomes]
        for name, outcome in _done(left, work, settings, catalogue, folder, workers):
            # Keys in their order, and read back: an outcome is the same whichever run had it.
            text = json.dumps({"of": marks[name], "outcome": outcome}, allow_nan=False)
            write_text(folder / OUTCOMES / f"{name}.json", text + "\n")
            outcomes[name] = json.loads(text)["outcome"]
            progress.advance(task)
        progress.done(task)
    return [outcomes[job.name] for job in jobs]


def _done(
    jobs: Sequence[Job],
    work: Work,
    settings: Settings,
    catalogue: Catalogue,
    folder: Path,
    workers: int,
) -> Iterator[tuple[str, Outcome]]:
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job.name, work(job, settings, catalogue, folder)
        return
    names = [p.name for p in catalogue.plugins if p.name != BUILTIN]
    # Fresh processes: a fork would copy locks that threads of DuckDB and Arrow hold.
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(names,)
    )
    try:
        waiting: dict[Future[Outcome], str] = {
            pool.submit(_in_process, work, job, settings, folder): job.name for job in jobs
        }
        while waiting:
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool:
        raise UnfinishedError(
            "a worker process ended before its company was done",
            hint="often for want of memory: use fewer --workers or a smaller --scale, and run it "
            "again; what is done is kept",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_LOADED: list[Catalogue] = []
"""The catalogue of a worker process, loaded once."""


def _start(plugins: list[str]) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    _LOADED[:] = [load_plugins(only=plugins)]


def _end_with_parent() -> None:
    """End this worker as soon as the run that started it is gone, however it ended.

    A worker that outlived a killed run would go on in the folders that the next run works in.
    """
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_process(work: Work, job: Job, settings: Settings, folder: Path) -> Outcome:
    return work(job, settings, _LOADED[0], folder)


def _kept(folder: Path, name: str, mark: str) -> Outcome | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((folder / OUTCOMES / f"{name}.json").read_text("utf-8"))
        if found["of"] == mark:
            outcome: Outcome = found["outcome"]
            return outcome
    return None


def _fingerprint(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(
        json.dumps(content, sort_keys=True, default=repr).encode("utf-8")
    ).hexdigest()


def recipe_job(recipe: Recipe, **more: Any) -> Job:
    """Return the job of one company."""
    return Job(recipe.name, {"recipe": asdict(recipe), **more})


def recipe_of(job: Job) -> Recipe:
    """Return the recipe that a job was made from."""
    return Recipe(**job.given["recipe"])

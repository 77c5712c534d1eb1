"""Room: testing. Rules for QC checks: CHK001 and on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from attrs import evolve

from dnr_core.api.judge import validate
from dnr_core.errors import DnrError
from dnr_core.model import Check, CheckResult, load
from dnr_core.testing.breaking import usual_breaks
from dnr_core.testing.rule import NotTriedError, Problem, rule
from dnr_core.testing.trials import CheckTrial
from dnr_core.testing.workshop import MadeCompany

FOLDERS: Final = ("comms", "meta", "reports")
_STATUSES: Final = ("passed", "failed", "skipped")
MOST_BREAKS: Final = 300
SIZES: Final = (1, 10, 40)
"""How many times larger a company may become until a check judges anything on it."""

NOT_RUN: Final = "the check could not run"
"""How `dnr validate` begins what it says of a check that raised: it has not judged anything."""


def folders_of(made: MadeCompany) -> dict[str, Path]:
    """Return the folders of a company that are there."""
    told = {"data": made.data, "comms": made.comms, "meta": made.meta, "reports": made.reports}
    return {name: path for name, path in told.items() if path is not None}


def results(
    trial: CheckTrial, folders: dict[str, Path], run: Any = None
) -> tuple[CheckResult, ...]:
    """Return what `dnr validate` gets from the check alone, on folders of the company."""
    subject = trial.subject if run is None else evolve(trial.subject, run=run)
    context = trial.workshop.context(trial.company)
    catalogue = evolve(context.catalogue, checks={subject.name: subject})
    return validate(
        folders["data"],
        comms=folders.get("comms"),
        meta=folders.get("meta"),
        reports=folders.get("reports"),
        context=evolve(context, catalogue=catalogue),
    ).results


def _company(trial: CheckTrial, times: int = 1) -> MadeCompany:
    made = trial.workshop.company(trial.company, times)
    absent = [name for name in trial.subject.needs if getattr(made, name) is None]
    if absent:
        raise NotTriedError(
            f"no installed provider works without a key, so there is no {absent[0]}"
        )
    return made


@rule(
    "CHK001",
    "check",
    "must",
    "Its function and its folders are there",
    why="A check that cannot be run counts as failed, and one that needs an unknown folder never runs.",
    mend="name a function of one argument, and folders among comms, meta and reports",
)
def function_and_folders(trial: CheckTrial) -> Iterator[Problem]:
    """The dotted path, `needs`, `archetypes`."""
    subject: Check = trial.subject
    try:
        if not callable(load(subject.run)):
            yield Problem("run", f"{subject.run!r} is nothing that can be called")
    except Exception as error:
        # An author's module may raise anything when it is imported.
        yield Problem("run", f"{subject.run!r} cannot be imported: {type(error).__name__}: {error}")
    for name in subject.needs:
        if name not in FOLDERS:
            yield Problem("needs", f"there is no folder {name!r}; there are {', '.join(FOLDERS)}")


@rule(
    "CHK002",
    "check",
    "must",
    "It passes on a sound company",
    why="A check that fails where nothing is wrong is switched off, and with it the ones that are right.",
    mend="compare with what the company was asked to be (profile, settings, volumes), with room for chance; skip with a reason what cannot be judged",
    after="CHK001",
)
def passes_on_sound(trial: CheckTrial) -> Iterator[Problem]:
    """Its results on a small company with the usual defects."""
    found = results(trial, folders_of(_company(trial)))
    if not found:
        yield Problem(f"check {trial.subject.name}", "it gave no result")
    for result in found:
        if result.status == "failed":
            yield Problem(
                f"check {result.name}, {result.where_to_look}",
                f"measured {result.measured}, expected {result.expected}",
            )


@rule(
    "CHK003",
    "check",
    "must",
    "It says what it measured, what it expected and where to look",
    why="'failed' alone sends people to search; the three texts send them to the place.",
    mend="return `CheckResult(name, status, measured, expected, where_to_look)` under the check's own name, with no text empty",
    after="CHK002",
)
def says_what_and_where(trial: CheckTrial) -> Iterator[Problem]:
    """Names, statuses, texts."""
    for result in results(trial, folders_of(_company(trial))):
        where = f"check {trial.subject.name}"
        if not isinstance(result, CheckResult):
            yield Problem(where, f"it gave {type(result).__name__}, not CheckResult")
            return
        if result.name != trial.subject.name:
            yield Problem(where, f"it calls itself {result.name!r}")
            return
        if result.status not in _STATUSES:
            yield Problem(where, f"its status is {result.status!r}")
        for name in ("measured", "expected", "where_to_look"):
            if not str(getattr(result, name)).strip():
                yield Problem(where, f"`{name}` is empty")
                return


@rule(
    "CHK004",
    "check",
    "must",
    "It changes nothing and gives the same twice",
    why="Checks run in any order on folders that others read: one that writes, or draws at random, spoils the rest.",
    mend="open the folders for reading only, and draw nothing at random",
    after="CHK002",
)
def changes_nothing(trial: CheckTrial) -> Iterator[Problem]:
    """Every byte of the folders before and after, and the results of two runs."""
    folders = folders_of(_company(trial))
    before = _bytes_of(folders)
    one, two = results(trial, folders), results(trial, folders)
    after = _bytes_of(folders)
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            yield Problem(f"check {trial.subject.name}", f"it changed {path}")
            return
    if one != two:
        yield Problem(f"check {trial.subject.name}", "run again, it gave other results")


def _bytes_of(folders: dict[str, Path]) -> dict[str, str]:
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for name, folder in folders.items()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".dnr.lock"
    }


@rule(
    "CHK005",
    "check",
    "must",
    "It fails when its property is broken",
    why="A check that passes whatever happens proves nothing.",
    mend="measure on the files, not on what the manifest or the settings say; say in `Check.breaks` how the property is broken where that is unusual",
    after="CHK002",
)
def fails_when_broken(trial: CheckTrial) -> Iterator[Problem]:
    """Broken by its own `breaks`, or by what usually breaks a company, until it fails."""
    made = _judged(trial)
    folders = folders_of(made)
    breaks = trial.breaks
    if breaks is not None:
        copy = _copy(trial, folders)
        breaks(evolve(made, **cast("dict[str, Any]", copy)))
        if not _fails(trial, copy):
            yield Problem(f"check {trial.subject.name}", "it passes on what its `breaks` broke")
        return
    copy = _copy(trial, folders)
    relevant = _relevant(trial, copy)
    tried = 0
    for way in usual_breaks(relevant):
        tried += 1
        if tried > MOST_BREAKS:
            break
        try:
            way.apply()
        except Exception:
            continue
        if _fails(trial, copy):
            return
        for name, folder in relevant.items():
            _restore(folders[name], folder)
    yield Problem(
        f"check {trial.subject.name}", f"it passes whatever is broken: {tried} ways were tried"
    )


def _judged(trial: CheckTrial) -> MadeCompany:
    """Return the smallest company on which the check judges anything."""
    why = "it gives no result"
    for times in SIZES:
        made = _company(trial, times)
        found = results(trial, folders_of(made))
        if any(result.status != "skipped" for result in found):
            return made
        why = found[0].measured if found else why
    raise NotTriedError(
        f"it judges nothing on companies of up to {SIZES[-1]} times the usual size: {why}"
    )


def _relevant(trial: CheckTrial, copy: dict[str, Path]) -> dict[str, Path]:
    """Return the folders in the order in which a check of these needs is likely to look at them."""
    first = [name for name in trial.subject.needs if name in copy]
    return {name: copy[name] for name in dict.fromkeys([*first, "data"])}


def _fails(trial: CheckTrial, folders: dict[str, Path]) -> bool:
    try:
        found = results(trial, folders)
    except DnrError:
        # The folder is so broken that nothing is checked: that says nothing of this check.
        return False
    return any(r.status == "failed" and not r.measured.startswith(NOT_RUN) for r in found)


def _copy(trial: CheckTrial, folders: dict[str, Path]) -> dict[str, Path]:
    root = trial.workshop.folder()
    return {name: Path(shutil.copytree(path, root / name)) for name, path in folders.items()}


def _restore(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if not path.is_file():
            continue
        copy = target / path.relative_to(source)
        if copy.stat().st_mtime_ns != path.stat().st_mtime_ns:
            shutil.copy2(path, copy)

"""Room: evaluation. Companies whose problems differ, drawn from a seed, with the talk they cause.

A scenario breaks some tables more than others: which theme, which table, how many rows, since
when, and how much money that reaches, all differ from seed to seed. People talk about these
problems, loudly or hardly at all, and about other things as well. Nothing here knows how a report
weighs a problem: what is worst in a scenario is for the oracle to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
from attrs import evolve, frozen

from dnr_core.comms import generate_comms
from dnr_core.comms.draw import Draw, seed_of
from dnr_core.comms.topics import Concern, Topics
from dnr_core.config.settings import DEFAULT_AS_OF, Slos
from dnr_core.model import (
    THEMES,
    Archetype,
    CellChange,
    DefectKind,
    DefectOutcome,
    DefectProfile,
    DefectRate,
    DefectTask,
    LagProfile,
    Table,
    load,
)
from dnr_core.model.health import METRIC_THEME
from dnr_core.synth.draw import below_each
from dnr_core.warehouse import generate_warehouse

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue
    from dnr_core.config import Settings

PROFILE: Final = "scenario"
COMMS_MONTHS: Final = 12

_PROBLEMS: Final = 3
_MOST_RIVALS: Final = 4
_BROKEN_WEIGHT: Final = 5
"""How much likelier a problem is one of broken rows than of any one theme of talk alone."""
_TIMES_THE_LIMIT: Final = (1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0)
_LATE_SHARES: Final = (0.06, 0.08, 0.12, 0.2, 0.3, 0.4)
_BACKGROUND: Final = (0.05, 0.9)
"""What is always broken a little, in parts of the limit."""
_SINCE_DAYS: Final = (3, 5, 8, 12, 18, 25, 40, 60, 90, 150)
_ENDED_DAYS: Final = (2, 5, 9, 14, 21, 28, 40)
_LASTED_DAYS: Final = (7, 14, 28, 56)
_TALK_AFTER_DAYS: Final = 10
_LOUDNESS: Final = (1, 2, 4, 7, 11, 16, 24)
_TALK_ONLY_LOUDNESS: Final = (10, 16, 24, 36)
_BACKGROUND_CONCERNS: Final = 14
_LATE_MINUTES: Final = (120, 900)
_TRAJECTORIES: Final = ("T1", "T2", "T3", "T4")
_LAG: Final = LagProfile(usual_minutes=(5, 60), slow_minutes=(60, 85), slow_share=0.02)


def come_late(task: DefectTask) -> DefectOutcome:
    """Load the rows hours after they happened."""
    if task.event_us is None or task.table.loaded_at is None:
        return DefectOutcome()
    low, high = (minutes * 60 for minutes in _LATE_MINUTES)
    seconds = low + below_each(task.rng, high - low, len(task.rows))
    values = pa.array(task.event_us[task.rows] + seconds * 1_000_000).cast(pa.timestamp("us"))
    return DefectOutcome([CellChange(task.table.loaded_at, task.rows, values)])


LATE_ROWS: Final = DefectKind(
    name="late_rows",
    title="Rows that come late",
    theme=METRIC_THEME["late"],
    metric="late",
    apply=come_late,
    stage="loads",
    targets="dnr_core.builtin.defects:load_time",
)
"""A share of a table's rows that is late as long as the problem lasts."""


@frozen
class Problem:
    """Something that is wrong with a table: `share` of its rows from `first` to before `until`.

    `kind` is "" for a problem that people have and no row shows. None for a day is the history's
    beginning or end.
    """

    theme: str
    table: str
    kind: str = ""
    share: float = 0.0
    columns: tuple[str, ...] = ()
    first: date | None = None
    until: date | None = None


@frozen
class Scenario:
    """A company to be made. `problems` are what it is drawn around; `background` is the rest."""

    archetype: str
    seed: int
    trajectory: str
    problems: tuple[Problem, ...]
    background: tuple[Problem, ...]
    concerns: tuple[Concern, ...]

    @property
    def name(self) -> str:
        """A name that is fit for a folder."""
        return f"{self.archetype}-{self.seed}"

    def profile(self, tz: str) -> DefectProfile:
        """Return the defects of the company as a profile."""
        rates = [
            DefectRate(
                problem.kind,
                problem.share,
                tables=problem.table,
                columns=problem.columns,
                options=_period(problem, tz),
            )
            for problem in (*self.problems, *self.background)
            if problem.kind
        ]
        return DefectProfile(PROFILE, "Drawn for an evaluation", rates=rates, lag=_LAG)


def _period(problem: Problem, tz: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if problem.first:
        found["from"] = _midnight(problem.first, tz)
    if problem.until:
        found["until"] = _midnight(problem.until, tz)
    return found


def _midnight(day: date, tz: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(tz)).astimezone(UTC)


def draw_scenario(
    archetype: Archetype, seed: int, catalogue: Catalogue, *, last_day: date
) -> Scenario:
    """Draw a scenario: a pure function of its arguments.

    `last_day` is the last local day of the history.
    """
    draw = Draw("scenario", archetype.name, seed)
    kinds = _kinds(catalogue)
    themes = _themes(draw, [kind.theme for kind in kinds])
    rivals = [
        draw.pick([kind.theme for kind in kinds]) for _ in range(draw.below(_MOST_RIVALS + 1))
    ]
    topics = Topics(archetype, seed_of("scenario", seed))
    problems: list[Problem] = []
    for theme in (*themes, *rivals):
        problem = _problem(draw, archetype, theme, kinds, topics, last_day)
        if all(_place(problem) != _place(other) for other in problems):
            problems.append(problem)
    background = tuple(
        Problem(kind.theme, table.name, kind.name, _background(draw, kind))
        for table in archetype.schema.facts
        for kind in kinds
        if kind.metric != "late" and _targets(kind, archetype, table)
    )
    concerns = _concerns(draw, problems, topics, last_day)
    trajectory = draw.pick(_TRAJECTORIES)
    return Scenario(archetype.name, seed, trajectory, tuple(problems), background, concerns)


def _place(problem: Problem) -> tuple[str, str, str]:
    return problem.theme, problem.table, problem.kind


def _kinds(catalogue: Catalogue) -> list[DefectKind]:
    """Return the kinds that break rows as long as they last and that health has a metric for."""
    found = [
        kind
        for _, kind in sorted(catalogue.defect_kinds.items())
        if not kind.dated and kind.metric in METRIC_THEME
    ]
    return [*found, LATE_ROWS]


def _themes(draw: Draw, broken: Sequence[str]) -> list[str]:
    weights = {theme: _BROKEN_WEIGHT if theme in broken else 1 for theme in THEMES}
    chosen: list[str] = []
    while len(chosen) < _PROBLEMS:
        left = {theme: weight for theme, weight in weights.items() if theme not in chosen}
        chosen.append(draw.weighted(left))
    return chosen


def _targets(kind: DefectKind, archetype: Archetype, table: Table) -> tuple[str, ...]:
    if kind.targets is None:
        return ()
    return tuple(load(kind.targets)(archetype.schema, table))


def _limit(kind: DefectKind) -> float:
    """Return the share of rows at which the kind's metric meets its usual limit."""
    limits = Slos()
    return {
        "key_null": limits.key_null_pct,
        "fk_failure": limits.fk_orphan_pct,
        "duplicate": limits.dup_keys_pct,
    }[kind.metric or ""] / 100


def _background(draw: Draw, kind: DefectKind) -> float:
    low, high = (round(part * 100) for part in _BACKGROUND)
    return _limit(kind) * draw.between(low, high) / 100


def _problem(
    draw: Draw,
    archetype: Archetype,
    theme: str,
    kinds: Sequence[DefectKind],
    topics: Topics,
    last_day: date,
) -> Problem:
    fitting = [
        (kind, table)
        for kind in kinds
        for table in archetype.schema.facts
        if kind.theme == theme and _targets(kind, archetype, table)
    ]
    if not fitting:
        return Problem(theme, topics.draw(theme, draw).table)
    kind, table = draw.pick(fitting)
    is_late = kind.metric == "late"
    size = draw.pick(_LATE_SHARES if is_late else _TIMES_THE_LIMIT)
    share = size if is_late else size * _limit(kind)
    columns = _targets(kind, archetype, table)
    if kind.stage == "values" and draw.chance(50):
        columns = (draw.pick(columns),)
    first, until = _days(draw, last_day)
    return Problem(theme, table.name, kind.name, share, columns, first, until)


def _days(draw: Draw, last_day: date) -> tuple[date | None, date | None]:
    roll = draw.below(100)
    if roll < 35:
        return None, None
    if roll < 80:
        return last_day - timedelta(days=draw.pick(_SINCE_DAYS) - 1), None
    until = last_day - timedelta(days=draw.pick(_ENDED_DAYS) - 1)
    return until - timedelta(days=draw.pick(_LASTED_DAYS)), until


def _concerns(
    draw: Draw, problems: Sequence[Problem], topics: Topics, last_day: date
) -> tuple[Concern, ...]:
    """Return who talks about what: each problem more or less loudly, and what else moves people."""
    found: dict[tuple[str, str], Concern] = {}
    for problem in problems:
        loud = draw.pick(_LOUDNESS if problem.kind else _TALK_ONLY_LOUDNESS)
        ends = problem.until + timedelta(days=_TALK_AFTER_DAYS) if problem.until else None
        concern = Concern(
            problem.theme,
            problem.table,
            loud,
            problem.columns if len(problem.columns) == 1 and problem.kind else (),
            first=problem.first,
            last=min(ends, last_day) if ends else None,
        )
        found.setdefault((problem.theme, problem.table), concern)
    for _ in range(_BACKGROUND_CONCERNS):
        theme = draw.pick(THEMES)
        table = topics.draw(theme, draw).table
        loud = draw.pick(_LOUDNESS[:4]) if draw.chance(93) else draw.pick(_TALK_ONLY_LOUDNESS)
        first, until = _days(draw, last_day)
        found.setdefault((theme, table), Concern(theme, table, loud, first=first, last=until))
    return tuple(found.values())


@frozen
class MadeScenario:
    """A scenario as it lies on disk."""

    warehouse: Path
    comms: Path
    meta: Path
    settings: Settings
    catalogue: Catalogue


def last_day_of(settings: Settings, archetype: Archetype) -> date:
    """Return the last local day of the history of companies that the settings make."""
    as_of = settings.warehouse.as_of or DEFAULT_AS_OF
    zone = ZoneInfo(archetype.tz or settings.warehouse.tz)
    return (as_of.astimezone(zone) - timedelta(microseconds=1)).date()


def with_scenario(catalogue: Catalogue, scenario: Scenario, tz: str) -> Catalogue:
    """Return the catalogue with the scenario's defects among its profiles."""
    profiles: Mapping[str, DefectProfile] = {**catalogue.profiles, PROFILE: scenario.profile(tz)}
    kinds = {**catalogue.defect_kinds, LATE_ROWS.name: LATE_ROWS}
    return evolve(catalogue, profiles=profiles, defect_kinds=kinds)


def make_scenario(
    scenario: Scenario, settings: Settings, catalogue: Catalogue, folder: Path
) -> MadeScenario:
    """Make the company below `folder`: its warehouse, its talk, and the truth of both.

    `settings` say at which scale, and how many items of talk.
    """
    archetype = catalogue.archetype(scenario.archetype)
    own = with_scenario(catalogue, scenario, archetype.tz or settings.warehouse.tz)
    settings = evolve(
        settings,
        warehouse=evolve(
            settings.warehouse,
            quality=PROFILE,
            trajectory=scenario.trajectory,
            seed=scenario.seed,
            workers=1,
            engine="local",
            snapshot_days=1,
        ),
        comms=evolve(settings.comms, seed=scenario.seed, months=COMMS_MONTHS),
        cache=evolve(settings.cache, enabled=False),
    )
    made = MadeScenario(folder / "data", folder / "comms", folder / "meta", settings, own)
    generate_warehouse(archetype, settings, own, out=made.warehouse, meta=made.meta)
    generate_comms(
        archetype,
        settings,
        own,
        warehouse=made.warehouse,
        out=made.comms,
        meta=made.meta,
        concerns=scenario.concerns,
    )
    return made

"""Room: testing. Rules for defect profiles: PRO001 and on."""

from __future__ import annotations

from collections.abc import Iterator

from dnr_core.errors import DnrError
from dnr_core.testing.rule import Problem, rule
from dnr_core.testing.rules.purity import off_target
from dnr_core.testing.trials import ProfileTrial
from dnr_core.warehouse import Plan
from dnr_core.warehouse.mix import MOST_SHARE


@rule(
    "PRO001",
    "profile",
    "must",
    "Its kinds exist, and its numbers are possible",
    why="A profile that names an unknown kind or an impossible share ends every run that asks for it.",
    mend=f"correct the kind's name, keep shares from 0 to {MOST_SHARE}, and the lag's minutes in order",
)
def numbers_are_possible(trial: ProfileTrial) -> Iterator[Problem]:
    """Kinds, shares, counts, minutes."""
    profile, known = trial.subject, trial.workshop.catalogue.defect_kinds
    for name in [*(r.kind for r in profile.rates), *(i.kind for i in profile.incidents)]:
        if name not in known:
            yield Problem(f"rate of {name}", "no plugin brings that defect kind")
    for part in profile.rates:
        if not 0 <= part.share <= MOST_SHARE:
            yield Problem(f"rate of {part.kind}", f"its share {part.share:g} is not possible")
        if part.kind in known and known[part.kind].dated:
            yield Problem(f"rate of {part.kind}", "that kind is dated: it makes incidents")
    for incident in profile.incidents:
        if incident.per_quarter < 0 or (incident.total or 0) < 0:
            yield Problem(f"incidents of {incident.kind}", "there cannot be less than none")
        if incident.kind in known and not known[incident.kind].dated:
            yield Problem(f"incidents of {incident.kind}", "that kind is not dated: it has a share")
    lag = profile.lag
    if lag is not None:
        for name, (low, high) in (("usual", lag.usual_minutes), ("slow", lag.slow_minutes)):
            if not 0 <= low <= high:
                yield Problem(f"lag, {name}_minutes", f"{low} to {high} minutes is no range")
        if not 0 <= lag.slow_share <= 1:
            yield Problem("lag, slow_share", f"{lag.slow_share:g} is no share")


@rule(
    "PRO002",
    "profile",
    "must",
    "It can be had",
    why="A mix that no company can hold, or that names tables that no archetype has, ends every run that asks for it.",
    mend="lower the shares, or name tables and columns of an archetype that is installed with it",
    after="PRO001",
)
def can_be_planned(trial: ProfileTrial) -> Iterator[Problem]:
    """It is planned on the bench, or on another archetype that is here."""
    try:
        _ = trial.company
    except DnrError as error:
        yield Problem(f"profile {trial.subject.name}", str(error), error.hint)


@rule(
    "PRO003",
    "profile",
    "must",
    "Its rates are what a stranger's SQL measures",
    why="Who asks for a profile gets a company with its rates, or a benchmark on it is worth nothing.",
    mend="ask for less on tables with few rows; look at the kinds with `dnr plugins check`",
    after="PRO002",
)
def rates_hold(trial: ProfileTrial) -> Iterator[Problem]:
    """The finished files of a small company, measured."""
    made = trial.workshop.broken(trial.company, trial.subject)
    found = off_target(made.manifest.extra["calibration"], "in the finished files", 20)
    if found is not None:
        yield found


@rule(
    "PRO004",
    "profile",
    "should",
    "Everything that it asks for finds a table",
    why="A rate that falls on nothing promises a defect that nobody will see.",
    mend="drop the rate, or name the tables and columns that it is for",
    after="PRO002",
)
def nothing_is_in_vain(trial: ProfileTrial) -> Iterator[Problem]:
    """Notes of the plan, on the archetype where it has the fewest."""
    plans: list[Plan] = []
    for archetype in trial.candidates:
        try:
            plans.append(trial.plan(archetype))
        except DnrError:
            continue
    for note in min((plan.notes for plan in plans), key=len, default=()):
        yield Problem(f"profile {trial.subject.name}", note)

"""Room: testing. Rules for scorers: SCO001 and on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from attrs import evolve

from dnr_core.model import THEMES, Need, Score
from dnr_core.testing.property import first_found
from dnr_core.testing.rule import Problem, rule
from dnr_core.testing.trials import ScorerTrial

EXAMPLES: Final = 40
MONEY_FACTORS: Final = (100.0, 0.01, 7.25)
_METRICS: Final = ("key_null", "fk_failure", "duplicate", "late")
NEAR: Final = 1e-9


def needs(st: Any) -> Any:
    """Return the strategy of needs: measured or not, with money or without."""
    share = st.floats(0, 1, allow_nan=False)
    maybe = st.one_of(st.none(), share)

    def need(values: tuple[Any, ...]) -> Need:
        theme, metric, affected, money, revenue, demand, items, value, slo, days, last = values
        broken = affected > 0
        return Need(
            theme=theme,
            table="fact_order",
            columns=("member_id",),
            metric=metric,
            affected_rows=affected,
            rows=max(affected, 1) * 3,
            revenue_cents=None if revenue is None else revenue * money,
            revenue_share=revenue,
            table_revenue_share=revenue,
            demand_share=demand,
            demand_items=items,
            people=min(items, 9),
            roles={"analyst": items} if items else {},
            value=value,
            slo=slo,
            over_slo_last_week=last,
            peak=None if days > 300 else date(2025, 6, 1),
            days_since_peak=days,
            has_broken_rows=broken,
        )

    figure = st.one_of(st.none(), st.floats(0, 2_000, allow_nan=False))
    return st.tuples(
        st.sampled_from(THEMES),
        st.sampled_from(_METRICS),
        st.integers(0, 10**7),
        st.floats(0, 1e12, allow_nan=False),
        maybe,
        share,
        st.integers(0, 10_000),
        figure,
        st.one_of(st.none(), st.floats(0.01, 500, allow_nan=False)),
        st.integers(0, 400),
        st.booleans(),
    ).map(need)


def _short(need: Need) -> str:
    return (
        f"a need of {need.theme} with {need.affected_rows:,} broken rows, revenue share "
        f"{need.revenue_share}, demand share {need.demand_share:g}"
    )


@rule(
    "SCO001",
    "scorer",
    "must",
    "Every need gets a score",
    why="A need that cannot be scored ends the report: some have no money, some no broken rows, some no limit.",
    mend="return `Score(value, parts)` with a finite value of at least 0 for any need, None fields and all",
)
def every_need_is_scored(trial: ScorerTrial) -> Iterator[Problem]:
    """Drawn needs, with None wherever a figure may be missing."""

    def holds(need: Need) -> Problem | None:
        try:
            found = trial.score(need, trial.settings)
        except Exception as error:
            return Problem(_short(need), f"{type(error).__name__}: {error}")
        if not isinstance(found, Score):
            return Problem(_short(need), f"it gave {type(found).__name__}, not Score")
        if not _is_finite(found.value) or found.value < 0:
            return Problem(_short(need), f"its value is {found.value!r}")
        return None

    yield from first_found(needs, holds, EXAMPLES)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


@rule(
    "SCO002",
    "scorer",
    "must",
    "A score depends on the need alone",
    why="A ranking must not change with the order in which needs come, or with what was scored before.",
    mend="keep nothing between calls, draw nothing at random, and look at no clock",
    after="SCO001",
)
def order_changes_nothing(trial: ScorerTrial) -> Iterator[Problem]:
    """A handful of needs, forwards and backwards."""

    def lists(st: Any) -> Any:
        return st.lists(needs(st), min_size=2, max_size=6)

    def holds(example: list[Need]) -> Problem | None:
        forward = [trial.score(need, trial.settings) for need in example]
        backward = [trial.score(need, trial.settings) for need in reversed(example)]
        for need, one, two in zip(example, forward, reversed(backward), strict=True):
            if one != two:
                return Problem(_short(need), f"it scored {one.value!r}, and later {two.value!r}")
        return None

    yield from first_found(lists, holds, EXAMPLES // 4)


@rule(
    "SCO003",
    "scorer",
    "must",
    "The unit of money changes nothing",
    why="A company that counts in yen must get the ranking of the same company in cents.",
    mend="weigh `revenue_share` and `table_revenue_share`, not `revenue_cents`",
    after="SCO002",
)
def money_has_no_unit(trial: ScorerTrial) -> Iterator[Problem]:
    """All money times a factor."""

    def drawn(st: Any) -> Any:
        return st.tuples(needs(st), st.sampled_from(MONEY_FACTORS))

    def holds(example: tuple[Need, float]) -> Problem | None:
        need, factor = example
        if need.revenue_cents is None:
            return None
        other = evolve(need, revenue_cents=need.revenue_cents * factor)
        one, two = trial.score(need, trial.settings), trial.score(other, trial.settings)
        if not math.isclose(one.value, two.value, rel_tol=NEAR, abs_tol=NEAR):
            return Problem(
                _short(need),
                f"it scored {one.value:g}, and {two.value:g} with money times {factor:g}",
            )
        return None

    yield from first_found(drawn, holds, EXAMPLES)


@rule(
    "SCO004",
    "scorer",
    "must",
    "Its parts are shares",
    why="The page draws each part as a bar from nothing to full, and says of what the score is made.",
    mend="give at least one part, each under a plain name and from 0 to 1",
    after="SCO001",
)
def parts_are_shares(trial: ScorerTrial) -> Iterator[Problem]:
    """Parts of drawn needs."""

    def holds(need: Need) -> Problem | None:
        found = trial.score(need, trial.settings)
        if not found.parts:
            return Problem(_short(need), "its score has no parts")
        for name, part in found.parts.items():
            if not _is_finite(part) or not 0 <= part <= 1:
                return Problem(f"part {name}", f"it is {part!r} for {_short(need)}")
        return None

    yield from first_found(needs, holds, EXAMPLES)


@rule(
    "SCO005",
    "scorer",
    "should",
    "Worse is never ranked lower",
    why="A need that costs more, is asked for more or is further over its limit, all else equal, must not lose rank by it.",
    mend="let the score rise (or stay) with `revenue_share`, `demand_share` and `value`",
    after="SCO002",
)
def worse_is_not_lower(trial: ScorerTrial) -> Iterator[Problem]:
    """One figure of a drawn need is raised."""

    def drawn(st: Any) -> Any:
        raised = st.sampled_from(("revenue_share", "demand_share", "value"))
        return st.tuples(needs(st), raised, st.floats(0.01, 1, allow_nan=False))

    def holds(example: tuple[Need, str, float]) -> Problem | None:
        need, name, by = example
        now = getattr(need, name)
        if now is None:
            return None
        higher = now + by * 100 if name == "value" else min(1.0, now + by)
        worse = evolve(need, **{name: higher})
        one, two = trial.score(need, trial.settings), trial.score(worse, trial.settings)
        if two.value < one.value - NEAR:
            return Problem(
                _short(need),
                f"with {name} {now:g} it scored {one.value:g}, with {higher:g} only {two.value:g}",
            )
        return None

    yield from first_found(drawn, holds, EXAMPLES)

"""Room: evaluation. Answers held against the true ranking: hits, overlap, NDCG, regret, certainty."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from dnr_core.comms.draw import Draw
from dnr_core.evaluation.oracle import Key, Oracle
from dnr_core.model import Need, RankedNeed, Ranking

RANDOM_DRAWS: Final = 200
BINS: Final = 10


@frozen
class AnswerScores:
    """How right one answer is; all lie in [0, 1].

    `top1` is 1 where its first need is the true first one, `overlap` the share of the true top
    needs that it names, `regret` the share of what the true top needs are worth a month that the
    named ones fall short of.
    """

    top1: float
    overlap: float
    ndcg: float
    regret: float

    def as_dict(self) -> dict[str, float]:
        """Return plain values."""
        return {
            "top1": self.top1,
            "overlap": self.overlap,
            "ndcg": self.ndcg,
            "regret": self.regret,
        }


def answer_scores(oracle: Oracle, answer: Sequence[Key]) -> AnswerScores:
    """Score an answer: needs in order, of which as many count as the oracle names.

    NDCG (K. Jarvelin and J. Kekalainen 2002) gains the true score of each need, discounted by the
    binary logarithm of its place. Regret is never below 0: an answer of more money than the true
    one is not better than right.
    """
    true = [need.key for need in oracle.top]
    said = list(answer)[: len(true)]
    if not true:
        empty = 0.0 if answer else 1.0
        return AnswerScores(empty, empty, empty, 0.0)
    gains = {need.key: max(0.0, need.score.value) for need in oracle.needs}
    ideal = _discounted([gains[key] for key in true])
    # A second need of one theme is no part of the true answer, and gains nothing.
    gained = _discounted([gains.get(key, 0.0) for key in _one_a_theme(said)])
    worth = oracle.worth_cents(true)
    regret = max(0.0, 1 - oracle.worth_cents(said) / worth) if worth > 0 else 0.0
    return AnswerScores(
        top1=float(bool(said) and said[0] == true[0]),
        overlap=len(set(said) & set(true)) / len(true),
        ndcg=min(1.0, gained / ideal) if ideal > 0 else 1.0,
        regret=regret,
    )


def _one_a_theme(keys: Sequence[Key]) -> list[Key]:
    seen: set[str] = set()
    found: list[Key] = []
    for key in keys:
        found.append(("", "") if key[0] in seen else key)
        seen.add(key[0])
    return found


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def mean_scores(scores: Sequence[AnswerScores]) -> AnswerScores:
    """Return the mean of several answers' scores."""
    count = len(scores)
    return AnswerScores(
        *(
            math.fsum(getattr(one, name) for one in scores) / count
            for name in ("top1", "overlap", "ndcg", "regret")
        )
    )


def named(ranking: Ranking) -> list[Key]:
    """Return the needs on a report's cards, in order."""
    return [(one.need.theme, one.need.table) for one in ranking.top]


def _overage(need: Need) -> float:
    if need.value is None or need.slo is None:
        return 0.0
    return need.value / max(need.slo, 1e-9)


BASELINES: Final[Mapping[str, Callable[[Need], float]]] = {
    "most_talked_about": lambda need: need.demand_share,
    "worst_defect_rate": _overage,
    "most_revenue": lambda need: need.revenue_cents or 0.0,
}
"""What a team without a report might go by, from the same measurements: the need that is asked for
most, that is furthest over its limit, that has most revenue on its broken rows."""


def baseline_scores(oracle: Oracle, ranking: Ranking, seed: int) -> dict[str, AnswerScores]:
    """Score the baselines, which choose among the report's needs, one a theme as it does."""
    needs = [one.need for one in ranking.needs]
    count = len(oracle.top)
    found = {
        name: answer_scores(oracle, _best(needs, measure, count))
        for name, measure in BASELINES.items()
    }
    draw = Draw("baseline", seed)
    found["random"] = mean_scores(
        [
            answer_scores(oracle, _first_of_each_theme(draw.shuffled(needs), count))
            for _ in range(RANDOM_DRAWS)
        ]
    )
    return found


def _best(needs: Sequence[Need], measure: Callable[[Need], float], count: int) -> list[Key]:
    ordered = sorted(needs, key=lambda need: (-measure(need), need.table, need.theme))
    return _first_of_each_theme(ordered, count)


def _first_of_each_theme(needs: Sequence[Need], count: int) -> list[Key]:
    chosen: dict[str, Key] = {}
    for need in needs:
        chosen.setdefault(need.theme, (need.theme, need.table))
    return list(chosen.values())[:count]


def certainties(oracle: Oracle, ranking: Ranking) -> list[tuple[float, bool]]:
    """Return for every need, said or true, how sure the report is of it, and whether it is so.

    A need that the report hides, or does not know of, has a certainty of 0.
    """
    true = {need.key for need in oracle.top}
    said = {_key(one): one.certainty or 0.0 for one in ranking.needs}
    keys = sorted({*said, *(need.key for need in oracle.needs)})
    return [(said.get(key, 0.0), key in true) for key in keys]


def _key(one: RankedNeed) -> Key:
    return one.need.theme, one.need.table


@frozen
class Bin:
    """One bin of a reliability diagram: mean certainty, share that was so, and how many needs."""

    certainty: float
    share: float
    count: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"certainty": self.certainty, "share": self.share, "count": self.count}


def reliability(pairs: Sequence[tuple[float, bool]], bins: int = BINS) -> list[Bin]:
    """Sort needs by certainty into bins of equal mass.

    Needs of one certainty that fall into two bins are split between them, each part with the
    share of the whole group, so that no order among equals decides.
    """
    groups: dict[float, list[int]] = {}
    for certainty, is_so in pairs:
        group = groups.setdefault(certainty, [0, 0])
        group[0] += 1
        group[1] += is_so
    size = len(pairs) / bins
    found: list[list[float]] = [[0.0, 0.0, 0.0] for _ in range(bins)]
    place = 0.0
    for certainty in sorted(groups):
        count, so = groups[certainty]
        left = float(count)
        while left > 1e-9:
            number = min(bins - 1, int(place / size + 1e-9))
            room = left if number == bins - 1 else min(left, (number + 1) * size - place)
            found[number][0] += room * certainty
            found[number][1] += room * so / count
            found[number][2] += room
            place += room
            left -= room
    return [Bin(c / n, s / n, n) for c, s, n in found if n > 0]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the expected calibration error: the mean gap of the bins, weighted by their mass."""
    whole = math.fsum(one.count for one in bins)
    if not whole:
        return None
    return math.fsum(one.count * abs(one.share - one.certainty) for one in bins) / whole

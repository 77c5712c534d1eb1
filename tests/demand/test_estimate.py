"""Sampling, weighting and resampling together: does the interval hold what it says?"""

from __future__ import annotations

import random

from dnr_core.demand.sample import Candidate, draw
from dnr_core.demand.shares import Heard, theme_shares
from dnr_core.demand.weights import Stratum, item_weights
from dnr_core.model import THEMES

LATE = "freshness_ingest_lag"


def _corpus(rng: random.Random, size: int) -> list[tuple[str, int, str, str]]:
    """Threads of uneven buckets and days, whose themes differ by bucket and drift over the year."""
    rows = []
    for number in range(size):
        day = min(rng.randrange(360), rng.randrange(360))
        bucket = rng.choice(("analytics", "analytics", "domain", "platform"))
        likely = {"analytics": 0.1, "domain": 0.2, "platform": 0.4}[bucket] * (1 + day / 360)
        theme = LATE if rng.random() < likely else rng.choice([t for t in THEMES if t != LATE])
        rows.append((f"t{number}", day, bucket, theme if rng.random() < 0.5 else ""))
    return rows


def test_the_interval_of_a_sample_holds_the_truth_as_often_as_it_says():
    """Of 60 samples of 30 %, about 80 % of the intervals hold the corpus's share, without bias.

    The draw takes two of each bucket-day first, so that a plain mean would lean to thin days.
    """
    rng = random.Random(5)
    held, errors = 0, []
    for repeat in range(60):
        rows = _corpus(rng, 900)
        truth = sum(r[3] == LATE for r in rows) / sum(bool(r[3]) for r in rows)
        chosen = draw([Candidate(r[0], (str(r[1]), r[2])) for r in rows], 270, repeat, "slack")
        strata = [Stratum("slack", "score", r[2], r[1] // 30 + 1, r[1]) for r in rows]
        weights = item_weights(strata, [r[0] in chosen for r in rows])
        heard = [
            Heard("slack", row[0], weight, row[3])
            for row, weight in zip(rows, weights, strict=True)
            if weight
        ]
        shares = theme_shares(heard, {"slack": 1.0}, resamples=120, seed=repeat)
        late = next(s for s in shares if (s.source, s.theme, s.table) == ("all", LATE, ""))
        held += late.low <= truth <= late.high
        errors.append(late.share - truth)
    assert 0.68 <= held / 60 <= 0.92
    assert abs(sum(errors) / 60) < 0.012

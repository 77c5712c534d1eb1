"""How well incidents are found: the shipped detectors beside the usual ones, on the same columns.

Usage: python benchmarks/detection.py [SEEDS] [PART ...]

Parts are `shares` (400 columns of 60 days a seed, 2 % usually, gamma noise of 30 % of the rate;
one day of +10 points in every tenth column), `heavy` (the same with noise of Student's t with 3
degrees of freedom), `steps` (60 columns of 180 days: +5 points that stay, a ramp to +5 over two
weeks, and nothing), `volume` (days that lose a half or four fifths), `lag` and `gaps`. Cells of the
first are recall / false flags per 1,000 column-days / precision. All parts are run where none is named.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from statistics import median

import numpy as np

from dnr_core.health.gaps import GAP_CHANCE, clump_factor
from dnr_core.health.rates import LEAST_EVENTS
from dnr_core.health.shares import Series, judge, judge_together
from dnr_core.health.statistics import (
    benjamini_hochberg,
    mad,
    stable_angle,
    upper_tail,
    weekday_groups,
)
from dnr_core.health.steps import find_steps
from dnr_core.health.surges import surge_days
from dnr_core.health.volume import drop_days

COLUMNS, DAYS, BASE, NOISE, RISE = 400, 60, 0.02, 0.30, 0.10
LEAST_RISE = 0.05
CASES = (("200 rows", 200, 1.0), ("1,000", 1000, 1.0), ("20,000", 20_000, 1.0),
         ("1,000, weekends x 1.6", 1000, 1.6))  # fmt: skip
Flags = np.ndarray
Detector = Callable[[np.ndarray, int], Flags]


def is_weekend(days: int) -> np.ndarray:
    """Saturdays and Sundays among days since 1970."""
    return np.array([(day + 3) % 7 >= 5 for day in range(days)])


def columns(
    seed: int, rows: int, weekend: float, *, heavy: bool = False
) -> tuple[np.ndarray, Flags]:
    """Return events by column and day, and which of them are incidents."""
    rng = np.random.default_rng(seed)
    if heavy:
        noise = np.exp(rng.standard_t(3, size=(COLUMNS, DAYS)) * NOISE / math.sqrt(3))
    else:
        shape = 1 / NOISE**2
        noise = rng.gamma(shape, 1 / shape, size=(COLUMNS, DAYS))
    rate = BASE * noise * np.where(is_weekend(DAYS), weekend, 1.0)
    truth = np.zeros((COLUMNS, DAYS), dtype=bool)
    for column in rng.choice(COLUMNS, COLUMNS // 10, replace=False):
        truth[column, rng.integers(DAYS)] = True
    rate += RISE * truth
    return rng.binomial(rows, np.clip(rate, 0, 1)), truth


def rolling_with_itself(events: np.ndarray, rows: int) -> Flags:
    """Flag z > 3 against the 14 days that end with the tested one."""
    share, flags = events / rows, np.zeros(events.shape, dtype=bool)
    for day in range(13, events.shape[1]):
        window = share[:, day - 13 : day + 1]
        spread = window.std(axis=1, ddof=1)
        flags[:, day] = share[:, day] - window.mean(axis=1) > 3 * np.maximum(spread, 1e-12)
    return flags


def rolling_left_out(events: np.ndarray, rows: int) -> Flags:
    """Flag z > 3 against the 28 other days nearest before and after."""
    share, flags = events / rows, np.zeros(events.shape, dtype=bool)
    for day in range(events.shape[1]):
        low = max(0, min(day - 14, events.shape[1] - 29))
        window = np.delete(share[:, low : low + 29], day - low, axis=1)
        spread = np.maximum(window.std(axis=1, ddof=1), 1e-12)
        flags[:, day] = (share[:, day] - window.mean(axis=1)) / spread > 3
    return flags


def median_and_mad(events: np.ndarray, rows: int) -> Flags:
    """Flag a modified z over 3.5 against the whole column."""
    share = events / rows
    middle = np.median(share, axis=1, keepdims=True)
    spread = np.median(np.abs(share - middle), axis=1, keepdims=True)
    return np.asarray(0.6745 * (share - middle) / np.maximum(spread, 1e-12) > 3.5)


def p_chart(events: np.ndarray, rows: int) -> Flags:
    """Flag what is over three standard deviations of a binomial."""
    share = events / rows
    mean = share.mean(axis=1, keepdims=True)
    return np.asarray(share > mean + 3 * np.sqrt(mean * (1 - mean) / rows))


def robust_p_chart(events: np.ndarray, rows: int) -> Flags:
    """Flag by one noise factor a column: angles, weekday medians, MAD, BH at 5 %, 5 points, 5 rows."""
    p_values, rises = [], []
    groups = weekday_groups(range(events.shape[1]))
    for column in events:
        angles = [stable_angle(int(k), rows) for k in column]
        middle = median(angles)
        pattern = {
            group: median(a - middle for a, g in zip(angles, groups, strict=True) if g == group)
            for group in set(groups)
        }
        usual = [middle + pattern[group] for group in groups]
        scores = [2 * math.sqrt(rows) * (a - u) for a, u in zip(angles, usual, strict=True)]
        noise = max(1.0, 1.4826 * mad(scores))
        p_values += [upper_tail(z / noise) for z in scores]
        rises += [k / rows - math.sin(u) ** 2 for k, u in zip(column, usual, strict=True)]
    limit = benjamini_hochberg(p_values, 0.05)
    found = [
        p <= limit and rise >= LEAST_RISE and rise * rows >= LEAST_EVENTS
        for p, rise in zip(p_values, rises, strict=True)
    ]
    return np.array(found).reshape(events.shape)


def shipped(events: np.ndarray, rows: int) -> Flags:
    """Flag as dnr does."""
    days = list(range(events.shape[1]))
    judged = judge_together(
        [Series(days, column.tolist(), [rows] * len(days)) for column in events]
    )
    limit = benjamini_hochberg([day.p_value for column in judged for day in column.days])
    return np.array(
        [
            [
                day.p_value <= limit and day.rise >= LEAST_RISE and day.rise * rows >= LEAST_EVENTS
                for day in column.days
            ]
            for column in judged
        ]
    )


DETECTORS: dict[str, Detector] = {
    "14 days, the tested one among them, z > 3": rolling_with_itself,
    "28 days, the tested one left out, z > 3": rolling_left_out,
    "median and MAD, z > 3.5": median_and_mad,
    "p-chart, 3 sigma": p_chart,
    "one noise factor a column (rule 1)": robust_p_chart,
    "shipped": shipped,
}


def cell(found: list[tuple[Flags, Flags]]) -> str:
    """Return recall / false flags per 1,000 column-days / precision."""
    hits = sum(int((flags & truth).sum()) for flags, truth in found)
    false = sum(int((flags & ~truth).sum()) for flags, truth in found)
    wanted = sum(int(truth.sum()) for _, truth in found)
    sound = sum(int((~truth).sum()) for _, truth in found)
    precision = hits / (hits + false) if hits + false else 0.0
    return f"{hits / wanted:.2f} / {1000 * false / sound:.2f} / {precision:.2f}"


def shares(seeds: int, *, heavy: bool = False) -> None:
    """Print the table of detectors by size."""
    cases = CASES[:3] if heavy else CASES
    made = [[(rows, *columns(seed, rows, weekend, heavy=heavy)) for seed in range(seeds)]
            for _, rows, weekend in cases]  # fmt: skip
    title = "heavy tails" if heavy else "gamma noise"
    line(f"{title}, {seeds} seeds", *(name for name, _, _ in cases))
    line(*["---"] * (len(cases) + 1))
    for name, detector in DETECTORS.items():
        cells = [cell([(detector(k, rows), truth) for rows, k, truth in case]) for case in made]
        line(name, *cells)


def steps(seeds: int) -> None:
    """Print recall and false steps of levels that rise and stay, or rise over two weeks."""
    line("steps, 180 days, 2 % usually", "200 rows", "1,000", "20,000")
    line(*["---"] * 4)
    for name, rise, over, start in (
        ("+5 points from day 90", 0.05, 1, 90),
        ("to +5 points over 14 days", 0.05, 14, 90),
        ("+3 points from day 90", 0.03, 1, 90),
        ("+40 points from day 154, still there", 0.4, 1, 154),
        ("nothing: false steps", 0.0, 1, 90),
    ):
        cells = []
        for rows in (200, 1000, 20_000):
            found, late, many = 0, [], 60 * seeds
            rng = np.random.default_rng(seeds + rows)
            climb = np.clip((np.arange(180) - start + 1) / over, 0, 1) * rise
            for _ in range(many):
                rate = BASE * rng.gamma(1 / NOISE**2, NOISE**2, 180) + climb
                events = rng.binomial(rows, np.clip(rate, 0, 1)).tolist()
                hit = find_steps(judge(range(180), events, [rows] * 180), LEAST_RISE, LEAST_EVENTS)
                found += bool(hit)
                late += [step.first - start for step in hit[:1]]
            told = f", start {median(late):+g} days" if late and rise else ""
            cells.append(f"{found / many:.2f}{told}")
        line(name, *cells)


def volume(seeds: int) -> None:
    """Print recall of days that lose rows and false days per 1,000, weekends at 60 % of workdays."""
    line("volume, noise of 8 %", "recall at -50 %", "recall at -80 %", "false days per 1,000")
    line(*["---"] * 4)
    for rows in (200, 500, 5000):
        cells, false, sound = [], 0, 0
        for left in (0.5, 0.2):
            hits = wanted = 0
            rng = np.random.default_rng(rows)
            for _ in range(40 * seeds):
                usual = rows * np.where(is_weekend(180), 0.6, 1.0) * np.linspace(0.8, 1.2, 180)
                mean = usual * np.exp(0.08 * rng.standard_normal(180))
                day = int(rng.integers(30, 170))
                mean[day] *= left
                flagged = {d.day for d in drop_days(range(180), rng.poisson(mean).tolist()).days}
                hits, wanted = hits + (day in flagged), wanted + 1
                false, sound = false + len(flagged - {day}), sound + 179
            cells.append(f"{hits / wanted:.2f}")
        line(f"{rows:,} rows on a workday", *cells, f"{1000 * false / sound:.2f}")


def lag(seeds: int) -> None:
    """Print recall of surges on a part of the rows, and false days per 1,000."""
    line("lag, x 6 on 30 % of the rows", "recall", "false days per 1,000")
    line(*["---"] * 3)
    for rows in (200, 500, 5000):
        hits = wanted = false = sound = 0
        rng = np.random.default_rng(rows)
        for _ in range(5 * seeds):
            drift = np.exp(0.1 * rng.standard_normal(120))
            day = int(rng.integers(30, 110))
            lags = {}
            for at in range(120):
                minutes = rng.gamma(4, 20, rows) * drift[at]
                slow = rng.random(rows) < 0.02
                minutes[slow] *= 5
                if at == day:
                    minutes[: 3 * rows // 10] *= 6
                lags[at] = (float(np.quantile(minutes, 0.5)), float(np.quantile(minutes, 0.95)))
            flagged = {s.day for s in surge_days(lags, dict.fromkeys(range(120), rows)).days}
            hits, wanted = hits + (day in flagged), wanted + 1
            false, sound = false + len(flagged - {day}), sound + 119
        line(f"{rows:,} rows a day", f"{hits / wanted:.2f}", f"{1000 * false / sound:.2f}")


def gaps(seeds: int) -> None:
    """Print false silences of rows that come in clumps, with and without the clump factor."""
    line(
        "write gaps, 20 rows an hour in clumps of 4", "false a table and year", "found, of 6 hours"
    )
    line(*["---"] * 3)
    counts = {"Poisson": [0, 0], "shipped": [0, 0]}
    rng = np.random.default_rng(7)
    for _ in range(5 * seeds):
        rows = 4 * rng.poisson(5, 24 * 365)
        expected = [20.0] * len(rows)
        clump = clump_factor(rows.tolist(), expected)
        for name, factor in (("Poisson", 1.0), ("shipped", clump)):
            counts[name][0] += _silences(rows, 20 / factor)
            counts[name][1] += math.exp(-6 * 20 / factor) <= GAP_CHANCE
    for name, (false, found) in counts.items():
        line(name, f"{false / (5 * seeds):.2f}", f"{found / (5 * seeds):.2f}")


def _silences(rows: np.ndarray, pace: float) -> int:
    runs, length = 0, 0
    for n in [*rows.tolist(), 1]:
        if n:
            runs += length > 0 and math.exp(-length * pace) <= GAP_CHANCE
        length = 0 if n else length + 1
    return runs


def line(*cells: str) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


PARTS: dict[str, Callable[[int], None]] = {
    "shares": shares,
    "heavy": lambda seeds: shares(seeds, heavy=True),
    "steps": steps,
    "volume": volume,
    "lag": lag,
    "gaps": gaps,
}

if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for chosen in sys.argv[2:] or list(PARTS):
        PARTS[chosen](how_many)
        print()

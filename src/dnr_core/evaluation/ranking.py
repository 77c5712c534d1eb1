"""Room: evaluation. Does the report name the true top three? Answered over many drawn companies."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen

from dnr_core.catalogue import Catalogue
from dnr_core.comms import read_comms
from dnr_core.config.settings import RankingGates, Settings
from dnr_core.demand import measure_demand
from dnr_core.errors import InputError
from dnr_core.evaluation.gates import Asked, Gated, measured_words
from dnr_core.evaluation.intervals import wilson
from dnr_core.evaluation.misses import missed
from dnr_core.evaluation.oracle import limit_of, oracle_ranking, true_demand
from dnr_core.evaluation.oracle_rows import true_rows
from dnr_core.evaluation.ranking_page import render_ranking, render_ranking_markdown
from dnr_core.evaluation.ranking_scores import (
    answer_scores,
    baseline_scores,
    calibration_error,
    certainties,
    named,
    reliability,
)
from dnr_core.evaluation.runs import COMPANIES, Job, Outcome, run_jobs
from dnr_core.evaluation.scenarios import MadeScenario, draw_scenario, last_day_of, make_scenario
from dnr_core.health import open_warehouse
from dnr_core.health.measure import measure
from dnr_core.model import Ranking
from dnr_core.progress import Progress
from dnr_core.ranking import rank
from dnr_core.synth.seeds import stream
from dnr_core.warehouse import repair
from dnr_core.workspace import dump_json, write_text

FORMAT: Final = "dnr-eval-ranking"
VERSION: Final = 1
SCORES: Final = ("top1", "overlap", "ndcg", "regret")
REPORT: Final = "report"
_RESAMPLES: Final = 2000
_TAIL: Final = 0.025
_EPOCH: Final = date(1970, 1, 1)
Companies = Sequence[Mapping[str, Any]]


@frozen
class RankingGate(Asked):
    """A score against what is asked of it: at least, or at most, `limit`."""

    @property
    def passed(self) -> bool:
        """True where it is met, or where there was nothing to measure."""
        return self.met is not False


@frozen
class RankingScores(Gated):
    """How right reports are over many companies. `summary` is what `ranking_summary.json` holds."""

    summary: Mapping[str, Any]
    gates: tuple[RankingGate, ...]

    def __str__(self) -> str:
        """A line for each gate, for a person."""
        lines = []
        for gate in self.gates:
            measured = measured_words(gate.value)
            verdict = "passed" if gate.passed else "failed"
            lines.append(f"{gate.name:<32}{measured:>14}   {gate.words:<15}{verdict}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return render_ranking(self.summary, whole_page=False)


def evaluate_ranking(
    archetypes: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
    catalogue: Catalogue,
    *,
    work: Path,
    out: Path | None = None,
    workers: int = 1,
    keep: bool = False,
    progress: Progress | None = None,
) -> RankingScores:
    """Draw companies, let a report rank their problems, and compare with the truth.

    Args:
        archetypes: names; each gets a scenario for every seed.
        seeds: of the scenarios.
        settings: what reports are made with; `warehouse.scale` and the volumes of `comms` say how
            large the companies are, `eval.ranking_gates` what is asked.
        catalogue: archetypes, defect kinds, providers and the scorer.
        work: folder of companies in the making and of outcomes; a run that was killed goes on.
        out: where `ranking_summary.json`, `ranking.md` and `ranking.html` go.
        workers: processes side by side.
        keep: leave the companies in `work`.
        progress: told of companies as they are judged.

    Raises:
        InputError: no company was asked for.
        FolderError, FolderHeldError: `work` or `out` cannot be written, or another run holds it.
    """
    if not archetypes or not seeds:
        raise InputError("there is no company to evaluate", hint="give at least one seed")
    jobs = [
        Job(f"ranking-{name}-{seed}", {"archetype": name, "seed": seed, "keep": keep})
        for seed in seeds
        for name in archetypes
    ]
    outcomes = run_jobs(
        jobs, judge_scenario, settings, catalogue, work, workers=workers, progress=progress
    )
    scores = summarised(outcomes, settings.eval.ranking_gates, settings.report.seed)
    if out is not None:
        write_text(out / "ranking.md", render_ranking_markdown(scores.summary))
        write_text(out / "ranking.html", render_ranking(scores.summary, whole_page=True))
        write_text(out / "ranking_summary.json", dump_json(scores.summary))
    return scores


def judge_scenario(job: Job, settings: Settings, catalogue: Catalogue, folder: Path) -> Outcome:
    """Make the company of a scenario, rank it from its data alone, and hold that against the truth."""
    archetype = catalogue.archetype(job.given["archetype"])
    seed = int(job.given["seed"])
    last_day = last_day_of(settings, archetype)
    scenario = draw_scenario(archetype, seed, catalogue, last_day=last_day)
    home = folder / COMPANIES / job.name
    made = make_scenario(scenario, settings, catalogue, home)
    said = _report(made, archetype.name)
    window = (
        (last_day - _EPOCH).days - (settings.report.window_days or _history(settings)) + 1,
        (last_day - _EPOCH).days,
    )
    repair(made.warehouse, made.meta, home / "clean", made.catalogue, workers=1)
    tz = archetype.tz or settings.warehouse.tz
    rows = true_rows(
        archetype,
        made.catalogue,
        warehouse=made.warehouse,
        meta=made.meta,
        clean=home / "clean",
        tz=tz,
        window=window,
        late_minutes={
            table.name: limit_of(settings.report, table.name, "late")
            for table in archetype.schema.facts
        },
    )
    asked = true_demand(made.meta, read_comms(made.comms), made.settings, tz)
    oracle = oracle_ranking(made.settings, made.catalogue, rows, asked, window=window)
    if not job.given["keep"]:
        shutil.rmtree(home, ignore_errors=True)
    answer = named(said)
    return {
        "archetype": archetype.name,
        "seed": seed,
        "trajectory": scenario.trajectory,
        "problems": [
            {"theme": p.theme, "table": p.table, "kind": p.kind, "share": p.share}
            for p in scenario.problems
        ],
        "true": [list(need.key) for need in oracle.top],
        "said": [list(key) for key in answer],
        "scores": {
            REPORT: answer_scores(oracle, answer).as_dict(),
            **{
                name: scores.as_dict()
                for name, scores in baseline_scores(oracle, said, seed).items()
            },
        },
        "certainties": [[value, is_so] for value, is_so in certainties(oracle, said)],
        "missed": missed(oracle, said, settings.report),
    }


def _history(settings: Settings) -> int:
    # More than any history has; the whole of it is looked at.
    return settings.warehouse.months * 31


def _report(made: MadeScenario, name: str) -> Ranking:
    archetype = made.catalogue.archetype(name)
    # Figures that no ranking reads are left out.
    bare = evolve(archetype, kpis=(), guardrails=())
    report = evolve(made.settings.report, example_keys=0)
    with open_warehouse(made.warehouse, bare, made.catalogue) as warehouse:
        health = measure(warehouse, evolve(made.settings, report=report))
        demand = measure_demand(
            read_comms(made.comms),
            archetype,
            made.settings,
            made.catalogue,
            incidents=health.incidents,
        )
        return rank(archetype, made.settings, made.catalogue, health=health, demand=demand)


def summarised(companies: Companies, gates: RankingGates, seed: int) -> RankingScores:
    """Pool the outcomes of companies: each archetype by itself, and all together."""
    groups: dict[str, Companies] = {
        name: [c for c in companies if c["archetype"] == name]
        for name in sorted({c["archetype"] for c in companies})
    }
    if len(groups) > 1:
        groups["all"] = companies
    pooled = {name: _pooled(group, seed) for name, group in groups.items()}
    found = tuple(
        gate
        for name, group in pooled.items()
        if name != "all" or len(pooled) == 1
        for gate in _gates(name, group, gates)
    )
    summary = {
        "format": FORMAT,
        "version": VERSION,
        "passed": all(gate.passed for gate in found),
        "companies": len(companies),
        "gates": [
            {
                "name": gate.name,
                "value": gate.value,
                "limit": gate.limit,
                "is_most": gate.is_most,
                "passed": gate.passed,
            }
            for gate in found
        ],
        "groups": pooled,
        "missed": [
            {"archetype": c["archetype"], "seed": c["seed"], **miss}
            for c in companies
            for miss in c["missed"]
        ],
        "scenarios": [
            {name: c[name] for name in ("archetype", "seed", "trajectory", "true", "said")}
            | {"scores": c["scores"][REPORT]}
            for c in companies
        ],
    }
    return RankingScores(summary, found)


def _gates(name: str, group: Mapping[str, Any], gates: RankingGates) -> tuple[RankingGate, ...]:
    report = group["answers"][REPORT]
    best = max(
        answer["overlap"]["value"] for who, answer in group["answers"].items() if who != REPORT
    )
    return (
        RankingGate(f"{name} top1", report["top1"]["value"], gates.top1),
        RankingGate(f"{name} overlap", report["overlap"]["value"], gates.overlap),
        RankingGate(f"{name} ndcg", report["ndcg"]["value"], gates.ndcg),
        RankingGate(f"{name} regret", report["regret"]["value"], gates.regret, is_most=True),
        RankingGate(f"{name} lead", report["overlap"]["value"] - best, gates.lead),
        RankingGate(
            f"{name} calibration_error",
            group["certainty"]["error"],
            gates.calibration_error,
            is_most=True,
        ),
    )


def _pooled(companies: Companies, seed: int) -> dict[str, Any]:
    draws = _company_draws(len(companies), seed)
    answers: dict[str, dict[str, dict[str, float | None]]] = {
        who: {name: _mean([c["scores"][who][name] for c in companies], draws) for name in SCORES}
        for who in companies[0]["scores"]
    }
    hits = sum(c["scores"][REPORT]["top1"] for c in companies)
    low, high = wilson(hits, len(companies)) or (None, None)
    answers[REPORT]["top1"] |= {"low": low, "high": high}
    return {
        "companies": len(companies),
        "answers": answers,
        "certainty": _certainty(companies, draws, least=-1.0),
        "certainty_of_contenders": _certainty(companies, draws, least=0.0),
    }


def _company_draws(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return for each resample which companies it has; companies are what is independent."""
    places = np.arange(count * _RESAMPLES, dtype=np.int64)
    drawn = stream(seed, "evaluation", "ranking").below(places, count)
    return drawn.reshape(_RESAMPLES, count)


def _mean(values: Sequence[float], draws: np.ndarray[Any, Any]) -> dict[str, float | None]:
    resampled = np.sort(np.array(values)[draws].mean(axis=1))
    cut = round(_TAIL * (len(resampled) - 1))
    return {
        "value": math.fsum(values) / len(values),
        "low": float(resampled[cut]),
        "high": float(resampled[-1 - cut]),
    }


def _certainty(
    companies: Companies, draws: np.ndarray[Any, Any], *, least: float
) -> dict[str, Any]:
    """Return the reliability of the certainties over `least`, with an interval of its error."""
    each = [
        [(value, is_so) for value, is_so in c["certainties"] if value > least] for c in companies
    ]
    pairs = [pair for of_one in each for pair in of_one]
    bins = reliability(pairs)
    errors = sorted(
        error
        for row in draws[: _RESAMPLES // 10]
        if (error := calibration_error(reliability([p for place in row for p in each[place]])))
        is not None
    )
    cut = round(_TAIL * (len(errors) - 1)) if errors else 0
    return {
        "needs": len(pairs),
        "bins": [one.as_dict() for one in bins],
        "error": calibration_error(bins),
        "low": errors[cut] if errors else None,
        "high": errors[-1 - cut] if errors else None,
    }

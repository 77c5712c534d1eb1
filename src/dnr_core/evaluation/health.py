"""Room: evaluation. Incidents that health detects, held against the truth over many companies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from dnr_core.catalogue import Catalogue
from dnr_core.config.settings import HealthGates, Settings
from dnr_core.errors import InputError
from dnr_core.evaluation.gates import Asked, Gated, measured_words
from dnr_core.evaluation.health_page import incidents_csv, render_health, render_health_markdown
from dnr_core.evaluation.intervals import Rate, Share, clustered_share, poisson_rate
from dnr_core.evaluation.matching import GROUPS
from dnr_core.evaluation.observation import observe_given, observe_made
from dnr_core.evaluation.runs import Job, Recipe, recipe_job, run_jobs
from dnr_core.progress import Progress
from dnr_core.workspace import dump_json, write_text

FORMAT: Final = "dnr-eval-health"
VERSION: Final = 1
Companies = Sequence[Mapping[str, Any]]


@frozen
class HealthGate(Asked):
    """A score against what is asked of it: at least, or at most, `limit`.

    `value` None was not measured, and then it does not pass or fail.
    """

    @property
    def passed(self) -> bool | None:
        """None where there was nothing to measure."""
        return self.met


@frozen
class HealthScores(Gated):
    """How right the detected incidents are. `summary` is the content of `health_summary.json`."""

    summary: Mapping[str, Any]
    gates: tuple[HealthGate, ...]

    def __str__(self) -> str:
        """A line for each gate, for a person."""
        lines = []
        verdicts = {True: "passed", False: "failed", None: "nothing to measure"}
        for gate in self.gates:
            measured = measured_words(gate.value)
            lines.append(f"{gate.name:<20}{measured:>14}   {gate.words:<15}{verdicts[gate.passed]}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return render_health(self.summary, whole_page=False)


def evaluate_health(
    recipes: Sequence[Recipe],
    given: Sequence[tuple[Path, Path]],
    settings: Settings,
    catalogue: Catalogue,
    *,
    work: Path,
    out: Path | None = None,
    workers: int = 1,
    keep: bool = False,
    progress: Progress | None = None,
) -> HealthScores:
    """Measure companies from their warehouses alone and compare with incidents and ledger.

    Args:
        recipes: companies to make below `work`; each is taken away once it is measured.
        given: warehouses that are there, each with the folder of its truth.
        settings: what health is measured with, and `eval.health_gates`.
        catalogue: archetypes, profiles and defect kinds.
        work: folder of companies in the making and of outcomes; a run that was killed goes on.
        out: where `health_summary.json`, `health_incidents.csv`, `health.md`, `health.html` go.
        workers: processes side by side.
        keep: leave the companies in `work`.
        progress: told of companies as they are measured.

    Raises:
        InputError: no company was asked for, or one cannot be read.
        FolderError, FolderHeldError: `work` or `out` cannot be written, or another run holds it.
    """
    if not recipes and not given:
        raise InputError(
            "there is no company to evaluate",
            hint="give --archetype NAME and --seeds, or --company DATA META",
        )
    outcomes: list[dict[str, Any]] = []
    if recipes:
        jobs = [recipe_job(recipe, keep=keep) for recipe in recipes]
        outcomes += run_jobs(
            jobs, observe_made, settings, catalogue, work, workers=workers, progress=progress
        )
    outcomes += [
        observe_given(
            Job("given", {"warehouse": str(data), "meta": str(meta)}), settings, catalogue, work
        )
        for data, meta in given
    ]
    scores = summarised(outcomes, settings.eval.health_gates)
    if out is not None:
        write_text(out / "health_incidents.csv", incidents_csv(scores.summary))
        write_text(out / "health.md", render_health_markdown(scores.summary))
        write_text(out / "health.html", render_health(scores.summary, whole_page=True))
        write_text(out / "health_summary.json", dump_json(scores.summary))
    return scores


def summarised(companies: Companies, limits: HealthGates) -> HealthScores:
    """Pool the outcomes of companies into scores, by profile, kind and size."""
    broken = [c for c in companies if c["planned"]]
    whole = [c for c in companies if not c["planned"]]
    by_quality = _by(companies, "quality")
    profiles = {name: _profile(group) for name, group in by_quality.items()}
    gates = _gates(broken, whole, limits)
    wrong = [
        {"company": _named(c), **line}
        for c in companies
        for line in c["rates"]
        if line["measured"] != line["ledger"]
    ]
    summary = {
        "format": FORMAT,
        "version": VERSION,
        "passed": all(gate.passed is not False for gate in gates),
        "gates": [
            {
                "name": gate.name,
                "value": None if gate.value is None else round(gate.value, 4),
                "limit": gate.limit,
                "is_most": gate.is_most,
                "passed": gate.passed,
            }
            for gate in gates
        ],
        "promise": {"rows_a_day": limits.rows_a_day},
        "companies": len(companies),
        "profiles": profiles,
        "rates": {
            "compared": sum(len(c["rates"]) for c in companies),
            "rows_compared": sum(line["ledger"] for c in companies for line in c["rates"]),
            "different": wrong,
        },
        "incidents": [
            {"company": _named(c), "role": "planned", **line}
            for c in companies
            for line in c["planned"]
        ]
        + [
            {"company": _named(c), "role": "detected", **line}
            for c in companies
            for line in c["detected"]
            if line["verdict"] != "true"
        ],
    }
    return HealthScores(summary, gates)


def _by(companies: Companies, name: str) -> dict[Any, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for company in companies:
        found.setdefault(company[name], []).append(company)
    return dict(sorted(found.items()))


def _named(company: Mapping[str, Any]) -> str:
    parts = ("archetype", "quality", "scale", "trajectory", "seed")
    return " ".join(
        f"{company[part]:g}" if part == "scale" else str(company[part]) for part in parts
    )


def _profile(companies: Companies) -> dict[str, Any]:
    kinds = sorted(
        {line["kind"] for c in companies for line in (*c["planned"], *c["detected"])},
        key=list(GROUPS).index,
    )
    promised = {kind: _scores(companies, {kind}, promised=True) for kind in kinds}
    return {
        "companies": len(companies),
        "company_quarters": round(sum(c["quarters"] for c in companies), 3),
        "column_days_tested": sum(c["column_days_tested"] for c in companies),
        "false_flags_expected": round(sum(c["false_flags_expected"] for c in companies), 2),
        "promised": promised,
        "smaller": {kind: _scores(companies, {kind}, promised=False) for kind in kinds},
        "false_alarms": false_alarms(companies).as_dict(),
        "by_scale": {
            f"{scale:g}": {kind: _scores(group, {kind}, promised=None)["recall"] for kind in kinds}
            for scale, group in _by(companies, "scale").items()
        },
    }


def _scores(companies: Companies, kinds: Iterable[str], *, promised: bool | None) -> dict[str, Any]:
    """Score kinds on tables of the promised size, on smaller ones, or (None) on all."""
    chosen = set(kinds)

    def fits(line: Mapping[str, Any]) -> bool:
        return line["kind"] in chosen and promised in {None, line["promised"]}

    planned = [[line for line in c["planned"] if fits(line)] for c in companies]
    detected = [[line for line in c["detected"] if fits(line)] for c in companies]
    errors = [line for lines in planned for line in lines if line["start_error_hours"] is not None]
    return {
        "planned": sum(map(len, planned)),
        "not_detectable": sum(_count(lines, "outcome", "not_detectable") for lines in planned),
        "detected": sum(map(len, detected)),
        "repeats": sum(_count(lines, "verdict", "repeat") for lines in detected),
        "precision": precision(detected).as_dict(),
        "recall": recall(planned).as_dict(),
        "start_error_hours": _errors(errors, "start_error_hours"),
        "end_error_hours": _errors(errors, "end_error_hours"),
    }


def _count(lines: Sequence[Mapping[str, Any]], name: str, value: str) -> int:
    return sum(line[name] == value for line in lines)


def precision(detected: Sequence[Sequence[Mapping[str, Any]]]) -> Share:
    """Return, over companies, the detected incidents that answer a planned one."""
    return clustered_share((len(d) - _count(d, "verdict", "false"), len(d)) for d in detected)


def recall(planned: Sequence[Sequence[Mapping[str, Any]]]) -> Share:
    """Return, over companies, the planned incidents that were found, of those that could be."""
    seen = [[line for line in p if line["outcome"] != "not_detectable"] for p in planned]
    return clustered_share((_count(p, "outcome", "found"), len(p)) for p in seen)


def false_alarms(companies: Companies) -> Rate:
    """Return detected incidents that answer none, a company and quarter, on tables of any size."""
    count = sum(_count(c["detected"], "verdict", "false") for c in companies)
    return poisson_rate(count, sum(c["quarters"] for c in companies))


def _errors(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, float] | None:
    if not lines:
        return None
    values = sorted(line[name] for line in lines)
    exact = sum(value == 0 for value in values)
    return {
        "least": values[0],
        "median": values[len(values) // 2],
        "most": values[-1],
        "exact_share": round(exact / len(values), 4),
    }


def _gates(broken: Companies, whole: Companies, limits: HealthGates) -> tuple[HealthGate, ...]:
    gates: list[HealthGate] = []
    for group in ("spike", "gap", "surge"):
        kinds = [kind for kind, gate in GROUPS.items() if gate == group]
        scores = _scores(broken, kinds, promised=True)
        for name in ("precision", "recall"):
            least = getattr(limits, f"{group}_{name}")
            gates.append(HealthGate(f"{group}_{name}", scores[name]["value"], least))
    alarms = false_alarms(whole)
    most = limits.clean_false_alarms
    gates.append(HealthGate("clean_false_alarms", alarms.value, most, is_most=True))
    return tuple(gates)

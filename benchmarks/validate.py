"""Room: benchmarks. Validation: does every made company pass every check, whatever its seed?

    python benchmarks/validate.py [--seeds 20] [--scale evaluation] [--workers 2] [--folder FOLDER]

Each company is made with all its talk and reported on; the report sees no truth. Then every check
runs over its four folders. Prints what failed with its measured and expected value, how many
outcomes passed, and the sizes of the pages. About a minute of processor time a company at
evaluation scale. A run that was killed goes on. Exits 1 where a check failed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dnr_core
from dnr_core.api.context import Context
from dnr_core.catalogue import Catalogue
from dnr_core.cli.bars import Lines
from dnr_core.config.load import Effective
from dnr_core.config.settings import Settings
from dnr_core.evaluation.runs import Job, Outcome, run_jobs


def checked(job: Job, settings: Settings, catalogue: Catalogue, folder: Path) -> Outcome:
    """Make one company, report on it, run its checks, and take it away."""
    context = Context(catalogue, Effective(settings, {}), environ={}).with_flags(
        {
            "warehouse.scale": str(job.given["scale"]),
            "warehouse.seed": job.given["seed"],
            "comms.seed": job.given["seed"],
        }
    )
    home = folder / "companies" / job.name
    shutil.rmtree(home, ignore_errors=True)
    data, comms, meta, reports = (home / name for name in ("data", "comms", "meta", "reports"))
    archetype = job.given["archetype"]
    dnr_core.generate_warehouse(archetype, out=data, meta=meta, context=context)
    dnr_core.generate_comms(data, out=comms, meta=meta, context=context)
    dnr_core.run_report(data, comms=comms, out=reports, context=context)
    summary = dnr_core.validate(data, comms=comms, meta=meta, reports=reports, context=context)
    page = (reports / "report.html").stat().st_size
    shutil.rmtree(home)
    return {**summary.as_dict(), "seed": job.given["seed"], "page_bytes": page}


def told(outcomes: list[Outcome]) -> list[str]:
    """Say by archetype how many outcomes passed, and each that failed."""
    lines: list[str] = []
    for archetype in dict.fromkeys(outcome["archetype"] for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome["archetype"] == archetype]
        counts: Counter[str] = Counter()
        for outcome in mine:
            counts.update(outcome["counts"])
        pages = [outcome["page_bytes"] for outcome in mine]
        lines.append(
            f"{archetype}: {len(mine)} companies, {counts['passed']} outcomes passed, "
            f"{counts['failed']} failed, {counts['skipped']} not judged; "
            f"report.html {min(pages) / 1e3:.0f} to {max(pages) / 1e3:.0f} kB"
        )
        lines += [line for outcome in mine for line in _failures(outcome)]
        skipped = Counter(
            (check["name"], re.sub(r"^\S+-\d+: |\d[\d,.]*", "", check["measured"]))
            for outcome in mine
            for check in outcome["checks"]
            if check["status"] == "skipped"
        )
        lines += [f"  not judged {n} times: {a}: {b}" for (a, b), n in skipped.most_common()]
    return lines


def _failures(outcome: dict[str, Any]) -> list[str]:
    return [
        f"  seed {outcome['seed']} FAIL {check['name']}: {check['measured']}; expected "
        f"{check['expected']}; look at {check['where_to_look']}"
        for check in outcome["checks"]
        if check["status"] == "failed"
    ]


def main() -> int:
    """Make and check the companies, and print what failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="of each company")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--scale", default="evaluation")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("validate-benchmark"))
    given = parser.parse_args()
    context = dnr_core.open_context()
    names = [n for n, a in context.catalogue.archetypes.items() if a.synthesis is not None]
    jobs = [
        Job(f"{name}-{seed}", {"archetype": name, "seed": seed, "scale": given.scale})
        for seed in range(given.first, given.first + given.seeds)
        for name in sorted(names)
    ]
    outcomes = run_jobs(
        jobs,
        checked,
        context.settings,
        context.catalogue,
        given.folder,
        workers=given.workers,
        progress=Lines(),
    )
    sys.stdout.write("\n".join(told(outcomes)) + "\n")
    return 0 if all(outcome["passed"] for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())

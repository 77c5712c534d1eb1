"""Room: builtin. Checks of repeatability: make a sample again, and compare bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from dnr_core.builtin.qc.outcome import outcome, skipped
from dnr_core.model import CheckContext, CheckResult

PARTS_A_FAMILY = 2


def warehouse(context: CheckContext) -> Iterator[CheckResult]:
    """Build the first and last part of each family anew, from the manifest's settings."""
    from attrs import evolve

    from dnr_core.config import WarehouseSettings
    from dnr_core.warehouse import make_plan
    from dnr_core.warehouse.parts import build_part

    name, manifest = "reproducible", context.manifests["warehouse"]
    company = context.company
    settings = WarehouseSettings(
        scale=str(company.scale),
        quality=context.profile.name,
        trajectory=company.trajectory,
        tz=company.tz,
        months=company.months,
        seed=company.seed,
        snapshot_days=company.snapshot_days,
        as_of=company.as_of,
    )
    # The profile may be of a file that is gone; the manifest has held it.
    profiles = {**context.catalogue.profiles, context.profile.name: context.profile}
    catalogue = evolve(context.catalogue, profiles=profiles)
    plan = make_plan(context.archetype, settings, catalogue)
    fingerprint = manifest.extra.get("fingerprint")
    if plan.fingerprint != fingerprint:
        yield skipped(
            name,
            "made with other versions or plugins than are installed",
            "the same bytes",
            "manifest.json, fingerprint",
        )
        return
    numbers: dict[str, list[int]] = {}
    for family, part in plan.parts:
        numbers.setdefault(family.name, []).append(part)
    with TemporaryDirectory() as scratch:
        for family in plan.synthesis.families:
            own = numbers[family.name]
            sample = sorted({own[0], own[-1]})[:PARTS_A_FAMILY]
            wrong: list[str] = []
            for part in sample:
                record = build_part(
                    plan,
                    family,
                    part,
                    stage=Path(scratch) / "data",
                    truth=Path(scratch) / "meta",
                    stopped=lambda: False,
                    written=lambda _rows: None,
                )
                wrong += [
                    path
                    for path, digest in record.files.items()
                    if manifest.files.get(path) != digest
                ]
            yield outcome(
                name,
                not wrong,
                f"{family.name}: {len(sample)} of {len(own)} parts made again, {len(wrong)} files differ",
                "0 files differ",
                ", ".join(wrong[:5]) or family.name,
            )


def comms(context: CheckContext) -> Iterator[CheckResult]:
    """Make the messages again with the manifest's settings, where that costs nothing."""
    from attrs import evolve

    from dnr_core.comms import generate_comms
    from dnr_core.config import CommsSettings
    from dnr_core.llm import make_provider

    name, manifest = "reproducible_comms", context.manifests["comms"]
    said = {key: value for key, value in manifest.settings.items() if key != "warehouse"}
    settings = evolve(context.settings, comms=CommsSettings(**said))
    provider = make_provider(context.catalogue, settings.comms.provider, settings.comms.model)
    if not provider.local:
        yield skipped(
            name,
            f"written by {settings.comms.provider}, which costs money",
            "the same bytes",
            "manifest.json",
        )
        return
    with TemporaryDirectory() as scratch:
        out = Path(scratch) / "comms"
        generate_comms(
            context.archetype,
            settings,
            context.catalogue,
            warehouse=context.warehouse,
            out=out,
            meta=Path(scratch) / "meta",
        )
        again = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    wrong = sorted(path for path, digest in manifest.files.items() if again.get(path) != digest)
    yield outcome(
        name,
        not wrong,
        f"{len(manifest.files)} files made again, {len(wrong)} differ",
        "0 files differ",
        ", ".join(wrong) or "comms",
    )

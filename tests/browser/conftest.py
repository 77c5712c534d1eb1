"""A report opened in a real browser. Not collected unless DNR_AXE is set.

The session installs Playwright for Python, and axe-core from npm; Chromium is the system's.
`DNR_CHROMIUM` is the browser's program (default: chromium), `DNR_AXE` the path of axe.min.js.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from dnr_core.config.settings import Settings
from dnr_core.health.drill import Concentration, Cut, Drill
from dnr_core.model import Column, DetectedIncident, Schema, Table
from dnr_core.plugins import load_plugins
from dnr_core.ranking import rank
from dnr_core.report import Report, assemble, read_earlier

if not os.environ.get("DNR_AXE"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The builders of hand-made companies, shared with the ranking's tests."""
    source = Path(__file__).parents[1] / "ranking" / "companies.py"
    spec = importlib.util.spec_from_file_location("dnr_browser_companies", source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report_of(
    made: ModuleType, health: Any, talk: Any, archetype: Any = None, **more: Any
) -> Report:
    """Rank and assemble, as a run does."""
    settings, kind = Settings(), archetype or made.shop()
    ranked = rank(kind, settings, load_plugins(), health=health, demand=talk)
    return assemble(
        kind, settings, ranked, health=health, demand=talk, source="shop", synthetic=True, **more
    )


@pytest.fixture(scope="session")
def page_path(made: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full page of a small company, on disk."""
    day = made.LAST - made.timedelta(days=20)
    health = made.health(
        {
            ("fact_order", "key_null"): lambda n: 0.15 if n == 99 else 0.03,
            ("fact_payment", "duplicate"): lambda n: 0.007 + 0.001 * (n % 3),
            ("fact_payment", "late"): 0.5,
        },
        incidents=(
            DetectedIncident("null_spike", "fact_order", "buyer_id", day, day, 0.15, 0.03, 150),
        ),
        proofs=(made.Proof("fact_order", "", "key_null", "SELECT 1", None, ({"order_id": 1},)),),
    )
    talk = made.demand(
        {("join_keys_orphans", "fact_order"): 20, ("freshness_ingest_lag", "fact_payment"): 9},
        quote='<img src=x onerror=alert(1)> "quoted" & <script>alert(2)</script>',
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_of(made, health, talk).html(), "utf-8")
    return path


LONG = "Donaudampfschifffahrtsgesellschaftskapitaen" * 6
EVIL = f'<script>alert("x")</script> & "quoted" \u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd {LONG}'


def _odd_reports(made: ModuleType, folder: Path) -> Iterator[tuple[str, Report]]:
    """Reports that are unlike the usual one, by name."""
    one = {("fact_order", "key_null"): lambda n: 0.04 + 0.002 * (n % 5)}
    talk = made.demand({("join_keys_orphans", "fact_order"): 9, ("access_permissions_pii", ""): 4})
    yield "nothing", report_of(made, made.health({}), None)
    yield "one need", report_of(made, made.health(one), talk)
    yield "all hidden", report_of(made, made.health({("fact_order", "key_null"): 0.004}), None)
    yield "no money", report_of(made, made.health(one, cents_a_row=None), talk)
    yield "talk alone", report_of(made, None, talk)
    yield "20 years", report_of(made, made.health(one, days=7300), None)
    names = [f"fact_{number:03d}" for number in range(500)]
    tables = tuple(Table(n, (Column("id", "int64"),), primary_key="id", kind="fact") for n in names)
    many = evolve(made.shop(), schema=Schema(tables), streams=())
    rates = {(name, "key_null"): 0.01 + 0.001 * n for n, name in enumerate(names)}
    keys = dict.fromkeys(names, "id")
    yield (
        "500 tables",
        report_of(made, made.health(rates, days=30, tables=tuple(names), keys=keys), None, many),
    )
    shop = made.shop()
    titled = tuple(evolve(table, title=EVIL) for table in shop.schema.tables)
    evil = evolve(shop, title=EVIL, schema=Schema(titled))
    quoted = made.demand({("join_keys_orphans", "fact_order"): 9}, quote=EVIL)
    places = Drill(
        "fact_order",
        "key_null",
        900,
        30000,
        (Cut("day"), Cut("column", "channel")),
        90,
        (Concentration(Cut("column", "channel"), (EVIL, None), 700, 5000, 0.78, 0.17, EVIL),),
    )
    drills = {("fact_order", "key_null"): places}
    yield "evil names", report_of(made, made.health(one), quoted, evil, drills=drills)
    then = made.health({("fact_payment", "duplicate"): 0.02})
    before = report_of(made, evolve(then, as_of=then.as_of - timedelta(days=40)), None)
    earlier = read_earlier(before.save(folder / "then"), "shop")
    yield "compared", report_of(made, made.health(one), talk, earlier=earlier, drills=drills)


ODD = (
    *(
        "nothing",
        "one need",
        "all hidden",
        "no money",
        "talk alone",
        "20 years",
        "500 tables",
        "evil names",
    ),
    "compared",
)


@pytest.fixture(scope="session")
def odd_pages(made: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of unusual companies, on disk, by name."""
    folder = tmp_path_factory.mktemp("odd")
    found = {}
    for name, report in _odd_reports(made, folder):
        found[name] = folder / f"{name.replace(' ', '-')}.html"
        found[name].write_text(report.html(), "utf-8")
    assert tuple(found) == ODD
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    program = shutil.which(os.environ.get("DNR_CHROMIUM", "chromium"))
    assert program, "no Chromium: install the system's, or name it in DNR_CHROMIUM"
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()

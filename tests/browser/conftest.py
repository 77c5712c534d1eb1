"""A report opened in a real browser. Not collected unless DNR_AXE is set.

The session installs Playwright for Python, and axe-core from npm; Chromium is the system's.
`DNR_CHROMIUM` is the browser's program (default: chromium), `DNR_AXE` the path of axe.min.js.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from dnr_core.config.settings import Settings
from dnr_core.model import DetectedIncident
from dnr_core.plugins import load_plugins
from dnr_core.ranking import rank
from dnr_core.report import assemble

if not os.environ.get("DNR_AXE"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full page of a small company, on disk."""
    source = Path(__file__).parents[1] / "ranking" / "companies.py"
    spec = importlib.util.spec_from_file_location("dnr_browser_companies", source)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
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
    settings = evolve(Settings())
    kind = made.shop()
    ranked = rank(kind, settings, load_plugins(), health=health, demand=talk)
    report = assemble(
        kind, settings, ranked, health=health, demand=talk, source="shop", synthetic=True
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report.html(), "utf-8")
    return path


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

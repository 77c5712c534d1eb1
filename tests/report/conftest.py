"""Reports of small companies made by hand, for the tests of this folder."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from dnr_core.config.settings import ReportSettings, Settings
from dnr_core.plugins import load_plugins
from dnr_core.ranking import rank
from dnr_core.report import Report, assemble


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The builders of hand-made health and demand, shared with the ranking's tests."""
    path = Path(__file__).parents[1] / "ranking" / "companies.py"
    spec = importlib.util.spec_from_file_location("dnr_test_companies_of_report", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def report_of(made: ModuleType) -> Callable[..., Report]:
    """Make a report: `report_of(health, demand, archetype=..., min_confidence=...)`."""
    catalogue = load_plugins()

    def make(
        health: Any = None,
        demand: Any = None,
        archetype: Any = None,
        source: str = "shop",
        earlier: Any = None,
        drills: Any = None,
        **changes: Any,
    ) -> Report:
        settings = evolve(Settings(), report=evolve(ReportSettings(), **changes))
        kind = archetype or made.shop()
        ranked = rank(kind, settings, catalogue, health=health, demand=demand)
        return assemble(
            kind,
            settings,
            ranked,
            health=health,
            demand=demand,
            source=source,
            synthetic=True,
            earlier=earlier,
            drills=drills,
        )

    return make


@pytest.fixture(scope="session")
def sick(made: ModuleType) -> Any:
    """A warehouse with a spike of empty keys, unmatched keys, copies and late rows."""
    spike = made.DetectedIncident(
        "null_spike",
        "fact_order",
        "buyer_id",
        made.LAST - made.timedelta(days=24),
        made.LAST - made.timedelta(days=23),
        0.15,
        0.03,
        300,
        noise_factor=2.4,
        revenue_cents=1_200_000.0,
    )
    return made.health(
        {
            ("fact_order", "key_null"): lambda n: (
                0.03 + (0.12 if n in {95, 96} else 0.001 * (n % 5))
            ),
            ("fact_order", "fk_failure"): lambda n: 0.06 + 0.004 * (n % 5),
            ("fact_payment", "duplicate"): lambda n: 0.007 + 0.001 * (n % 3),
            ("fact_payment", "late"): lambda n: 0.5 + 0.01 * (n % 9),
            ("fact_order", "late"): 0.01,
        },
        incidents=(spike,),
        cents_a_row=1234.0,
        proofs=(
            made.Proof(
                "fact_order",
                "",
                "key_null",
                "SELECT count(*) FROM fact_order WHERE buyer_id IS NULL",
                "SELECT order_id FROM fact_order WHERE buyer_id IS NULL LIMIT 5",
                ({"order_id": 12}, {"order_id": 99}),
            ),
        ),
        not_measured=(made.NotMeasured("dim_buyer", "", "late", "no load time on this table"),),
    )


@pytest.fixture(scope="session")
def talk(made: ModuleType) -> Any:
    """Talk about three themes, and some that names no table."""
    return made.demand(
        {
            ("join_keys_orphans", "fact_order"): 20,
            ("freshness_ingest_lag", "fact_payment"): 15,
            ("metric_definition_mismatch", "fact_payment"): 10,
            ("new_field_schema_request", ""): 6,
        }
    )


@pytest.fixture(scope="session")
def whole(report_of: Callable[..., Report], sick: Any, talk: Any) -> Report:
    """A report with everything in it."""
    return report_of(sick, talk)

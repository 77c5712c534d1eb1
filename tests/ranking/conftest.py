"""Small companies by hand, for the tests of this folder."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from dnr_core.model import DemandResult, HealthResult


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The builders of hand-made health and demand."""
    path = Path(__file__).with_name("companies.py")
    spec = importlib.util.spec_from_file_location("dnr_test_companies", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sick(made: ModuleType) -> HealthResult:
    """Broken keys of orders, copies of payments, and loads of both that are late."""
    return made.health(
        {
            ("fact_order", "key_null"): 0.03,
            ("fact_order", "fk_failure"): lambda n: 0.05 + 0.004 * (n % 5),
            ("fact_payment", "duplicate"): lambda n: 0.006 + 0.001 * (n % 3),
            ("fact_payment", "late"): 0.5,
            ("fact_order", "late"): 0.01,
        }
    )


@pytest.fixture(scope="session")
def talk(made: ModuleType) -> DemandResult:
    """Talk about keys, loads and figures."""
    return made.demand(
        {
            ("join_keys_orphans", "fact_order"): 20,
            ("freshness_ingest_lag", "fact_payment"): 15,
            ("metric_definition_mismatch", "fact_payment"): 10,
        }
    )

"""Small companies by hand, for the tests of this folder."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


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

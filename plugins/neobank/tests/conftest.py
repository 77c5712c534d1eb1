from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from dnr_core.model import Company
from dnr_neobank.archetype import NEOBANK


@pytest.fixture(scope="session")
def rows(rows: Any) -> Callable[[Company], dict[str, list[Any]]]:
    """All batches of a company by table."""
    return partial(rows, NEOBANK)


@pytest.fixture(scope="session")
def tiny(company: Any) -> Company:
    return company("neobank")


@pytest.fixture(scope="session")
def bank(company: Any, make: Any) -> Iterator[Any]:
    """A clean bank of a tenth of the evaluation's size; nobody writes to it."""
    made = make(NEOBANK, company("neobank", scale=0.1))
    yield made
    made.raw.close()


@pytest.fixture
def broken(tiny: Company, make: Any) -> Iterator[Any]:
    """A small clean bank that the test may break."""
    made = make(NEOBANK, tiny)
    yield made
    made.raw.close()

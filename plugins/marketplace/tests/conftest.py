from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from dnr_core.model import Company
from dnr_marketplace.archetype import MARKETPLACE


@pytest.fixture(scope="session")
def rows(rows: Any) -> Callable[[Company], dict[str, list[Any]]]:
    """All batches of a company by table."""
    return partial(rows, MARKETPLACE)


@pytest.fixture(scope="session")
def tiny(company: Any) -> Company:
    return company("marketplace")


@pytest.fixture(scope="session")
def market(company: Any, make: Any) -> Iterator[Any]:
    """A clean marketplace of a twentieth of the evaluation's size; nobody writes to it."""
    made = make(MARKETPLACE, company("marketplace", scale=0.05))
    yield made
    made.raw.close()


@pytest.fixture
def broken(tiny: Company, make: Any) -> Iterator[Any]:
    """A small clean marketplace that the test may break."""
    made = make(MARKETPLACE, tiny)
    yield made
    made.raw.close()

"""For the tests of the kit: a workshop with the builtin plugin alone, and what breaks which rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve

from dnr_core.builtin import plugin as builtin_plugin
from dnr_core.model import Archetype, Family, Synthesis, load
from dnr_core.plugins import load_plugins
from dnr_core.testing import BENCH
from dnr_core.testing.examine import examination
from dnr_core.testing.workshop import Workshop


@pytest.fixture(scope="session")
def workshop() -> Iterator[Workshop]:
    """Very small companies, and few examples of each property."""
    catalogue = load_plugins(discover=False, extra=[builtin_plugin])
    with Workshop(catalogue, scale=0.004, examples=1) as shared:
        yield shared


@pytest.fixture
def broken(workshop: Workshop) -> Callable[..., set[str]]:
    """Ids of the rules that an object breaks; keywords go to its trial."""

    def found(kind: Any, subject: Any, **more: Any) -> set[str]:
        outcomes = examination(kind, subject, workshop, **more).outcomes()
        return {outcome.rule.id for outcome in outcomes if outcome.status == "broken"}

    return found


@pytest.fixture(scope="session")
def bench() -> Callable[..., Archetype]:
    """The bench with changes: of its fields, of what a family makes, of its families or parents.

    `made` maps a family's name to a function `(rows by table, company, chunk) -> rows by table`.
    """
    whole: Synthesis = load(BENCH.synthesis)  # type: ignore[assignment]

    def changed(
        *,
        made: dict[str, Callable[..., Any]] | None = None,
        families: Callable[[tuple[Family, ...]], tuple[Family, ...]] = tuple,
        parents: Any = None,
        **fields: Any,
    ) -> Archetype:
        def wrapped(family: Family) -> Family:
            change = (made or {}).get(family.name)
            if change is None:
                return family

            def generate(company: Any, chunk: int) -> Any:
                return change(dict(family.generate(company, chunk)), company, chunk)

            return evolve(family, generate=generate)

        own = Synthesis(
            families(tuple(wrapped(family) for family in whole.families)),
            whole.parents if parents is None else parents(dict(whole.parents)),
        )
        return evolve(BENCH, **{"synthesis": own, **fields})

    return changed

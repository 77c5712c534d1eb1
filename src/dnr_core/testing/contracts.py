"""Room: testing. Contract classes for pytest: subclass one, give it the object, get a test a rule.

from dnr_core.testing import ArchetypeContract
from dnr_airline.archetype import AIRLINE

class TestAirline(ArchetypeContract):
    archetype = AIRLINE
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from dnr_core.catalogue import Catalogue
from dnr_core.model import (
    Archetype,
    Check,
    CommsStyle,
    DefectKind,
    DefectProfile,
    ProviderSpec,
    Scorer,
)
from dnr_core.plugins import load_plugins
from dnr_core.testing.examine import Examination, examination
from dnr_core.testing.rule import KINDS, Kind
from dnr_core.testing.rules import rules_for
from dnr_core.testing.workshop import Workshop


class Contract:
    """What all contract classes share.

    `catalogue` holds the plugins that are installed (None loads them). `deviations` says, by the id
    of a should-rule, why this object does not keep it: such a test passes while the rule is
    broken, and fails as soon as it holds again. A must-rule has no deviation.
    """

    catalogue: ClassVar[Catalogue | None] = None
    deviations: ClassVar[Mapping[str, str]] = {}
    examples: ClassVar[int] = 4
    """How many mixes the properties are tried on."""

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        raise NotImplementedError

    _workshop: ClassVar[Workshop]
    _examined: ClassVar[Examination]

    @classmethod
    def setup_class(cls) -> None:
        """Open the scratch folder in which the object is tried; pytest calls it."""
        kind, subject, more = cls._subject()
        if subject is None:
            pytest.fail(f"{cls.__name__} does not say which {KINDS[kind]} it is about")
        catalogue = cls.catalogue if cls.catalogue is not None else load_plugins()
        cls._workshop = Workshop(catalogue, examples=cls.examples)
        cls._examined = examination(kind, subject, cls._workshop, **more)

    @classmethod
    def teardown_class(cls) -> None:
        """Remove the scratch folder; pytest calls it."""
        cls._workshop.close()

    def _judge(self, rule: str) -> None:
        outcome = self._examined.outcome(rule)
        found, reason = outcome.rule, self.deviations.get(outcome.rule.id)
        if reason is not None and found.tier == "must":
            pytest.fail(f"{found.id} is a must-rule: there is no deviation from it")
        if reason is not None and outcome.status == "held":
            pytest.fail(f"{found.id} holds: take its deviation ({reason}) out")
        if outcome.status == "not tried":
            pytest.skip(f"{found.id} was not tried: {outcome.reason}")
        if outcome.status == "broken" and reason is None:
            told = "\n".join(str(finding) for finding in outcome.findings)
            pytest.fail(f"{found.title}\n{told}\n    why: {found.why}", pytrace=False)


def _a_test_a_rule(kind: Kind) -> Callable[[Callable[..., None]], Callable[..., None]]:
    ids = [rule.id for rule in rules_for(kind)]
    return pytest.mark.parametrize("rule", ids)


class ArchetypeContract(Contract):
    """The rules for archetypes."""

    archetype: ClassVar[Archetype | None] = None

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        return "archetype", cls.archetype, {}

    @_a_test_a_rule("archetype")
    def test_archetype(self, rule: str) -> None:
        """The archetype keeps the rule."""
        self._judge(rule)


class DefectKindContract(Contract):
    """The rules for defect kinds.

    `archetype` is what the kind is tried on: None takes the first that it can break. `columns` are
    those that a rate names, for a kind without `targets`.
    """

    defect_kind: ClassVar[DefectKind | None] = None
    archetype: ClassVar[Archetype | None] = None
    columns: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        more = {"archetype": cls.archetype, "columns": cls.columns}
        return "defect_kind", cls.defect_kind, more

    @_a_test_a_rule("defect_kind")
    def test_defect_kind(self, rule: str) -> None:
        """The defect kind keeps the rule."""
        self._judge(rule)


class DefectProfileContract(Contract):
    """The rules for defect profiles. `archetype`: None takes the first that it fits."""

    profile: ClassVar[DefectProfile | None] = None
    archetype: ClassVar[Archetype | None] = None

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        return "profile", cls.profile, {"archetype": cls.archetype}

    @_a_test_a_rule("profile")
    def test_profile(self, rule: str) -> None:
        """The profile keeps the rule."""
        self._judge(rule)


class CommsStyleContract(Contract):
    """The rules for comms styles."""

    style: ClassVar[CommsStyle | None] = None

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        return "style", cls.style, {}

    @_a_test_a_rule("style")
    def test_style(self, rule: str) -> None:
        """The style keeps the rule."""
        self._judge(rule)


class ProviderContract(Contract):
    """The rules for providers.

    `settings` and `environ` go to the factory; with a server of the test's own, `answers = True`
    lets a provider be asked that needs a key.
    """

    provider: ClassVar[ProviderSpec | None] = None
    settings: ClassVar[Mapping[str, Any]] = {}
    environ: ClassVar[Mapping[str, str]] = {}
    answers: ClassVar[bool | None] = None

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        more = {"settings": cls.settings, "environ": cls.environ, "answers": cls.answers}
        return "provider", cls.provider, more

    @_a_test_a_rule("provider")
    def test_provider(self, rule: str) -> None:
        """The provider keeps the rule."""
        self._judge(rule)


class ScorerContract(Contract):
    """The rules for scorers."""

    scorer: ClassVar[Scorer | None] = None

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        return "scorer", cls.scorer, {}

    @_a_test_a_rule("scorer")
    def test_scorer(self, rule: str) -> None:
        """The scorer keeps the rule."""
        self._judge(rule)


class CheckContract(Contract):
    """The rules for QC checks. `archetype`: None takes one that the check is for."""

    check: ClassVar[Check | None] = None
    archetype: ClassVar[Archetype | None] = None

    @classmethod
    def _subject(cls) -> tuple[Kind, Any, dict[str, Any]]:
        return "check", cls.check, {"archetype": cls.archetype}

    @_a_test_a_rule("check")
    def test_check(self, rule: str) -> None:
        """The check keeps the rule."""
        self._judge(rule)

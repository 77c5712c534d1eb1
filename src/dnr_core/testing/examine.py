"""Room: testing. Hold an object against the rules of its kind: one by one, or all at once."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from dnr_core.catalogue import Catalogue
from dnr_core.errors import DnrError
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
from dnr_core.testing.property import MissingExtraError
from dnr_core.testing.rule import Finding, Kind, NotTriedError, Outcome, Rule, Tier
from dnr_core.testing.rules import rule_of, rules_for
from dnr_core.testing.trials import (
    ArchetypeTrial,
    CheckTrial,
    KindTrial,
    ProfileTrial,
    ProviderTrial,
    ScorerTrial,
    StyleTrial,
)
from dnr_core.testing.workshop import Workshop

TRIALS: dict[Kind, Any] = {
    "archetype": ArchetypeTrial,
    "defect_kind": KindTrial,
    "profile": ProfileTrial,
    "style": StyleTrial,
    "provider": ProviderTrial,
    "scorer": ScorerTrial,
    "check": CheckTrial,
}


@define
class Examination:
    """Holds one object against rules; what several rules look at is worked out once."""

    kind: Kind
    trial: Any
    _outcomes: dict[str, Outcome] = field(factory=dict)

    def outcome(self, rule: Rule | str) -> Outcome:
        """Return what becomes of a rule. A rule is not tried where one that it stands on is broken."""
        found = rule_of(rule) if isinstance(rule, str) else rule
        if found.id not in self._outcomes:
            self._outcomes[found.id] = self._try(found)
        return self._outcomes[found.id]

    def outcomes(self, tier: Tier | None = None) -> tuple[Outcome, ...]:
        """Return what becomes of every rule of a tier, or of both."""
        return tuple(self.outcome(rule) for rule in rules_for(self.kind, tier))

    def _try(self, rule: Rule) -> Outcome:
        for earlier in rule.after:
            status = self.outcome(earlier).status
            if status != "held":
                reason = self.outcome(earlier).reason or "broken"
                return Outcome(rule, "not tried", reason=f"{earlier}: {reason}")
        try:
            findings = tuple(rule.finding(problem) for problem in rule.check(self.trial))
        except NotTriedError as error:
            return Outcome(rule, "not tried", reason=str(error))
        except MissingExtraError:
            raise
        except DnrError as error:
            findings = (Finding(rule.id, rule.tier, "the object", str(error), rule.mend),)
        except Exception as error:  # noqa: BLE001 - a stranger's object may raise anything
            told = f"it raised {type(error).__name__}: {error}"
            findings = (Finding(rule.id, rule.tier, "the object", told, rule.mend),)
        return Outcome(rule, "broken" if findings else "held", findings)


def examination(kind: Kind, subject: Any, workshop: Workshop, **more: Any) -> Examination:
    """Return the examination of an object; `more` goes to its trial."""
    return Examination(kind, TRIALS[kind](subject, workshop, **more))


def _findings(
    kind: Kind, subject: Any, tier: Tier | None, catalogue: Catalogue | None, **more: Any
) -> tuple[Finding, ...]:
    with Workshop(catalogue if catalogue is not None else load_plugins()) as workshop:
        outcomes = examination(kind, subject, workshop, **more).outcomes(tier)
    return tuple(finding for outcome in outcomes for finding in outcome.findings)


def check_archetype(
    archetype: Archetype, *, tier: Tier | None = None, catalogue: Catalogue | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with an archetype, by rule.

    Args:
        archetype: the object.
        tier: rules of this tier only.
        catalogue: the plugins that are installed; None loads them.
    """
    return _findings("archetype", archetype, tier, catalogue)


def check_defect_kind(
    kind: DefectKind,
    *,
    archetype: Archetype | None = None,
    columns: tuple[str, ...] = (),
    tier: Tier | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[Finding, ...]:
    """Return what is wrong with a defect kind, by rule.

    Args:
        kind: the object.
        archetype: what it is tried on; None takes the first that it can break: the kit's own, or
            an installed one.
        columns: what a rate names, for a kind without `targets`.
        tier: rules of this tier only.
        catalogue: the plugins that are installed; None loads them.
    """
    return _findings("defect_kind", kind, tier, catalogue, archetype=archetype, columns=columns)


def check_profile(
    profile: DefectProfile,
    *,
    archetype: Archetype | None = None,
    tier: Tier | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[Finding, ...]:
    """Return what is wrong with a defect profile, by rule; see `check_defect_kind`."""
    return _findings("profile", profile, tier, catalogue, archetype=archetype)


def check_style(
    style: CommsStyle, *, tier: Tier | None = None, catalogue: Catalogue | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with a comms style, by rule."""
    return _findings("style", style, tier, catalogue)


def check_provider(
    spec: ProviderSpec,
    *,
    settings: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    answers: bool | None = None,
    tier: Tier | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[Finding, ...]:
    """Return what is wrong with a provider, by rule.

    Args:
        spec: the object.
        settings: handed to its factory, such as the URL of a server of the test's own.
        environ: where it looks its key up.
        answers: whether it may be asked; None asks those that need no key.
        tier: rules of this tier only.
        catalogue: the plugins that are installed; None loads them.
    """
    more = {"settings": settings or {}, "environ": environ or {}, "answers": answers}
    return _findings("provider", spec, tier, catalogue, **more)


def check_scorer(
    scorer: Scorer, *, tier: Tier | None = None, catalogue: Catalogue | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with a scorer, by rule."""
    return _findings("scorer", scorer, tier, catalogue)


def check_check(
    check: Check,
    *,
    break_it: Any = None,
    archetype: Archetype | None = None,
    tier: Tier | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[Finding, ...]:
    """Return what is wrong with a check, by rule.

    Args:
        check: the object.
        break_it: breaks the check's property in the folders of a company that it is given; None
            tries what usually breaks one.
        archetype: the company's kind; None takes one that the check is for.
        tier: rules of this tier only.
        catalogue: the plugins that are installed; None loads them.
    """
    return _findings("check", check, tier, catalogue, break_it=break_it, archetype=archetype)

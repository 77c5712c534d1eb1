"""Room: testing. The registry of rules: every one, in order of kind and number."""

from __future__ import annotations

from typing import Final

from dnr_core.errors import ConfigError
from dnr_core.suggestions import did_you_mean
from dnr_core.testing.rule import Kind, Rule, Tier
from dnr_core.testing.rules import (
    archetype,
    check,
    defect,
    plugin,
    profile,
    provider,
    purity,
    scorer,
    style,
)

_ROOMS: Final = (plugin, archetype, purity, defect, profile, style, provider, scorer, check)

RULES: Final[tuple[Rule, ...]] = tuple(
    value
    for room in _ROOMS
    for value in sorted(
        (value for value in vars(room).values() if isinstance(value, Rule)), key=lambda r: r.id
    )
)
"""All rules."""


def rules_for(kind: Kind, tier: Tier | None = None) -> tuple[Rule, ...]:
    """Return the rules for a kind of object, of one tier or of both, by number."""
    found = (r for r in RULES if r.kind == kind and (tier is None or r.tier == tier))
    return tuple(sorted(found, key=lambda rule: rule.id))


def rule_of(rule_id: str) -> Rule:
    """Return the rule of an id.

    Raises:
        ConfigError: there is none.
    """
    for rule in RULES:
        if rule.id == rule_id:
            return rule
    ids = [rule.id for rule in RULES]
    raise ConfigError(f"there is no rule {rule_id!r}", hint=did_you_mean(rule_id, ids))

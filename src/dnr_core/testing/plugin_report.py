"""Room: testing. Everything that a plugin brings, held against the rules: `dnr plugins check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from dnr_core.catalogue import Catalogue
from dnr_core.errors import ConfigError
from dnr_core.plugins import Candidate, find_plugins, load_plugins
from dnr_core.progress import Progress, Silent
from dnr_core.suggestions import did_you_mean
from dnr_core.testing.examine import Examination, examination
from dnr_core.testing.rule import KINDS, Kind, Outcome, Tier
from dnr_core.testing.trials import PluginTrial
from dnr_core.testing.workshop import Workshop

_KIND_OF: Final[Mapping[str, Kind]] = {
    "archetypes": "archetype",
    "defect_kinds": "defect_kind",
    "profiles": "profile",
    "styles": "style",
    "providers": "provider",
    "scorers": "scorer",
    "checks": "check",
}
"""The kind of rules for each kind of object in a catalogue."""

_SIGNS: Final = {"held": "ok", "broken": "BROKEN", "not tried": "-"}


@frozen
class ObjectReport:
    """One object of a plugin (or the plugin itself) and what became of each rule."""

    kind: Kind
    name: str
    outcomes: tuple[Outcome, ...]

    @property
    def title(self) -> str:
        """What it is and what it is called."""
        return f"{KINDS[self.kind]} {self.name}"


@frozen
class PluginReport:
    """A plugin held against the rules."""

    plugin: str
    distribution: str
    version: str
    objects: tuple[ObjectReport, ...]

    def broken(self, tier: Tier) -> tuple[str, ...]:
        """Return the ids of the rules of a tier that are broken."""
        return tuple(
            sorted(
                {
                    outcome.rule.id
                    for part in self.objects
                    for outcome in part.outcomes
                    if outcome.status == "broken" and outcome.rule.tier == tier
                }
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        counted = Counter(o.status for part in self.objects for o in part.outcomes)
        return {
            "format": 1,
            "plugin": self.plugin,
            "distribution": self.distribution,
            "version": self.version,
            "passed": not self.broken("must"),
            "counts": {name: counted[name] for name in ("held", "broken", "not tried")},
            "objects": [
                {
                    "kind": part.kind,
                    "name": part.name,
                    "rules": [_told(outcome) for outcome in part.outcomes],
                }
                for part in self.objects
            ],
        }

    def __str__(self) -> str:
        lines = [f"{self.plugin} ({self.distribution} {self.version})"]
        for part in self.objects:
            lines += ["", part.title]
            for outcome in part.outcomes:
                rule = outcome.rule
                lines.append(f"  {_SIGNS[outcome.status]:<7}{rule.id} {rule.title}")
                for finding in outcome.findings:
                    lines.append(f"         {finding.where}: {finding.message}")
                if outcome.status == "broken":
                    mends = dict.fromkeys(finding.mend for finding in outcome.findings)
                    lines += [f"         mend: {mend}" for mend in mends]
                if outcome.reason:
                    lines.append(f"         not tried: {outcome.reason}")
        counts = self.as_dict()["counts"]
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        must, should = self.broken("must"), self.broken("should")
        lines += ["", f"rules: {told or 'none'}"]
        if must:
            lines.append(f"must be mended: {', '.join(must)}")
        if should:
            lines.append(f"should be mended: {', '.join(should)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "rule": outcome.rule.id,
        "tier": outcome.rule.tier,
        "title": outcome.rule.title,
        "status": outcome.status,
        "reason": outcome.reason,
        "findings": [
            {"where": f.where, "message": f.message, "mend": f.mend} for f in outcome.findings
        ],
    }


def check_plugin(
    name: str,
    *,
    tier: Tier | None = None,
    catalogue: Catalogue | None = None,
    examples: int = 4,
    progress: Progress | None = None,
) -> PluginReport:
    """Hold everything that an installed plugin brings against the rules.

    Args:
        name: the plugin's name (its entry point), or its distribution's.
        tier: rules of this tier only.
        catalogue: the plugins that are loaded; None loads those that are installed.
        examples: how many mixes the properties are tried on.
        progress: told of objects as they are finished.

    Raises:
        ConfigError: no such plugin is installed.
    """
    candidate = _candidate(name)
    catalogue = catalogue if catalogue is not None else load_plugins()
    progress = progress or Silent()
    brings: Mapping[str, tuple[str, ...]] = next(
        (
            plugin.brings
            for plugin in catalogue.plugins
            if (plugin.name, plugin.distribution) == (candidate.name, candidate.distribution)
        ),
        {},
    )
    problems = tuple(
        problem
        for problem in catalogue.problems
        if (problem.plugin, problem.distribution) == (candidate.name, candidate.distribution)
    )
    trial = PluginTrial(candidate.name, candidate.distribution, problems, brings)
    own = Examination("plugin", trial)
    reports = [ObjectReport("plugin", candidate.name, own.outcomes(tier))]
    wanted = [(attribute, each) for attribute, names in brings.items() for each in names]
    task = f"check {candidate.name}"
    progress.start(task, len(wanted), "objects")
    with Workshop(catalogue, examples=examples) as workshop:
        for attribute, each in wanted:
            kind = _KIND_OF[attribute]
            found = examination(kind, getattr(catalogue, attribute)[each], workshop)
            reports.append(ObjectReport(kind, each, found.outcomes(tier)))
            progress.advance(task)
    progress.done(task)
    return PluginReport(candidate.name, candidate.distribution, candidate.version, tuple(reports))


def _candidate(name: str) -> Candidate:
    found = find_plugins()
    for candidate in found:
        if name in (candidate.name, candidate.distribution):
            return candidate
    names = [candidate.name for candidate in found]
    raise ConfigError(
        f"there is no plugin {name!r}; installed: {', '.join(names) or 'none'}",
        hint=did_you_mean(name, names) or "pip install it first; `dnr plugins` lists what is here",
    )

"""The pages for authors of plugins say what the code says, and their examples run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from dnr_core import hookspecs
from dnr_core.cli.app import run
from dnr_core.testing import RULES, check_style, rules_for
from dnr_core.testing.rules.page import page
from dnr_core.testing.scaffold import PLUGIN_KINDS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_rules_is_written_from_the_registry() -> None:
    """docs/reference/rules.md is what `python -m dnr_core.testing.rules.page` prints."""
    assert (DOCS / "reference" / "rules.md").read_text(encoding="utf-8") == page()


def test_every_rule_says_why_and_how_to_mend_it() -> None:
    """Ids are unique, and rules stand on rules of their own kind."""
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    for rule in RULES:
        assert rule.title, rule.id
        assert rule.why.endswith("."), rule.id
        assert rule.mend.rstrip(".") == rule.mend != "", rule.id
        kinds = {other.kind for other in RULES if other.id in rule.after}
        assert kinds <= {rule.kind}, rule.id


def test_every_hook_says_which_rules_hold_it() -> None:
    """The docstring of each hook names the first and the last rule of each kind that it returns."""
    kinds = {
        "dnr_archetypes": ("archetype",),
        "dnr_defect_profiles": ("defect_kind", "profile"),
        "dnr_comms_styles": ("style",),
        "dnr_llm_providers": ("provider",),
        "dnr_scorers": ("scorer",),
        "dnr_qc_checks": ("check",),
    }
    hooks = {name for name in vars(hookspecs) if name.startswith("dnr_")}
    assert hooks == set(kinds)
    for hook, of in kinds.items():
        ids = [[rule.id for rule in rules_for(kind)] for kind in of]
        wanted = ", ".join(f"{each[0]} to {each[-1]}" for each in ids)
        told = f"- Rules of the kit (`dnr_core.testing`): {wanted}."
        assert told in getattr(hookspecs, hook).__doc__, hook


def test_the_how_to_on_testing_works_as_shown() -> None:
    """The contract class and the function of the page are what they say."""
    text = (DOCS / "how-to" / "test-a-plugin.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(compile(code, "test-a-plugin.md", "exec"), names)
    assert names["TestPirate"].style is names["PIRATE"]
    assert [finding.rule for finding in check_style(names["PIRATE"])] == ["STY005"]


def test_the_how_to_on_writing_works_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands write what it says, in an empty folder with a schema file."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(DOCS / "examples" / "flights.yaml", tmp_path)
    text = (DOCS / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ dnr (.*)$", text, re.M)
    assert len(lines) == 3
    for line in lines:
        assert run(shlex.split(line)) == 0, line
    written = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert written == {"dnr-air-freight", "dnr-shouting", "dnr-flights"}
    for kind in PLUGIN_KINDS:
        assert f"| `{kind}` |" in text


def test_the_how_to_on_what_is_wrong_names_every_area() -> None:
    """Its table has a row for each area that `dnr doctor` looks at, in order."""
    import dnr_core

    text = (DOCS / "how-to" / "find-what-is-wrong.md").read_text(encoding="utf-8")
    areas = dict.fromkeys(finding.area for finding in dnr_core.diagnose(environ={}).findings)
    assert re.findall(r"^\| ([a-z ]+) \| (?!what is)", text, re.M) == list(areas)

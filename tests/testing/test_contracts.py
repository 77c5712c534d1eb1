"""Contract classes: a test a rule, deviations with reasons, and what ships keeps every must-rule."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dnr_core.errors import ConfigError
from dnr_core.plugins import load_plugins
from dnr_core.testing import (
    CommsStyleContract,
    ScorerContract,
    check_scorer,
    rules_for,
)

INSTALLED = load_plugins()

pytest_plugins = ["pytester"]


class TestPlain(CommsStyleContract):
    """The builtin style."""

    style = INSTALLED.style("plain")


class TestFormula(ScorerContract):
    """The builtin scorer."""

    scorer = INSTALLED.scorer("formula")


def test_without_hypothesis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kit that is not whole is no fault of the object: nothing is said to be broken."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ConfigError, match="Hypothesis is not installed") as caught:
        check_scorer(INSTALLED.scorer("formula"), catalogue=INSTALLED)
    assert caught.value.hint == "pip install 'dnr-core[testing]'"


def test_without_pytest_the_functions_are_there(tmp_path: Path) -> None:
    """Only the contract classes need it, and say what to install."""
    code = """
        import sys
        sys.modules["pytest"] = None
        from dnr_core.testing import check_style, rules_for
        from dnr_core.model import CommsStyle
        assert check_style(CommsStyle("x", "X", traits={"typo": 9}), tier="must")
        try:
            from dnr_core.testing import ArchetypeContract
        except ImportError as error:
            print(error)
    """
    command = [sys.executable, "-c", dedent(code)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = "dnr_core.testing.ArchetypeContract needs pytest: pip install 'dnr-core[testing]'"
    assert done.stdout.strip() == told


SHOWN = """
    from dnr_core.model import CommsStyle
    from dnr_core.testing import CommsStyleContract

    class TestMine(CommsStyleContract):
        style = CommsStyle("mine", "Mine", {{"greeting": ("hi", "hey", "ho"), "thanks": ("ta", "cheers", "thx")}},
                           {traits}, {instructions!r})
        deviations = {deviations}
"""
GOOD = {"traits": {"typo": 0.1}, "instructions": "Write in short and friendly sentences."}


def test_each_rule_is_a_test_of_its_own(
    pytester: pytest.Pytester, run_shown: Callable[..., Any]
) -> None:
    """A subclass has one visible test a rule, named by its id, and a broken one tells all."""
    outcome = run_shown(SHOWN.format(**{**GOOD, "traits": {"typo": 7}}, deviations={}))
    outcome.assert_outcomes(passed=len(rules_for("style")) - 1, failed=1)
    outcome.stdout.fnmatch_lines(["*TestMine::test_style*STY001*FAILED*"])
    outcome.stdout.fnmatch_lines(["*trait typo: it is 7, which is no share*", "*mend: give each*"])


@pytest.mark.parametrize(
    ("changes", "deviations", "failed", "told"),
    [
        ({"instructions": ""}, {"STY005": "no real model"}, 0, "passed"),
        ({}, {"STY005": "no real model"}, 1, "STY005 holds: take its deviation"),
        ({"traits": {"typo": 7}}, {"STY001": "typos galore"}, 1, "STY001 is a must-rule"),
    ],
)
def test_a_deviation_has_its_reason_and_ends_with_it(
    changes: Any,
    deviations: Any,
    failed: int,
    told: str,
    run_shown: Callable[..., Any],
) -> None:
    """A should-rule may be left, as long as it is broken; a must-rule may not."""
    outcome = run_shown(SHOWN.format(**{**GOOD, **changes}, deviations=deviations))
    outcome.assert_outcomes(passed=len(rules_for("style")) - failed, failed=failed)
    assert told in outcome.stdout.str()


@pytest.fixture
def run_shown(pytester: pytest.Pytester) -> Callable[..., Any]:
    """Run a test file as its author would."""

    def run(code: str) -> Any:
        pytester.makepyfile(test_shown=dedent(code))
        return pytester.runpytest_inprocess("-v", "-p", "no:cacheprovider")

    return run

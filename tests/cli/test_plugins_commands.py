"""`dnr plugins check` and `dnr plugins new`: exit codes, JSON, messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STYLE = """
from dnr_core.hookspecs import hookimpl
from dnr_core.model import CommsStyle

@hookimpl
def dnr_comms_styles():
    return [CommsStyle("kit_cli", "Kit", {"greeting": ("hi", "hello", "hey"),
            "thanks": ("ta", "thanks", "cheers")}, {"typo": TYPO}, "INSTRUCTIONS")]
"""
GOOD = {"TYPO": "0.1", "INSTRUCTIONS": "Write short and friendly messages."}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a style's distribution onto sys.path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(**changes: str) -> None:
        code = STYLE
        for name, value in {**GOOD, **changes}.items():
            code = code.replace(name, value)
        (tmp_path / "dnr_kit_cli.py").write_text(code)
        info = tmp_path / "dnr_kit_cli-1.0.dist-info"
        info.mkdir()
        told = "Metadata-Version: 2.1\nName: dnr-kit-cli\nVersion: 1.0\n"
        (info / "METADATA").write_text(f"{told}Requires-Dist: dnr-core>=0.1,<0.2\n")
        (info / "entry_points.txt").write_text("[dnr]\nkit_cli = dnr_kit_cli\n")

    return put


@pytest.fixture(autouse=True)
def imported_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a module of its own under that name."""
    import sys

    monkeypatch.delitem(sys.modules, "dnr_kit_cli", raising=False)


@pytest.mark.parametrize(
    ("changes", "options", "code", "broken"),
    [
        ({}, (), 0, []),
        ({"TYPO": "3"}, (), 1, ["STY001"]),
        ({"INSTRUCTIONS": ""}, (), 0, ["STY005"]),
        ({"INSTRUCTIONS": ""}, ("--strict",), 1, ["STY005"]),
        ({"INSTRUCTIONS": ""}, ("--strict", "--tier", "must"), 0, []),
    ],
)
def test_the_exit_code_says_whether_a_must_rule_is_broken(
    changes: dict[str, str],
    options: tuple[str, ...],
    code: int,
    broken: list[str],
    plugin: Callable[..., None],
    dnr: Callable[..., Any],
) -> None:
    """1 for a broken must-rule, and with --strict for a broken should-rule; --tier leaves one out."""
    plugin(**changes)
    outcome = dnr("plugins", "check", "kit_cli", "--json", *options)
    assert outcome.code == code
    told = json.loads(outcome.out)
    rules = [rule for part in told["objects"] for rule in part["rules"]]
    assert [rule["rule"] for rule in rules if rule["status"] == "broken"] == broken
    for rule in rules:
        for finding in rule["findings"]:
            assert finding["where"]
            assert finding["message"]
            assert finding["mend"]
    if code:
        assert f"breaks {', '.join(broken)}" in outcome.err


def test_a_person_is_told_what_where_and_how(
    plugin: Callable[..., None], dnr: Callable[..., Any]
) -> None:
    """The rule, the place, the fault, and how to mend it stand below one another."""
    plugin(TYPO="3")
    told = dnr("plugins", "check", "dnr-kit-cli").out
    assert "comms style kit_cli" in told
    assert "BROKEN STY001 Traits are shares" in told
    assert "trait typo: it is 3, which is no share" in told
    assert "mend: give each trait a number from 0 to 1" in told
    assert "must be mended: STY001" in told


def test_an_unknown_plugin_is_refused(dnr: Callable[..., Any]) -> None:
    """With 2, and the nearest name."""
    outcome = dnr("plugins", "check", "neobnk")
    assert outcome.code == 2
    assert "did you mean 'neobank'?" in outcome.err


def test_new_says_what_it_wrote_and_refuses_what_is_there(
    tmp_path: Path, dnr: Callable[..., Any]
) -> None:
    """As JSON or for people; a second time it is refused with 3 and nothing changes."""
    made = dnr("plugins", "new", "kit_air", "--kind", "style", "--out", str(tmp_path), "--json")
    assert made.code == 0
    told = json.loads(made.out)
    assert told["distribution"] == "dnr-kit-air"
    assert sorted(told["files"]) == sorted(
        path.relative_to(tmp_path / "dnr-kit-air").as_posix()
        for path in (tmp_path / "dnr-kit-air").rglob("*")
        if path.is_file()
    )
    again = dnr("plugins", "new", "kit_air", "--kind", "style", "--out", str(tmp_path))
    assert again.code == 3
    assert "is there already" in again.err
    assert dnr("plugins", "new", "Kit Air", "--kind", "style", "--out", str(tmp_path)).code == 2

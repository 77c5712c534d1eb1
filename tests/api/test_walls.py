"""The walls: what knows what, and what reads what."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.plugins import load_plugins

CORE = Path(dnr_core.__file__).parent


def test_the_core_knows_no_plugin_by_name() -> None:
    """No archetype, defect kind, provider, scorer, style or check is named in the core's code."""
    catalogue = load_plugins()
    names = {*catalogue.archetypes, *catalogue.providers}
    defects = {*catalogue.defect_kinds} - {
        "key_null",
        "fk_failure",
        "duplicate",
        "null_spike",
        "lag_surge",
        "write_gap",
    }
    names |= defects
    pattern = re.compile(rf"[\"'](?:{'|'.join(map(re.escape, sorted(names)))})[\"']")
    found = []
    for path in sorted(CORE.rglob("*.py")):
        relative = path.relative_to(CORE).as_posix()
        if relative.startswith(("builtin/", "config/settings.py")):
            continue
        code = re.sub(r'"""[\s\S]*?"""', "", path.read_text("utf-8"))
        found += [f"{relative}: {match}" for match in pattern.findall(code)]
    assert found == []


def test_reports_never_open_the_truth(made: dict[str, Any], tmp_path: Path) -> None:
    """Without `meta/`, every byte of both reports is the same."""
    for name, company in made.items():
        root = tmp_path / name
        shutil.copytree(company.data, root / "data" / name)
        shutil.copytree(company.comms, root / "comms" / name)
        dnr_core.run_report(
            root / "data" / name,
            comms=root / "comms" / name,
            out=root / "reports" / name,
            context=open_context(environ={}),
        )
        before = {
            p.relative_to(company.reports): p.read_bytes()
            for p in company.reports.rglob("*")
            if p.is_file()
        }
        after = {
            p.relative_to(root / "reports" / name): p.read_bytes()
            for p in (root / "reports" / name).rglob("*")
            if p.is_file()
        }
        before.pop(Path(".dnr.lock"), None)
        after.pop(Path(".dnr.lock"), None)
        assert sorted(before) == sorted(after)
        assert [path for path in before if before[path] != after[path]] == []


def test_messages_never_change_what_the_warehouse_shows(made: dict[str, Any]) -> None:
    """Health is the same with and without messages; the ranking says what it stands on."""
    company = made["neobank"]
    context = open_context(environ={})
    with_talk = dnr_core.run_report(company.data, comms=company.comms, context=context)
    without = dnr_core.run_report(company.data, comms=company.comms, no_llm=True, context=context)
    assert with_talk.document["health"] == without.document["health"]
    assert with_talk.document["answer"]["basis"] != without.document["answer"]["basis"]


def test_the_public_names_are_there() -> None:
    """Every public call resolves, and has a docstring that says what it is for."""
    for name in dnr_core.__all__:
        assert getattr(dnr_core, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dnr_core.nonsense


def test_every_result_shows_itself_in_a_notebook(made: dict[str, Any]) -> None:
    """What the calls return has a text and an HTML form that name what it holds."""
    company, context = made["neobank"], open_context(environ={})
    health = dnr_core.measure_health(company.data, context=context)
    proof = dnr_core.explain(company.data, "fact_card_transaction", "key_null", context=context)
    report = dnr_core.run_report(company.data, no_llm=True, context=context)
    results = {
        "fact_card_transaction": health,
        "SELECT": proof,
        "people": dnr_core.read_comms(company.comms),
        "card transactions": report,
        "neobank": dnr_core.describe(company.data, meta=company.meta),
        "theme": dnr_core.evaluate_labels(company.reports, company.meta, context=context),
        "schema_types": dnr_core.validate(company.data, context=context),
    }
    for part, result in results.items():
        assert part in str(result), type(result)
        assert part in result._repr_html_(), type(result)

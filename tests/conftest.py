"""Shared by all tests: tiny made companies, made once a session, never written to."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import frozen

import dnr_core
from dnr_core.api.context import open_context


@frozen
class Made:
    """Folders of one tiny company: warehouse, messages, truth, report."""

    name: str
    data: Path
    comms: Path
    meta: Path
    reports: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Both companies at `tiny`, with a tenth of the messages, and their reports."""
    root = tmp_path_factory.mktemp("made")
    context = open_context(environ={})
    found = {}
    for name in ("marketplace", "neobank"):
        company = Made(name, *(root / part / name for part in ("data", "comms", "meta", "reports")))
        dnr_core.generate_warehouse(
            name, scale="tiny", out=company.data, meta=company.meta, context=context
        )
        dnr_core.generate_comms(
            company.data,
            slack=300,
            email=80,
            nlq=100,
            out=company.comms,
            meta=company.meta,
            context=context,
        )
        dnr_core.run_report(company.data, comms=company.comms, out=company.reports, context=context)
        found[name] = company
    return found

"""Warehouses made on a real Spark. Not collected unless DNR_SPARK is set: it needs Java."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.workspace import sha256_of

if not os.environ.get("DNR_SPARK"):
    collect_ignore_glob = ["test_*.py"]

SCALES = {"neobank": 0.2, "marketplace": 0.02}


@pytest.fixture(scope="session")
def bytes_of() -> Callable[[Path], dict[str, str]]:
    """Hashes of everything that a folder holds but locks."""

    def hashes(folder: Path) -> dict[str, str]:
        return {
            path.relative_to(folder).as_posix(): sha256_of(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.endswith(".lock")
        }

    return hashes


@pytest.fixture(scope="session")
def by_threads(
    tmp_path_factory: pytest.TempPathFactory, bytes_of: Callable[[Path], dict[str, str]]
) -> Callable[[str], dict[str, str]]:
    """Hashes of what the local engine makes of a company, data and truth."""
    known: dict[str, dict[str, str]] = {}

    def made(name: str) -> dict[str, str]:
        if name not in known:
            folder = tmp_path_factory.mktemp(f"threads_{name}")
            dnr_core.generate_warehouse(
                name,
                scale=SCALES[name],
                out=folder / "data",
                meta=folder / "meta",
                context=open_context(environ={}),
            )
            known[name] = bytes_of(folder)
        return known[name]

    return made

"""Briefs of an invented company, and the training room's modules."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dnr_core.model import THEMES, Request
from dnr_llm_mock.provider import make

TRAINING = Path(__file__).parents[1] / "training"
TABLES = {
    "fact_ride": (["rides", "ride records"], "ride_id", ["ride number"]),
    "dim_driver": (["drivers", "driver list"], "driver_id", ["driver number"]),
    "fact_fare": (["fares", "fare lines"], "fare_cents", ["fare amount"]),
}
SHARES = {"positive": 45, "hard_negative": 20, "negative": 35}
KINDS = {"slack_thread": 3000, "email": 800, "nlq": 1000}


def brief(draw: random.Random, kind: str, style: dict[str, Any]) -> dict[str, Any]:
    """A brief as `gen-comms` makes them."""
    relevance = "positive"
    if kind != "nlq":
        relevance = draw.choices(list(SHARES), list(SHARES.values()))[0]
    table = draw.choice(list(TABLES))
    names, column, column_names = TABLES[table]
    return {
        "kind": kind,
        "theme": draw.choice(THEMES) if relevance == "positive" else None,
        "relevance": relevance,
        "band": draw.choice(("plain", "indirect", "no_keyword")),
        "table": table,
        "table_names": names,
        "column": column,
        "column_names": column_names,
        "other_table": draw.choice((None, "dim_driver")),
        "speakers": ["pm", "data_eng", "finance"],
        "messages": draw.randint(4, 8) if kind == "slack_thread" else 1,
        "style": style,
        "vocabulary": {"customer": ["rider"], "dashboard": ["the dispatch board"]},
        "incident": draw.choice((None, {"kind": "x", "weekday": "Tuesday", "days_ago": 1})),
        "named": draw.random() < 0.5,
        "closure": draw.choice(("resolved", "open", None)),
        "joinable": draw.choice(
            (None, {"left": "fact_ride", "right": "dim_driver", "on": {"driver_id": "driver_id"}})
        ),
        "seed": draw.getrandbits(60),
    }


@pytest.fixture(scope="session")
def corpus() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Briefs of a whole company at evaluation scale, with the answers."""
    draw = random.Random(5)
    provider = make()
    style = {"name": "plain", "vocabulary": {}, "traits": {"lowercase": 0.1, "typo": 0.05}}
    briefs = [brief(draw, kind, style) for kind, count in KINDS.items() for _ in range(count)]
    return [
        (b, json.loads(provider.answer(Request("write", "", json.dumps(b), {}, 1200)).raw))
        for b in briefs
    ]


def _training(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mock_training_{name}", TRAINING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def measure() -> ModuleType:
    """The script's own scores."""
    return _training("measure")


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The script's made talk."""
    return _training("made")

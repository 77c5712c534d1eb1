"""Room: training. Made talk to fit and to test on, from briefs of invented companies.

None of these companies is a shipped archetype: the words of an archetype must not help.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from dnr_llm_mock import skeletons
from dnr_llm_mock.writer import write_from

ROLES = ("exec", "data_eng", "analytics_eng", "bi", "pm", "finance", "other")
COMPANIES: tuple[dict[str, Any], ...] = (
    {
        "tables": {
            "fact_flight": ["flights", "flight records"], "dim_plane": ["planes", "aircraft list"],
            "fact_booking": ["bookings", "reservations"], "dim_airport": ["airports"],
        },
        "columns": {"tail_number": ["tail number"], "booking_ref": ["booking reference"], "origin": ["origin"]},
        "vocabulary": {"customer": ["passenger", "traveller"], "product": ["the lounge pass", "the app"],
                       "metric": ["load factor", "on-time rate", "rebooking rate", "yield"]},
    },
    {
        "tables": {
            "fact_visit": ["visits", "appointments"], "dim_patient": ["patients", "patient list"],
            "fact_lab_result": ["lab results", "results"], "dim_ward": ["wards"],
        },
        "columns": {"visit_id": ["visit number"], "patient_id": ["patient number"], "ward_code": ["ward code"]},
        "vocabulary": {"customer": ["patient"], "product": ["the portal", "the day clinic"],
                       "metric": ["length of stay", "no-show rate", "occupancy", "readmissions"]},
    },
    {
        "tables": {
            "events": ["events", "product events"], "accounts": ["accounts", "workspaces"],
            "subscriptions": ["subscriptions", "subs"], "tickets": ["support tickets", "cases"],
        },
        "columns": {"account_id": ["account number"], "event_id": ["event id"], "plan_code": ["plan code"]},
        "vocabulary": {"customer": ["workspace", "admin", "subscriber"], "product": ["the pro plan", "the editor"],
                       "metric": ["MRR", "weekly actives", "seat expansion", "trial conversion"]},
    },
    {
        "tables": {
            "meter_reading": ["meter readings", "readings"], "contract": ["contracts"],
            "bill": ["bills", "invoices"], "grid_point": ["grid points", "connections"],
        },
        "columns": {"meter_no": ["meter number"], "contract_no": ["contract number"], "tariff": ["tariff"]},
        "vocabulary": {"customer": ["household", "client"], "product": ["the green tariff", "the heat pump offer"],
                       "metric": ["consumption per household", "switch rate", "bad debt", "load forecast error"]},
    },
)  # fmt: skip
ORDINARY_TIMES = 3
"""How often ordinary questions are fitted for one of another kind: they are the most varied."""
STYLES: tuple[dict[str, Any], ...] = (
    {"name": "plain", "traits": {"typo": 0.05}},
    {
        "name": "chat",
        "traits": {"lowercase": 0.8, "typo": 0.25, "no_punctuation": 0.5, "slang": 0.5},
    },
    {"name": "formal", "traits": {"formal": 0.9}},
)


@frozen
class Made:
    """One made item as the classifier would see it, with its truth."""

    text: str
    theme: str
    relevance: str
    skeleton: str
    split: str
    band: str
    kind: str


def packed(answer: dict[str, Any], roles: list[str], kind: str, shape: int) -> str:
    """The item's text, in one of the shapes that a packer may give it."""
    messages = answer["messages"]
    if kind == "email":
        return f"{answer['subject']}\n\n{messages[0]['text']}"
    lines = [
        f"{roles[m['speaker'] % len(roles)]}: {m['text']}" if shape else str(m["text"])
        for m in messages
    ]
    return "\n".join(lines)


def _brief(
    kind: str, theme: str | None, relevance: str, band: str, short_share: float, draw: random.Random
) -> dict[str, Any]:
    company = draw.choice(COMPANIES)
    table = draw.choice(sorted(company["tables"]))
    column = draw.choice(sorted(company["columns"]))
    other = draw.choice(sorted(company["tables"]))
    return {
        "kind": kind, "theme": theme, "relevance": relevance, "band": band, "table": table,
        "table_names": company["tables"][table], "column": column,
        "column_names": company["columns"][column], "other_table": other,
        "speakers": draw.sample(ROLES, 3), "messages": _message_count(kind, short_share, draw),
        "style": draw.choice(STYLES), "vocabulary": company["vocabulary"],
        "incident": None, "named": draw.random() < 0.5,
        "closure": draw.choice(("resolved", "open", None)), "joinable": None,
    }  # fmt: skip


def _message_count(kind: str, short_share: float, draw: random.Random) -> int:
    if kind != "slack_thread" or draw.random() < short_share:
        return 1
    return draw.randint(4, 8)


def made(split: str, per_skeleton: int, seed: int, *, short_share: float = 0.0) -> Iterator[Made]:
    """`per_skeleton` items of every skeleton of a split, by kind.

    `short_share` of the threads are a single message: real talk has many of those, and
    without them a fit would learn that what is short is a question.
    """
    draw = random.Random(seed)  # noqa: S311
    for theme, relevance, skeleton in _of_split(split):
        asked = per_skeleton * (ORDINARY_TIMES if split == "train" and theme is None else 1)
        kinds = ["nlq"] * asked if skeleton.is_question else []
        kinds = kinds or ["slack_thread"] * (per_skeleton - per_skeleton // 4)
        kinds += ["email"] * (0 if skeleton.is_question else per_skeleton // 4)
        for kind in kinds:
            brief = _brief(kind, theme, relevance, skeleton.band, short_share, draw)
            words = random.Random(draw.getrandbits(48)).random  # noqa: S311
            words()  # by this number a writer that is given no skeleton would choose one
            answer = write_from(brief, skeleton, words)
            text = packed(answer, brief["speakers"], kind, draw.randint(0, 1))
            yield Made(text, theme or "none", relevance, skeleton.name, split, skeleton.band, kind)


def _of_split(split: str) -> Iterator[tuple[str | None, str, skeletons.Skeleton]]:
    """Theme, relevance and skeleton: those that companies are written from, then those for the fit."""
    groups: list[tuple[str, str | None, str]] = [
        (file, theme, "positive") for theme, file in skeletons.THEME_FILES.items()
    ]
    groups += [
        (skeletons.NEAR_MISSES, None, "hard_negative"),
        (skeletons.ORDINARY, None, "negative"),
    ]
    for file, theme, relevance in groups:
        for skeleton in skeletons.load(file):
            if skeleton.split == split:
                yield theme, relevance, skeleton
    for file, _, relevance in groups[-2:]:
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        for skeleton in skeletons.parse(text, file):
            if skeleton.split == split:
                yield None, relevance, skeleton

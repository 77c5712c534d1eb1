"""The page: one file, safe, described, and in step with report.json."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from dnr_core.model import Column, Schema, Table
from dnr_core.report import Report

VOID = {"meta", "br", "rect", "path", "use", "link", "hr", "img", "input"}


class Reader(HTMLParser):
    """Reads a page into tags, ids, heading levels and visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.titles: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if dict(attrs).get("title"):
            self.titles.append(str(dict(attrs)["title"]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.text.append(data)

    @property
    def levels(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.tags if re.fullmatch(r"h[1-6]", tag)]


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def page(whole: Report) -> str:
    return whole.html()


def test_the_first_screen_answers_in_one_sentence(whole: Report, page: str) -> None:
    """The heading is one sentence of at most 25 words, with money and its range."""
    sentence = whole.sentence
    assert re.search(r"\$\d+k a month \(80\u202f% range \$\d+k to \$\d+k\) at risk", sentence)
    assert len(sentence.split()) <= 25
    assert f">{sentence}</h1>" in page


def test_every_number_of_the_page_is_in_the_json(whole: Report, page: str) -> None:
    """Each figure that the page prints, in text or title, stands in report.json."""
    stored: set[str] = set()

    def gather(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                gather(item)
        elif isinstance(value, list | tuple):
            for item in value:
                gather(item)
        elif isinstance(value, bool) or value is None:
            return
        else:
            stored.update(NUMBER.findall(str(value)))
            if isinstance(value, float):
                stored.update({f"{value:.1f}", f"{value:.2f}", f"{value:.0f}"})

    gather(json.loads(json.dumps(whole.document)))
    reader = read(page)
    printed = set(NUMBER.findall(" ".join([*reader.text, *reader.titles])))
    # Counts of lists, section numbers, days of the axis and the version are not figures.
    lengths = {str(n) for n in range(32)} | {"90", "100", "2025", "0.1.0"}
    assert printed - stored - lengths == set()


NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def test_nothing_is_loaded_and_nothing_else_may_run(page: str) -> None:
    """No address is fetched; the policy names the one style sheet and the one script by hash."""
    assert not re.search(r"(?:src|href)=[\"'](?!#)", page)
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page
    assert " style=" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    rules = policy.group(1).replace("&#39;", "'")
    assert rules.startswith("default-src 'none'")
    for tag in ("style", "script"):
        blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        assert len(blocks) == 1
        digest = base64.b64encode(hashlib.sha256(blocks[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in rules


def test_headings_are_in_order_and_ids_are_unique(page: str) -> None:
    """One h1, no level skipped, each id once, each link with a target."""
    reader = read(page)
    levels = reader.levels
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs in reader.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    links = {str(attrs.get("href")) for tag, attrs in reader.tags if tag == "a"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_charts_are_described_and_tables_have_captions(page: str) -> None:
    """Each chart has a title and a description, each table a caption and scoped heads."""
    charts = re.findall(r'<svg [^>]*role="img"[^>]*>.*?</svg>', page, re.S)
    assert len(charts) >= 10
    for chart in charts:
        assert re.search(r"<title id=[^>]+>[^<]+</title><desc id=[^>]+>[^<]+</desc>", chart)
    tables = re.findall(r"<table.*?</table>", page, re.S)
    assert tables
    for table in tables:
        assert "<caption>" in table
        assert len(re.findall(r"<th ", table)) == len(re.findall(r'<th [^>]*scope="', table))


def test_charts_follow_light_and_dark(page: str) -> None:
    """No chart has a fixed colour: all come from the page's variables."""
    sheet = re.search(r"<style>(.*?)</style>", page, re.S)
    assert sheet
    classes = re.findall(r"\.c\d+\{([^}]*)\}", sheet.group(1))
    assert classes
    assert not [text for text in classes if "#" in text]
    assert "prefers-color-scheme:dark" in sheet.group(1)


def test_no_trace_of_the_program_is_printed(page: str) -> None:
    """No address of an object and no name of a method gets onto the page."""
    assert "built-in" not in page
    assert not re.search(r"0x[0-9a-f]{6,}", page)


def test_the_page_is_small(page: str) -> None:
    """A usual page stays under 300 kB."""
    assert len(page.encode()) < 300_000


def test_the_strip_joins_rate_flags_and_talk(whole: Report) -> None:
    """A strip shows the flagged metric, its flagged days, and each day's messages."""
    strip = whole.document["strips"][0]
    assert strip["metric_text"].startswith("empty keys")
    assert [flag["start"] for flag in strip["flagged"]] == ["2025-06-06"]
    assert len(strip["days"]) == len(strip["rate"]) == len(strip["messages"]) == 90
    assert strip["messages_total"] == sum(strip["messages"]) > 0
    assert max(strip["rate"]) == strip["rate"][strip["days"].index("2025-06-06")]


def test_a_card_says_cause_worth_and_next_step(whole: Report) -> None:
    """The first card names the column, the incident, what mending is worth, and what to do."""
    card = whole.document["cards"][0]
    assert "buyer_id" in card["cause"]
    assert "6 to 7 June 2025" in card["cause"]
    assert "buyer_id" in card["next_step"]
    worth = card["money"]["worth"]["cents"]
    # Empty keys 4 % to the limit of 1 %, unmatched ones 6.8 % to 2 %, in money of both.
    nulls, orphans = 0.04, 0.068
    expected = (nulls - 0.01 + orphans - 0.02) / (nulls + orphans)
    assert worth / card["money"]["cents"] == pytest.approx(expected, rel=0.02)
    late = next(card for card in whole.document["cards"] if card["metric"] == "late")
    assert late["money"]["kind"] == "late"


def test_the_page_says_where_keys_break(whole: Report, page: str) -> None:
    """Broken keys are told apart by key and by how they fail, most rows first."""
    rows = whole.document["health"]["keys"]
    assert [row["rows"] for row in rows] == sorted((row["rows"] for row in rows), reverse=True)
    assert {(row["column"], row["what"]) for row in rows} == {
        ("buyer_id", "empty"),
        ("buyer_id", "not in the other table"),
        ("buyer_id", "before the other row"),
    }
    assert "Where keys break" in page


EVIL = '<script>alert("x")</script> & \u202eright to left\u202c {{ 7 * 7 }} ' + "long" * 80


def test_text_from_data_is_shown_as_text(
    report_of: Callable[..., Report], made: ModuleType, sick: Any
) -> None:
    """Markup, quotes, template code and very long words in messages and names stay text."""
    archetype = made.shop()
    tables = tuple(evolve(table, title=EVIL) for table in archetype.schema.tables)
    evil = evolve(archetype, schema=Schema(tables), title=EVIL)
    talk = made.demand({("join_keys_orphans", "fact_order"): 4}, quote=EVIL)
    page = report_of(sick, talk, archetype=evil, source=EVIL).html()
    assert page.count("<script") == 1
    assert "alert(" in "".join(read(page).text)
    assert "{{ 7 * 7 }}" in page
    assert "49" not in "".join(re.findall(r"template code (\d+)", page))
    summary = report_of(sick, talk, archetype=evil, source=EVIL).markdown()
    assert "<script" not in summary.replace("\\<script", "")


def many_tables(made: ModuleType, count: int) -> Any:
    names = [f"fact_{number:03d}" for number in range(count)]
    tables = tuple(Table(n, (Column("id", "int64"),), primary_key="id", kind="fact") for n in names)
    return names, evolve(made.shop(), schema=Schema(tables), streams=())


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("nothing", "No data problem stands out"),
        ("one", "One data problem puts"),
        ("hidden", "No data problem is sure enough to name"),
        ("no money", "of the rows in the window"),
        ("no comms", "Two data problems put"),
        ("no warehouse", "in what people ask"),
        ("neither", "No data problem stands out"),
        ("late only", "arrives late"),
        ("500 tables", "Three data problems put"),
        ("20 years", "One data problem puts"),
        ("whole history", "One data problem puts"),
    ],
)
def test_odd_companies_get_a_sensible_page(
    case: str, words: str, report_of: Callable[..., Report], made: ModuleType, sick: Any, talk: Any
) -> None:
    """No needs, one, all hidden, no money, no talk, no warehouse, many tables, long history."""
    one = {("fact_order", "key_null"): 0.04}
    if case == "500 tables":
        names, archetype = many_tables(made, 500)
        rates = {(name, "key_null"): 0.01 + 0.001 * n for n, name in enumerate(names)}
        rates |= {(name, "duplicate"): 0.01 for name in names}
        rates |= {(name, "fk_failure"): 0.5 for name in names[:1]}
        health = made.health(rates, days=30, tables=tuple(names), keys=dict.fromkeys(names, "id"))
        asks = {("duplicates_dedup", names[0]): 3, ("join_keys_orphans", names[0]): 3}
        found = report_of(health, made.demand(asks), archetype=archetype)
        words = "Two data problems put"
    else:
        found = {
            "nothing": lambda: report_of(made.health({}), made.demand({("none", ""): 3})),
            "one": lambda: report_of(made.health(one), None),
            "hidden": lambda: report_of(made.health(one), None, min_confidence=1.0),
            "no money": lambda: report_of(made.health(one, cents_a_row=None), None),
            "no comms": lambda: report_of(sick, None),
            "no warehouse": lambda: report_of(None, talk),
            "neither": lambda: report_of(None, None),
            "late only": lambda: report_of(made.health({("fact_order", "late"): 0.5}), None),
            "20 years": lambda: report_of(made.health(one, days=7300), None),
            "whole history": lambda: report_of(made.health(one, days=900, window_days=900), None),
        }[case]()
    page = found.html()
    assert words in found.sentence
    assert len(page.encode()) < 1_000_000
    assert read(page).levels.count(1) == 1
    assert "None" not in " ".join(read(page).text).replace("None puts measured", "")
    assert "nan" not in " ".join(read(page).text).split()
    assert found.markdown()


def test_what_was_not_looked_at_is_said(
    report_of: Callable[..., Report], made: ModuleType, sick: Any, talk: Any
) -> None:
    """A page without talk, money or warehouse says so in words on its first screen."""

    def first_screen(page: str) -> str:
        return page.split('<nav aria-label="Sections">', maxsplit=1)[0]

    assert "No messages were read" in first_screen(report_of(sick, None).html())
    bare = made.health({("fact_order", "key_null"): 0.04}, cents_a_row=None)
    assert "No money is declared" in first_screen(report_of(bare, talk).html())
    assert "No warehouse was read" in first_screen(report_of(None, talk).html())


def test_who_asks_is_told_by_role(whole: Report, page: str) -> None:
    """Beside the voices of each need stand the roles that ask for it, with how often."""
    for proof, card in zip(whole.document["proofs"], whole.document["cards"], strict=True):
        assert card["asks"]["items"] > 0
        for role, count in card["asks"]["roles"].items():
            assert f"{count}" in proof["who"]
            assert role.replace("_", " ")[:4].lower() in proof["who"].lower()
        assert proof["who"] in page
        assert card["asks"]["roles_text"] in whole.markdown()


def test_places_are_told_or_said_to_be_none(
    report_of: Callable[..., Report], sick: Any, talk: Any
) -> None:
    """What concentrates a need is on its card and in its proof, with its query; else the proof says so."""
    from dnr_core.health.drill import Concentration, Cut, Drill

    place = ("fact_order", "key_null")
    cuts = (Cut("day"), Cut("load_hour"), Cut("column", "channel"))
    named = Concentration(Cut("load_hour"), (0, 3, 22, 23), 700, 5000, 0.78, 0.17, "SELECT 42")
    found = report_of(sick, talk, drills={place: Drill(*place, 900, 30000, cuts, 90, (named,))})
    card = next(c for c in found.document["cards"] if c["metric"] == "key_null")
    where = "in loads between 03:00 and 04:00 and between 22:00 and 01:00"
    assert f"78\u202f% {where} (17\u202f% of rows)" in card["cause"]
    page = found.html()
    assert where in page
    assert "SELECT 42" in page
    assert "4.6\u00d7" in page
    assert where in found.markdown()
    none = report_of(sick, talk, drills={place: Drill(*place, 900, 30000, cuts, 90)})
    proof = next(p for p in none.document["proofs"] if p["id"] == card["id"])
    assert proof["places"]["text"].startswith("Nothing concentrates it")
    assert "day, hour of load and channel (90 values looked at)" in proof["places"]["text"]


def test_a_close_call_is_called_one(report_of: Callable[..., Report], made: ModuleType) -> None:
    """A third place that is a coin toss names its rival on the card."""
    health = made.health({("fact_order", "key_null"): 0.2, ("fact_payment", "late"): 0.9})
    even = made.demand(
        {
            ("metric_definition_mismatch", "fact_order"): 20,
            ("new_field_schema_request", "fact_order"): 20,
            ("join_keys_orphans", "fact_order"): 40,
            ("freshness_ingest_lag", "fact_payment"): 40,
        }
    )
    card = report_of(health, even, recency_days=1e15).document["cards"][2]
    assert card["certainty"]["word"] == "close call"
    assert "close call with “" in card["certainty"]["text"]


def test_a_notebook_shows_the_answer(whole: Report) -> None:
    """The report shows itself in a notebook, with its sentence and its needs."""
    shown = whole._repr_html_()
    assert whole.sentence in shown
    assert "Broken keys in orders" in shown

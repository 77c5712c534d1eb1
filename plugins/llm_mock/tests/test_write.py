"""Room: tests. Made talk: varied, bounded, repeatable, in the style that was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.errors import ProviderError
from dnr_core.model import THEMES, Request
from dnr_llm_mock import skeletons
from dnr_llm_mock.grammar import GrammarError, compile_line, slots
from dnr_llm_mock.provider import make
from dnr_llm_mock.slots import _MADE, DEFAULTS
from dnr_llm_mock.writer import write

Corpus = list[tuple[dict[str, Any], dict[str, Any]]]
ALL_FILES = (*skeletons.THEME_FILES.values(), skeletons.NEAR_MISSES, skeletons.ORDINARY)


def texts(corpus: Corpus, kind: str) -> list[str]:
    return [m["text"] for b, a in corpus if b["kind"] == kind for m in a["messages"]]


def test_there_are_enough_skeletons_in_every_band() -> None:
    """At least 150 in all; a theme has 12 threads, 4 a band; 40 for near-misses and the rest."""
    by_file = {file: skeletons.load(file) for file in ALL_FILES}
    assert sum(map(len, by_file.values())) >= 150
    for theme in THEMES:
        threads = [s for s in by_file[skeletons.THEME_FILES[theme]] if not s.is_question]
        assert len(threads) >= 12
        assert min(Counter(s.band for s in threads).values()) >= 4
        assert {s.split for s in threads} == {"train", "test"}
        questions = [s for s in by_file[skeletons.THEME_FILES[theme]] if s.is_question]
        assert len(questions) >= 12
    assert len(by_file[skeletons.NEAR_MISSES]) + len(by_file[skeletons.ORDINARY]) >= 40
    ordinary = [s for s in by_file[skeletons.ORDINARY] if s.is_question]
    assert len(ordinary) >= 40
    assert {s.band for s in ordinary} == set(skeletons.BANDS)
    names = [s.name for found in by_file.values() for s in found]
    assert len(names) == len(set(names))


def test_every_slot_is_known() -> None:
    """No skeleton uses a slot that nothing fills."""
    known = {*DEFAULTS, *_MADE, "ago", "other"}
    lines = [line for pool in skeletons.common().values() for line in pool]
    for file in ALL_FILES:
        for s in skeletons.load(file):
            lines += [line for _, line in s.lines]
            lines += [*s.resolved, *s.still_open, *s.questions, *([s.subject] if s.subject else [])]
    for line in lines:
        assert {slot.rstrip("0123456789") for slot in slots(line)} <= known


def test_at_least_nine_texts_in_ten_are_distinct(corpus: Corpus) -> None:
    """Ten thousand messages do not read as ten."""
    for kind in ("slack_thread", "email", "nlq"):
        found = texts(corpus, kind)
        assert len(set(found)) >= 0.9 * len(found)


def test_no_skeleton_makes_more_than_an_eighth_of_a_theme(corpus: Corpus) -> None:
    """Over a company, the commonest skeleton of a theme has at most 12 % of its items."""
    used: dict[str, Counter[str]] = {}
    for b, a in corpus:
        used.setdefault(b["theme"] or b["relevance"], Counter())[a["skeleton"]] += 1
    assert set(used) == {*THEMES, "hard_negative", "negative"}
    for counts in used.values():
        assert max(counts.values()) <= 0.12 * counts.total()


def test_texts_keep_their_limits(corpus: Corpus) -> None:
    """Slack at most 80 tokens, about 30 on average; mails 180; questions 30."""
    slack = [len(t) / 4 for t in texts(corpus, "slack_thread")]
    assert max(slack) <= 80
    assert 25 <= sum(slack) / len(slack) <= 45
    assert max(len(t) for t in texts(corpus, "email")) <= 180 * 4
    assert max(len(t) for t in texts(corpus, "nlq")) <= 30 * 4
    assert all(t.strip() for kind in ("slack_thread", "email", "nlq") for t in texts(corpus, kind))


def test_threads_have_the_messages_and_people_that_were_asked_for(corpus: Corpus) -> None:
    """As many messages as the brief says, by speakers that exist, opened by the asker."""
    for b, a in corpus:
        assert len(a["messages"]) == b["messages"]
        assert {m["speaker"] for m in a["messages"]} <= {0, 1, 2}
        assert a["messages"][0]["speaker"] == 0
        assert (a["subject"] is not None) == (b["kind"] == "email")
        assert (a["sql"] is not None) == (b["kind"] == "nlq")


def test_no_text_has_an_unfilled_slot_or_bracket(corpus: Corpus) -> None:
    """Grammar never shows."""
    for _, a in corpus:
        for m in a["messages"]:
            assert not set("[]{}|") & set(m["text"])
            assert "  " not in m["text"]


def test_the_sql_of_questions_runs(corpus: Corpus) -> None:
    """Every query parses and runs on the tables that the brief names."""
    con = duckdb.connect()
    con.execute("create table fact_ride (ride_id bigint, driver_id bigint)")
    con.execute("create table dim_driver (driver_id bigint)")
    con.execute("create table fact_fare (fare_cents bigint)")
    for sql in {a["sql"] for b, a in corpus if b["kind"] == "nlq"}:
        con.execute(sql)


@pytest.mark.parametrize("table", ["order", 'odd "name"', "Ünder score", "x; drop table y"])
def test_odd_names_are_quoted_in_sql(table: str) -> None:
    """A table name never becomes more than a name."""
    item = json.dumps({"kind": "nlq", "theme": THEMES[0], "table": table, "seed": 1})
    con = duckdb.connect()
    con.execute(f'create table "{table.replace(chr(34), chr(34) * 2)}" (a int)')
    assert con.execute(write(item)["sql"]).fetchall() == [(0,)]


def test_the_same_brief_gives_the_same_answer_in_every_process() -> None:
    """Neither hash seed nor process changes a letter."""
    code = (
        "import json\nfrom dnr_llm_mock.writer import write\nfrom dnr_llm_mock.classifier import classify\n"
        "for s in range(40):\n"
        "    a = write(json.dumps({'kind': ['slack_thread','email','nlq'][s % 3], 'theme': "
        "'duplicates_dedup', 'relevance': 'positive', 'speakers': ['pm', 'bi'], 'messages': 5, "
        "'seed': s, 'table': 'fact_ride', 'table_names': ['rides']}))\n"
        "    print(a, classify([a['messages'][0]['text']]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(outputs) == 1
    assert len(outputs.pop()) > 1000


def test_an_incident_sets_the_day(corpus: Corpus) -> None:
    """Where the brief tells of an incident, no other weekday is told of as its day."""
    days = {"Monday", "Wednesday", "Thursday", "Friday"}
    item = {"kind": "slack_thread", "theme": "freshness_ingest_lag", "relevance": "positive",
            "band": "plain", "messages": 1, "speakers": ["pm"],
            "incident": {"weekday": "Sunday", "days_ago": 2}}  # fmt: skip
    found = [write(json.dumps({**item, "seed": s}))["messages"][0]["text"] for s in range(80)]
    assert any("Sunday" in text for text in found)
    firsts = [text.split(".")[0] for text in found]
    assert sum(bool(days & set(text.replace(",", "").split())) for text in firsts) <= 8


def test_styles_change_how_people_write() -> None:
    """Lower case, missing stops and formal words appear as often as the traits say."""
    base = {"kind": "slack_thread", "theme": "access_permissions_pii", "relevance": "positive",
            "messages": 6, "speakers": ["pm", "bi"]}  # fmt: skip

    def said(traits: dict[str, float]) -> list[str]:
        style = {"name": "x", "traits": traits, "vocabulary": {}}
        return [
            m["text"]
            for seed in range(40)
            for m in write(json.dumps({**base, "seed": seed, "style": style}))["messages"]
        ]

    assert all(text == text.lower() for text in said({"lowercase": 1.0}))
    assert not any(text.endswith(".") for text in said({"no_punctuation": 1.0}))
    assert not any("don't" in text.lower() for text in said({"formal": 1.0}))
    assert said({"typo": 1.0}) != said({})


@pytest.mark.parametrize("item", ["", "[]", "{}", '{"kind": "poem"}', "\ud800", "null"])
def test_what_is_no_brief_gets_one_clear_error(item: str) -> None:
    """A malformed brief is a provider error for a person, never another exception."""
    with pytest.raises(ProviderError, match="no brief"):
        make().answer(Request("write", "", item, {}, 100))


def test_an_unknown_theme_is_named() -> None:
    """A theme that has no skeletons is refused by name, with those that exist."""
    with pytest.raises(ProviderError, match="weather"):
        write(json.dumps({"kind": "nlq", "theme": "weather"}))


@given(st.text(alphabet="ab [|]{}:1-", max_size=30))
def test_a_line_compiles_or_says_where_it_is_wrong(line: str) -> None:
    """The grammar never fails with anything but its own error."""
    message = ""
    try:
        compile_line(line)
    except GrammarError as error:
        message = str(error)
    assert not message or repr(line)[1:3] in message or "name of a slot" in message


def test_a_broken_skeleton_file_names_the_line() -> None:
    """Whoever adds a skeleton is told the file and the line."""
    with pytest.raises(GrammarError, match=r"mine\.txt:2"):
        skeletons.parse("== a | plain | train\nA: [late", "mine.txt")
    with pytest.raises(GrammarError, match=r"mine\.txt:1"):
        skeletons.parse("== a | loud | train", "mine.txt")


def test_numbered_questions_take_their_skeletons_in_turn() -> None:
    """With the bands and numbers that a plan gives, no skeleton has over 12 % of a theme's questions."""
    for theme in THEMES:
        used: Counter[str] = Counter()
        for band, count in (("plain", 45), ("indirect", 35), ("no_keyword", 20)):
            for number in range(count):
                item = {"kind": "nlq", "theme": theme, "relevance": "positive", "band": band}
                used[write(json.dumps({**item, "variant": number, "seed": 7}))["skeleton"]] += 1
        assert max(used.values()) <= 12

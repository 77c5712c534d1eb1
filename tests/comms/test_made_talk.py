"""What made talk promises: shares, causes, hours, labels apart, the same bytes."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pytest
import sqlglot

from dnr_core.comms import CommsFolder, read_comms
from dnr_core.comms.tables import LABELS, ROLES
from dnr_core.errors import CommsError, UnknownNameError
from dnr_core.model import THEMES
from dnr_core.warehouse import planned_incidents
from dnr_core.workspace import read_manifest

ZONE = ZoneInfo("America/Los_Angeles")
MIX = (18, 16, 16, 12, 10, 10, 10, 8)


def labels(folder: CommsFolder, source: str) -> list[dict[str, Any]]:
    table = pq.read_table(folder.meta / f"labels_{source}.parquet")
    assert table.schema.equals(LABELS)
    return table.to_pylist()


def hashes(folder: Path, *names: str) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.suffix == ".parquet" and (not names or path.stem in names)
    }


@pytest.mark.parametrize(("source", "count"), [("slack", 400), ("email", 200)])
def test_shares_are_exact(made_talk: CommsFolder, source: str, count: int) -> None:
    """Relevance, bands and themes have exactly the shares that the definitions give."""
    rows = labels(made_talk, source)
    assert len(rows) == count
    relevance = Counter(row["relevance"] for row in rows)
    assert relevance == {
        "positive": count * 45 // 100,
        "hard_negative": count * 20 // 100,
        "negative": count * 35 // 100,
    }
    bands = {"plain": count * 45 // 100, "indirect": count * 35 // 100, "no_keyword": count // 5}
    assert Counter(row["band"] for row in rows) == bands
    themes = Counter(row["theme"] for row in rows if row["relevance"] == "positive")
    total = sum(themes.values())
    assert all(
        abs(n - total * share / 100) < 1 for n, share in zip(_sorted(themes), MIX, strict=True)
    )
    assert not any(row["theme"] for row in rows if row["relevance"] != "positive")


def _sorted(themes: Counter[str]) -> list[int]:
    assert set(themes) == set(THEMES)
    return sorted(themes.values(), reverse=True)


def test_questions_have_the_mix_of_themes(made_talk: CommsFolder) -> None:
    """Every question has a theme, in the definitions' shares."""
    themes = Counter(row["theme"] for row in labels(made_talk, "nlq"))
    assert _sorted(themes) == [n * 2 for n in MIX]


def test_buckets_and_roles_are_exact(talk: Callable[..., CommsFolder]) -> None:
    """Threads fall 35/35/30 on the buckets, and 200 people have the roles by largest remainder."""
    folder = talk(slack_threads=1600, emails=200, nlq=200)
    tables = read_comms(folder.path)
    by_bucket = {
        bucket: {
            row["thread_id"] for row in tables.slack.to_pylist() if row["channel_cat"] == bucket
        }
        for bucket in ("platform", "analytics", "domain")
    }
    assert {bucket: len(found) for bucket, found in by_bucket.items()} == {
        "platform": 560,
        "analytics": 560,
        "domain": 480,
    }
    for source in ("slack", "email", "nlq"):
        users = [row for row in tables.users.to_pylist() if row["source"] == source]
        assert Counter(row["role"] for row in users) == {role: 2 * n for role, n in ROLES.items()}
    writers = set(tables.slack.column("user_id").to_pylist())
    assert writers <= {row["user_id"] for row in users}
    assert len(writers) > 150


def test_a_quarter_of_the_threads_follows_incidents(
    made_talk: CommsFolder, warehouse: Callable[..., Path], catalogue: Any
) -> None:
    """A quarter is caused, nine in ten start within 24 hours of the incident, and name its table."""
    from_manifest = read_manifest(warehouse())
    incidents = {
        incident.id: incident
        for incident in planned_incidents(from_manifest, catalogue.archetype("shop"), catalogue)
    }
    tables = read_comms(made_talk.path)
    starts = {
        row["thread_id"]: row["ts"] for row in tables.slack.to_pylist() if not row["reply_to"]
    }
    texts: dict[str, str] = {}
    for row in tables.slack.to_pylist():
        texts[row["thread_id"]] = texts.get(row["thread_id"], "") + " " + row["text"]
    caused = [row for row in labels(made_talk, "slack") if row["incident_id"]]
    assert len(caused) == 100
    assert len({row["incident_id"] for row in caused}) > 5
    within = 0
    for row in caused:
        incident = incidents[row["incident_id"]]
        assert row["tables"][0] == incident.table
        wait = starts[row["item_id"]] - incident.start
        within += timedelta(0) <= wait <= timedelta(hours=24)
        names = (incident.table, {"fact_sale": "sales", "fact_visit": "visits"}[incident.table])
        said = any(name in texts[row["item_id"]] for name in names)
        assert said or row["band"] == "no_keyword"
    assert within >= 90


def test_causes_keep_to_their_theme(made_talk: CommsFolder, catalogue: Any) -> None:
    """A thread that an incident causes is about the theme of its kind, or a symptom of it."""
    kinds = {kind: catalogue.defect_kinds[kind].theme for kind in catalogue.defect_kinds}
    caused = [row for row in labels(made_talk, "slack") if row["incident_id"]]
    own = [row for row in caused if row["theme"] == kinds[row["incident_id"].rpartition("-")[0]]]
    assert len(own) > len(caused) / 2
    assert {row["theme"] for row in caused} <= {
        "join_keys_orphans",
        "freshness_ingest_lag",
        "metric_definition_mismatch",
        "revenue_coverage_mapping",
        "attribution_funnel_gaps",
    }


def test_without_incidents_nothing_is_caused(
    talk: Callable[..., CommsFolder], warehouse: Callable[..., Path]
) -> None:
    """The policy `uniform`, and a clean company, give talk that no incident causes."""
    for folder in (talk(sample_policy="uniform"), talk(data=warehouse(quality="clean"))):
        assert not any(row["incident_id"] for row in labels(folder, "slack"))
        assert len(labels(folder, "slack")) == 400


def test_people_write_in_working_hours(made_talk: CommsFolder) -> None:
    """By local time, most threads start on weekdays between 8 and 18, in the last 12 months."""
    tables = read_comms(made_talk.path)
    caused = {row["item_id"] for row in labels(made_talk, "slack") if row["incident_id"]}
    starts = [
        row["ts"].astimezone(ZONE)
        for row in tables.slack.to_pylist()
        if not row["reply_to"] and row["thread_id"] not in caused
    ]
    assert sum(8 <= ts.hour < 18 for ts in starts) > 0.9 * len(starts)
    assert sum(ts.weekday() < 5 for ts in starts) > 0.93 * len(starts)
    every = [row["ts"] for row in tables.slack.to_pylist()]
    assert min(every) >= datetime(2024, 7, 1, 7, tzinfo=UTC)
    assert max(every) < datetime(2025, 7, 1, 7, tzinfo=UTC)
    assert {ts.month for ts in starts} == set(range(1, 13))


def test_threads_hang_together(made_talk: CommsFolder) -> None:
    """A thread has 4 to 8 messages in order of time; replies name the root, which counts them."""
    threads: dict[str, list[dict[str, Any]]] = {}
    for row in read_comms(made_talk.path).slack.to_pylist():
        threads.setdefault(row["thread_id"], []).append(row)
    for rows in threads.values():
        root, *replies = rows
        assert 4 <= len(rows) <= 8
        assert root["reply_to"] is None
        assert root["reply_count"] == len(replies)
        assert {row["reply_to"] for row in replies} <= {root["message_id"]}
        assert [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
        assert len({row["channel_id"] for row in rows}) == 1


def test_ids_and_domains_are_synthetic(made_talk: CommsFolder) -> None:
    """Ids tell nothing, are unique over all sources, and every domain ends in .example."""
    tables = read_comms(made_talk.path)
    shapes = {
        "u": tables.users.column("user_id"),
        "m": tables.slack.column("message_id"),
        "t": tables.slack.column("thread_id"),
        "q": tables.nlq.column("query_id"),
    }
    for letter, column in shapes.items():
        assert all(re.fullmatch(rf"{letter}\d{{3,}}", value) for value in column.to_pylist())
    items = [
        row["item_id"] for source in ("slack", "email", "nlq") for row in labels(made_talk, source)
    ]
    assert len(items) == len(set(items)) == 800
    rows = [*tables.slack.to_pylist(), *tables.email.to_pylist()]
    domains = {domain for row in rows for domain in row["link_domains"]}
    assert domains
    assert all(domain.endswith(".example") for domain in domains)
    for row in rows:
        text = row.get("text") or row.get("body_text")
        assert row["has_link"] == bool(row["link_domains"]) == ("://" in text)
        assert row["has_attachment"] == bool(row["attachment_names"])
        assert row["has_code"] or "```" not in text


def test_sql_parses_and_its_joins_exist(made_talk: CommsFolder) -> None:
    """At least 95 % of the SQL parses, and all that does runs on the company's own tables."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE dim_client (client_id BIGINT, created_at TIMESTAMP, country VARCHAR);"
        'CREATE TABLE fact_sale (sale_id BIGINT, client_id BIGINT, sold_at TIMESTAMP, "order" VARCHAR,'
        "amount_cents BIGINT, loaded_at TIMESTAMP);"
        "CREATE TABLE fact_visit (visit_id BIGINT, client_id BIGINT, seen_at TIMESTAMP,"
        "channel VARCHAR, loaded_at TIMESTAMP)"
    )
    rows = read_comms(made_talk.path).nlq.to_pylist()
    parsed = 0
    for row in rows:
        try:
            sqlglot.parse_one(row["generated_sql"], dialect="duckdb")
        except sqlglot.errors.ParseError:
            assert not row["success_flag"]
            continue
        connection.execute(row["generated_sql"])
        parsed += 1
    assert 0.95 * len(rows) <= parsed < len(rows)
    assert any(" JOIN " in row["generated_sql"] for row in rows)
    assert all(row["result_rows"] == 0 for row in rows if not row["success_flag"])
    assert 0.9 < sum(row["success_flag"] for row in rows) / len(rows) < 1


def test_mails_answer_mails(made_talk: CommsFolder) -> None:
    """Some mails answer one about the same thing: same thread, later, subject of a reply."""
    threads: dict[str, list[dict[str, Any]]] = {}
    for row in read_comms(made_talk.path).email.to_pylist():
        threads.setdefault(row["thread_id"], []).append(row)
    answered = [rows for rows in threads.values() if len(rows) > 1]
    assert answered
    for root, reply in answered:
        assert reply["subject"] == f"Re: {root['subject']}"
        assert reply["ts"] > root["ts"]


def test_one_table_stands_out_and_differs_by_seed(talk: Callable[..., CommsFolder]) -> None:
    """What people ask for most is not the same in every company."""
    favourites = set()
    for seed in range(6):
        folder = talk(seed=seed, sample_policy="uniform", slack_threads=0, emails=0, nlq=400)
        pairs = Counter((row["theme"], row["tables"][0]) for row in labels(folder, "nlq"))
        favourites.add(pairs.most_common(1)[0][0])
    assert len(favourites) > 1


def test_same_settings_same_bytes(talk: Callable[..., CommsFolder], made_talk: CommsFolder) -> None:
    """Twice the same is the same bytes, tables, labels and manifest; another seed is not."""
    again = talk()
    assert hashes(again.path) == hashes(made_talk.path)
    assert hashes(again.meta) == hashes(made_talk.meta)
    for name in ("manifest.json", "budget.json"):
        assert (again.path / name).read_bytes() == (made_talk.path / name).read_bytes()
    other = talk(seed=7)
    assert not set(hashes(other.path).values()) & set(hashes(made_talk.path, "nlq").values())


def test_more_mails_leave_the_threads_alone(
    talk: Callable[..., CommsFolder], made_talk: CommsFolder
) -> None:
    """Each source is drawn by itself, so asking for more of one changes no other."""
    more = talk(emails=210, users=50)
    fewer = talk(users=50)
    names = ("slack_messages", "nlq")
    assert hashes(more.path, *names) == hashes(fewer.path, *names)
    assert hashes(more.path, *names) != hashes(made_talk.path, *names)


def test_labels_are_written_apart_and_truth_is_never_read(
    talk: Callable[..., CommsFolder], made_talk: CommsFolder, tmp_path: Path
) -> None:
    """A ledger of rubbish changes no byte of the talk and is left alone; nor does deleting it all."""
    meta = tmp_path / "meta"
    meta.mkdir()
    (meta / "ledger.parquet").write_bytes(b"rubbish")
    (meta / "incidents.parquet").write_bytes(b"rubbish")
    (meta / "manifest.json").write_text("{}")
    folder = talk(at=tmp_path)
    assert hashes(folder.path) == hashes(made_talk.path)
    assert (meta / "ledger.parquet").read_bytes() == b"rubbish"
    assert (meta / "manifest.json").read_text() == "{}"
    shutil.rmtree(meta)
    assert hashes(talk(at=tmp_path).path) == hashes(made_talk.path)
    assert "incident" not in (folder.path / "manifest.json").read_text()
    text = b"".join(path.read_bytes() for path in folder.path.glob("*.parquet"))
    assert b"null_spike" not in text


def test_counts_of_nothing_make_empty_tables(talk: Callable[..., CommsFolder]) -> None:
    """A company that asks for no mails and no questions has tables of no rows."""
    tables = read_comms(talk(emails=0, nlq=0, slack_threads=3).path)
    assert (tables.email.num_rows, tables.nlq.num_rows) == (0, 0)
    assert len(set(tables.slack.column("thread_id").to_pylist())) == 3
    assert tables.synthetic


@pytest.mark.parametrize("style", ["plain", "terse", "formal"])
def test_the_style_reaches_the_writer(
    talk: Callable[..., CommsFolder], script: Callable[..., list[str]], style: str, catalogue: Any
) -> None:
    """Every builtin style is in each brief, with its words and what a model is told of it."""
    seen: list[dict[str, Any]] = []

    def answer(brief: dict[str, Any]) -> dict[str, Any]:
        seen.append(brief)
        return {
            "messages": [{"speaker": 0, "text": "hello"}],
            "subject": "s",
            "sql": None,
            "skeleton": None,
        }

    script(answer)
    talk(style=style, slack_threads=4, emails=2, nlq=2)
    assert {brief["style"]["name"] for brief in seen} == {style}
    assert seen[0]["style"]["instructions"] == catalogue.style(style).instructions
    assert all(brief["variant"] >= 0 for brief in seen)
    assert seen[0]["vocabulary"] == {"dashboard": ["the shop board"]}


def test_wrong_folders_and_names_are_refused(
    talk: Callable[..., CommsFolder],
    warehouse: Callable[..., Path],
    tmp_path: Path,
    made_talk: CommsFolder,
) -> None:
    """An unknown style, a folder that is no warehouse, and a foreign output folder each say so."""
    with pytest.raises(UnknownNameError, match="style"):
        talk(style="shouting")
    with pytest.raises(CommsError, match="holds a comms, not a warehouse"):
        talk(data=made_talk.path)
    (tmp_path / "comms").mkdir()
    (tmp_path / "comms" / "thesis.txt").write_text("mine")
    with pytest.raises(Exception, match=re.escape("thesis.txt")):
        talk(at=tmp_path)
    assert (tmp_path / "comms" / "thesis.txt").read_text() == "mine"

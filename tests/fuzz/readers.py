"""Every reader of files that dnr has: what it reads, and the public door through which it does."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from mutate import damage, damaged

import dnr_core
from dnr_core.api.context import Context, open_context
from dnr_core.config import load_settings
from dnr_core.config.profiles import read_profile
from dnr_core.llm import Budget, Cache, complete_all, make_provider
from dnr_core.model import Price, Reply, Request, Usage
from dnr_core.report.earlier import read_earlier

CONTEXT: Context = open_context(environ={})
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROFILE = """\
name: bad_spring
title: A bad spring
rates:
- {kind: key_null, share: 0.02}
- {kind: duplicate, share: 0.01}
incidents:
- {kind: null_spike, per_quarter: 2, row_share: 0.3, breaks: required_keys}
"""
SETTINGS = """\
report: {example_keys: 5, seed: 3}
classification: {provider: mock, api_cap_usd: 0.5}
warehouse: {seed: 7, months: 18, quality: typical}
comms: {slack_threads: 100, style: terse}
"""
SCHEMA = {
    "type": "object",
    "properties": {"theme": {"type": "string", "enum": ["late", "none"]}, "share": {"type": "number"}},
    "required": ["theme", "share"],
    "additionalProperties": False,
}  # fmt: skip
ASKED = [Request("classify", "Name the theme.", f"item {n}", SCHEMA, 64) for n in range(8)]


@frozen
class Reader:
    """`files` below the folder are damaged, one or two a case; `read` then opens the door."""

    files: tuple[str, ...]
    read: Callable[[Path], object]


class Answering:
    """A provider whose replies are what they are."""

    model, price, local = "fuzz", Price(1.0, 1.0), False

    def __init__(self, replies: Mapping[str, str]) -> None:
        self.replies = replies

    async def complete(self, request: Request) -> Reply:
        return Reply(self.replies[request.item], Usage(10, 10), self.model)

    def prompt_tokens_at_most(self, request: Request) -> int:
        return len(request.item) + 100


def _imported(**what: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        given: dict[str, Any] = {name: folder / path for name, path in what.items()}
        return dnr_core.import_comms(**given, out=folder / "out")

    return read


def _cached(folder: Path) -> object:
    replies = {request.item: '{"theme": "late", "share": 0.5}' for request in ASKED}
    with Cache.open(folder / "cache") as cache:
        return complete_all(
            ASKED, Answering(replies), budget=Budget(1, Price(1.0, 1.0)), cache=cache
        )


def _answered(folder: Path) -> object:
    raw = (folder / "reply.json").read_bytes().decode("utf-8", "surrogateescape")
    replies = {request.item: raw for request in ASKED}
    return complete_all(ASKED, Answering(replies), budget=Budget(1, Price(1.0, 1.0)))


def _briefed(folder: Path) -> object:
    """The offline provider, given a brief that is no brief."""
    text = (folder / "brief.json").read_bytes().decode("utf-8", "replace")
    provider = make_provider(CONTEXT.catalogue, "mock", "mock-1")
    request = Request("classify", "Name the theme.", text, SCHEMA, 64)
    return asyncio.run(provider.complete(request))


def _health(folder: Path) -> object:
    return dnr_core.measure_health(folder / "in" / "data", context=CONTEXT)


def _repaired(folder: Path) -> object:
    inside = folder / "in"
    return dnr_core.repair(
        inside / "data", meta=inside / "meta", out=folder / "out", context=CONTEXT
    )


TABLES = tuple(
    f"in/data/{name}/part-00000.parquet"
    for name in ("dim_customer", "dim_account", "dim_plan", "fact_card_transaction",
                 "fact_subscription_invoice")
)  # fmt: skip
TALK = ("slack_messages.parquet", "email_messages.parquet", "nlq.parquet", "comms_users.parquet")
LABELS = ("labels_slack", "labels_email", "labels_nlq")

READERS: Mapping[str, Reader] = {
    "config": Reader(("dnr.yaml",), lambda f: load_settings(
        f / "dnr.yaml", environ={}, catalogue=CONTEXT.catalogue)),
    "schema": Reader(("flights.yaml",), lambda f: dnr_core.read_schema(f / "flights.yaml")),
    "profile": Reader(("profile.yaml",), lambda f: read_profile(
        f / "profile.yaml", CONTEXT.catalogue)),
    "warehouse": Reader((*TABLES, "in/data/manifest.json"), _health),
    "describe": Reader(("in/data/manifest.json", "in/meta/incidents.parquet"), lambda f:
        dnr_core.describe(f / "in/data", meta=f / "in/meta", context=CONTEXT)),
    "comms": Reader((*(f"in/comms/{name}" for name in TALK), "in/comms/manifest.json"), lambda f:
        dnr_core.read_comms(f / "in/comms")),
    "ledger": Reader(("in/meta/ledger.parquet", "in/meta/manifest.json", TABLES[3]), _repaired),
    "labels": Reader((*(f"in/meta/{n}.parquet" for n in LABELS), "in/report/predictions_slack.parquet",
                      "in/report/manifest.json"), lambda f:
        dnr_core.evaluate_labels(f / "in/report", f / "in/meta", context=CONTEXT)),
    "earlier": Reader(("in/report/report.json", "in/report/manifest.json"), lambda f:
        read_earlier(f / "in/report", "neobank")),
    "slack": Reader(("in/slack.zip",), _imported(slack="in/slack.zip")),
    "slack folder": Reader(("slack/users.json", "slack/channels.json",
                            "slack/data-help/2025-03-01.json"), _imported(slack="slack")),
    "mail": Reader(("in/mail.mbox",), _imported(mail="in/mail.mbox")),
    "eml": Reader(("eml/1.eml",), _imported(mail="eml")),
    "asked csv": Reader(("in/asked.csv",), _imported(nlq="in/asked.csv")),
    "asked jsonl": Reader(("asked.jsonl",), _imported(nlq="asked.jsonl")),
    "asked parquet": Reader(("asked.parquet",), _imported(nlq="asked.parquet")),
    "cache": Reader(("cache",), _cached),
    "replies": Reader(("reply.json",), _answered),
    "briefs": Reader(("brief.json",), _briefed),
    "score": Reader(("in/guessed/defects.csv", "in/benchmark/manifest.json"),
        lambda f: dnr_core.score(f / "in/guessed", f / "in/benchmark")),
}  # fmt: skip


def prepare(base: Path) -> None:
    """Add to the folder what is read besides a made company and its exports."""
    import pyarrow.csv
    import pyarrow.parquet as pq

    (base / "dnr.yaml").write_text(SETTINGS, encoding="utf-8")
    shutil.copy(EXAMPLES / "flights.yaml", base / "flights.yaml")
    (base / "profile.yaml").write_text(PROFILE, encoding="utf-8")
    shutil.unpack_archive(base / "in" / "slack.zip", base / "slack")
    (base / "eml").mkdir()
    first = (base / "in" / "mail.mbox").read_bytes().split(b"\nFrom ")[0]
    (base / "eml" / "1.eml").write_bytes(first.partition(b"\n")[2])
    asked = pyarrow.csv.read_csv(base / "in" / "asked.csv")
    pq.write_table(asked, base / "asked.parquet")
    rows = "".join(json.dumps(row, default=str) + "\n" for row in asked.to_pylist())
    (base / "asked.jsonl").write_text(rows, encoding="utf-8")
    _cached(base)
    (base / "reply.json").write_text('{"theme": "late", "share": 0.5}', encoding="utf-8")
    brief = {"kind": "email", "theme": "late", "relevance": "positive", "seed": 1, "messages": 2}
    (base / "brief.json").write_text(json.dumps(brief), encoding="utf-8")
    for reader in READERS.values():
        reader.read(base)
        shutil.rmtree(base / "out", ignore_errors=True)


def restore(reader: Reader, base: Path, place: Path) -> None:
    """Make the reader's files sound again, and take away what it wrote."""
    shutil.rmtree(place / "out", ignore_errors=True)
    for name in reader.files:
        if (base / name).is_dir():
            shutil.rmtree(place / name, ignore_errors=True)
            shutil.copytree(base / name, place / name)
        else:
            shutil.copy(base / name, place / name)


def disturb(reader: Reader, folder: Path, chance: random.Random) -> None:
    """Damage one or two of the reader's files."""
    for name in chance.sample(reader.files, min(len(reader.files), chance.choice((1, 1, 2)))):
        path = folder / name
        if path.is_dir():
            path = chance.choice(sorted(p for p in path.rglob("*") if p.is_file()))
        if path.suffix in {".db", ".sqlite", ".sqlite3"} and chance.random() < 0.5:
            _rows(path, chance)
        else:
            damage(chance, path)


def _rows(path: Path, chance: random.Random) -> None:
    """Change values in a sound database."""
    with sqlite3.connect(path) as connection:
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        table = chance.choice(tables)
        names = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        value = chance.choice((None, -1, 2**62, 1.5, "x", damaged(chance, b'{"theme": "late"}')))
        try:
            connection.execute(f'UPDATE "{table}" SET "{chance.choice(names)}" = ?', (value,))
        except sqlite3.Error:
            connection.execute(f'DROP TABLE "{table}"')
    connection.close()

"""A company's talk, written by a model behind the chat completions API: `dnr gen-comms` whole."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot.errors import SqlglotError

import dnr_core
from dnr_core.comms import read_comms

ASKED = {"slack": 60, "email": 20, "nlq": 40}
PRIVATE = "Ask John at john.doe@corp.test or +1 415 555 0100, see https://intra.corp.test/a?k=1. "


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    dnr_core.generate_warehouse(
        "marketplace", out=folder / "data", meta=folder / "meta", scale="tiny"
    )
    return folder / "data"


def written(body: dict[str, Any]) -> str:
    """What a model could write for a brief: other words for each, and the table where it is named."""
    brief = json.loads(body["messages"][1]["content"])
    draw = random.Random(brief["seed"])
    table = brief["table"] if brief["named"] else next(iter(brief["table_names"]), "")

    def text(place: int) -> str:
        words = " ".join(
            draw.choice(["why", "is", "this", "late", "again", "and", "who"]) for _ in range(9)
        )
        return f"{PRIVATE if place == 0 else ''}{words} {table or ''} {draw.randrange(999)}"

    said = [
        {"speaker": place % len(brief["speakers"]), "text": text(place)}
        for place in range(brief["messages"])
    ]
    subject = f"About {draw.randrange(999)}" if brief["kind"] == "email" else None
    sql = "DROP TABLE fact_order; SELECT 1 FROM (" if brief["kind"] == "nlq" else None
    return json.dumps({"messages": said, "subject": subject, "sql": sql, "skeleton": None})


@pytest.fixture
def company(warehouse: Path, tmp_path: Path, server: Any) -> Any:
    """`dnr gen-comms --provider openai` against the server, as a user types it."""
    (tmp_path / "dnr.yaml").write_text(
        json.dumps({"classification": {"base_url": server.url}, "cache": {"dir": "replies"}})
    )

    def command(out: str = "comms", cap_usd: float = 1.0) -> list[str]:
        counts = [part for name, count in ASKED.items() for part in (f"--{name}", str(count))]
        command = [sys.executable, "-m", "dnr_core", "gen-comms", "--warehouse", str(warehouse)]
        command += ["--provider", "openai", "--price", "0.15,0.60"]
        command += ["--api-cap-usd", str(cap_usd), *counts]
        return [*command, "--out", out, "--meta", f"meta-{out}"]

    def start(*args: Any, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*args, **more),
            cwd=tmp_path,
            env={**os.environ, "OPENAI_API_KEY": "sk-very-secret-key"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return out + err


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.suffix == ".parquet"
    }


def parsed_share(queries: list[str]) -> float:
    """SQL comes from the schema: a model that writes none, or another, spoils none."""
    parsed = 0
    for sql in queries:
        assert "DROP" not in sql
        try:
            parsed += sqlglot.parse_one(sql, read="duckdb") is not None
        except SqlglotError:
            continue
    return parsed / len(queries)


def test_a_company_is_written_by_a_model(
    company: Any, server: Any, acts: Any, tmp_path: Path
) -> None:
    """Volumes within 5 %, through faults; strict schema on the wire; spend told; nothing private kept."""
    draw = random.Random(4)
    faults = [acts.status(429), acts.status(500), acts.say("no JSON"), acts.odd("cut")]

    def choose(body: dict[str, Any]) -> Any:
        return draw.choice(faults) if draw.random() < 0.1 else acts.say(written(body))

    server.choose = choose
    shown = finished(company())
    tables = read_comms(tmp_path / "comms")
    threads = len(set(tables.slack.column("thread_id").to_pylist()))
    for source, count in zip(
        ASKED, (threads, tables.email.num_rows, tables.nlq.num_rows), strict=True
    ):
        assert abs(count - ASKED[source]) <= 0.05 * ASKED[source]
        labels = pq.read_table(tmp_path / "meta-comms" / f"labels_{source}.parquet")
        assert labels.num_rows == count
    said = json.loads((tmp_path / "comms" / "budget.json").read_text())
    assert said["model"] == "gpt-4o-mini"
    assert 0 < server.books.usd <= said["actual_usd"] + said["kept_usd"] <= said["cap_usd"]
    for body in server.books.bodies:
        assert body["response_format"]["json_schema"]["strict"] is True
        assert body["temperature"] == 0
    texts = [
        *tables.slack.column("text").to_pylist(),
        *tables.email.column("body_text").to_pylist(),
        *tables.nlq.column("query_text").to_pylist(),
    ]
    assert sum("again" in text or "late" in text for text in texts) > 100
    for private in ("john.doe", "corp.test", "555 0100", "k=1"):
        assert not any(private in text for text in texts)
    assert "sk-very-secret-key" not in shown
    assert parsed_share(tables.nlq.column("generated_sql").to_pylist()) >= 0.95


def test_a_cap_bounds_what_the_server_charges(
    company: Any, server: Any, acts: Any, tmp_path: Path
) -> None:
    """What the cap does not allow is not written, is counted as lost, and is told."""
    server.choose = lambda body: acts.say(written(body))
    shown = finished(company(cap_usd=0.02))
    said = json.loads((tmp_path / "comms" / "budget.json").read_text())
    assert server.books.usd <= 0.02
    assert said["stopped"] == "budget"
    assert sum(said["written"].values()) + sum(said["lost"].values()) == sum(ASKED.values())
    assert all(said["written"].values())
    assert sum(said["lost"].values()) > 0
    assert "cap was reached" in shown


def test_a_killed_run_pays_for_nothing_twice(
    company: Any, server: Any, acts: Any, tmp_path: Path
) -> None:
    """SIGKILL in mid-run, then the same command: only what had not arrived is asked, and the bytes
    are those of a run that nobody killed."""
    server.choose = lambda body: acts.say(written(body))
    server.delay_seconds = 0.03
    process = company()
    deadline = time.monotonic() + 120
    while server.calls < 25 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = server.calls
    assert 25 <= before < sum(ASKED.values())
    assert not (tmp_path / "comms" / "manifest.json").exists()
    server.delay_seconds = 0.0
    finished(company())
    # The calls in flight when it was killed may be lost, and no other.
    assert server.calls <= sum(ASKED.values()) + 5
    said = json.loads((tmp_path / "comms" / "budget.json").read_text())
    assert said["lost"] == {"slack": 0, "email": 0, "nlq": 0}
    calls = server.calls
    finished(company("again"))
    assert server.calls == calls
    assert hashes(tmp_path / "again") == hashes(tmp_path / "comms")

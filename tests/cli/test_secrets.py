"""Planted secrets: nothing that a run leaves or says holds one of them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

KEY = "sk-planted0Key1For2Nobody3"
PASSWORD = "planted-pass-9f3b"
ADDRESS = "zora.plantagenet@planted-company.example"
NAME = "Plantagenet"
PHONE = "+49 151 2345 6789"
CARD = "4111 1111 1111 1111"
SECRETS = (KEY, PASSWORD, ADDRESS, NAME, PHONE, CARD, CARD.replace(" ", ""))

MAIL = f"""From boss Mon Jun  2 09:00:00 2025
From: Zora {NAME} <{ADDRESS}>
To: data@planted-company.example
Date: Mon, 2 Jun 2025 09:00:00 +0000
Message-ID: <1@planted-company.example>
Subject: card transactions are late again
Content-Type: text/plain; charset=utf-8

The card transactions were loaded six hours late again and the dashboard is wrong.
Call me at {PHONE} or charge it to {CARD}, and write to {ADDRESS}.

"""


class Gossip(BaseHTTPRequestHandler):
    """Answers everything with an error that repeats what it was told, key and all."""

    def do_POST(self) -> None:
        told = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        said = {"error": {"message": f"{dict(self.headers)} {told}", "code": "invalid_api_key"}}
        body = json.dumps(said).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def gossip() -> Iterator[str]:
    """The base URL of a server that repeats secrets."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gossip)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def _text_of(path: Path) -> str:
    """What a file holds, with what is compressed in it unpacked."""
    text = path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        text += json.dumps(table.to_pylist(), default=str) + str(table.schema.metadata)
    elif path.suffix == ".sqlite":
        with sqlite3.connect(path) as connection:
            text += "\n".join(connection.iterdump())
    return text


def test_no_secret_is_left_or_said(tmp_path: Path, gossip: str) -> None:
    """Keys, passwords, names, addresses, phones and cards: not in a file, a message, a log or a
    traceback, also where a server repeats them and `--debug` shows everything."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "team.mbox").write_text(MAIL)
    (tmp_path / "in" / "bad.yaml").write_text(f"classification:\n  env_key: {KEY}\n")
    env = {
        **os.environ,
        "OPENAI_API_KEY": KEY,
        "DNR_CLASSIFICATION_BASE_URL": gossip,
        "PYTHONFAULTHANDLER": "1",
    }
    database = f"postgresql://boss:{PASSWORD}@127.0.0.1:1/shop"
    work = tmp_path / "work"
    work.mkdir()
    mail = ("--mail", str(tmp_path / "in" / "team.mbox"))
    talk = ("run-report", "--archetype", "neobank", "--comms", "comms/imported")
    calls = [
        ("import-comms", *mail, "--key-file", str(tmp_path / "in" / "key")),
        (*talk, "--provider", "openai", "--price", "0.1,0.4", "--model", "m"),
        (*talk, "--provider", "mock"),
        ("run-report", "--warehouse", database, "--archetype", "neobank"),
        ("init", "--from", database),
        ("config", "--config", str(tmp_path / "in" / "bad.yaml")),
        ("plugins", "--json"),
    ]
    said = []
    for call in calls:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-m", "dnr_core", "--debug", "-v", *call],
            cwd=work,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        said.append((call[0], done.stdout + done.stderr, done.returncode))
    assert [said[0][2], said[2][2]] == [0, 0], said[0][1][-2000:]
    held = {str(path): _text_of(path) for path in work.rglob("*") if path.is_file()}
    assert any("loaded six hours late" in text for text in held.values())
    for where, text in [*held.items(), *((name, told) for name, told, _ in said)]:
        for secret in SECRETS:
            assert secret not in text, f"{secret} in {where}:\n{text[-3000:]}"

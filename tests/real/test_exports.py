"""Real exports that nobody here made; their folder is given by DNR_REAL_DATA."""

from __future__ import annotations

import os
from pathlib import Path

from dnr_core.comms import import_comms, read_comms

GIVEN = os.environ.get("DNR_REAL_DATA", "")


def test_a_small_real_slack_export(tmp_path: Path) -> None:
    """Every message but the housekeeping is there, and no address or full name."""
    folder = import_comms(
        slack=Path(GIVEN) / "slack" / "export.zip", out=tmp_path / "out", key_file=tmp_path / "key"
    )
    assert folder.messages == 147
    assert folder.left_out == {"housekeeping (joins, leaves, topics)": 11}
    assert folder.unread == 0
    texts = " ".join(read_comms(folder.path).slack.column("text").to_pylist())
    assert "Harry Potter" not in texts


def test_replies_of_ten_programs(tmp_path: Path) -> None:
    """Of every reply only what its writer says is left."""
    folder = import_comms(
        mail=Path(GIVEN) / "mail" / "replies", out=tmp_path / "out", key_file=tmp_path / "key"
    )
    bodies = read_comms(folder.path).email.column("body_text").to_pylist()
    assert bodies == ["Hello"] * 10


def test_odd_mails(tmp_path: Path) -> None:
    """All of them are read, or known to be there twice."""
    folder = import_comms(
        mail=Path(GIVEN) / "mail" / "odd", out=tmp_path / "out", key_file=tmp_path / "key"
    )
    assert folder.unread == 0
    assert folder.items["email"] + folder.left_out["mails that are there twice"] == 25


def test_questions_with_their_sql(tmp_path: Path) -> None:
    """All 1,034 questions are there, in the order of the file."""
    source = Path(GIVEN) / "spider" / "dev.jsonl"
    folder = import_comms(nlq=source, out=tmp_path / "out", key_file=tmp_path / "key")
    rows = read_comms(folder.path).nlq.to_pylist()
    assert len(rows) == 1034
    assert rows[0]["query_text"] == "How many singers do we have?"
    assert rows[0]["generated_sql"] == "SELECT count(*) FROM singer"

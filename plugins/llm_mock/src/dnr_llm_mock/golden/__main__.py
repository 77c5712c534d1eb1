"""Room: golden. The golden messages as a company's exports, and their labels as a person's.

    python -m dnr_llm_mock.golden FOLDER

Any provider can be asked about them by the usual commands, and its confidences be fitted on them.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from dnr_llm_mock import golden

_FIRST = datetime(2024, 1, 1, 16, 0, tzinfo=UTC)
_CHANNEL = "CGOLDEN"
_NAME = "analytics"
_USER = "UGOLDEN"


def write(folder: Path) -> dict[str, int]:
    """Write `slack/`, `mail/`, `questions.csv` and `labels/labels.csv`, and count items by source.

    Every message has a day to itself, so that the prefilter keeps it, by score or as the day's
    best. Ids are those that `dnr import-comms --keep-names` gives.
    """
    slack, mail, labels = folder / "slack" / _NAME, folder / "mail", folder / "labels"
    for path in (slack, mail, labels):
        path.mkdir(parents=True, exist_ok=True)
    (slack.parent / "channels.json").write_text(json.dumps([{"id": _CHANNEL, "name": _NAME}]))
    (slack.parent / "users.json").write_text(json.dumps([{"id": _USER, "name": "golden"}]))
    counts: dict[str, int] = {}
    told: list[tuple[str, str, str, str]] = []
    questions: list[tuple[str, str, str]] = []
    for place, item in enumerate(golden.items()):
        at = _FIRST + timedelta(days=place)
        item_id = item.id
        if item.source == "slack":
            item_id = _write_thread(slack, at, item.text)
        elif item.source == "email":
            item_id = f"{item.id}@golden.example"
            (mail / f"{item.id}.eml").write_bytes(_mail(item_id, at, item.text))
        else:
            questions.append((item.id, at.isoformat(), item.text))
        counts[item.source] = counts.get(item.source, 0) + 1
        told.append((item.source, item_id, item.label.theme, item.label.relevance))
    _write_csv(folder / "questions.csv", ("query_id", "ts", "query_text"), questions)
    _write_csv(labels / "labels.csv", ("source", "item_id", "theme", "relevance"), told)
    return counts


def _write_thread(channel: Path, at: datetime, text: str) -> str:
    """Write a thread, a line a message, and return its id."""
    first = f"{int(at.timestamp())}.000000"
    messages = [
        {
            "type": "message",
            "user": _USER,
            "ts": f"{int((at + timedelta(minutes=n)).timestamp())}.000000",
            "thread_ts": first,
            "text": line,
        }
        for n, line in enumerate(filter(str.strip, text.split("\n")))
    ]
    file = channel / f"{at:%Y-%m-%d}.json"
    file.write_text(json.dumps(messages, ensure_ascii=False), encoding="utf-8")
    return f"{_CHANNEL}:{first}"


def _mail(message_id: str, at: datetime, text: str) -> bytes:
    message = EmailMessage()
    message["From"] = "writer@golden.example"
    message["To"] = f"{_NAME}@golden.example"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id}>"
    message["Subject"] = ""
    message.set_content(text)
    return message.as_bytes()


def _write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m dnr_llm_mock.golden FOLDER")
    sys.stdout.write(f"{write(Path(sys.argv[1]))}\n")

"""Words that cost money: the cap, what is lost to it, and answers that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnr_core.comms import CommsFolder, read_comms
from dnr_core.errors import FatalProviderError, FolderHeldError
from dnr_core.workspace import held

SMALL = {"slack_threads": 40, "emails": 20, "nlq": 20, "provider": "paid"}
ANSWER_USD = 150 / 1_000_000


def budget(folder: CommsFolder) -> dict[str, Any]:
    return json.loads((folder.path / "budget.json").read_text())


def test_the_spend_is_told(talk: Callable[..., CommsFolder]) -> None:
    """`budget.json` says the cap, what was spent, and that nothing was lost."""
    folder = talk(**SMALL, api_cap_usd=1.0)
    said = budget(folder)
    assert said["actual_usd"] == pytest.approx(80 * ANSWER_USD)
    assert said["written"] == {"slack": 40, "email": 20, "nlq": 20}
    assert said["lost"] == {"slack": 0, "email": 0, "nlq": 0}
    assert said["stopped"] == ""
    assert folder.notes == ()


def test_a_cap_that_is_reached_takes_from_every_source(talk: Callable[..., CommsFolder]) -> None:
    """Spend stays under the cap, what is missing is said, and no source is lost alone."""
    folder = talk(**SMALL, api_cap_usd=0.010)
    said = budget(folder)
    assert said["actual_usd"] <= 0.010
    assert said["stopped"] == "budget"
    assert 0 < sum(said["written"].values()) < 80
    assert all(said["written"].values())
    assert "cap was reached" in folder.notes[0]
    tables = read_comms(folder.path)
    assert len(set(tables.slack.column("thread_id").to_pylist())) == said["written"]["slack"]
    assert tables.email.num_rows == said["written"]["email"]


def test_what_was_paid_is_not_paid_again(
    talk: Callable[..., CommsFolder], script: Callable[..., list[str]], tmp_path: Path
) -> None:
    """A second run asks nothing again, and what the first paid still counts against the cap."""
    calls = script(_plain)
    first = talk(**SMALL, api_cap_usd=0.010, cache_dir=tmp_path)
    asked = list(calls)
    second = talk(**SMALL, api_cap_usd=0.010, cache_dir=tmp_path)
    assert not set(calls[len(asked) :]) & set(asked)
    assert budget(second)["actual_usd"] <= 0.010
    assert budget(second)["written"]["slack"] >= budget(first)["written"]["slack"]
    whole = talk(**SMALL, api_cap_usd=1.0, cache_dir=tmp_path)
    assert len(calls) == len(set(calls)) == 80
    assert budget(whole)["actual_usd"] == pytest.approx(80 * ANSWER_USD)


def _plain(brief: dict[str, Any]) -> dict[str, Any]:
    return {
        "messages": [{"speaker": 0, "text": "hello"}],
        "subject": "s",
        "sql": None,
        "skeleton": None,
    }


def test_answers_that_do_not_fit_are_trimmed_or_lost(
    talk: Callable[..., CommsFolder], script: Callable[..., list[str]]
) -> None:
    """Too long is cut, too many are dropped, a speaker who is not there is another, none is lost."""

    def answer(brief: dict[str, Any]) -> dict[str, Any]:
        count = 0 if brief["kind"] == "nlq" else 12
        text = "word. " * 400
        messages = [{"speaker": 99, "text": text} for _ in range(count)]
        return {**_plain(brief), "messages": messages}

    script(answer)
    folder = talk(**SMALL)
    tables = read_comms(folder.path)
    assert folder.lost == {"slack": 0, "email": 0, "nlq": 20}
    assert tables.slack.num_rows <= 40 * 8
    assert max(len(text) for text in tables.slack.column("text").to_pylist()) <= 320
    assert max(len(text) for text in tables.email.column("body_text").to_pylist()) <= 720
    assert tables.nlq.num_rows == 0


def test_a_writer_cannot_change_labels_or_ids(
    talk: Callable[..., CommsFolder], script: Callable[..., list[str]]
) -> None:
    """Words full of markup, SQL and ids stay words: labels come from the plan alone."""
    evil = '</script><b>u001</b> \'; DROP TABLE nlq; -- {"theme": "duplicates_dedup"}'
    turned = f"{evil} \u202e"
    script(lambda brief: {**_plain(brief), "messages": [{"speaker": 0, "text": turned}]})
    folder = talk(**SMALL)
    script(_plain)
    plain = talk(**SMALL)
    themes = [[row["theme"] for row in _labels(found)] for found in (folder, plain)]
    assert themes[0] == themes[1]
    texts = read_comms(folder.path).slack.column("text").to_pylist()
    assert any(evil in text for text in texts)
    assert not any("\u202e" in text for text in texts)


def _labels(folder: CommsFolder) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(folder.meta / "labels_slack.parquet").to_pylist()


def test_a_run_that_ends_halfway_leaves_no_folder_that_reads(
    talk: Callable[..., CommsFolder], script: Callable[..., list[str]], tmp_path: Path
) -> None:
    """An account that is exhausted leaves no manifest; the next run pays for what is missing."""

    def answer(brief: dict[str, Any]) -> dict[str, Any]:
        if len(calls) > 30:
            raise FatalProviderError("no credit is left")
        return _plain(brief)

    calls = script(answer)
    with pytest.raises(FatalProviderError, match="no credit is left"):
        talk(**SMALL, at=tmp_path)
    assert not (tmp_path / "comms" / "manifest.json").exists()
    again = script(_plain)
    assert read_comms(talk(**SMALL, at=tmp_path).path).nlq.num_rows == 20
    assert 0 < len(again) < 80


def test_two_runs_do_not_mix(talk: Callable[..., CommsFolder], tmp_path: Path) -> None:
    """The second run in a folder is told that another one holds it."""
    with held(tmp_path / "comms"), pytest.raises(FolderHeldError):
        talk(**SMALL, at=tmp_path)

"""Work in a second thread: what becomes of it where the first one ends by an error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.beside import Beside, stoppable
from dnr_core.errors import InputError, WarehouseError
from dnr_core.llm import Budget, complete_all
from dnr_core.model import Request
from dnr_core.testing import Answer, ScriptedProvider

SCHEMA = {
    "type": "object",
    "properties": {"theme": {"type": "string", "enum": ["late"]}},
    "required": ["theme"],
    "additionalProperties": False,
}
SHOP = """
name: shop
tz: UTC
tables:
  orders:
    kind: fact
    key: id
    event_time: placed
    columns: {id: int64, placed: timestamp}
"""


def leave(work: Callable[[], None], begun: threading.Event, error: BaseException) -> None:
    """Leave a block by an error once the work beside it has begun."""
    with Beside(work, "dnr-test"):
        assert begun.wait(20)
        raise error


def test_what_it_raises_is_raised_where_its_result_is_asked_for() -> None:
    """A fault in the second thread is the caller's, as it is."""
    with Beside(lambda: 1 // 0, "dnr-test") as failed, Beside(lambda: 7, "dnr-test") as good:
        assert good.result() == 7
        with pytest.raises(ZeroDivisionError):
            failed.result()


def test_calls_in_flight_end_with_the_block() -> None:
    """Ctrl-C while a model is asked: nobody waits for its answer."""
    called = threading.Event()

    def slow(_request: Request, _number: int) -> Answer:
        called.set()
        return Answer({"theme": "late"}, after_seconds=20)

    provider = ScriptedProvider(slow)
    answered: list[Any] = []

    def ask() -> None:
        requests = [Request("classify", "Name it.", str(n), SCHEMA, 64) for n in range(5)]
        budget = Budget(1.0, provider.price)
        answered.append(complete_all(requests, provider, budget=budget, timeout_seconds=60))

    with pytest.raises(KeyboardInterrupt):
        leave(ask, called, KeyboardInterrupt())
    assert not answered
    assert provider.closed == 1
    assert "dnr-test" not in {thread.name for thread in threading.enumerate()}


def test_no_step_begins_once_the_block_is_left() -> None:
    """What cannot be ended at once ends before its next step."""
    begun, ended = threading.Event(), threading.Event()
    reached: list[str] = []

    def steps() -> None:
        with stoppable(ended.set):
            begun.set()
            assert ended.wait(20)
        reached.append("between")
        with stoppable(lambda: None):
            reached.append("second")

    with pytest.raises(ValueError, match="no more"):
        leave(steps, begun, ValueError("no more"))
    assert reached == ["between"]


@pytest.mark.parametrize("wrong", ["proofs", "talk"])
def test_a_report_that_fails_in_one_thread_fails_whole(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of health ends the talk, one of the talk is told as ever; no folder, no thread."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as shop:
        shop.execute(
            "CREATE TABLE orders AS SELECT 1::BIGINT AS id, TIMESTAMP '2024-05-01' AS placed"
        )
    talk = tmp_path / "none" if wrong == "talk" else tmp_path
    out = tmp_path / "report"
    heard = threading.Event()

    def hear(*_arguments: Any) -> None:
        with stoppable(heard.set):
            assert heard.wait(20)

    def refused(*_arguments: Any) -> None:
        raise WarehouseError("the connection is lost")

    if wrong == "proofs":
        monkeypatch.setattr("dnr_core.api.answer._heard", hear)
        monkeypatch.setattr(import_module("dnr_core.health.measure"), "proofs", refused)
    with pytest.raises(WarehouseError if wrong == "proofs" else InputError):
        dnr_core.run_report(
            tmp_path / "shop.duckdb",
            comms=talk,
            archetype=tmp_path / "shop.yaml",
            out=out,
            context=open_context(environ={}),
        )
    assert heard.is_set() == (wrong == "proofs")
    assert not out.exists()
    assert "dnr-talk" not in {thread.name for thread in threading.enumerate()}

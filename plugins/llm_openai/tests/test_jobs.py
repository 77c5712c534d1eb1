"""The batch API, against a server that has one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.comms.tables import TABLES
from dnr_core.config.settings import Settings
from dnr_core.demand import measure_demand
from dnr_core.llm import Budget, Cache, complete_in_batch
from dnr_core.model import Archetype, BatchProvider, CommsTables, Price, Schema
from dnr_core.plugins import load_plugins

GOOD = '{"theme": "late", "confidence": 0.5}'


class BatchServer:
    """Files and jobs of OpenAI's batch API, as far as they are used."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.jobs: list[dict[str, Any]] = []
        self.polls_left = 1
        self.status = "completed"
        self.fail_create = 0
        self.answers: dict[str, Any] = {}
        self.paths: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def play(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        self.paths.append(f"{method} {path}")
        if (method, path) == ("POST", "/v1/files"):
            name = f"file-{len(self.files)}"
            content = re.search(rb"\r\n\r\n(\{.*?\n)\r\n--", body, re.DOTALL)
            assert content is not None
            assert b'name="purpose"\r\n\r\nbatch' in body
            self.files[name] = content[1].decode()
            return 200, json.dumps({"id": name, "object": "file"})
        if (method, path) == ("POST", "/v1/batches"):
            job = {"id": f"batch-{len(self.jobs)}", "object": "batch", "status": "validating"}
            self.jobs.append({**json.loads(body), **job})
            if self.fail_create:
                return self.fail_create, "{}"
            return 200, json.dumps(self.jobs[-1])
        if path.startswith("/v1/batches?"):
            return 200, json.dumps({"object": "list", "data": self.jobs, "has_more": False})
        if path.startswith("/v1/batches/"):
            return self.state(path.rsplit("/", 1)[1])
        return 200, self.files[path.split("/")[3]]

    def state(self, name: str) -> tuple[int, str]:
        found = [job for job in self.jobs if job["id"] == name]
        if not found:
            return 404, "{}"
        if self.polls_left:
            self.polls_left -= 1
            return 200, json.dumps({**found[0], "status": "in_progress"})
        output = [
            self.line(json.loads(x)) for x in self.files[found[0]["input_file_id"]].split("\n") if x
        ]
        self.files["out"] = "\n".join(line for line in reversed(output) if line)
        return 200, json.dumps({**found[0], "status": self.status, "output_file_id": "out"})

    def line(self, asked: dict[str, Any]) -> str:
        item = asked["body"]["messages"][1]["content"]
        answer = self.answers.get(item, GOOD)
        if answer is None:
            return ""
        if isinstance(answer, int):
            response = {"status_code": answer, "body": {"error": {"message": "hush"}}}
        else:
            message = {"role": "assistant", "content": answer}
            body = {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109},
            }
            response = {"status_code": 200, "body": body}
        entry = {"custom_id": asked["custom_id"], "response": response, "error": None}
        return json.dumps(entry, ensure_ascii=False)

    def _handler(service) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                code, text = service.play(self.command, self.path, body)
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = _answer  # noqa: N815

        return Handler


@pytest.fixture
def service() -> Iterator[BatchServer]:
    made = BatchServer()
    yield made
    made.close()


async def no_sleep(_seconds: float) -> None:
    return None


def run(requests: Any, provider: Any, folder: Path) -> Any:
    budget = Budget(1.0, provider.batch_price)
    with Cache.open(folder) as cache:
        return complete_in_batch(requests, provider, budget=budget, cache=cache, sleep=no_sleep)


def test_a_job_is_uploaded_polled_and_read(
    service: BatchServer, make_provider_at: Any, requests_for: Any, tmp_path: Path
) -> None:
    """Each line has the same strict body as a single call; answers come back by their number."""
    bad = "no \u2028 JSON"
    service.answers = {"b": '{"theme": "wrong", "confidence": 1}', "c": 500, "d": None, "e": bad}
    provider = make_provider_at(service.url)
    assert isinstance(provider, BatchProvider)
    assert provider.batch_price == Price(0.075, 0.30)
    requests = requests_for(["a", "b", "c", "d", "e"])
    done = run(requests, provider, tmp_path)
    assert [o.status for o in done.outcomes] == ["ok", "ok", "failed", "failed", "parse_error"]
    assert done.outcomes[1].value == {"theme": "wrong", "confidence": 1}
    assert done.outcomes[0].cost_usd == pytest.approx((100 * 0.075 + 9 * 0.30) / 1e6)
    assert "hush" not in done.outcomes[2].reason
    lines = [json.loads(line) for line in service.files["file-0"].splitlines()]
    assert {line["url"] for line in lines} == {"/v1/chat/completions"}
    assert all(line["body"]["response_format"]["json_schema"]["strict"] is True for line in lines)
    assert [line["body"]["temperature"] for line in lines] == [0.0] * 5
    assert service.jobs[0]["completion_window"] == "24h"


def test_a_job_whose_name_was_lost_is_found_again(
    service: BatchServer, make_provider_at: Any, requests_for: Any, tmp_path: Path
) -> None:
    """The server took the job and failed to say so; the next run finds it by its tag."""
    service.fail_create = 500
    provider = make_provider_at(service.url)
    first = run(requests_for(["a", "b"]), provider, tmp_path)
    assert (first.stopped, first.count("not_started")) == ("failures", 2)
    assert first.kept_usd > 0
    service.fail_create = 0
    second = run(requests_for(["a", "b"]), provider, tmp_path)
    assert second.count("ok") == 2
    assert len(service.jobs) == 1


def test_an_expired_job_keeps_what_was_answered(
    service: BatchServer, make_provider_at: Any, requests_for: Any, tmp_path: Path
) -> None:
    """The rest is asked by the next run."""
    service.status, service.answers = "expired", {"b": None}
    provider = make_provider_at(service.url)
    assert run(requests_for(["a", "b"]), provider, tmp_path).count("ok") == 1
    service.answers = {}
    again = run(requests_for(["a", "b"]), provider, tmp_path)
    assert (again.count("ok"), again.cached) == (2, 1)


@pytest.mark.parametrize("how", ["failed", "gone"])
def test_a_job_that_is_lost_is_asked_anew(
    service: BatchServer, make_provider_at: Any, requests_for: Any, tmp_path: Path, how: str
) -> None:
    """A job that failed as a whole, or that the service forgot, stops one run and no more."""
    provider = make_provider_at(service.url)

    async def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with Cache.open(tmp_path) as cache, pytest.raises(KeyboardInterrupt):
        complete_in_batch(
            requests_for(["a"]),
            provider,
            budget=Budget(1.0, provider.batch_price),
            cache=cache,
            sleep=interrupt,
        )
    kept = list(service.jobs)
    if how == "gone":
        service.jobs.clear()
    service.status = "failed"
    lost = run(requests_for(["a"]), provider, tmp_path)
    assert (lost.stopped, lost.kept_usd) == ("failures", 0)
    service.status = "completed"
    assert run(requests_for(["a"]), provider, tmp_path).count("ok") == 1
    assert len(kept) == 1


def test_demand_is_measured_by_a_job(
    service: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`classification.batch` asks this server by one job, and charges half of the list price."""
    monkeypatch.setattr("dnr_core.demand.ask.BATCH_POLL_SECONDS", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-this-test")
    late = {"theme": "freshness_ingest_lag", "relevance": "positive"}
    sure = {"theme_confidence": 0.9, "relevance_confidence": 0.8}
    asked = [f"why is order {n} stale?" for n in range(3)]
    service.answers = dict.fromkeys(asked, json.dumps({**late, **sure}))
    empty = {name: schema.empty_table() for name, schema in TABLES.items()}
    rows = [{"query_id": f"q{n}", "query_text": text} for n, text in enumerate(asked)]
    comms = CommsTables(
        empty["slack_messages"],
        empty["email_messages"],
        empty["comms_users"],
        pa.Table.from_pylist(rows, schema=TABLES["nlq"]),
    )
    settings = Settings()
    chosen = evolve(
        settings.classification,
        provider="openai",
        base_url=service.url,
        batch=True,
        price_usd_per_million=(0.15, 0.60),
    )
    shop = Archetype("shop", "Shop", Schema(()))
    result = measure_demand(
        comms,
        shop,
        evolve(settings, classification=chosen),
        load_plugins(),
        cache_dir=tmp_path,
    )
    assert result.predictions["theme"].to_pylist() == [late["theme"]] * 3
    assert result.budget["actual_usd"] == pytest.approx(3 * (100 * 0.075 + 9 * 0.30) / 1e6)
    assert [path for path in service.paths if path == "POST /v1/batches"] == ["POST /v1/batches"]
    assert not any("chat/completions" in path for path in service.paths)

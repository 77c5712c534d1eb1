"""Runs that are killed with SIGKILL, and gone on with: by single calls and by a job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pyarrow.parquet as pq
import pytest

from dnr_core.demand import measure_demand
from dnr_core.errors import BudgetError, ConfigError
from dnr_core.llm import Cache
from dnr_core.model import Price, ProviderFault, Reply, Request, Usage

# A service that outlives the runs: what it was asked stands in files.
SERVICE = """
import asyncio, json, os, pathlib, time
from dnr_core.model import Price, Reply, Usage

HOME = pathlib.Path(os.environ["SERVICE_HOME"])

def note(*words):
    file = os.open(HOME / "log", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, (json.dumps(words) + "\\n").encode())
    os.close(file)

def answer(purpose, item):
    if purpose == "entities":
        named = {"tables": ["orders"], "columns": [], "confidence": 0.7}
        return Reply(json.dumps(named), Usage(100, 20), "service-1")
    theme = "freshness_ingest_lag" if "stale" in item else "none"
    return Reply(json.dumps({
        "theme": theme, "relevance": "negative" if theme == "none" else "positive",
        "theme_confidence": 0.8, "relevance_confidence": 0.9}), Usage(100, 20), "service-1")

class Service:
    model, local, price, batch_price = "service-1", False, Price(1.0, 2.0), Price(0.5, 1.0)

    async def complete(self, request):
        note("call", request.item)
        await asyncio.sleep(float(os.environ.get("SERVICE_SECONDS", 0)))
        return answer(request.purpose, request.item)

    def prompt_tokens_at_most(self, request):
        return 200 + len(request.item)

    async def submit_batch(self, requests, tag):
        name = f"job-{len(list(HOME.glob('job-*')))}"
        (HOME / name).write_text(json.dumps([tag, [(r.purpose, r.item) for r in requests]]))
        note("submit", name)
        if os.environ.get("SERVICE_HANGS") == f"submit {name}":
            time.sleep(60)
        return name

    async def find_batch(self, tag):
        found = [p.name for p in HOME.glob("job-*") if json.loads(p.read_text())[0] == tag]
        return found[0] if found else None

    async def collect_batch(self, job):
        note("poll", job)
        if os.environ.get("SERVICE_HANGS") == f"poll {job}":
            return None
        return {n: answer(*r) for n, r in enumerate(json.loads((HOME / job).read_text())[1])}

def make(_model, _settings):
    return Service()
"""

RUN = """
import json, pathlib, sys
import attrs
import pyarrow.parquet as pq
from dnr_core.config.settings import Settings
from dnr_core.demand import ask, measure_demand
from dnr_core.hookspecs import hookimpl
from dnr_core.model import Archetype, Column, CommsTables, ProviderSpec, Schema, Table
from dnr_core.plugins import load_plugins

class Plugin:
    @hookimpl
    def dnr_llm_providers(self):
        return [ProviderSpec("service", "Service", "service:make", "service-1")]

talk, cache, cap, batch, names_cap = sys.argv[1:]
ask.BATCH_POLL_SECONDS = 0.05
settings = Settings()
settings = attrs.evolve(
    settings,
    classification=attrs.evolve(
        settings.classification, provider="service", model="", api_cap_usd=float(cap),
        batch=batch == "batch"),
    entities=attrs.evolve(
        settings.entities, provider="service", model="", api_cap_usd=float(names_cap)),
    report=attrs.evolve(settings.report, resamples=50),
)
names = ("slack", "email", "users", "nlq")
comms = CommsTables(*(pq.read_table(pathlib.Path(talk) / name) for name in names))
shop = Archetype("shop", "Shop", Schema((Table("orders", (Column("id", "int64"),), kind="fact"),)))
result = measure_demand(
    comms, shop, settings, load_plugins(discover=False, extra=[Plugin()]),
    cache_dir=pathlib.Path(cache))
decided = [result.predictions.to_pylist(), result.entities.to_pylist()]
print(json.dumps([decided, result.budget["actual_usd"], result.budget["entities"]["actual_usd"]]))
"""


class Bench:
    """Starts runs against one service, and reads what the service noted."""

    def __init__(self, home: Path, talk: Any, names_cap_usd: float = 0.0) -> None:
        self.home, self.service, self.names_cap_usd = home, home / "service", names_cap_usd
        self.service.mkdir(parents=True)
        (home / "service.py").write_text(SERVICE)
        for name in ("slack", "email", "users", "nlq"):
            pq.write_table(getattr(talk, name), home / name)

    def start(self, cap_usd: float, how: str, **environ: str) -> subprocess.Popen[str]:
        arguments = [self.home, self.home / "cache", cap_usd, how, self.names_cap_usd]
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *map(str, arguments)],
            env={
                **os.environ,
                "PYTHONPATH": str(self.home),
                "SERVICE_HOME": str(self.service),
                **environ,
            },
            stdout=subprocess.PIPE,
            text=True,
        )

    def finish(self, cap_usd: float, how: str) -> Any:
        out, _ = (run := self.start(cap_usd, how)).communicate(timeout=60)
        assert run.returncode == 0
        return json.loads(out)

    def kill_after(self, run: subprocess.Popen[str], what: str, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.noted(what) < count and time.monotonic() < deadline and run.poll() is None:
            time.sleep(0.005)
        assert run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.communicate()

    def noted(self, what: str) -> int:
        """How often a call, a submission or a poll was noted, of any job or of the one named."""
        log = self.service / "log"
        words = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return sum(what in (noted[0], " ".join(noted)) for noted in words)


@pytest.fixture
def many(talk: Any) -> Any:
    for n in range(150):
        talk.thread(f"t{n:03}", [f"the dashboard is stale {n}"], channel=f"c{n % 3}")
    for n in range(90):
        talk.query(f"q{n:03}", f"{'stale' if n % 2 else 'how many'} {n}?")
    return talk.tables()


@pytest.mark.parametrize("cap_usd", [10.0, 0.03], ids=["all fits", "a sample fits"])
def test_a_killed_run_is_gone_on_with_by_exactly_the_missing_calls(
    many: Any, tmp_path: Path, cap_usd: float
) -> None:
    """SIGKILL in the middle; the next run asks what had not arrived, and decides as one whole run."""
    whole, killed = Bench(tmp_path / "a", many), Bench(tmp_path / "b", many)
    expected, spent_usd, _ = whole.finish(cap_usd, "calls")
    calls = whole.noted("call")
    assert (calls == 240) == (cap_usd > 1)
    run = killed.start(cap_usd, "calls", SERVICE_SECONDS="0.03")
    killed.kill_after(run, "call", calls // 2)
    before = killed.noted("call")
    with Cache.open(killed.home / "cache") as cache:
        kept = len(cache)
    # At most the five calls in flight were lost.
    assert before - 5 <= kept <= before < calls
    decided, more_usd, _ = killed.finish(cap_usd, "calls")
    assert killed.noted("call") - before == calls - kept
    assert decided == expected
    assert more_usd == pytest.approx(spent_usd * (calls - kept) / calls)


def test_a_killed_run_finds_its_jobs_again(many: Any, tmp_path: Path) -> None:
    """Killed while it submits or waits, for labels or for names: never a job twice, nor a charge."""
    calls = Bench(tmp_path / "calls", many, names_cap_usd=10.0)
    expected, labels_usd, names_usd = calls.finish(10.0, "calls")
    assert {row["table"] for row in expected[1]} == {"orders"}

    first = Bench(tmp_path / "first", many)
    second = Bench(tmp_path / "second", many, names_cap_usd=10.0)
    for bench, job in ((first, "job-0"), (second, "job-1")):
        for moment in (f"submit {job}", f"poll {job}"):
            bench.kill_after(bench.start(10.0, "batch", SERVICE_HANGS=moment), moment, 1)
    decided, batch_usd, _ = first.finish(10.0, "batch")
    assert decided[0] == expected[0]
    assert (first.noted("submit"), first.noted("call")) == (1, 0)
    assert batch_usd == pytest.approx(labels_usd / 2)
    # The labels were kept by the run that was killed at the names.
    decided, *batch_usd = second.finish(10.0, "batch")
    assert decided == expected
    assert (second.noted("submit"), second.noted("call")) == (2, 0)
    assert batch_usd == pytest.approx([0, names_usd / 2])
    again, *nothing_usd = second.finish(10.0, "batch")
    assert (again, nothing_usd, second.noted("submit")) == (expected, [0, 0], 2)


def _takes_jobs(provider: Any, answers: Any) -> list[Any]:
    """Let a player take jobs, whose requests are listed in what is returned."""
    jobs: list[Any] = []

    async def submit(requests: Any, _tag: str) -> str:
        jobs.append(list(requests))
        return str(len(jobs) - 1)

    async def find(_tag: str) -> None:
        return None

    async def collect(job: str) -> Any:
        return {n: answers(request) for n, request in enumerate(jobs[int(job)])}

    provider.batch_price = Price(0.5, 1.0)
    provider.submit_batch, provider.find_batch, provider.collect_batch = submit, find, collect
    return jobs


def test_jobs_ask_all_sources_within_the_cap(
    many: Any, company: Any, settings: Any, player: Any, answer_by_words: Any, tmp_path: Path
) -> None:
    """Under a cap for a part, a part of each source is asked, and the charge stays below the cap."""
    cap_usd = 0.015
    provider = player(local=False)
    jobs = _takes_jobs(
        provider, lambda r: Reply(json.dumps(answer_by_words(r)), Usage(100, 20), "m")
    )
    chosen = settings(
        classification={"batch": True, "api_cap_usd": cap_usd},
        entities={"api_cap_usd": 0.0},
        cache={"enabled": True},
    )
    result = measure_demand(many, company, chosen, provider.catalogue, cache_dir=tmp_path)
    assert provider.asked == []
    asked = sum(len(job) for job in jobs)
    decided = Counter(
        row["source"] for row in result.predictions.to_pylist() if row["decided_by"] == "provider"
    )
    assert sum(decided.values()) == asked < 240
    assert min(decided["slack"], decided["nlq"]) > 10
    cost_usd = asked * (100 * 0.5 + 20 * 1.0) / 1e6
    assert result.budget["actual_usd"] == pytest.approx(cost_usd)
    assert result.budget["offline_estimate_usd"] <= cap_usd
    assert result.budget["actual_usd"] <= cap_usd
    assert sum(c["calls"] for c in result.budget["coverage"].values()) == asked


def test_names_are_asked_for_by_a_job_too(
    many: Any, company: Any, settings: Any, player: Any, answer_by_words: Any, tmp_path: Path
) -> None:
    """Both questions at half the price, a job each; names under their own cap, and paid for once."""
    provider = player(local=False)
    named = json.dumps({"tables": ["fact_order"], "columns": [], "confidence": 0.7})

    def answers(request: Request) -> Reply:
        text = named if request.purpose == "entities" else json.dumps(answer_by_words(request))
        return Reply(text, Usage(100, 20), "m")

    jobs = _takes_jobs(provider, answers)
    chosen = settings(
        classification={"batch": True, "api_cap_usd": 10.0},
        entities={"api_cap_usd": 0.05},
        cache={"enabled": True},
    )
    result = measure_demand(many, company, chosen, provider.catalogue, cache_dir=tmp_path)
    assert provider.asked == []
    assert [{request.purpose for request in job} for job in jobs] == [{"classify"}, {"entities"}]
    account = result.budget["entities"]
    asked = len(jobs[1])
    assert 0 < asked == account["answered"] == account["calls"]
    assert account["by_batch"]
    assert account["actual_usd"] == pytest.approx(asked * (100 * 0.5 + 20 * 1.0) / 1e6)
    assert account["actual_usd"] <= 0.05
    assert set(result.entities["table"].to_pylist()) == {"fact_order"}
    again = measure_demand(many, company, chosen, provider.catalogue, cache_dir=tmp_path)
    assert len(jobs) == 2
    assert again.budget["entities"]["actual_usd"] == 0
    assert again.entities.equals(result.entities)


def test_what_a_job_did_not_answer_is_left_to_the_next_run(
    many: Any, company: Any, settings: Any, player: Any, answer_by_words: Any, tmp_path: Path
) -> None:
    """Faults and rubbish in a job mark their source alone; the next job holds only those items."""
    provider = player(local=False)
    answers = {
        "fault": lambda _: ProviderFault("the server answered 500"),
        "rubbish": lambda _: Reply("no JSON", Usage(100, 20), "m"),
        "good": lambda r: Reply(json.dumps(answer_by_words(r)), Usage(100, 20), "m"),
    }
    first = ["fault", "rubbish"]
    jobs = _takes_jobs(
        provider, lambda r: answers[first.pop() if first and "?" in r.item else "good"](r)
    )
    chosen = settings(
        classification={"batch": True, "api_cap_usd": 10.0},
        entities={"api_cap_usd": 0.0},
        cache={"enabled": True},
    )
    result = measure_demand(many, company, chosen, provider.catalogue, cache_dir=tmp_path)
    coverage = {c.source: c for c in result.coverage}
    assert (coverage["nlq"].partial, coverage["slack"].partial) == (True, False)
    assert coverage["nlq"].decided == 88
    again = measure_demand(many, company, chosen, provider.catalogue, cache_dir=tmp_path)
    assert [len(job) for job in jobs] == [240, 2]
    assert all(c.decided == c.items for c in again.coverage)


def test_what_a_job_needs_is_said_before_anything_is_asked(
    many: Any, company: Any, settings: Any, player: Any
) -> None:
    """A provider that takes jobs, a price, and the cache that keeps them."""
    provider = player(local=False)
    chosen = settings(classification={"batch": True}, cache={"enabled": True})
    with pytest.raises(ConfigError, match="no batches"):
        measure_demand(many, company, chosen, provider.catalogue)
    jobs = _takes_jobs(provider, None)
    without = attrs.evolve(chosen, cache=attrs.evolve(chosen.cache, enabled=False))
    with pytest.raises(ConfigError, match="cache"):
        measure_demand(many, company, without, provider.catalogue)
    provider.batch_price = None
    with pytest.raises(BudgetError, match="price"):
        measure_demand(many, company, chosen, provider.catalogue)
    assert (jobs, provider.asked) == ([], [])

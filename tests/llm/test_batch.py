"""Jobs: half the price, no haste, and nothing paid for twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dnr_core.errors import (
    BudgetError,
    ConfigError,
    FatalProviderError,
    ProviderError,
    TransientProviderError,
)
from dnr_core.llm import Budget, Cache, complete_all, complete_in_batch
from dnr_core.model import Price, ProviderFault, Reply, Request, Usage
from dnr_core.testing import Answer, ScriptedProvider

GOOD = '{"theme": "late", "confidence": 0.5}'


class Killed(BaseException):
    """Stands for a process that ends here."""


class Jobs(ScriptedProvider):
    """A service with jobs, which outlives the runs that ask it."""

    def __init__(self, **answers: Any) -> None:
        super().__init__(then=Answer(GOOD))
        self.batch_price: Price | None = Price(0.075, 0.30)
        self.jobs: dict[str, tuple[str, list[Request]]] = {}
        self.answers = answers
        self.polls_until_done = 2
        self.polls = 0
        self.before_submit: BaseException | None = None
        self.after_submit: BaseException | None = None
        self.on_poll: list[BaseException] = []

    async def submit_batch(self, requests: Sequence[Request], tag: str) -> str:
        if self.before_submit is not None:
            raise self.before_submit
        name = f"job-{len(self.jobs)}"
        self.jobs[name] = (tag, list(requests))
        if self.after_submit is not None:
            raise self.after_submit
        return name

    async def find_batch(self, tag: str) -> str | None:
        return next((name for name, (found, _) in self.jobs.items() if found == tag), None)

    async def collect_batch(self, job: str) -> Mapping[int, Reply | ProviderFault] | None:
        self.polls += 1
        if self.on_poll:
            raise self.on_poll.pop(0)
        if self.polls < self.polls_until_done:
            return None
        found = {}
        for number, request in enumerate(self.jobs[job][1]):
            got = self.answers.get(request.item, Reply(GOOD, Usage(9, 5), "m"))
            if got is not None:
                found[number] = got
        return found

    @property
    def asked(self) -> list[str]:
        return [request.item for _, requests in self.jobs.values() for request in requests]


async def no_sleep(_seconds: float) -> None:
    return None


def run(requests: Any, jobs: Jobs, cache: Cache, cap_usd: float = 1.0) -> Any:
    budget = Budget(cap_usd, jobs.batch_price)
    done = complete_in_batch(requests, jobs, budget=budget, cache=cache, sleep=no_sleep)
    assert done.spent_usd == pytest.approx(budget.spent_usd, abs=1e-11)
    assert done.kept_usd == pytest.approx(budget.reserved_usd, abs=1e-11)
    return done


def test_a_job_answers_everything_at_half_the_price(requests_for: Any, tmp_path: Path) -> None:
    """One job, polled until it is done; equal requests once; and all of it cached for both ways."""
    jobs = Jobs()
    requests = requests_for(["a", "b", "a"])
    with Cache.open(tmp_path) as cache:
        done = run(requests, jobs, cache)
        assert done.count("ok") == 3
        assert jobs.asked == ["a", "b"]
        assert jobs.polls == 2
        assert done.spent_usd == pytest.approx(2 * (9 * 0.075 + 5 * 0.30) / 1e6)
        assert cache.jobs(jobs.model) == []
        again = complete_all(requests, jobs, budget=Budget(1.0, jobs.price), cache=cache)
        assert (again.cached, again.calls) == (3, 0)
        assert run(requests, jobs, cache).cached == 3
        assert len(jobs.jobs) == 1


def test_each_answer_is_judged_as_ever(requests_for: Any, tmp_path: Path) -> None:
    """Refusals are final, bad answers parse errors, faults failed; only good ones are kept."""
    jobs = Jobs(
        refused=Reply("", Usage(9, 1), "m", finish="refusal"),
        bad=Reply("no JSON", Usage(9, 1), "m"),
        odd=Reply(GOOD, Usage(-1, 10**9), "m"),
        fault=ProviderFault("the server answered 500"),
        lost=None,
    )
    with Cache.open(tmp_path) as cache:
        done = run(requests_for(["good", "refused", "bad", "odd", "fault", "lost"]), jobs, cache)
        assert [o.status for o in done.outcomes] == [
            *("ok", "refused", "parse_error", "ok", "failed", "failed")
        ]
        assert len(cache) == 2
    assert done.spend.doubted == 1
    assert done.outcomes[4].cost_usd == done.outcomes[5].cost_usd == 0
    assert done.kept_usd > 0


@pytest.mark.parametrize("moment", ["before_submit", "after_submit", "on_poll"])
def test_a_killed_run_is_gone_on_with(requests_for: Any, tmp_path: Path, moment: str) -> None:
    """Wherever it was killed, each item is asked exactly once in the end."""
    jobs = Jobs()
    setattr(jobs, moment, [Killed()] if moment == "on_poll" else Killed())
    requests = requests_for(["a", "b", "c"])
    with Cache.open(tmp_path) as cache, pytest.raises(Killed):
        run(requests, jobs, cache)
    jobs.before_submit = jobs.after_submit = None
    with Cache.open(tmp_path) as cache:
        done = run([*requests, *requests_for(["d"])], jobs, cache)
        assert done.count("ok") == 4
        assert cache.jobs(jobs.model) == []
    assert sorted(jobs.asked) == ["a", "b", "c", "d"]


def test_the_cap_bounds_what_is_submitted(requests_for: Any, tmp_path: Path) -> None:
    """No more is out at once than could be paid in the worst case; what is left over asks for more."""
    jobs = Jobs()
    requests = requests_for([f"item {n}" for n in range(50)])
    budget = Budget(1.0, jobs.batch_price)
    worst = budget.cost_usd(jobs.prompt_tokens_at_most(requests[-1]), 64)
    with Cache.open(tmp_path) as cache:
        done = run(requests, jobs, cache, cap_usd=worst * 10)
        assert done.stopped == ""
        assert done.count("ok") == len(jobs.asked) == len(set(jobs.asked)) == 50
        sizes = [len(asked) for _, asked in jobs.jobs.values()]
        assert 10 <= sizes[0] <= 11
        assert len(sizes) > 4
    dear = Jobs()
    dear.answers = {r.item: Reply(GOOD, Usage(1, 10**9), "m") for r in requests}
    with Cache.open(tmp_path / "dear") as cache:
        done = run(requests, dear, cache, cap_usd=worst * 10)
    assert done.stopped == "budget"
    assert 10 <= done.count("ok") == len(dear.asked) <= 11


@pytest.mark.parametrize(
    ("error", "stopped", "kept"),
    [
        (FatalProviderError("the key is wrong"), "fatal", True),
        (ProviderError("the service refused the job"), "failures", False),
    ],
    ids=["fatal", "refused"],
)
def test_an_error_stops_the_run(
    requests_for: Any, tmp_path: Path, error: ProviderError, stopped: str, kept: bool
) -> None:
    """A job that may still bring answers is kept for the next run; a refused one is not."""
    jobs = Jobs()
    jobs.on_poll = [error]
    with Cache.open(tmp_path) as cache:
        done = run(requests_for(["a", "b"]), jobs, cache)
        assert (done.stopped, done.reason, done.count("not_started")) == (stopped, str(error), 2)
        assert (len(cache.jobs(jobs.model)) == 1) == kept
        assert (done.kept_usd > 0) == kept
        assert run(requests_for(["a", "b"]), jobs, cache).count("ok") == 2
    assert len(jobs.jobs) == (1 if kept else 2)


def test_faults_of_polling_pass(requests_for: Any, tmp_path: Path) -> None:
    """A service that is out of reach for a while is asked again."""
    jobs = Jobs()
    jobs.on_poll = [TransientProviderError("busy") for _ in range(10)]
    with Cache.open(tmp_path) as cache:
        assert run(requests_for(["a"]), jobs, cache).count("ok") == 1
        jobs.on_poll = [TransientProviderError("busy") for _ in range(30)]
        assert run(requests_for(["b"]), jobs, cache).stopped == "failures"
        assert len(cache.jobs(jobs.model)) == 1


def test_what_it_needs_is_said(requests_for: Any, tmp_path: Path) -> None:
    """A provider that takes jobs, and a price."""
    with Cache.open(tmp_path) as cache:
        with pytest.raises(ConfigError, match="no batches"):
            complete_in_batch(
                requests_for(["a"]),
                ScriptedProvider(),
                budget=Budget(1.0, Price(1, 1)),
                cache=cache,
            )
        with pytest.raises(BudgetError):
            complete_in_batch(requests_for(["a"]), Jobs(), budget=Budget(1.0, None), cache=cache)

"""From talk to demand, whole: what is in the result, and what it may cost."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

import attrs
import pyarrow.parquet as pq
import pytest

from dnr_core.comms.tables import empty
from dnr_core.demand import gate_failures, measure_demand, write_predictions
from dnr_core.errors import (
    BudgetError,
    CommsError,
    FatalProviderError,
    ProviderError,
)
from dnr_core.model import CommsTables

LATE, DOUBLE = "freshness_ingest_lag", "duplicates_dedup"


@pytest.fixture
def week(talk):
    """Sixty threads, twenty mails and twenty queries over ten days in two buckets."""
    at = datetime(2025, 3, 3, 18, 0, tzinfo=UTC)
    talk.person("u1", "bi").person("boss", "exec")
    for n in range(60):
        word = ("stale", "duplicate rows", "lunch")[n % 3]
        talk.thread(
            f"t{n:02}",
            [f"the dashboard on payouts: {word} {n}", "ok", "fixed" if n % 2 else "any update?"],
            at=at + timedelta(hours=4 * n),
            channel=f"c{n % 3}",
            bucket=("analytics", "domain")[n % 2],
        )
    for n in range(20):
        talk.mail(
            f"m{n:02}", f"stale report {n}", thread=f"mt{n // 2}", at=at + timedelta(hours=9 * n)
        )
        talk.query(f"q{n:02}", f"why duplicate {n}?", sql="SELECT 1 FROM fact_order", at=at)
    return talk


def test_the_talk_is_read_once_for_all_that_is_asked(week, company, settings, player, monkeypatch):
    """However many parts the items are asked in, their result is that of one part."""
    whole = measure_demand(week.tables(), company, settings(), player().catalogue)
    monkeypatch.setattr("dnr_core.demand.ask.PART_ITEMS", 7)
    parts = measure_demand(week.tables(), company, settings(), player().catalogue)
    assert parts.predictions.equals(whole.predictions)
    assert parts.items.equals(whole.items)
    assert parts.entities.equals(whole.entities)


def test_every_item_has_a_prediction(week, company, settings, player):
    """Dropped, decided and all: predictions hold each item once, sorted by source and id."""
    provider = player()
    week.thread("dull", ["lunch in the kitchen?"], channel="c0")
    result = measure_demand(week.tables(), company, settings(), provider.catalogue)
    ids = list(
        zip(
            result.predictions["source"].to_pylist(),
            result.predictions["item_id"].to_pylist(),
            strict=True,
        )
    )
    assert Counter(source for source, _ in ids) == {"slack": 61, "email": 20, "nlq": 20}
    assert len(set(ids)) == 101
    dropped = [r for r in result.predictions.to_pylist() if r["decided_by"] == "prefilter"]
    assert [r["item_id"] for r in dropped] == ["dull"]
    assert all(
        (r["relevance"], r["theme"], r["kept_by"]) == ("negative", None, "") for r in dropped
    )


def test_shares_come_out_as_counted_by_hand(week, company, settings, player):
    """Queries are all duplicates, mails all late, threads half and half of what was kept."""
    result = measure_demand(week.tables(), company, settings(), player().catalogue)
    shares = {(s.source, s.theme): s.share for s in result.shares if not s.table}
    assert shares["nlq", DOUBLE] == 1
    assert shares["email", LATE] == 1
    weights = {c.source: c.weight for c in result.coverage}
    expected = weights["nlq"] + weights["slack"] * shares["slack", DOUBLE]
    assert math.isclose(shares["all", DOUBLE], expected)
    assert math.isclose(sum(result.items["weight"].to_pylist()), 1)
    by_table = [s for s in result.shares if (s.source, s.table) == ("nlq", "fact_order")]
    assert [s.share for s in by_table] == [1]


def test_items_say_who_asks_and_whether_it_was_met(week, company, settings, player):
    """Demand carries local day, role, table, a short quote, and met or unmet."""
    result = measure_demand(week.tables(), company, settings(), player().catalogue)
    rows = {(r["source"], r["item_id"]): r for r in result.items.to_pylist()}
    assert rows["slack", "t00"]["unmet"] is True
    assert rows["slack", "t01"]["unmet"] is False
    assert rows["slack", "t00"]["role"] == "bi"
    assert rows["slack", "t03"]["quote"] == "the dashboard on payouts: stale #"
    assert rows["nlq", "q00"]["table"] == "fact_order"


def test_the_same_talk_in_any_order_gives_the_same_result(
    week, company, settings, player, tmp_path
):
    """Rows of every table reversed: the same predictions, demand, shares and file bytes."""
    provider = player()
    first = measure_demand(week.tables(), company, settings(), provider.catalogue)
    for rows in (week.slack, week.email, week.nlq, week.users):
        rows.reverse()
    second = measure_demand(week.tables(), company, settings(), provider.catalogue)
    assert first.predictions.equals(second.predictions)
    assert first.items.equals(second.items)
    assert first.shares == second.shares
    hashes = write_predictions(first, tmp_path / "a")
    assert write_predictions(second, tmp_path / "b") == hashes
    assert set(hashes) == {
        "predictions_slack.parquet",
        "predictions_email.parquet",
        "predictions_nlq.parquet",
        "entities.parquet",
    }
    assert pq.read_table(tmp_path / "a" / "predictions_nlq.parquet").num_rows == 20


def test_the_spend_never_passes_the_cap(week, company, settings, player):
    """Under a cap for a part of the items, a part is asked, and the charge stays below the cap."""
    for cap in (0.0, 0.001, 0.004, 0.01):
        provider = player(local=False)
        chosen = settings(classification={"api_cap_usd": cap}, entities={"api_cap_usd": 0.0})
        result = measure_demand(week.tables(), company, chosen, provider.catalogue)
        assert provider.charged_usd <= cap
        assert result.budget["actual_usd"] <= cap
        assert len(provider.asked) < 80
        decided = Counter(result.predictions["decided_by"].to_pylist())
        assert decided["provider"] == len(provider.asked)
        assert decided["not_sampled"] > 0


def test_a_source_under_its_floor_is_said_and_keeps_its_weight(week, company, settings, player):
    """With no money at all queries are under the floor; weights are those of a full run."""
    full = measure_demand(week.tables(), company, settings(), player().catalogue)
    poor = measure_demand(
        week.tables(),
        company,
        settings(classification={"api_cap_usd": 0.0}),
        player(local=False).catalogue,
    )
    assert [c.weight for c in poor.coverage] == [c.weight for c in full.coverage]
    assert {c.source for c in poor.coverage if c.below_floor} >= {"nlq"}
    assert any("Queries" in note and "floor" in note for note in poor.notes)
    assert any("nlq" in failure for failure in gate_failures(poor))
    assert gate_failures(full) == ()
    assert poor.shares == ()


def test_a_pilot_mends_an_estimate_that_was_far_too_high(week, company, settings, player):
    """Where the bound is far above what the server counts, the pilot's counts let more be asked."""
    chosen = settings(classification={"api_cap_usd": 0.012}, entities={"api_cap_usd": 0.0})
    cheap = player(local=False, tokens=5)
    result = measure_demand(week.tables(), company, chosen, cheap.catalogue)
    assert result.budget["estimate_usd"] <= 0.012
    granted_offline = result.budget["offline_estimate_usd"]
    assert len(cheap.asked) == sum(c.kept for c in result.coverage)
    assert granted_offline > result.budget["actual_usd"]


def test_a_second_run_asks_nothing_that_the_first_paid_for(
    week, company, settings, player, tmp_path
):
    """With the cache, the same run again makes no call and gives the same predictions."""
    chosen = settings(classification={"api_cap_usd": 0.012}, cache={"enabled": True})
    first = player(local=False)
    one = measure_demand(week.tables(), company, chosen, first.catalogue, cache_dir=tmp_path)
    again = player(local=False)
    two = measure_demand(week.tables(), company, chosen, again.catalogue, cache_dir=tmp_path)
    assert first.asked
    assert again.asked == []
    assert one.predictions.equals(two.predictions)
    assert two.budget["actual_usd"] == 0


def test_a_model_without_a_price_does_not_start(week, company, settings, player):
    """No price, no call: the cost could not be capped."""
    provider = player(local=False)
    provider.price = None
    with pytest.raises(BudgetError, match="price"):
        measure_demand(week.tables(), company, settings(), provider.catalogue)
    assert provider.asked == []


def test_a_wrong_key_stops_the_run_and_keeps_what_is_done(
    week, company, settings, player, answer_by_words
):
    """After the fault nobody is asked; what was decided before stays decided."""

    def answer(request):
        if len(provider.asked) > 5:
            return FatalProviderError("the key is wrong")
        return answer_by_words(request)

    provider = player(answer, local=False)
    chosen = settings(classification={"api_cap_usd": 10.0, "concurrency": 1})
    result = measure_demand(week.tables(), company, chosen, provider.catalogue)
    assert len(provider.asked) == 6
    assert Counter(result.predictions["decided_by"].to_pylist())["provider"] == 5
    assert all(c.stopped == "failed_calls" for c in result.coverage)
    assert result.budget["entities"]["calls"] == 0


def test_failing_calls_mark_their_source_and_the_others_go_on(
    week, company, settings, player, answer_by_words
):
    """Mails fail after all retries: the source is partial, threads and queries are decided."""

    def answer(request):
        if "stale report" in request.item:
            return ProviderError("no")
        return answer_by_words(request)

    provider = player(answer, local=False)
    chosen = settings(classification={"api_cap_usd": 10.0}, entities={"api_cap_usd": 0.0})
    result = measure_demand(week.tables(), company, chosen, provider.catalogue)
    coverage = {c.source: c for c in result.coverage}
    assert coverage["email"].partial
    assert not coverage["slack"].partial
    assert coverage["nlq"].coverage == 1


def test_fifty_answers_that_cannot_be_read_stop_their_source_alone(
    talk, company, settings, player, answer_by_words
):
    """A source whose answers are no JSON stops after fifty in a row; the other source goes on."""
    for n in range(120):
        talk.query(f"q{n:03}", f"stale {n}")
        talk.mail(f"m{n:03}", f"stale mail {n}")

    def answer(request):
        return "no json" if "mail" in request.item else answer_by_words(request)

    result = measure_demand(talk.tables(), company, settings(), player(answer).catalogue)
    coverage = {c.source: c for c in result.coverage}
    assert coverage["email"].stopped == "parse_errors"
    assert coverage["nlq"].decided == 120
    said = Counter(
        r["decided_by"] for r in result.predictions.to_pylist() if r["source"] == "email"
    )
    assert said["parse_error"] >= 50
    assert said["not_sampled"] > 0


def test_no_talk_is_an_empty_result(company, settings, player):
    """No rows in any table: no items, no shares, no coverage, no fault."""
    nothing = CommsTables(
        *(empty(n) for n in ("slack_messages", "email_messages", "comms_users", "nlq"))
    )
    result = measure_demand(nothing, company, settings(), player().catalogue)
    assert (result.predictions.num_rows, result.items.num_rows, result.shares) == (0, 0, ())
    assert result.coverage == ()
    assert result.start is None


def test_one_source_alone_has_all_the_weight(talk, company, settings, player):
    """Only queries: their shares are the shares over all."""
    talk.query("q1", "stale?").query("q2", "duplicate?")
    result = measure_demand(talk.tables(), company, settings(), player().catalogue)
    assert [c.weight for c in result.coverage] == [1.0]
    assert {s.theme: s.share for s in result.shares if s.source == "all" and s.share} == {
        LATE: 0.5,
        DOUBLE: 0.5,
    }


def test_a_table_that_lacks_a_column_is_named(talk, company, settings, player):
    """Talk without a needed column is refused with the column's name."""
    tables = talk.tables()
    broken = attrs.evolve(tables, nlq=tables.nlq.drop_columns(["query_text"]))
    with pytest.raises(CommsError, match="query_text"):
        measure_demand(broken, company, settings(), player().catalogue)


def test_items_without_time_text_or_bucket_are_carried(talk, company, settings, player):
    """Null times, texts and buckets lose no item; an empty text is no demand and no call."""
    talk.thread("t", [""]).query("q", "stale")
    for row in (*talk.slack, *talk.nlq):
        row["ts"] = None
    talk.slack[0].update(text=None, channel_cat=None, user_id=None)
    provider = player()
    result = measure_demand(talk.tables(), company, settings(), provider.catalogue)
    assert result.predictions.num_rows == 2
    assert [r["item_id"] for r in result.items.to_pylist()] == ["q"]
    assert [r.item for r in provider.asked if r.purpose == "classify"] == ["stale"]


def test_a_question_that_asks_for_no_better_data_is_no_demand(talk, company, settings, player):
    """A query called no positive has no theme and no share, whatever theme came with it."""
    answer = {
        "theme": LATE,
        "relevance": "negative",
        "theme_confidence": 0.9,
        "relevance_confidence": 0.9,
    }
    talk.query("q", "how many singers do we have?")
    result = measure_demand(talk.tables(), company, settings(), player(lambda _: answer).catalogue)
    (said,) = result.predictions.to_pylist()
    assert (said["theme"], said["decided_by"]) == (None, "provider")
    assert result.shares == ()


def test_talk_about_office_plants_is_no_demand(talk, company, settings, player):
    """Ordinary talk, all of it asked about by the fallback, leaves no share and says so."""
    for n in range(30):
        talk.thread(f"p{n}", ["our ficus needs water", "I will do it"], channel=f"c{n}")
    provider = player()
    result = measure_demand(talk.tables(), company, settings(), provider.catalogue)
    assert len(provider.asked) == 30
    assert (result.items.num_rows, result.shares) == (0, ())
    assert result.budget["coverage"]["slack"]["coverage"] == 1

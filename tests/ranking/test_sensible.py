"""Cases where a formula could go wrong: what a sensible data leader would answer, and the report does."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType

import pytest

KEYS, LATE, COPIES = "join_keys_orphans", "freshness_ingest_lag", "duplicates_dedup"
METRIC, ACCESS = "metric_definition_mismatch", "access_permissions_pii"


def top(found: object) -> list[tuple[str, str]]:
    """The needs on the cards, in order."""
    return [(n.need.theme, n.need.table) for n in found.top]  # type: ignore[attr-defined]


def test_silent_loss_of_a_sixteenth_of_the_revenue_beats_all_talk(made: ModuleType) -> None:
    """Nobody noticed, and everybody talks of something else: the money is mended first."""
    found = made.ranking(
        made.health({("fact_order", "key_null"): 0.0625}),
        made.demand({(METRIC, "fact_payment"): 300, (ACCESS, "dim_buyer"): 100}),
    )
    assert top(found)[0] == (KEYS, "fact_order")


@pytest.mark.parametrize("talk", [40, 100])
def test_rows_that_are_broken_come_before_a_rumour_of_broken_rows(
    made: ModuleType, talk: int
) -> None:
    """People blame payments, whose keys are sound; those of orders are broken, and some say so."""
    found = made.ranking(
        made.health({("fact_order", "key_null"): 0.03}),
        made.demand({(KEYS, "fact_payment"): talk, (KEYS, "fact_order"): 20, (METRIC, ""): 40}),
    )
    assert top(found)[0] == (KEYS, "fact_order")
    rumour = made.find(found, KEYS, "fact_payment")
    assert rumour.need.agreement == 0.0
    assert rumour.need.revenue_cents is None


def test_late_is_not_wrong(made: ModuleType) -> None:
    """Half of the revenue an hour late is less than a fifteenth of it on rows that join to nothing."""
    found = made.ranking(
        made.health({("fact_payment", "late"): 0.5, ("fact_order", "fk_failure"): 0.066})
    )
    assert top(found) == [(KEYS, "fact_order"), (LATE, "fact_payment")]


def test_within_its_limit_and_asked_for_by_nobody_is_no_need(made: ModuleType) -> None:
    """A twentieth of the revenue is on such rows, but that is what was agreed to be fine."""
    found = made.ranking(
        made.health({("fact_order", "fk_failure"): 0.0195, ("fact_payment", "duplicate"): 0.004}),
        made.demand({(METRIC, "fact_payment"): 5}),
    )
    assert (KEYS, "fact_order") not in top(found)
    assert "nobody asks" in made.find(found, KEYS, "fact_order").hidden


def test_what_is_asked_all_year_is_of_today_and_an_old_uproar_is_not(made: ModuleType) -> None:
    """The same share of all talk: spread over the year, or all of it in one week four months ago."""
    everyday = made.demand({(METRIC, "fact_order"): 60, (ACCESS, "dim_buyer"): 60})
    days = {
        METRIC: [made.LAST - timedelta(days=3 + 6 * (n % 60)) for n in range(60)],
        ACCESS: [made.LAST - timedelta(days=120 + n % 5) for n in range(60)],
    }
    rows = everyday.items.to_pylist()
    for row in rows:
        row["day"] = days[row["theme"]].pop()
    spread = made.with_items(everyday, rows)
    found = made.ranking(made.health({}), spread)
    steady = made.find(found, METRIC, "fact_order")
    uproar = made.find(found, ACCESS, "dim_buyer")
    assert steady.need.demand_share == pytest.approx(uproar.need.demand_share)
    assert steady.need.days_since_peak <= 14
    assert uproar.need.days_since_peak >= 110
    assert top(found)[0] == (METRIC, "fact_order")


def test_who_names_no_table_means_what_others_of_the_theme_mean(made: ModuleType) -> None:
    """Forty messages say which table, forty do not: all of it is demand, in the same proportion."""
    found = made.ranking(
        made.health({}),
        made.demand({(METRIC, "fact_order"): 30, (METRIC, "fact_payment"): 10, (METRIC, ""): 40}),
    )
    shares = {n.need.table: n.need.demand_share for n in found.needs}
    assert shares == {
        "fact_order": pytest.approx(0.75, abs=1e-6),
        "fact_payment": pytest.approx(0.25, abs=1e-6),
    }
    assert made.find(found, METRIC, "fact_order").need.demand_items == 30


def test_stray_guesses_do_not_make_a_table_wanted(made: ModuleType) -> None:
    """What is sure names orders; guesses that agree are believed, and one astray counts for little."""
    said = made.demand(
        {(METRIC, "fact_order"): 60, (METRIC, "dim_buyer"): 6, (LATE, "dim_buyer"): 6}
    )
    rows = said.entities.to_pylist()
    for number, row in enumerate(rows):
        if row["table"] == "dim_buyer" or number % 3 == 0:
            row.update(found_by="provider", confidence=0.9)
    found = made.ranking(made.health({}), made.with_entities(said, rows))
    whole = made.ranking(made.health({}), said)
    guessed = made.find(found, METRIC, "dim_buyer").need.demand_share
    assert guessed < 0.5 * made.find(whole, METRIC, "dim_buyer").need.demand_share
    total = sum(n.need.demand_share for n in found.needs)
    assert total == pytest.approx(1.0)


def test_both_sides_together_beat_either_alone(made: ModuleType) -> None:
    """The same broken rows, and the same talk, are most pressing where they meet."""
    health = made.health({("fact_order", "key_null"): 0.03, ("fact_payment", "key_null"): 0.03})
    talk = made.demand({(KEYS, "fact_order"): 20, (METRIC, "fact_payment"): 20})
    found = made.ranking(health, talk)
    assert top(found)[0] == (KEYS, "fact_order")
    both = made.find(found, KEYS, "fact_order")
    assert both.score.value > made.find(found, KEYS, "fact_payment").score.value
    assert both.score.value > made.find(found, METRIC, "fact_payment").score.value

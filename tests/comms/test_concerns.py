"""Talk whose subjects are decided from outside."""

from __future__ import annotations

from collections import Counter
from datetime import date

from dnr_core.comms.clock import WorkClock
from dnr_core.comms.draw import Draw
from dnr_core.comms.nlq import plan_questions
from dnr_core.comms.people import Crowd, make_people
from dnr_core.comms.threads import Company, plan_threads
from dnr_core.comms.topics import Concern, Topics
from dnr_core.config.settings import DEFAULT_AS_OF
from dnr_core.plugins import load_plugins

TZ = "America/Los_Angeles"
LATE = Concern(
    "freshness_ingest_lag", "fact_order", 3, first=date(2025, 6, 2), last=date(2025, 6, 9)
)
COPIES = Concern("duplicates_dedup", "fact_payment", 1, ("order_id",))


def company(*concerns: Concern) -> Company:
    """A company of which only the talk is planned."""
    archetype = load_plugins().archetype("marketplace")
    clock = WorkClock(DEFAULT_AS_OF, TZ, 12)
    people = make_people(40, Draw(5, "people"))
    return Company(5, Topics(archetype, 5), Crowd(people), clock, (), concerns)


def test_concerns_decide_what_positives_and_questions_are_about() -> None:
    """Themes, tables and columns are those of the concerns, in the proportion of their weights."""
    made = company(LATE, COPIES)
    for planned in (plan_threads(made, "slack", 200), plan_questions(made, 40)):
        about = [i.topic for i in planned if i.relevance == "positive" and i.topic]
        counts = Counter((topic.theme, topic.table) for topic in about)
        assert set(counts) == {(LATE.theme, LATE.table), (COPIES.theme, COPIES.table)}
        assert counts[LATE.theme, LATE.table] == 3 * counts[COPIES.theme, COPIES.table] or (
            abs(counts[LATE.theme, LATE.table] - 3 * counts[COPIES.theme, COPIES.table]) < 4
        )
        assert {t.column for t in about if t.theme == COPIES.theme} == {"order_id"}


def test_a_concern_is_talked_of_in_its_days_and_no_other() -> None:
    """Its items lie on its days; those of a concern without days over the whole year."""
    made = company(LATE, COPIES)
    days: dict[str, list[date]] = {LATE.theme: [], COPIES.theme: []}
    for item in plan_threads(made, "email", 200):
        if item.relevance == "positive" and item.topic and item.topic.theme and not item.answers:
            days[item.topic.theme].append(made.clock.local(item.at_us).date())
    assert LATE.first
    assert LATE.last
    assert all(LATE.first <= day <= LATE.last for day in days[LATE.theme])
    assert (max(days[COPIES.theme]) - min(days[COPIES.theme])).days > 120


def test_without_concerns_the_plan_is_the_usual_one() -> None:
    """No concern changes nothing: all themes are there."""
    planned = plan_threads(company(), "slack", 300)
    assert len({i.topic.theme for i in planned if i.topic and i.topic.theme}) == 8

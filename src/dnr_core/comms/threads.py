"""Room: comms. The plan of made talk: what each thread and mail is about, who writes, and when.

The plan is made before a word is written, from settings alone; the labels come from it. Shares
of relevance, buckets, themes and bands are exact by largest remainder in each source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve, field, frozen

from dnr_core.comms.clock import HOUR_US, US_PER_SECOND, WorkClock
from dnr_core.comms.draw import Draw, exact_mix, seed_of
from dnr_core.comms.people import Crowd, Person
from dnr_core.comms.tables import BUCKETS
from dnr_core.comms.topics import THEME_MIX, Concern, Topic, Topics
from dnr_core.model import Incident

RELEVANCE_MIX: Final[Mapping[str, int]] = {"positive": 45, "hard_negative": 20, "negative": 35}
BAND_MIX: Final[Mapping[str, int]] = {"plain": 45, "indirect": 35, "no_keyword": 20}
CAUSED_PERCENT: Final = 25

SYMPTOMS: Final[Mapping[str, tuple[str, ...]]] = {
    "join_keys_orphans": (
        "revenue_coverage_mapping",
        "attribution_funnel_gaps",
        "metric_definition_mismatch",
    ),
    "freshness_ingest_lag": ("metric_definition_mismatch", "revenue_coverage_mapping"),
    "duplicates_dedup": ("metric_definition_mismatch", "revenue_coverage_mapping"),
}
"""As what an incident of a theme shows to people who do not know its cause."""

# The themes that incidents are of make up a third of the positives, and a quarter of all threads is
# more than half of them: so people also tell of the symptoms. Shares are of those that could be.
_CAUSED_FIRST: Final[Mapping[str, int]] = {"own": 90, "symptom": 75, "near_miss": 0}
_LATE_EVERY: Final = 25
_WEEKEND_NOTICE: Final = 1
_WEEKDAY_NOTICE: Final = 4
_NAMED_PERCENT: Final = 60
_MESSAGES: Final = (4, 8)
_REPLY_EVERY: Final = 3


@frozen
class Cause:
    """An incident that people notice, and the theme that it is of."""

    incident: Incident
    theme: str
    start_us: int


@frozen
class Planned:
    """One item before it is written: a thread, a mail or a question.

    `key` names it within its source whatever else is planned; the ids of the tables are given in
    order of time. `answers` is the key of the mail that this one replies to.
    """

    source: str
    key: int
    at_us: int
    bucket: str
    relevance: str
    band: str
    topic: Topic | None
    people: tuple[Person, ...]
    messages: int
    named: bool
    closure: str | None
    seed: int
    cause: Cause | None = None
    answers: int | None = field(default=None, kw_only=True)
    variant: int = field(default=0, kw_only=True)
    """Its number among the items of one source that are of one kind, for writers to vary by."""


@frozen
class Company:
    """What a plan is drawn from."""

    seed: int
    topics: Topics
    crowd: Crowd
    clock: WorkClock
    causes: tuple[Cause, ...]
    concerns: tuple[Concern, ...] = ()
    """What people are concerned about; none leaves it to the usual mix of themes."""

    def concern_of_each(self, count: int, draw: Draw) -> list[Concern | None]:
        """Return what each of so many items is about; None where the usual mix decides."""
        if not self.concerns:
            return [None] * count
        weights = {place: concern.weight for place, concern in enumerate(self.concerns)}
        return [self.concerns[place] for place in exact_mix(count, weights, draw)]


def plan_threads(company: Company, source: str, count: int) -> list[Planned]:
    """Return the Slack threads (or the mails) of a company, in order of time."""
    seed = company.seed
    relevance = exact_mix(count, RELEVANCE_MIX, Draw(seed, source, "relevance"))
    buckets = exact_mix(count, BUCKETS, Draw(seed, source, "bucket"))
    bands = exact_mix(count, BAND_MIX, Draw(seed, source, "band"))
    positives = [n for n in range(count) if relevance[n] == "positive"]
    about = company.concern_of_each(len(positives), Draw(seed, source, "concern"))
    concerns = {n: one for n, one in zip(positives, about, strict=True) if one is not None}
    mix = exact_mix(len(positives), THEME_MIX, Draw(seed, source, "theme"))
    themes = dict(zip(positives, mix, strict=True)) | {n: c.theme for n, c in concerns.items()}
    causes = _causes(company, source, relevance, themes)
    planned = [
        _plan_one(
            company,
            source,
            n,
            relevance[n],
            buckets[n],
            bands[n],
            themes.get(n),
            causes,
            concerns.get(n),
        )
        for n in range(count)
    ]
    planned = numbered(planned)
    if source == "email":
        planned = _reply(company, planned)
    return sorted(planned, key=lambda item: (item.at_us, item.key))


def numbered(planned: Sequence[Planned]) -> list[Planned]:
    """Return the items with their variants: numbers within relevance, theme and band."""
    counts: dict[tuple[object, ...], int] = {}
    found: list[Planned] = []
    for item in planned:
        kind = (item.relevance, item.topic.theme if item.topic else None, item.band)
        found.append(evolve(item, variant=counts.get(kind, 0)))
        counts[kind] = counts.get(kind, 0) + 1
    return found


def _causes(
    company: Company, source: str, relevance: Sequence[str], themes: Mapping[int, str]
) -> dict[int, tuple[Cause, bool]]:
    """Return which threads an incident causes, and whether they come late.

    Positives about the incident's own theme come first, then ones about a symptom of it, and
    near-misses last, so that the mix of themes stays exact.
    """
    own: dict[str, list[Cause]] = {}
    symptom: dict[str, list[Cause]] = {}
    for cause in company.causes:
        own.setdefault(cause.theme, []).append(cause)
        for theme in SYMPTOMS.get(cause.theme, ()):
            symptom.setdefault(theme, []).append(cause)
    if not own:
        return {}
    eligible = {
        "own": [n for n, theme in themes.items() if theme in own],
        "symptom": [n for n, theme in themes.items() if theme in symptom and theme not in own],
        "near_miss": [n for n, name in enumerate(relevance) if name == "hard_negative"],
    }
    first: list[int] = []
    then: list[int] = []
    for name, percent in _CAUSED_FIRST.items():
        cut = len(eligible[name]) * percent // 100
        first += eligible[name][:cut]
        then += eligible[name][cut:]
    target = (len(relevance) * CAUSED_PERCENT + 50) // 100
    chosen: dict[int, tuple[Cause, bool]] = {}
    for place, n in enumerate((first + then)[:target]):
        theme = themes.get(n, "")
        pool = own.get(theme) or symptom.get(theme) or list(company.causes)
        weights = {i: _notice(company.clock, cause) for i, cause in enumerate(pool)}
        draw = Draw(company.seed, source, "cause", n)
        chosen[n] = (pool[draw.weighted(weights)], place % _LATE_EVERY == _LATE_EVERY - 1)
    return chosen


def _notice(clock: WorkClock, cause: Cause) -> int:
    # A local midnight start falls on the day that breaks; an hour later is still that day.
    day = clock.local(cause.start_us + HOUR_US).weekday()
    return _WEEKDAY_NOTICE if day < 5 else _WEEKEND_NOTICE


def _plan_one(
    company: Company,
    source: str,
    key: int,
    relevance: str,
    bucket: str,
    band: str,
    theme: str | None,
    causes: Mapping[int, tuple[Cause, bool]],
    concern: Concern | None,
) -> Planned:
    draw = Draw(company.seed, source, "item", key)
    cause, late = causes.get(key, (None, False))
    if concern is not None:
        at_us = company.clock.working_moment(draw, concern.first, concern.last)
    elif cause is None:
        at_us = company.clock.working_moment(draw)
    elif late:
        at_us = company.clock.noticed_late(cause.start_us, draw)
    else:
        at_us = company.clock.noticed(cause.start_us, draw)
    messages = draw.between(*_MESSAGES) if source == "slack" else 1
    people = company.crowd.writers(bucket, draw.between(2, min(4, messages + 1)), draw)
    return Planned(
        source=source,
        key=key,
        at_us=at_us,
        bucket=bucket,
        relevance=relevance,
        band=band,
        topic=(
            company.topics.of(concern, draw)
            if concern is not None
            else _topic(company, relevance, theme, cause, draw)
        ),
        people=tuple(people),
        messages=messages,
        named=draw.chance(_NAMED_PERCENT),
        closure=_closure(relevance, draw),
        seed=seed_of(company.seed, source, "words", key),
        cause=None if concern is not None else cause,
    )


def _topic(
    company: Company, relevance: str, theme: str | None, cause: Cause | None, draw: Draw
) -> Topic | None:
    if cause is not None:
        return _topic_of(company, theme, cause, draw)
    if theme is not None:
        return company.topics.draw(theme, draw)
    if relevance == "hard_negative":
        return Topic(None, company.topics.any_table(draw).name)
    return None


def _topic_of(company: Company, theme: str | None, cause: Cause, draw: Draw) -> Topic:
    """Return the topic of a thread that an incident causes: its table, and its column if that fits."""
    incident = cause.incident
    table = company.topics.archetype.schema[incident.table]
    if theme is None:
        return Topic(None, table.name)
    loads = table.loaded_at in incident.columns
    columns = incident.columns if theme == cause.theme or not loads else ()
    return company.topics.on(theme, table, draw, columns)


def _closure(relevance: str, draw: Draw) -> str | None:
    if relevance != "positive":
        return None
    roll = draw.below(100)
    return "resolved" if roll < 45 else "open" if roll < 80 else None


def _reply(company: Company, mails: list[Planned]) -> list[Planned]:
    """Make every third mail about one thing an answer to the one before it.

    Mails about incidents stay roots, so that what starts a thread is near its incident.
    """
    groups: dict[tuple[object, ...], list[Planned]] = {}
    for mail in mails:
        topic = mail.topic
        if mail.cause is None and topic is not None and topic.theme is not None:
            groups.setdefault((topic.theme, topic.table, mail.bucket), []).append(mail)
    answers: dict[int, Planned] = {}
    for group in groups.values():
        for place in range(_REPLY_EVERY - 1, len(group), _REPLY_EVERY):
            root, mail = group[place - 1], group[place]
            draw = Draw(company.seed, "email", "reply", mail.key)
            wait_us = draw.between(10, 300) * 60 * US_PER_SECOND
            people = (root.people[-1], root.people[0], *mail.people[2:])
            answers[mail.key] = evolve(
                mail,
                at_us=company.clock.before_end(root.at_us + wait_us),
                people=people,
                answers=root.key,
                topic=root.topic,
            )
    return [answers.get(mail.key, mail) for mail in mails]

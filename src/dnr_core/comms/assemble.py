"""Room: comms. Turns a plan and its words into the rows of the tables, and into the labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
from attrs import evolve, frozen

from dnr_core.comms.clock import US_PER_SECOND, WEEKDAYS
from dnr_core.comms.draw import Draw
from dnr_core.comms.features import features_of
from dnr_core.comms.nlq import outcome_of, sql_for
from dnr_core.comms.people import Person
from dnr_core.comms.rows import table_of
from dnr_core.comms.tables import BUCKETS, COMMS_USERS, EMAIL_MESSAGES, LABELS, NLQ, SLACK_MESSAGES
from dnr_core.comms.threads import Company, Planned
from dnr_core.comms.write import CHARS_PER_TOKEN, TEXT_TOKENS, Briefs, Written, within

CHANNELS_A_BUCKET: Final = 4
_LINKS: Final = (
    "https://dashboards.example/board/{n}",
    "https://wiki.example/page/{n}",
    "https://tickets.example/item/{n}",
    "https://docs.example/sheet/{n}",
    "https://repo.example/change/{n}",
)
_ATTACHMENTS: Final = ("screenshot_{n}.png", "numbers_{n}.xlsx", "export_{n}.csv", "notes_{n}.pdf")
_COMMANDS: Final = ("make deploy", "git rebase main", "npm run build", "def retry(call):", "ls -la")
_BUCKET_PLACES: Final = {bucket: place for place, bucket in enumerate(BUCKETS)}
_WHERE: Final = (
    "This is in {name}.",
    "It is {name} that I look at.",
    "Seen in {name}, since {day}.",
    "I mean {name}.",
    "All of it in {name}, from {day} on.",
    "That is {name}, by the way.",
)
"""Added where a writer leaves out which table an incident's thread is about."""
_WHERE_PERCENT: Final = 30
"""How often it is added to talk that no incident causes."""
_LINK_PERCENT: Final = 9
_ATTACHMENT_PERCENT: Final = 6
_CODE_PERCENT: Final = 5
_REPLY_GAP_S: Final = (40, 1500)
_SLACK_ID_DIGITS: Final = 7
_MAIL_ID_DIGITS: Final = 8


@frozen
class Ids:
    """Ids of the items of one source, by the plan's key, given in order of time."""

    thread: Mapping[int, str]
    item: Mapping[int, str]


def ids_of(planned: Sequence[Planned]) -> Ids:
    """Return the thread and item ids of one source's items.

    Mails and their threads begin with 9, so that no id stands for two things.
    """
    thread: dict[int, str] = {}
    item: dict[int, str] = {}
    for number, one in enumerate(planned, start=1):
        if one.source == "nlq":
            item[one.key] = f"q{number:06d}"
        elif one.source == "slack":
            thread[one.key] = item[one.key] = f"t{number:06d}"
        else:
            item[one.key] = f"m9{number:0{_MAIL_ID_DIGITS - 1}d}"
            thread[one.key] = f"t9{number:06d}"
    for one in planned:
        if one.answers is not None:
            thread[one.key] = thread[one.answers]
    return Ids(thread, item)


class _Dressing:
    """The links, code and attachments of one item's texts; what is added is drawn, never read."""

    def __init__(self, company: Company, item: Planned) -> None:
        self._draw = Draw(company.seed, item.source, "dressing", item.key)
        self._limit = TEXT_TOKENS[item.source] * CHARS_PER_TOKEN
        self._archetype = company.topics.archetype
        self._topic = item.topic if item.topic and item.topic.table else None

    def text(self, text: str) -> str:
        """Return the text with a link or a piece of code after it, now and then."""
        draw = self._draw
        if draw.chance(_LINK_PERCENT):
            text = self._fitting(text, " " + draw.pick(_LINKS).format(n=draw.between(100, 9999)))
        if draw.chance(_CODE_PERCENT):
            text = self._fitting(text, f" ```{self._code()}```")
        return text

    def attachments(self) -> list[str]:
        """Return the names of what is attached, mostly nothing."""
        draw = self._draw
        if not draw.chance(_ATTACHMENT_PERCENT):
            return []
        return [draw.pick(_ATTACHMENTS).format(n=draw.between(1, 999))]

    def _code(self) -> str:
        if self._topic is None:
            return self._draw.pick(_COMMANDS)
        return sql_for(self._archetype, self._topic, self._draw)[0]

    def _fitting(self, text: str, more: str) -> str:
        return text + more if len(text) + len(more) <= self._limit else text


def naming_table(company: Company, briefs: Briefs, item: Planned, written: Written) -> Written:
    """Return the words with the table named, where an incident's thread does not name it.

    Talk without key words only describes. Other talk about a table gets such a sentence now
    and then, so that it tells nothing about what the talk is.
    """
    topic = item.topic
    if topic is None or not topic.table or item.source == "nlq" or item.band == "no_keyword":
        return written
    names = (topic.table, *briefs.names_of(topic.table))
    draw = Draw(company.seed, item.source, "where", item.key)
    if _named(_said(written), names) or (item.cause is None and not draw.chance(_WHERE_PERCENT)):
        return written
    name = topic.table if item.named else draw.pick(briefs.names_of(topic.table))
    if item.source == "email":
        return evolve(written, subject=f"{written.subject} ({name})")
    start_us = item.cause.start_us if item.cause else item.at_us
    day = WEEKDAYS[company.clock.local(start_us).weekday()]
    sentence = draw.pick(_WHERE).format(name=name, day=day)
    speaker, text = written.messages[0]
    limit = TEXT_TOKENS[item.source] * CHARS_PER_TOKEN - len(sentence) - 2
    text = within(text, limit)
    said = f"{text}{'' if text[-1:] in '.?!' else '.'} {sentence}"
    return evolve(written, messages=((speaker, said), *written.messages[1:]))


def slack_table(
    company: Company, planned: Sequence[Planned], words: Mapping[int, Written], ids: Ids
) -> pa.Table:
    """Return `slack_messages`: each thread's messages in order, threads in order of time."""
    rows: list[tuple[Any, ...]] = []
    number = 0
    for item in planned:
        written = words.get(item.key)
        if written is None:
            continue
        draw = Draw(company.seed, "slack", "message", item.key)
        place = _BUCKET_PLACES[item.bucket] * CHANNELS_A_BUCKET
        channel = f"c{place + draw.below(CHANNELS_A_BUCKET) + 1:02d}"
        dressing = _Dressing(company, item)
        at_us, root = item.at_us, ""
        for position, (speaker, text) in enumerate(written.messages):
            number += 1
            message_id = f"m{number:0{_SLACK_ID_DIGITS}d}"
            root = root or message_id
            if position:
                at_us += draw.between(*_REPLY_GAP_S) * US_PER_SECOND
            said = dressing.text(text)
            names = dressing.attachments()
            found = features_of(said)
            rows.append(
                (
                    message_id,
                    ids.thread[item.key],
                    channel,
                    item.bucket,
                    company.clock.before_end(at_us),
                    item.people[speaker].user_id,
                    said,
                    root if position else None,
                    0 if position else len(written.messages) - 1,
                    bool(found.link_domains),
                    list(found.link_domains),
                    bool(names),
                    names,
                    found.has_code,
                )
            )
    return table_of(rows, SLACK_MESSAGES)


def email_table(
    company: Company,
    planned: Sequence[Planned],
    words: Mapping[int, Written],
    ids: Ids,
) -> pa.Table:
    """Return `email_messages` in order of time."""
    rows: list[tuple[Any, ...]] = []
    for item in planned:
        written = words.get(item.key)
        if written is None:
            continue
        draw = Draw(company.seed, "email", "message", item.key)
        others = company.crowd.writers(item.bucket, 6, draw)
        people = [person.user_id for person in item.people]
        copied = [p.user_id for p in others if p.user_id not in people][: draw.below(4)]
        dressing = _Dressing(company, item)
        said = dressing.text(written.messages[0][1])
        names = dressing.attachments()
        found = features_of(said)
        rows.append(
            (
                ids.item[item.key],
                ids.thread[item.key],
                item.at_us,
                people[0],
                people[1:],
                copied,
                item.bucket,
                _subject(item, words),
                said,
                bool(names),
                names,
                bool(found.link_domains),
                list(found.link_domains),
                found.has_code,
            )
        )
    return table_of(rows, EMAIL_MESSAGES)


def nlq_table(
    company: Company, planned: Sequence[Planned], words: Mapping[int, Written], ids: Ids
) -> pa.Table:
    """Return `nlq` in order of time."""
    rows: list[tuple[Any, ...]] = []
    for item in planned:
        written = words.get(item.key)
        if written is None:
            continue
        outcome = outcome_of(company, item)
        rows.append(
            (
                ids.item[item.key],
                item.people[0].user_id,
                outcome.app,
                item.at_us,
                written.messages[0][1],
                outcome.sql,
                outcome.ok,
                outcome.latency_ms,
                outcome.rows,
            )
        )
    return table_of(rows, NLQ)


def users_table(people: Sequence[Person], sources: Sequence[str]) -> pa.Table:
    """Return `comms_users`: each person once a source."""
    rows = [(source, person.user_id, person.role) for source in sources for person in people]
    return table_of(rows, COMMS_USERS)


def labels_table(
    briefs: Briefs, planned: Sequence[Planned], words: Mapping[int, Written], ids: Ids
) -> pa.Table:
    """Return the labels of one source's written items, in the order of their table.

    Theme, relevance and table are the plan's. A further table and a column are labels
    only where the words name them, technically or by an everyday name: a writer may leave them out.
    """
    rows: list[tuple[Any, ...]] = []
    for item in planned:
        written = words.get(item.key)
        if written is None:
            continue
        tables, columns = _entities(briefs, item, written)
        rows.append(
            (
                ids.item[item.key],
                item.topic.theme if item.topic else None,
                item.relevance,
                tables,
                columns,
                item.cause.incident.id if item.cause else None,
                written.skeleton,
                item.band,
            )
        )
    return table_of(rows, LABELS)


def _entities(briefs: Briefs, item: Planned, written: Written) -> tuple[list[str], list[str]]:
    topic = item.topic
    if topic is None or not topic.table:
        return [], []
    said = _said(written)
    tables, columns = [topic.table], []
    if topic.other_table and _named(said, (topic.other_table, *briefs.names_of(topic.other_table))):
        tables.append(topic.other_table)
    if topic.column and _named(
        said, (topic.column, *briefs.column_names(topic.table, topic.column))
    ):
        columns.append(f"{topic.table}.{topic.column}")
    return tables, columns


def _said(written: Written) -> str:
    return " ".join((written.subject, *(text for _, text in written.messages))).casefold()


def _named(said: str, names: Sequence[str]) -> bool:
    return any(
        name in said and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said)
        for name in (name.casefold() for name in names)
    )


def _subject(item: Planned, words: Mapping[int, Written]) -> str:
    root = words.get(item.answers) if item.answers is not None else None
    if root is not None:
        return f"Re: {root.subject}"
    return words[item.key].subject

"""Room: comms. Asks the provider for the words of a plan, under one cap."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from attrs import frozen

from dnr_core.comms.clock import WEEKDAYS, WorkClock
from dnr_core.comms.draw import Draw
from dnr_core.comms.redact import redact
from dnr_core.comms.threads import Cause, Planned
from dnr_core.comms.topics import Topic
from dnr_core.model import Archetype, CommsStyle, Request
from dnr_core.model.themes import THEME_TITLES

KINDS: Final = {"slack": "slack_thread", "email": "email", "nlq": "nlq"}
MAX_TOKENS: Final = {"slack": 1200, "email": 420, "nlq": 220}
"""Most tokens of an answer, by source: the text's own limits, and room for JSON around it."""
TEXT_TOKENS: Final = {"slack": 80, "email": 180, "nlq": 30}
"""Most tokens of one text, by source; a longer one is cut after a sentence."""
CHARS_PER_TOKEN: Final = 4
_WORDS_A_SLOT: Final = 2
_LINK: Final = re.compile(
    r"\b(?:https?|ftp)://(?![\w.\-]+\.example(?:[/:?#]|$))[^\s<>\"|)]*[^\s<>\"|).,;!?]", re.I
)
"""A link to a host that is not under `.example`."""
_LINK_INSTEAD: Final = "https://wiki.example/page"
_TITLES: Final[Mapping[str, str]] = {str(theme): title for theme, title in THEME_TITLES.items()}

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["messages", "subject", "sql", "skeleton"],
    "properties": {
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["speaker", "text"],
                "properties": {"speaker": {"type": "integer"}, "text": {"type": "string"}},
            },
        },
        "subject": {"type": ["string", "null"]},
        "sql": {"type": ["string", "null"]},
        "skeleton": {"type": ["string", "null"]},
    },
}


@frozen
class Written:
    """What a provider wrote: texts with the place of their speaker, never empty."""

    messages: tuple[tuple[int, str], ...]
    subject: str
    skeleton: str | None


@lru_cache(maxsize=1)
def instructions() -> str:
    """Return the packaged prompt."""
    return (resources.files("dnr_core.comms") / "prompts" / "write.txt").read_text("utf-8")


class Briefs:
    """Makes the request of each planned item."""

    def __init__(self, archetype: Archetype, style: CommsStyle, clock: WorkClock) -> None:
        self._archetype = archetype
        self._clock = clock
        self._style = style

    def request(self, item: Planned) -> Request:
        """Return the request for one item's words."""
        return Request(
            purpose="write",
            instructions=instructions(),
            item=json.dumps(
                self._brief(item), ensure_ascii=False, sort_keys=True, separators=(",", ":")
            ),
            schema=SCHEMA,
            max_tokens=MAX_TOKENS[item.source],
        )

    def names_of(self, table: str) -> tuple[str, ...]:
        """Return the everyday names of a table."""
        found = self._archetype.schema[table]
        return tuple(dict.fromkeys((found.title, *found.aliases)))

    def column_names(self, table: str, column: str) -> tuple[str, ...]:
        """Return the everyday names of a column."""
        aliases = self._archetype.schema[table].column(column).aliases
        return aliases or (column.replace("_", " "),)

    def _brief(self, item: Planned) -> dict[str, Any]:
        topic = item.topic or Topic(None, "")
        draw = Draw(item.seed, "vocabulary")
        return {
            "kind": KINDS[item.source],
            "theme": topic.theme,
            "theme_title": _TITLES.get(topic.theme or ""),
            "relevance": item.relevance,
            "band": item.band,
            "table": topic.table or None,
            "table_names": list(self.names_of(topic.table)) if topic.table else [],
            "column": topic.column,
            "column_names": list(self.column_names(topic.table, topic.column))
            if topic.column
            else [],
            "other_table": topic.other_table,
            "speakers": [person.role for person in item.people],
            "messages": item.messages,
            "named": item.named,
            "closure": item.closure,
            "joinable": {
                "left": topic.table,
                "right": topic.other_table,
                "on": dict(topic.join_on),
            }
            if topic.other_table
            else None,
            "incident": self._incident(item.cause, item.at_us),
            "seed": item.seed,
            "variant": item.variant,
            "style": {
                "name": self._style.name,
                "instructions": self._style.instructions,
                "traits": dict(self._style.traits),
                "vocabulary": _some(self._style.vocabulary, draw),
            },
            "vocabulary": _some(self._archetype.vocabulary, draw),
        }

    def _incident(self, cause: Cause | None, at_us: int) -> dict[str, Any] | None:
        if cause is None:
            return None
        begun = self._clock.local(cause.start_us)
        return {
            "kind": cause.incident.kind,
            "table": cause.incident.table,
            "weekday": WEEKDAYS[begun.weekday()],
            "days_ago": (self._clock.local(at_us).date() - begun.date()).days,
        }


def _some(vocabulary: Mapping[str, Sequence[str]], draw: Draw) -> dict[str, list[str]]:
    """Return a few words of each slot: a brief is paid for by the word, once an item."""
    return {slot: draw.sample(words, _WORDS_A_SLOT) for slot, words in sorted(vocabulary.items())}


def read_answer(
    item: Planned, value: Mapping[str, Any], *, made_up: bool = False
) -> Written | None:
    """Return what an answer says, within the limits of its source; None where it says nothing.

    More messages than were asked for are dropped, and speakers that are not there counted anew.
    Unless the words are `made_up` from our own, what looks like an address or a number of a person
    is taken out: a model may repeat what it once read.
    """
    limit = TEXT_TOKENS[item.source] * CHARS_PER_TOKEN
    keep = str if made_up else harmless
    messages: list[tuple[int, str]] = []
    for message in value["messages"][: item.messages]:
        text = within(keep(message["text"]).strip(), limit)
        if text:
            messages.append((message["speaker"] % len(item.people), text))
    if not messages:
        return None
    subject = keep(value["subject"] or "").strip()[:200]
    return Written(tuple(messages), subject, value["skeleton"])


def harmless(text: str) -> str:
    """Return the text without addresses, phone and account numbers, and real links."""
    return _LINK.sub(_LINK_INSTEAD, redact(text))


def within(text: str, limit: int) -> str:
    """Return the text, cut after a sentence or a word where it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    for mark in (". ", "? ", "! ", "\n", " "):
        at = head.rfind(mark)
        if at > limit // 3:
            return head[: at + 1].rstrip()
    return head

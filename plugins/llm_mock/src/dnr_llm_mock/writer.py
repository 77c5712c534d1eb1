"""Room: write. Turns a brief into talk: a Slack thread, an email, or a question with its SQL."""

from __future__ import annotations

import json
import random as random_module
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from dnr_core.errors import ProviderError
from dnr_llm_mock import skeletons
from dnr_llm_mock.grammar import Sequence, Slot, expand
from dnr_llm_mock.skeletons import Skeleton
from dnr_llm_mock.slots import Filler
from dnr_llm_mock.sql import query
from dnr_llm_mock.voice import sentence_case, speak

CHARS_PER_TOKEN: Final = 4
SLACK_CHARS: Final = 76 * CHARS_PER_TOKEN
EMAIL_CHARS: Final = 172 * CHARS_PER_TOKEN
NLQ_CHARS: Final = 28 * CHARS_PER_TOKEN
BLANKS: Final = re.compile(r" {2,}")
BEFORE_MARK: Final = re.compile(r" +([,.?!])")
ANSWERING: Final = re.compile(
    r"^(?:(?:Exactly|Yes|Yep|No|Nope|Right|Indeed|True|OK|Both|You are right|That explains)[.,]|"
    r"(?:Then|So|And|Great|Super|Perfect)\b,?) *(?=\S)"
)
"""How a second turn begins; in a mail, where nobody answered in between, it is left out."""
KINDS: Final = ("slack_thread", "email", "nlq")

Random = Callable[[], float]


def write(item: str) -> dict[str, Any]:
    """The answer to a brief: `messages` (speaker, text), `subject`, `sql`, `skeleton`.

    Raises:
        ProviderError: the item is no brief.
    """
    brief = _brief(item)
    # Words are chosen, not secrets.
    generator = random_module.Random(int(brief.get("seed") or 0))  # noqa: S311
    return write_from(brief, _chosen(brief, generator.random), generator.random)


def write_from(brief: Mapping[str, Any], skeleton: Skeleton, random: Random) -> dict[str, Any]:
    """The answer to a brief by a given skeleton."""
    kind = brief["kind"]
    fill = Filler(brief, random)
    traits = (brief.get("style") or {}).get("traits") or {}
    subject = sql = None
    if kind == "nlq":
        lines = skeleton.questions
        line = lines[int(random() * len(lines))]
        text = _fitted(_said(line, random, fill, traits), NLQ_CHARS)
        messages = [{"speaker": 0, "text": text}]
        sql = query(brief, random)
    elif kind == "email":
        messages = _mails(brief, skeleton, random, fill, traits)
        subject = _subject(skeleton, random, fill, traits)
    else:
        messages = _thread(brief, skeleton, random, fill, traits)
    return {"messages": messages, "subject": subject, "sql": sql, "skeleton": skeleton.name}


def _brief(item: str) -> Mapping[str, Any]:
    try:
        brief = json.loads(item)
    except ValueError:
        brief = None
    if not isinstance(brief, dict) or brief.get("kind") not in KINDS:
        raise ProviderError(
            "the offline provider was asked to write, but the item is no brief: a JSON object whose "
            f"'kind' is one of {', '.join(KINDS)}",
            hint="made talk is asked for by 'dnr gen-comms'",
        )
    return brief


@lru_cache(maxsize=256)
def pool(file: str, band: str | None, *, questions: bool) -> tuple[Skeleton, ...]:
    """The skeletons of a file that suit; where no skeleton has that band, those of all bands."""
    suited = tuple(s for s in skeletons.load(file) if s.is_question == questions)
    return tuple(s for s in suited if s.band == band) or suited


def skeleton_file(theme: str | None, relevance: str | None) -> str:
    """The file that has the skeletons of a theme, of near-misses, or of ordinary talk."""
    if relevance == "hard_negative":
        return skeletons.NEAR_MISSES
    if relevance == "negative" or theme is None:
        return skeletons.ORDINARY
    file = skeletons.THEME_FILES.get(theme)
    if file is None:
        known = ", ".join(skeletons.THEME_FILES)
        raise ProviderError(
            f"the offline provider has no words for theme {theme!r}; it has {known}"
        )
    return file


def _chosen(brief: Mapping[str, Any], random: Random) -> Skeleton:
    questions = brief["kind"] == "nlq"
    file = skeleton_file(brief.get("theme"), None if questions else brief.get("relevance"))
    options = pool(file, brief.get("band"), questions=questions)
    if not options:
        raise ProviderError(f"no skeleton in {file} suits a brief of kind {brief['kind']!r}")
    drawn = int(random() * len(options))
    # Turns, where the brief is numbered: then no skeleton has more than its share.
    variant = brief.get("variant")
    return options[variant % len(options) if isinstance(variant, int) else drawn]


def _expanded(line: Sequence, random: Random, fill: Filler) -> str:
    """One text of a line; options that were left out leave no blanks behind."""
    text = BLANKS.sub(" ", expand(line, random, fill)).strip()
    return BEFORE_MARK.sub(r"\1", text)


def _said(line: Sequence, random: Random, fill: Filler, traits: Mapping[str, Any]) -> str:
    return speak(_expanded(line, random, fill), traits, random)


def _fitted(text: str, limit: int) -> str:
    """The text, cut after a sentence (else a word) where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    for mark in (". ", "? ", "! ", "\n", " "):
        at = head.rfind(mark)
        if at > limit // 3:
            return head[: at + 1].rstrip()
    return head[:limit]


def _common(use: str, random: Random) -> Sequence:
    lines = skeletons.common()[use]
    return lines[int(random() * len(lines))]


def _longer(text: str, aim: int, random: Random, fill: Filler, limit: int, used: set[int]) -> str:
    """The text with one or two neutral sentences more, where it is shorter than `aim`.

    `used` are the sentences that this talk has had; none comes twice.
    """
    tails = skeletons.common()["tail"]
    for _ in range(2):
        if len(text) >= aim or len(used) == len(tails):
            break
        at = int(random() * len(tails))
        while at in used:
            at = (at + 1) % len(tails)
        used.add(at)
        tail = sentence_case(_expanded(tails[at], random, fill))
        if len(text) + len(tail) + 2 > limit:
            break
        text = f"{text}{'' if text[-1:] in '.?!:' else '.'} {tail}"
    return text


def _closing(
    closure: object, skeleton: Skeleton, relevance: object, random: Random
) -> Sequence | None:
    if closure == "resolved":
        # Nobody merges a fix for lunch.
        fixed = relevance != "negative" and random() < 0.5
        own, use = skeleton.resolved, "resolved_fix" if fixed else "resolved"
    elif closure == "open":
        own, use = skeleton.still_open, "open"
    else:
        return None
    if own and random() < 0.6:
        return own[int(random() * len(own))]
    return _common(use, random)


def _thread(
    brief: Mapping[str, Any],
    skeleton: Skeleton,
    random: Random,
    fill: Filler,
    traits: Mapping[str, Any],
) -> list[dict[str, Any]]:
    wanted = max(1, int(brief.get("messages") or len(skeleton.lines)))
    people = max(1, len(brief.get("speakers") or ()))
    closing = _closing(brief.get("closure"), skeleton, brief.get("relevance"), random)
    room = max(1, wanted - (closing is not None))
    lines = list(skeleton.lines[:room])
    used: set[str] = set()
    tails: set[int] = set()
    while len(lines) < room:
        at = 1 + int(random() * len(lines))
        before = lines[at - 1][0]
        use = "asks" if before == 0 else "answers"
        speaker = 1 + int(random() * max(1, people - 1)) if before == 0 else 0
        lines.insert(at, (speaker, _common(use, random)))
    if closing is not None and wanted > 1:
        lines.append((1 if lines[-1][0] != 1 else 0, closing))
    messages = []
    for speaker, line in lines:
        text = _expanded(line, random, fill)
        aim = 55 + int(random() * 125)
        text = _fitted(_longer(text, aim, random, fill, SLACK_CHARS - 12, tails), SLACK_CHARS - 12)
        text = speak(text, traits, random)
        if text in used:
            text = _fitted(
                _longer(text, len(text) + 1, random, fill, SLACK_CHARS, tails), SLACK_CHARS
            )
        used.add(text)
        messages.append({"speaker": speaker % people, "text": _fitted(text, SLACK_CHARS)})
    return messages


def _subject(skeleton: Skeleton, random: Random, fill: Filler, traits: Mapping[str, Any]) -> str:
    line = skeleton.subject or _common("subject", random)
    formal = {"formal": traits.get("formal", 0), "lowercase": traits.get("lowercase", 0)}
    return _fitted(_said(line, random, fill, formal), 80).rstrip(".")


def _mails(
    brief: Mapping[str, Any],
    skeleton: Skeleton,
    random: Random,
    fill: Filler,
    traits: Mapping[str, Any],
) -> list[dict[str, Any]]:
    wanted = max(1, int(brief.get("messages") or 1))
    people = max(1, len(brief.get("speakers") or ()))
    closing = _closing(brief.get("closure"), skeleton, brief.get("relevance"), random)
    asked = [line for speaker, line in skeleton.lines if speaker == 0]
    answered = [line for speaker, line in skeleton.lines if speaker != 0] or asked
    messages = []
    tails: set[int] = set()
    for index in range(wanted):
        own = asked[:3] if index == 0 else answered[(index - 1) % len(answered) :][:1]
        text = " ".join(
            _ended(sentence_case(ANSWERING.sub("", sentence_case(_expanded(line, random, fill)))))
            for line in own
        )
        text = _longer(text, 220 + int(random() * 160), random, fill, EMAIL_CHARS - 120, tails)
        if closing is not None and index == wanted - 1:
            lead = ("Update: ", "P.S. ", "One more line: ")[int(random() * 3)]
            text = f"{_fitted(text, EMAIL_CHARS - 280)}\n\n{lead}{_expanded(closing, random, fill)}"
        greeting = sentence_case(fill(Slot("greeting", "")))
        signoff = fill(Slot("signoff", ""))
        body = _fitted(speak(text, traits, random), EMAIL_CHARS - 60)
        messages.append({"speaker": index % people, "text": f"{greeting},\n\n{body}\n\n{signoff}"})
    return messages


def _ended(text: str) -> str:
    return text if text[-1:] in ".?!" else f"{text}."

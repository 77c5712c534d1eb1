"""Room: testing. Rules for comms styles: STY001 and on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dnr_core.comms.redact import redact
from dnr_core.testing.rule import Problem, rule
from dnr_core.testing.trials import StyleTrial

SLOTS: Final = ("greeting", "thanks")
"""What every style words in its own way; the provider has words for all others."""

LONGEST: Final = 80
_SLOT: Final = re.compile(r"[a-z][a-z0-9_]*")


@rule(
    "STY001",
    "style",
    "must",
    "Traits are shares",
    why="A trait is the share of messages that show a habit; what is no share from 0 to 1 cannot be drawn.",
    mend="give each trait a number from 0 to 1",
)
def traits_are_shares(trial: StyleTrial) -> Iterator[Problem]:
    """Each trait is a number from 0 to 1 under a plain name."""
    for name, share in trial.subject.traits.items():
        where = f"trait {name}"
        if isinstance(share, bool) or not isinstance(share, int | float):
            yield Problem(where, f"it is {share!r}, no number")
        elif not 0 <= share <= 1:
            yield Problem(where, f"it is {share:g}, which is no share")
        if not _SLOT.fullmatch(name):
            yield Problem(where, "its name is not lower case letters, digits and _")


@rule(
    "STY002",
    "style",
    "must",
    "Wordings are plain, short texts",
    why="They are put into sentences as they are: an empty one, a line break or a placeholder shows in the message.",
    mend=f"give each slot a tuple of texts of 1 to {LONGEST} characters, on one line, without braces",
)
def wordings_are_texts(trial: StyleTrial) -> Iterator[Problem]:
    """Every wording of every slot."""
    for slot, wordings in trial.subject.vocabulary.items():
        where = f"slot {slot}"
        if not _SLOT.fullmatch(slot):
            yield Problem(where, "its name is not lower case letters, digits and _")
        if isinstance(wordings, str) or not wordings:
            yield Problem(where, f"it is {wordings!r}, no tuple of texts")
            continue
        for text in wordings:
            if not isinstance(text, str) or not text.strip():
                yield Problem(where, f"{text!r} is no text")
            elif len(text) > LONGEST or not text.isprintable() or set(text) & set("{}"):
                yield Problem(where, f"{text[:LONGEST]!r} is too long, or has a control or a brace")


@rule(
    "STY003",
    "style",
    "must",
    "It names no person and no address",
    why="Made talk must hold nothing that could be somebody's: what looks private is a leak or a false alarm.",
    mend="take out addresses, numbers, links and mentions",
    after="STY002",
)
def nothing_is_private(trial: StyleTrial) -> Iterator[Problem]:
    """What the importers of real talk would take out is in no wording and no instruction."""
    told = {f"slot {slot}": texts for slot, texts in trial.subject.vocabulary.items()}
    for where, texts in {**told, "instructions": (trial.subject.instructions,)}.items():
        for text in texts:
            if redact(text) != text or "@" in text or "://" in text:
                yield Problem(where, f"{text[:LONGEST]!r} looks private")


@rule(
    "STY004",
    "style",
    "should",
    "It has a voice of its own",
    why="People greet and thank in every second message: without wordings of its own a style sounds like all others.",
    mend=f"fill the slots {' and '.join(SLOTS)} with at least three wordings each",
    after="STY002",
)
def has_a_voice(trial: StyleTrial) -> Iterator[Problem]:
    """The slots that are used most."""
    for slot in SLOTS:
        if len(set(trial.subject.vocabulary.get(slot, ()))) < 3:
            yield Problem(f"slot {slot}", "it has less than three wordings")


@rule(
    "STY005",
    "style",
    "should",
    "A real model is told how to write",
    why="Slots and traits are for the offline writer; a real model reads the instructions.",
    mend="say in `instructions`, in one to five sentences, how these people write",
)
def model_is_told(trial: StyleTrial) -> Iterator[Problem]:
    """Instructions of a few sentences."""
    if len(trial.subject.instructions.split()) < 5:
        yield Problem("instructions", "they are missing, or too short to say how people write")
    elif len(trial.subject.instructions) > 2_000:
        yield Problem("instructions", "they are longer than 2,000 characters, in every request")

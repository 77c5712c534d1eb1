"""Room: write. How a style says a line: case, punctuation, slang, slips of the finger."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

SLANG: Final = {
    "please": "pls", "you": "u", "your": "ur", "because": "bc", "tomorrow": "tmrw",
    "thanks": "thx", "about": "abt", "though": "tho", "probably": "prob", "really": "rly",
    "without": "w/o", "people": "ppl", "something": "smth", "before": "b4", "okay": "k",
    "going to": "gonna", "want to": "wanna", "i don't know": "idk", "by the way": "btw",
    "to be honest": "tbh", "as far as i know": "afaik", "right now": "rn", "message": "msg",
}  # fmt: skip
FORMAL: Final = {
    "can't": "cannot", "don't": "do not", "doesn't": "does not", "isn't": "is not",
    "aren't": "are not", "won't": "will not", "didn't": "did not", "wasn't": "was not",
    "haven't": "have not", "hasn't": "has not", "couldn't": "could not", "shouldn't": "should not",
    "wouldn't": "would not", "it's": "it is", "that's": "that is", "i'm": "I am", "i've": "I have",
    "i'd": "I would", "i'll": "I will", "we're": "we are", "we've": "we have", "we'll": "we will",
    "they're": "they are", "there's": "there is", "what's": "what is", "hey": "Hello",
    "folks": "colleagues", "guys": "colleagues", "ok": "agreed", "yep": "yes", "nope": "no",
    "btw": "incidentally", "asap": "as soon as possible", "fyi": "for your information",
    "kinda": "rather", "cheers": "kind regards",
}  # fmt: skip
EMOJI: Final = (":eyes:", ":thinking_face:", ":+1:", ":pray:", ":sweat_smile:", ":cry:", ":fire:")
TYPO_WORD: Final = re.compile(r"(?<![\w@#])[a-z]{5,}(?![\w_])")


def _replacer(words: Mapping[str, str]) -> Callable[[str], str]:
    pattern = re.compile(
        r"(?<![\w'])("
        + "|".join(sorted(map(re.escape, words), key=len, reverse=True))
        + r")(?![\w'])",
        re.IGNORECASE,
    )

    def replace(match: re.Match[str]) -> str:
        found = match.group()
        new = words[found.lower()]
        return new[0].upper() + new[1:] if found[0].isupper() else new

    return lambda text: pattern.sub(replace, text)


_slang = _replacer(SLANG)
_formal = _replacer(FORMAL)


def typo(text: str, random: Callable[[], float]) -> str:
    """One slip in one word of five letters or more: two letters swapped, one lost or doubled."""
    words = list(TYPO_WORD.finditer(text))
    if not words:
        return text
    word = words[int(random() * len(words))]
    at = word.start() + 1 + int(random() * (len(word.group()) - 2))
    slip = int(random() * 3)
    if slip == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if slip == 1:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at] + text[at:]


def sentence_case(text: str) -> str:
    """Capital first letter, unless the first word is a technical name."""
    first = text.split(" ", 1)[0]
    return text if "_" in first or not text else text[0].upper() + text[1:]


def speak(text: str, traits: Mapping[str, Any], random: Callable[[], float]) -> str:
    """The line as the style says it. Each trait is the share of lines that show it.

    Known traits: `formal`, `slang`, `lowercase`, `no_punctuation`, `typo`, `emoji`; a trait of
    another name is for other providers.
    """
    text = sentence_case(text)
    if random() < float(traits.get("formal", 0)):
        text = sentence_case(_formal(text))
    if random() < float(traits.get("slang", 0)):
        text = _slang(text)
    if random() < float(traits.get("lowercase", 0)):
        text = text.lower()
    if random() < float(traits.get("no_punctuation", 0)):
        # Commas go, and the last stop; without the others, sentences would run together.
        text = re.sub(r"[,;](?=\s)|[.!]+$", "", text)
    if random() < max(float(traits.get("typo", 0)), float(traits.get("typos", 0))):
        text = typo(text, random)
    if random() < float(traits.get("emoji", 0)):
        text = f"{text} {EMOJI[int(random() * len(EMOJI))]}"
    return text

"""Room: classify. What a text is made of: words, parts of words, pairs of words, and concepts.

Every feature is a number (a CRC, or one of a pair), so that no vocabulary has to be shipped. A
word has the same features wherever it stands, which lets its weights be summed once and kept.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final
from zlib import crc32

from attrs import frozen

TEXT_CHARS: Final = 6_000
"""Only the beginning of a text is read: a packed thread has at most 900 tokens."""
WORD: Final = re.compile(r"[^\W\d_]+|[?%$]")
SIGNS: Final = "?%$"
PLAIN: Final = bytes(
    ord(chr(code).lower()) if chr(code).isalpha() or chr(code) in SIGNS else ord(" ")
    for code in range(128)
) + bytes(128)
"""ASCII in lower case, and blanks for what is neither letter nor sign."""
EDGE: Final = "\n"
"""Stands before the first word and after the last one: it has pairs, and is no word itself."""
SPACE: Final = 1 << 24
"""Features other than pairs are below this, pairs from here on."""
PAIR_BITS: Final = 22
PAIR_FACTORS: Final = (0x9E3779B1, 0x85EBCA6B)
STEM_CHARS: Final = 6
GRAM_CHARS: Final = 4
OUTLOOK: Final = ("data", "bad", "done", "social", "ask")
"""Concepts whose absence says something, too."""
LONG_WORD_CHARS: Final = 24
LEAST_PARTS: Final = 8


@frozen
class Lexicon:
    """Concepts by word, by beginning of a word, and by pair of words."""

    words: dict[str, tuple[str, ...]]
    prefixes: dict[str, tuple[str, ...]]
    pairs: dict[tuple[str, str], tuple[str, ...]]


@cache
def lexicon() -> Lexicon:
    """The packaged lexicon: lines `concept: word beginning* two_words ...` in five languages."""
    words: dict[str, tuple[str, ...]] = {}
    prefixes: dict[str, tuple[str, ...]] = {}
    pairs: dict[tuple[str, str], tuple[str, ...]] = {}
    text = files(__package__).joinpath("lexicon.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        concept, colon, entries = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        for entry in entries.split():
            first, joined, second = entry.partition("_")
            if joined:
                pairs[first, second] = (*pairs.get((first, second), ()), concept.strip())
            else:
                table = prefixes if entry.endswith("*") else words
                key = entry.rstrip("*")
                table[key] = (*table.get(key, ()), concept.strip())
    return Lexicon(words, prefixes, pairs)


def number(feature: str) -> int:
    """The number of a feature that is no pair; the same on every machine."""
    return crc32(feature.encode("utf-8", "surrogatepass")) % SPACE


def words(text: str) -> list[str]:
    """Words (letters only) and a few signs, in lower case, in order."""
    text = text[:TEXT_CHARS]
    if not text.isascii():
        return WORD.findall(text.lower())
    # The same as the pattern for ASCII, many times as fast: one pass over bytes.
    text = text.encode("ascii").translate(PLAIN).decode("ascii")
    for sign in SIGNS:
        if sign in text:
            text = text.replace(sign, f" {sign} ")
    return text.split()


def of_word(word: str) -> list[int]:
    """Features of one word: itself, its beginning, its four-letter parts, its concepts."""
    if word == EDGE:
        return []
    word = word[:LONG_WORD_CHARS]
    named = [f"w:{word}"]
    if len(word) > STEM_CHARS - 1:
        named.append(f"p:{word[: STEM_CHARS - 1]}")
    if len(word) >= GRAM_CHARS:
        padded = f"<{word}>"
        named += sorted(
            {f"g:{padded[i : i + GRAM_CHARS]}" for i in range(len(padded) - GRAM_CHARS + 1)}
        )
    named += [f"c:{concept}" for concept in sorted(concepts_of(word))]
    return [number(name) for name in named]


def concepts_of(word: str) -> set[str]:
    """Concepts that a word hints at."""
    known = lexicon()
    found = set(known.words.get(word, ()))
    for end in range(3, len(word) + 1):
        found.update(known.prefixes.get(word[:end], ()))
    return found


@cache
def concept_bits() -> dict[str, int]:
    """Each concept's bit, in the order of the lexicon's names."""
    known = lexicon()
    names = {
        concept
        for table in (known.words, known.prefixes, known.pairs)
        for concepts in table.values()
        for concept in concepts
    }
    return {name: 1 << place for place, name in enumerate(sorted(names))}


def bits(concepts: Iterable[str]) -> int:
    """The concepts as one number."""
    known = concept_bits()
    total = 0
    for concept in concepts:
        total |= known[concept]
    return total


def of_concepts(mask: int) -> list[int]:
    """Features of the concepts that a text has together: what a sum over words cannot say."""
    there = [name for name, bit in concept_bits().items() if mask & bit]
    missing = [name for name in OUTLOOK if name not in there]
    named = [f"x:{a}" for a in there]
    named += [f"x:{a}+{b}" for at, a in enumerate(there) for b in there[at + 1 :]]
    named += [f"x:{a}-{b}" for a in there for b in missing]
    named += [f"x:-{b}" for b in missing]
    return [number(name) for name in named]


def stem_number(word: str) -> int:
    """32 bits of the beginning of a word, which its forms share."""
    return crc32(word[:STEM_CHARS].encode("utf-8", "surrogatepass"))


def pair_parts(word: str) -> tuple[int, int]:
    """What a word adds to the number of a pair where it is the first, and where the second."""
    stem = stem_number(word)
    return stem * PAIR_FACTORS[0] & 0xFFFFFFFF, stem * PAIR_FACTORS[1] & 0xFFFFFFFF


def of_pair(first: str, second: str) -> int:
    """The feature of two words that follow one another: multiplied and mixed, in 32 bits."""
    mixed = pair_parts(first)[0] + pair_parts(second)[1]
    return SPACE + ((mixed & 0xFFFFFFFF) >> (32 - PAIR_BITS))


def concepts_of_pair(first: str, second: str) -> tuple[str, ...]:
    """Concepts that two words hint at together."""
    return lexicon().pairs.get((first, second), ())


def counted(text: str) -> tuple[Counter[int], int]:
    """All features of a text with their counts, and how many parts it has.

    A word counts once, a pair as often as it stands there. The classifier adds up the same
    without counting; this is what weights are fitted on.
    """
    found = words(text)
    singles = set(found)
    counts: Counter[int] = Counter()
    concepts: set[str] = set()
    for word in singles:
        counts.update(of_word(word))
        concepts |= concepts_of(word)
    for first, second in pairwise([EDGE, *found, EDGE]):
        counts[of_pair(first, second)] += 1
        concepts.update(concepts_of_pair(first, second))
    counts.update(of_concepts(bits(concepts)))
    return counts, len(singles) + len(found) + 1


def scale(part_count: int) -> float:
    """What a sum over so many words and pairs is divided by, so that length says little."""
    return math.sqrt(max(LEAST_PARTS, part_count))

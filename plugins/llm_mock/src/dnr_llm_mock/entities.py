"""Room: entities. Which tables and columns of the dictionary a text is about.

The dictionary is the last line of the instructions, `DICTIONARY: {json}`. Names are looked for as
whole words, technical or everyday, singular or plural, with one slip of the finger allowed in
words of five letters or more; what is not in the schema's enums is never answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from dnr_llm_mock.features import TEXT_CHARS

MARK: Final = "DICTIONARY:"
TOKEN: Final = re.compile(r"[^\W_]+(?:'s\b)?|_")
SLIP_CHARS: Final = 5
CONFIDENCE: Final = {"exact": 0.97, "alias": 0.9, "slip": 0.72, "implied": 0.6}
NOTHING: Final = 0.5
PREFIXES: Final = ("fact", "dim", "snapshot", "stg", "tbl")


@frozen
class Name:
    """One way to say a table or a column: its words, what it means, how sure that is."""

    words: tuple[str, ...]
    target: str
    is_table: bool
    how: str


@frozen(eq=False)
class Dictionary:
    """Names by their first word, and the words that have a slip in them by what they lack."""

    by_first: Mapping[str, tuple[Name, ...]]
    vocabulary: frozenset[str]
    lacking: Mapping[str, tuple[str, ...]]


def singular(word: str) -> str:
    """The word without the ending of a plural or a possessive."""
    if word.endswith("'s"):
        word = word[:-2]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def tokens(text: str) -> list[str]:
    """Words of a text, singular, lower case; underscores and digits part words."""
    return [singular(word) for word in TOKEN.findall(text[:TEXT_CHARS].lower()) if word != "_"]


def _deletions(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(len(word))}


def one_slip(first: str, second: str) -> bool:
    """True where one letter was lost, added or changed, or two neighbours were swapped."""
    if first == second or abs(len(first) - len(second)) > 1:
        return False
    if len(first) > len(second):
        first, second = second, first
    at = next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), len(first)
    )
    if len(first) < len(second):
        return first[at:] == second[at + 1 :]
    swapped = first[at + 1 : at + 2] + first[at : at + 1]
    return first[at + 1 :] == second[at + 1 :] or (
        swapped == second[at : at + 2] and first[at + 2 :] == second[at + 2 :]
    )


def _said(technical: str, aliases: Iterable[object], target: str, *, is_table: bool) -> list[Name]:
    whole = tuple(tokens(technical))
    names = [Name(whole, target, is_table, "exact")] if whole else []
    bare = whole[1:] if is_table and whole and whole[0] in PREFIXES else ()
    spoken = [tuple(tokens(str(alias))) for alias in aliases]
    names += [
        Name(words, target, is_table, "alias")
        for words in [*spoken, bare]
        if words and words != whole
    ]
    return names


@lru_cache(maxsize=32)
def dictionary(line: str) -> Dictionary:
    """Read the dictionary's line; one that cannot be read is an empty dictionary."""
    try:
        tables = json.loads(line)
    except ValueError:
        tables = {}
    names: list[Name] = []
    for table, entry in tables.items() if isinstance(tables, dict) else ():
        if not isinstance(entry, dict):
            continue
        names += _said(table, entry.get("aliases") or (), table, is_table=True)
        columns = entry.get("columns") or {}
        for column, aliases in columns.items() if isinstance(columns, dict) else ():
            names += _said(column, aliases or (), f"{table}.{column}", is_table=False)
    by_first: dict[str, list[Name]] = {}
    for name in sorted(set(names), key=lambda n: (-len(n.words), n.how != "exact", n.target)):
        by_first.setdefault(name.words[0], []).append(name)
    vocabulary = frozenset(word for name in names for word in name.words)
    lacking: dict[str, list[str]] = {}
    for word in sorted(vocabulary):
        if len(word) >= SLIP_CHARS:
            for short in (word, *_deletions(word)):
                lacking.setdefault(short, []).append(word)
    return Dictionary(
        {word: tuple(found) for word, found in by_first.items()},
        vocabulary,
        {short: tuple(found) for short, found in lacking.items()},
    )


def _mended(word: str, known: Dictionary, common: frozenset[str]) -> str:
    """The word of the dictionary that this one is a slip of, else the word itself."""
    if word in known.vocabulary or len(word) < SLIP_CHARS or word in common:
        return word
    for short in (word, *sorted(_deletions(word))):
        for candidate in known.lacking.get(short, ()):
            if one_slip(word, candidate):
                return candidate
    return word


COMMON: Final = frozenset(
    [
        "their",
        "there",
        "these",
        "where",
        "which",
        "while",
        "would",
        "could",
        "should",
        "border",
        "ordered",
        "country",
        "county",
        "counting",
        "pairs",
        "later",
        "prize",
        "plane",
        "planes",
        "plant",
        "plans",
        "played",
        "place",
        "listen",
        "listed",
        "listens",
        "charge",
        "change",
        "changes",
        "account",
        "accounts",
    ]
)
"""Words of plain English that are one slip away from names that dictionaries like to have."""


def _found(words: list[str], known: Dictionary) -> list[tuple[Name, bool]]:
    """Names in the text, longest first at each place, with whether a word was mended."""
    mended = [_mended(word, known, COMMON) for word in words]
    hits: list[tuple[Name, bool]] = []
    at = 0
    while at < len(mended):
        longest = 0
        for name in known.by_first.get(mended[at], ()):
            length = len(name.words)
            if length < longest:
                break
            if tuple(mended[at : at + length]) == name.words:
                hits.append((name, mended[at : at + length] != words[at : at + length]))
                longest = length
        at += longest or 1
    return hits


def entities(instructions: str, item: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The answer: `tables`, `columns` ("table.column"), `confidence` in [0, 1]."""
    _, mark, line = instructions.rpartition(MARK)
    known = dictionary(line.strip() if mark else "{}")
    hits = _found(tokens(item), known)
    tables: dict[str, float] = {}
    columns: dict[str, list[tuple[str, float]]] = {}
    for name, slip in hits:
        sure = CONFIDENCE["slip" if slip else name.how]
        if name.is_table:
            tables[name.target] = max(sure, tables.get(name.target, 0.0))
        else:
            options = columns.setdefault(" ".join(name.words), [])
            options.append((name.target, sure))
    chosen: dict[str, float] = {}
    for options in columns.values():
        # A column name that many tables have means the one of a table that is named, if any is.
        of_named = [(t, sure) for t, sure in options if t.partition(".")[0] in tables]
        if not of_named and len({target for target, _ in options}) > 1:
            continue
        for target, sure in of_named or options:
            chosen[target] = max(sure, chosen.get(target, 0.0))
            tables.setdefault(target.partition(".")[0], CONFIDENCE["implied"])
    # Surest first, then in order of mention: who asks for one table takes the first.
    surest = sorted(tables, key=lambda table: -tables[table])
    answer_tables = _allowed(surest, schema, "tables")
    answer_columns = _allowed(sorted(chosen), schema, "columns")
    parts = [tables[t] for t in answer_tables] + [chosen[c] for c in answer_columns]
    confidence = round(sum(parts) / len(parts), 4) if parts else NOTHING
    return {"tables": answer_tables, "columns": answer_columns, "confidence": confidence}


def _allowed(values: list[str], schema: Mapping[str, Any], key: str) -> list[str]:
    items = schema.get("properties", {}).get(key, {}).get("items", {})
    options = items.get("enum")
    return values if options is None else [value for value in values if value in options]

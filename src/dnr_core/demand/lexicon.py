"""Room: demand. The words of the prefilter and what each is worth: the rule's whole vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from attrs import field, frozen

from dnr_core.config.settings import PrefilterSettings
from dnr_core.errors import ConfigError
from dnr_core.model import Schema

Group = Literal["table", "data", "near_miss", "sql", "alias", "figure", "context"]

WEIGHTS: Final[Mapping[str, int]] = {
    "table_root": 35,
    "table_reply": 18,
    "data_root": 40,
    "data_reply": 20,
    "alias_root": 20,
    "alias_reply": 10,
    "context_root": 15,
    "context_reply": 8,
    "figure_root": 15,
    "figure_reply": 8,
    "near_miss_root": -25,
    "near_miss_reply": -5,
    "near_miss_least": -50,
    "sql": 15,
    "code": 10,
    "link": 5,
    "incident": 10,
    "incident_table": 25,
    "role_exec": 10,
    "role_data_eng": 5,
    "role_analytics_eng": 5,
    "role_bi": 5,
    "role_product_analytics": 5,
    "role_finance": 5,
    "role_bot": -100,
}
"""Hundredths of a point.

A word counts once an item: `_root` where the first message has it, `_reply` where only later ones
do; all figures (money, percents, large numbers) are one word; `near_miss_least` bounds what near
misses take away. Roles are the first writer's. `incident` is for an item within reach of a
detected incident, `incident_table` in its place where the item also names the incident's table.
"""

FIGURE: Final = "#"
"""The one term that stands for every figure."""

_FIGURES: Final = r"[$€£]\d[\d.,]*|\d[\d.,]*\s?(?:%|percent\b)|\b\d{1,3}(?:,\d{3})+\b|\b\d{5,}\b"

_IDENTIFIERS: Final = r"\b(?:_\w+|[a-z]\w*_\w*)\b"
_IS_IDENTIFIER: Final = re.compile(r"_\w+|[a-z]\w*_\w*", re.ASCII)

_BLANKS: Final = re.compile(r"\s+")


@frozen
class Term:
    """One word or phrase, in lower case; `tables` are those it names."""

    text: str
    group: Group
    tables: tuple[str, ...] = ()


@frozen
class Lexicon:
    """All terms, each in one group, and the weights of the rule in hundredths."""

    terms: tuple[Term, ...]
    weights: Mapping[str, int] = field(factory=dict)

    @property
    def pattern(self) -> str:
        """One alternation that finds every term as a whole word, in RE2 and in Python.

        Longer terms stand first, because the first that matches at a place wins. Names with an
        underscore are found by their form and looked up afterwards, so that a warehouse of ten
        thousand columns makes the pattern no longer.
        """
        words = [
            term.text
            for term in self.terms
            if term.group != "figure" and not _IS_IDENTIFIER.fullmatch(term.text)
        ]
        ordered = sorted(words, key=lambda text: (-len(text), text))
        return "|".join([_IDENTIFIERS, *(_alternative(text) for text in ordered), _FIGURES])


def _alternative(text: str) -> str:
    inner = r"\s+".join(re.escape(word) for word in text.split(" "))
    left = r"\b" if _is_word(text[0]) else ""
    right = r"\b" if _is_word(text[-1]) else ""
    return f"{left}{inner}{right}"


def _is_word(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())


def normal(text: str) -> str:
    """Return a term as it is kept: lower case, single blanks."""
    return _BLANKS.sub(" ", text).strip().lower()


@cache
def packaged_terms() -> Mapping[str, tuple[str, ...]]:
    """The packaged word lists by group."""
    groups: dict[str, list[str]] = {}
    current = ""
    text = files("dnr_core.demand").joinpath("lexicon.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if word.startswith("[") and word.endswith("]"):
            current = word[1:-1]
            continue
        groups.setdefault(current, []).append(normal(word))
    return {group: tuple(words) for group, words in groups.items()}


def build_lexicon(settings: PrefilterSettings, schema: Schema) -> Lexicon:
    """Join the settings' words (or the packaged ones), the schema's names and the weights.

    Raises:
        ConfigError: a weight that the rule does not have.
    """
    unknown = sorted(set(settings.weights) - set(WEIGHTS))
    if unknown:
        raise ConfigError(
            f"classification.prefilter.weights has no {unknown[0]!r}",
            hint=f"known weights: {', '.join(sorted(WEIGHTS))}",
        )
    packaged = packaged_terms()
    chosen: dict[str, Term] = {}

    def take(words: Iterable[str], group: Group) -> None:
        for word in words:
            text = normal(word)
            if text:
                chosen.setdefault(text, Term(text, group))

    # The first group that claims a word keeps it: an exact name says more than a plain word.
    names = _schema_names(schema)
    chosen.update({term.text: term for term in names if term.group == "table"})
    take(settings.data_terms or packaged["data"], "data")
    take(settings.near_miss_terms or packaged["near_miss"], "near_miss")
    take(packaged["sql"], "sql")
    for term in names:
        if term.group == "alias":
            chosen.setdefault(term.text, term)
    take(settings.context_terms or packaged["context"], "context")
    chosen[FIGURE] = Term(FIGURE, "figure")
    terms = tuple(chosen[text] for text in sorted(chosen))
    return Lexicon(terms, {**WEIGHTS, **settings.weights})


def _schema_names(schema: Schema) -> list[Term]:
    """Exact names of tables and columns (group "table"), everyday names (group "alias")."""
    owners: dict[tuple[str, Group], list[str]] = {}

    def add(text: str, group: Group, table: str) -> None:
        if len(normal(text)) > 2:
            held = owners.setdefault((normal(text), group), [])
            if table not in held:
                held.append(table)

    for table in schema.tables:
        add(table.name, "table" if _is_technical(table.name) else "alias", table.name)
        for alias in (table.title, *table.aliases):
            add(alias, "alias", table.name)
        for column in table.columns:
            if _is_technical(column.name):
                add(column.name, "table", table.name)
            for alias in column.aliases:
                add(alias, "alias", table.name)
    return [Term(text, group, tuple(tables)) for (text, group), tables in owners.items()]


def _is_technical(name: str) -> bool:
    """True for names that nobody writes by chance: with an underscore or a digit."""
    return "_" in name or any(character.isdigit() for character in name)

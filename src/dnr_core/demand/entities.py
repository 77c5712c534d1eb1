"""Room: demand. Which tables and columns an item is about, only from the archetype's dictionary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from dnr_core.demand.classify import prompt
from dnr_core.demand.text import plain_line
from dnr_core.llm import Outcome
from dnr_core.model import Request, Schema

RULE_CONFIDENCE: Final = 1.0
"""An exact name is what it says."""

MOST_TABLES: Final = 10
MOST_ENUM: Final = 400
"""Columns offered to a provider; strict schemas bound the number of choices."""

_ANSWER_TABLES: Final = 1
"""Of a provider's answer the surest table is taken: a need lies on one table, and the further ones
are where it was looked for."""
_FENCE: Final = "```"
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_WORD: Final = re.compile(r"[^\W\d]\w*")


@frozen
class Mention:
    """A table (and a column of it, or "") that an item is about, with the messages that say so."""

    table: str
    column: str
    confidence: float
    found_by: str
    message_ids: tuple[str, ...] = ()


@frozen
class Dictionary:
    """Names of a schema for look-up, all in lower case; values are names as the schema has them."""

    tables: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]
    """By lower-case table, its columns."""
    owners: Mapping[str, tuple[tuple[str, str], ...]] = field(factory=dict)
    """By column that nobody writes by chance (an underscore or a digit in it), who has it."""
    phrases: Mapping[str, str] = field(factory=dict)
    """Table names that are no identifiers ("order lines")."""

    def says_nothing(self, lowered: str) -> bool:
        """Return True where no word of the text is a name of a table, or of a column with owners."""
        words = set(_WORD.findall(lowered))
        return words.isdisjoint(self.tables) and words.isdisjoint(self.owners)

    @classmethod
    def of(cls, schema: Schema) -> Dictionary:
        """Index a schema."""
        owners: dict[str, list[tuple[str, str]]] = {}
        for table in schema.tables:
            for column in table.columns:
                if "_" in column.name or any(c.isdigit() for c in column.name):
                    owners.setdefault(column.name.lower(), []).append((table.name, column.name))
        return cls(
            {t.name.lower(): t.name for t in schema.tables},
            {t.name.lower(): {c.lower(): c for c in t.column_names} for t in schema.tables},
            {name: tuple(pairs) for name, pairs in owners.items()},
            {
                plain_line(t.name).lower(): t.name
                for t in schema.tables
                if not _IDENTIFIER.fullmatch(t.name)
            },
        )


def by_rule(texts: Iterable[tuple[str, str]], dictionary: Dictionary) -> tuple[Mention, ...]:
    """Find exact names in an item's messages, `(message_id, text)`, at no cost.

    A column alone counts where only one table has it, or only one of those that the item names.
    Of a block of code only the first table counts: the rest is how a query goes about it.
    """
    tables: dict[str, list[str]] = {}
    columns: dict[tuple[str, str], list[str]] = {}
    loose: dict[str, list[str]] = {}
    for message_id, text in texts:
        words, *blocks = text.split(_FENCE)
        lowered = " ".join([words, *blocks[1::2]]).lower()
        # Most messages name nothing, which one pass over their words tells.
        if not blocks and not dictionary.phrases and dictionary.says_nothing(lowered):
            continue
        for code in blocks[::2]:
            for mention in read_first(code, message_id, dictionary):
                _add(tables, mention.table, message_id)
        for match in _IDENTIFIER.finditer(lowered):
            _read(match.group().split("."), message_id, dictionary, tables, columns, loose)
        for phrase, table in dictionary.phrases.items():
            if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", lowered):
                _add(tables, table, message_id)
    for name, ids in loose.items():
        owners = dictionary.owners[name]
        fitting = [o for o in owners if o[0] in tables] if len(owners) > 1 else list(owners)
        if len(fitting) == 1:
            for message_id in ids:
                _add(columns, fitting[0], message_id)
    for (table, _), ids in columns.items():
        for message_id in ids:
            _add(tables, table, message_id)
    most = sorted(tables, key=lambda table: (-len(tables[table]), table))[:MOST_TABLES]
    found = [Mention(t, "", RULE_CONFIDENCE, "rule", tuple(tables[t])) for t in most]
    found += [
        Mention(table, column, RULE_CONFIDENCE, "rule", tuple(ids))
        for (table, column), ids in sorted(columns.items())
        if table in most
    ]
    return tuple(found)


def read_first(sql: str, query_id: str, dictionary: Dictionary) -> tuple[Mention, ...]:
    """Find the first table that the SQL of a question names: what the data tool took it to be about.

    Tables that are joined to it, and columns, are how the tool went about it.
    """
    for match in _IDENTIFIER.finditer(sql.lower()):
        for part in match.group().split("."):
            if part in dictionary.tables:
                table = dictionary.tables[part]
                return (Mention(table, "", RULE_CONFIDENCE, "rule", (query_id,)),)
    return ()


def _read(
    parts: Sequence[str],
    message_id: str,
    dictionary: Dictionary,
    tables: dict[str, list[str]],
    columns: dict[tuple[str, str], list[str]],
    loose: dict[str, list[str]],
) -> None:
    previous = ""
    for part in parts:
        if previous and part in dictionary.columns[previous]:
            table = dictionary.tables[previous]
            _add(columns, (table, dictionary.columns[previous][part]), message_id)
            previous = ""
        elif part in dictionary.tables:
            _add(tables, dictionary.tables[part], message_id)
            previous = part
        else:
            previous = ""
            if part in dictionary.owners:
                _add(loose, part, message_id)


def _add(found: dict[Any, list[str]], key: Any, message_id: str) -> None:
    ids = found.setdefault(key, [])
    if message_id not in ids:
        ids.append(message_id)


def entity_instructions(schema: Schema) -> tuple[str, Mapping[str, Any]]:
    """Return the prompt with the dictionary in its last line, and the schema of the answer."""
    offered = _offered_columns(schema)
    dictionary = {
        table.name: {
            "aliases": list(dict.fromkeys((table.title, *table.aliases))),
            "columns": {
                column.name: list(column.aliases)
                for column in table.columns
                if (table.name, column.name) in offered
            },
        }
        for table in schema.tables
    }
    columns = [f"{table}.{column}" for table, column in offered]
    answer = {
        "type": "object",
        "properties": {
            "tables": _choices(list(schema.names)),
            "columns": _choices(columns or [""]),
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["tables", "columns", "confidence"],
        "additionalProperties": False,
    }
    line = json.dumps(dictionary, ensure_ascii=False, separators=(",", ":"))
    return prompt("entities").rstrip("\n ") + " " + line, answer


def _choices(names: list[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": names}}


def _offered_columns(schema: Schema) -> dict[tuple[str, str], None]:
    """All columns, or keys and those with everyday names first where they are too many."""
    ranked = sorted(
        (
            (
                not (column.name in table.required_keys or column.aliases),
                place,
                table.name,
                column.name,
            )
            for place, table in enumerate(schema.tables)
            for column in table.columns
        ),
        key=lambda row: row[:2],
    )
    chosen = {(table, column) for _, _, table, column in ranked[:MOST_ENUM]}
    return {
        (table.name, column.name): None
        for table in schema.tables
        for column in table.columns
        if (table.name, column.name) in chosen
    }


def entity_requests(
    texts: Sequence[str], instructions: tuple[str, Mapping[str, Any]], max_tokens: int
) -> list[Request]:
    """Return one request a text; all share what `entity_instructions` returned."""
    words, answer = instructions
    return [Request("entities", words, text, answer, max_tokens) for text in texts]


def from_outcome(outcome: Outcome, message_ids: tuple[str, ...]) -> tuple[Mention, ...]:
    """Read a provider's answer; a column names its table too."""
    if outcome.value is None:
        return ()
    confidence = float(outcome.value["confidence"])
    columns = [tuple(str(name).split(".", 1)) for name in outcome.value["columns"] if name]
    tables = list(dict.fromkeys([*outcome.value["tables"], *(table for table, _ in columns)]))
    kept = tables[:_ANSWER_TABLES]
    found = [Mention(str(table), "", confidence, "provider", message_ids) for table in kept]
    found += [
        Mention(table, column, confidence, "provider", message_ids)
        for table, column in dict.fromkeys(columns)
        if table in kept
    ]
    return tuple(found)

"""Answers are read strictly, and nothing of them gets into an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dnr_core.errors import ConfigError
from dnr_core.llm import InvalidAnswer, Validator, parse_answer

RICH: dict[str, Any] = {
    "type": "object",
    "$defs": {"name": {"type": "string", "minLength": 1, "maxLength": 3}},
    "properties": {
        "names": {"type": "array", "items": {"$ref": "#/$defs/name"}, "maxItems": 2, "minItems": 1},
        "one": {"type": ["string", "null"], "description": "either"},
        "count": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
        "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "flag": {"type": "boolean"},
        "kind": {"const": "x"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string", "enum": ["a"]}]},
        "set": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        "code": {"enum": [1, "1", None]},
    },
    "required": ["names", "one"],
    "additionalProperties": False,
}

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12),
    st.floats(-1, 2, allow_nan=False),
    st.sampled_from(["", "a", "x", "1", "abcd", "é"]),
)
_VALUES = st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3))
_KEYS = st.sampled_from([*RICH["properties"], "extra"])


@given(st.dictionaries(_KEYS, _VALUES, max_size=9))
def test_it_accepts_what_another_validator_accepts(value: dict[str, Any]) -> None:
    """The compiled checker and jsonschema agree on every object of a schema with all constructs."""
    # JSON Schema counts 1.0 as an integer and 0 == false apart; ours has no 1.0, so leave it out.
    if any(isinstance(each, float) and each.is_integer() for each in _flat(value)):
        return
    expected = Draft202012Validator(RICH).is_valid(value)
    try:
        found = parse_answer(json.dumps(value), Validator(RICH)) == value
    except InvalidAnswer:
        found = False
    assert found == expected


def _flat(value: dict[str, Any]) -> list[Any]:
    return [x for v in value.values() for x in (v if isinstance(v, list) else [v])]


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "null",
        "[]",
        '"late"',
        "{",
        '{"theme": "late", "confidence": 0.5} {"theme": "late", "confidence": 0.5}',
        '{"theme": "late", "confidence": 0.5} thanks',
        "```json\n{}\n```",
        '{"theme": "late"}',
        '{"theme": "late", "confidence": NaN}',
        '{"theme": "late", "confidence": Infinity}',
        '{"theme": "late", "confidence": -Infinity}',
        '{"theme": "late", "confidence": 1e999}',
        '{"theme": "late", "confidence": true}',
        '{"theme": "late", "confidence": "0.5"}',
        '{"theme": "late", "confidence": ' + "9" * 5000 + "}",
        '{"theme": "late", "confidence": 0.5, "confidence": 0.5}',
        '{"theme": "late", "confidence": 0.5, "x": {"a": 1, "a": 2}}',
        '{"theme": ["late"], "confidence": 0.5}',
        '{"theme": "late\\ud800", "confidence": 0.5}',
        '{"theme": {"a": 1}, "confidence": 0.5}',
        "[" * 200_000,
        '{"theme": ' * 200_000,
        " " * 2_000_000,
    ],
    ids=lambda raw: raw[:40],
)
def test_what_is_no_strict_answer_is_refused(raw: str, schema: dict[str, Any]) -> None:
    """No mending, no recursion error, no text of the answer in the message."""
    with pytest.raises(InvalidAnswer) as caught:
        parse_answer(raw, Validator(schema))
    assert len(str(caught.value)) < 100
    assert caught.value.__cause__ is None


def test_a_complaint_names_the_place_and_not_the_content(schema: dict[str, Any]) -> None:
    """It says which key, in our own words."""
    raw = '{"theme": "hush", "confidence": 0.5}'
    with pytest.raises(InvalidAnswer, match="'theme' is none of the allowed values"):
        parse_answer(raw, Validator(schema))
    with pytest.raises(InvalidAnswer) as caught:
        parse_answer('{"hush": 1, "theme": "late", "confidence": 0.5}', Validator(schema))
    assert "hush" not in str(caught.value)


def test_lone_surrogates_in_free_text_are_refused() -> None:
    """They could be written to no file."""
    free = {"type": "object", "properties": {"text": {"type": "string"}}}
    assert parse_answer('{"text": "\\u00e9 \\ud83d\\ude00"}', Validator(free))
    with pytest.raises(InvalidAnswer):
        parse_answer('{"text": "\\ud83d"}', Validator(free))


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "object", "patternProperties": {}},
        {"type": "string", "pattern": "a"},
        {"type": "text"},
        {"minimum": 3},
        {"$ref": "#/$defs/none"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
    ],
    ids=str,
)
def test_a_schema_that_would_go_unchecked_is_refused(bad: dict[str, Any]) -> None:
    """A keyword that is not checked is an error of ours, not a hole."""
    with pytest.raises(ConfigError):
        Validator(bad)

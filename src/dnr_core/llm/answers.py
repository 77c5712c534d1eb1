"""Room: llm. An answer is read as strict JSON and held against its schema, cheaply."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dnr_core.errors import ConfigError

MOST_CHARACTERS: Final = 1_000_000
"""A longer answer is not read: no request of dnr asks for one."""

_Check = Callable[[Any], None]

_IGNORED: Final = frozenset({"title", "description", "default", "examples", "$schema", "$defs"})


class InvalidAnswer(ValueError):  # noqa: N818  it is an answer's state, caught at once
    """An answer that is no JSON, or does not fit. Its text holds nothing of the answer."""


class Validator:
    """A schema, compiled once; `check` costs a few microseconds.

    It knows the constructs that strict answers use: `type` (one or several), `properties`,
    `required`, `additionalProperties: false`, `items`, `enum`, `const`, `anyOf`, local `$ref`,
    bounds of numbers, lengths of strings and arrays, `uniqueItems`. Another keyword is refused when the
    schema is compiled, so that nothing goes unchecked.

    Raises:
        ConfigError: the schema uses a keyword that is not known.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._check = self._compile(schema, "the answer", ())

    def check(self, value: Any) -> None:
        """Do nothing, or raise `InvalidAnswer` saying where and why.

        Raises:
            InvalidAnswer: the value does not fit.
        """
        self._check(value)

    def _compile(self, schema: Mapping[str, Any], where: str, seen: tuple[str, ...]) -> _Check:
        if "$ref" in schema:
            return self._reference(schema, where, seen)
        rest = {key: value for key, value in schema.items() if key not in _IGNORED}
        checks: list[_Check] = []
        if "anyOf" in rest:
            checks.append(
                _any_of([self._compile(s, where, seen) for s in rest.pop("anyOf")], where)
            )
        if "enum" in rest:
            checks.append(_one_of(rest.pop("enum"), where))
        if "const" in rest:
            checks.append(_one_of([rest.pop("const")], where))
        types = rest.pop("type", None)
        names: Sequence[str] = [types] if isinstance(types, str) else list(types or ())
        if unknown := [name for name in names if name not in _PYTHON_TYPES]:
            raise ConfigError(f"a schema has the unknown type {unknown[0]!r}")
        by_type = {name: self._typed(name, rest, where, seen) for name in names}
        if unknown := sorted(rest.keys() - _KEYWORDS):
            raise ConfigError(f"a schema has the keyword {unknown[0]!r}, which dnr does not check")
        if by_type:
            checks.insert(0, _of_type(by_type, where))
        elif rest:
            raise ConfigError(f"a schema has {min(rest)!r} without a type")
        return _all_of(checks)

    def _reference(self, schema: Mapping[str, Any], where: str, seen: tuple[str, ...]) -> _Check:
        reference = schema["$ref"]
        name = str(reference).removeprefix("#/$defs/")
        definitions = self._root.get("$defs", {})
        if name not in definitions or name in seen:
            raise ConfigError(f"a schema has the reference {reference!r}, unknown or recursive")
        return self._compile(definitions[name], where, (*seen, name))

    def _typed(
        self, name: str, schema: Mapping[str, Any], where: str, seen: tuple[str, ...]
    ) -> _Check | None:
        if name == "object":
            return self._object(schema, where, seen)
        if name == "array":
            items = schema.get("items")
            each = None if items is None else self._compile(items, f"an item of {where}", seen)
            return _array(each, schema, where)
        if name == "string":
            return _string(schema.get("minLength", 0), schema.get("maxLength"), where)
        if name in {"number", "integer"}:
            return _number(schema, where)
        return None

    def _object(self, schema: Mapping[str, Any], where: str, seen: tuple[str, ...]) -> _Check:
        extra = schema.get("additionalProperties", True)
        if not isinstance(extra, bool):
            raise ConfigError("a schema has additionalProperties that is neither true nor false")
        properties = {
            key: self._compile(value, f"{key!r}", seen)
            for key, value in schema.get("properties", {}).items()
        }
        required = frozenset(schema.get("required", ()))

        def check(value: Any) -> None:
            for key, item in value.items():
                known = properties.get(key)
                if known is not None:
                    known(item)
                elif not extra:
                    raise InvalidAnswer(f"{where} has a key that is not allowed")
            if not required <= value.keys():
                raise InvalidAnswer(f"{where} lacks the key {min(required - value.keys())!r}")

        return check


_KEYWORDS: Final = frozenset(
    {"properties", "required", "additionalProperties", "items", "minItems", "maxItems"}
    | {"uniqueItems", "minLength", "maxLength", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum"}
)


def _all_of(checks: Sequence[_Check]) -> _Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> None:
        for each in checks:
            each(value)

    return check


def _any_of(choices: Sequence[_Check], where: str) -> _Check:
    def check(value: Any) -> None:
        for choice in choices:
            try:
                choice(value)
            except InvalidAnswer:
                continue
            return
        raise InvalidAnswer(f"{where} fits none of the allowed forms")

    return check


def _one_of(values: Sequence[Any], where: str) -> _Check:
    # 1 == True in Python, and not in JSON; the type is part of what is compared.
    allowed = {(type(value), value) for value in values}

    def check(value: Any) -> None:
        try:
            found = (type(value), value) in allowed
        except TypeError:
            found = False
        if not found:
            raise InvalidAnswer(f"{where} is none of the allowed values")

    return check


_PYTHON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (float, int),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def _of_type(by_type: Mapping[str, _Check | None], where: str) -> _Check:
    table = {kind: further for name, further in by_type.items() for kind in _PYTHON_TYPES[name]}
    expected = " or ".join(by_type)

    def check(value: Any) -> None:
        # The exact type: True is an int in Python, and no number in JSON.
        if type(value) not in table:
            raise InvalidAnswer(f"{where} is not of type {expected}")
        further = table[type(value)]
        if further is not None:
            further(value)

    return check


def _number(schema: Mapping[str, Any], where: str) -> _Check:
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")

    def check(value: Any) -> None:
        # NaN fails every comparison, and 1e999 is read as infinity: neither is a JSON number.
        if not least <= value <= most or value in (math.inf, -math.inf):
            raise InvalidAnswer(f"{where} is outside of its bounds")
        if (above is not None and value <= above) or (below is not None and value >= below):
            raise InvalidAnswer(f"{where} is outside of its bounds")

    return check


def _string(least: int, most: int | None, where: str) -> _Check:
    def check(value: Any) -> None:
        if len(value) < least or (most is not None and len(value) > most):
            raise InvalidAnswer(f"{where} is too short or too long")
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise InvalidAnswer(f"{where} is no valid text") from None

    return check


def _array(each: _Check | None, schema: Mapping[str, Any], where: str) -> _Check:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    unique = bool(schema.get("uniqueItems", False))

    def check(value: Any) -> None:
        if len(value) < least or (most is not None and len(value) > most):
            raise InvalidAnswer(f"{where} has too few or too many items")
        if each is not None:
            for item in value:
                each(item)
        if unique and len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
            raise InvalidAnswer(f"{where} has an item twice")

    return check


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidAnswer("an object has a key twice")
    return found


def _constant(_name: str) -> Any:
    raise InvalidAnswer("it has a number that JSON does not know")


_decode = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant).decode


def parse_answer(raw: str, validator: Validator) -> Mapping[str, Any]:
    """Read one answer.

    Nothing is mended: no code fence is peeled off, no comment dropped, no number made of a string.

    Args:
        raw: the text of the answer.
        validator: its schema.

    Raises:
        InvalidAnswer: it is no JSON object, has a key twice, NaN or infinity, is too deep or too
            long, or does not fit. The message holds nothing of the answer.
    """
    if not isinstance(raw, str) or len(raw) > MOST_CHARACTERS:
        raise InvalidAnswer("it is no text, or too long")
    try:
        value = _decode(raw)
        if type(value) is not dict:
            raise InvalidAnswer("it is no JSON object")
        validator.check(value)
    except InvalidAnswer:
        raise
    except (ValueError, RecursionError):
        raise InvalidAnswer("it is no JSON") from None
    return value

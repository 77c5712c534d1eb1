"""Room: config. One value into its type, strictly, with an error that says what is allowed."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import cattrs

from dnr_core.config.secrets import mask
from dnr_core.errors import ConfigError

if TYPE_CHECKING:
    from dnr_core.config.load import Leaf

EARLIEST_YEAR: Final = 1900
LATEST_YEAR: Final = 2200
"""Beyond these calendars and zones are guesses, and arithmetic on instants overflows."""

_ALL_WORDS: Final = ("all", "none", "null", "")


class Text(str):
    """A value from the environment, where everything is text and has to be read."""

    __slots__ = ()


def _not(value: object, wanted: str) -> ValueError:
    return ValueError(f"is {shown(value)}, but must be {wanted}")


def shown(value: object) -> str:
    """Return a value for a message; what looks like a secret is masked."""
    text = mask(repr(str(value) if isinstance(value, Text) else value))
    return text if len(text) <= 80 else text[:77] + "..."


def _int(value: Any, _: Any) -> int:
    if isinstance(value, Text):
        try:
            return int(value)
        except ValueError:
            raise _not(value, "a whole number") from None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _not(value, "a whole number")
    return value


def _float(value: Any, _: Any) -> float:
    if isinstance(value, Text):
        try:
            value = float(value)
        except ValueError:
            raise _not(value, "a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _not(value, "a number")
    if not math.isfinite(value):
        raise _not(value, "a finite number")
    return float(value)


def _bool(value: Any, _: Any) -> bool:
    if isinstance(value, Text):
        lowered = value.lower()
        if lowered in {"true", "1", "yes", "on"}:
            return True
        if lowered in {"false", "0", "no", "off"}:
            return False
    if not isinstance(value, bool):
        raise _not(value, "true or false")
    return value


def _str(value: Any, _: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _not(value, "text")
    return str(value)


def _path(value: Any, _: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise _not(value, "a path")
    return Path(str(value)).expanduser()


def _datetime(value: Any, _: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _not(value, "an instant such as 2025-07-01T07:00:00Z") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise _not(value, "an instant such as 2025-07-01T07:00:00Z")
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise _not(str(value), f"an instant of the years {EARLIEST_YEAR} to {LATEST_YEAR}")
    # Without a zone it is local, in the company's zone, which is not known here.
    return value if value.tzinfo is None else value.astimezone(UTC)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    for kind, hook in (
        (int, _int),
        (float, _float),
        (bool, _bool),
        (str, _str),
        (Path, _path),
        (datetime, _datetime),
    ):
        converter.register_structure_hook(kind, hook)
    return converter


_CONVERTER: Final = _converter()


def structured(value: Any, leaf: Leaf, where: str) -> Any:
    """Return `value` as the setting's type, checked by the setting's own validator.

    Raises:
        ConfigError: the value is not of the type, or not allowed; the message begins with `where`.
    """
    try:
        result = _typed(value, leaf.type)
        attribute = getattr(attrs.fields(leaf.owner), leaf.name)
        if attribute.validator is not None:
            attribute.validator(None, attribute, result)
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{where} {_allowed(error, value, leaf.name)}",
            hint="`dnr config` shows every setting and its value",
        ) from None
    return result


def _typed(value: Any, kind: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union) and type(None) in arguments:
        if value is None or (isinstance(value, str) and value.lower() in _ALL_WORDS):
            return None
        return _typed(value, next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        return _tuple(value, arguments)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(value, arguments)
    return _CONVERTER.structure(value, kind)


def _tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [Text(part.strip()) for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise _not(value, "a list")
    if len(arguments) == 2 and arguments[1] is ...:
        return tuple(_typed(part, arguments[0]) for part in value)
    if len(value) != len(arguments):
        raise _not(value, f"a list of {len(arguments)}")
    return tuple(_typed(part, kind) for part, kind in zip(value, arguments, strict=True))


def _mapping(value: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
    if isinstance(value, Text):
        from dnr_core.config.yaml_file import parse_yaml

        value = parse_yaml(value, "the value")
    if not isinstance(value, Mapping):
        raise _not(value, "a mapping")
    return {_str(key, str): _typed(part, arguments[1]) for key, part in value.items()}


def _allowed(error: Exception, value: Any, name: str) -> str:
    text = str(error)
    if text.startswith("is "):
        return text
    # attrs' validators say "'months' must be >= 1: 0"; keep what is allowed, show the value once.
    first = str(error.args[0]) if error.args else text
    first = first.split(": ")[0].replace(f"'{name}' ", "").split(" (got")[0]
    return f"is {shown(value)}, but {first}"

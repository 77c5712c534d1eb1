"""Room: model. Behaviour named by a dotted path, imported only when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TypeVar, cast

T = TypeVar("T")


def load(reference: T | str) -> T:
    """Return the value itself, or import it where `reference` is a dotted path.

    Plugins give heavy behaviour as a path `"package.module:attribute"`, so that listing plugins
    imports none of it.

    Raises:
        ImportError: the module cannot be imported or has no such attribute, or the path
            is not of the form `module:attribute`.
    """
    if not isinstance(reference, str):
        return reference
    module_name, colon, attribute = reference.partition(":")
    if not colon or not module_name or not attribute:
        raise ImportError(f"{reference!r} is not of the form 'package.module:attribute'")
    module = import_module(module_name)
    try:
        return cast("T", getattr(module, attribute))
    except AttributeError:
        raise ImportError(f"module {module_name!r} has no attribute {attribute!r}") from None

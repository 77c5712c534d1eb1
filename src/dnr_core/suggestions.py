"""Room: errors. The nearest known name, for messages about a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name closest to `name`, or "" where none is close."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"did you mean 'x'?"`, or "" where no known name is close."""
    found = nearest(name, known)
    return f"did you mean {found!r}?" if found else ""

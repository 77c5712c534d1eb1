"""Room: comms. What a text holds beside words: links, their domains, code."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

_URL: Final = re.compile(
    r"(?:https?|ftp)://(?:[^\s/@<>|]{0,200}@)?([^\s/:?#<>|\"')\]]{1,253})", re.I
)
_CODE: Final = re.compile(
    r"```|`[^`\n]{2,200}`|\bselect\b[^;]{1,400}?\bfrom\b|\b(?:insert\s+into|create\s+table|def\s+\w+\()",
    re.I,
)
_MAX_DOMAINS: Final = 20


@frozen
class Features:
    """`link_domains` are lower case, each once, in the order of the text."""

    link_domains: tuple[str, ...]
    has_code: bool


def features_of(text: str) -> Features:
    """Return the links and code of a text."""
    domains: tuple[str, ...] = ()
    if "://" in text:
        found = (match.group(1).lower().rstrip(".") for match in _URL.finditer(text))
        domains = tuple(dict.fromkeys(found))[:_MAX_DOMAINS]
    return Features(domains, bool(_CODE.search(text)))

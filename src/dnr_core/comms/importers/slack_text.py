"""Room: comms. The plain text of a Slack message: markup, rich-text blocks, attachments, files."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_ANGLE: Final = re.compile(r"<([^<>\n]{1,2000})>")
_MAX_DEPTH: Final = 12

Mention = Callable[[str], str]
"""Turns a user's id into what stands for them in a text."""


def message_text(message: dict[str, Any], mention: Mention) -> str:
    """Return what a message says; blocks stand in where `text` is empty, attachments follow."""
    text = plain(_text(message.get("text")), mention)
    if not text.strip():
        text = "\n".join(_blocks(message.get("blocks"), mention))
    parts = [text.strip(), *_attachments(message.get("attachments"), mention)]
    return "\n".join(dict.fromkeys(part for part in parts if part))


def plain(text: str, mention: Mention) -> str:
    """Return Slack's markup as text: people by `mention`, links by their address, entities read."""

    def angle(match: re.Match[str]) -> str:
        target, _, label = match.group(1).partition("|")
        if target.startswith("@"):
            return "@" + mention(target[1:])
        if target.startswith("#"):
            return "#" + (label or target[1:])
        if target.startswith("!subteam"):
            return label or "@group"
        if target.startswith("!date"):
            return label
        if target.startswith("!"):
            return "@" + (label.lstrip("@") or target[1:])
        if target.startswith(("mailto:", "tel:")):
            return label or target.partition(":")[2]
        return _link(label, target)

    return html.unescape(_ANGLE.sub(angle, text))


def has_preformatted(message: dict[str, Any]) -> bool:
    """Whether a message has a block of code."""
    return any(
        element.get("type") == "rich_text_preformatted"
        for element in _elements(message.get("blocks"))
    )


def link_targets(message: dict[str, Any]) -> Iterator[str]:
    """Yield the addresses that a message links to outside its text."""
    for element in _elements(message.get("blocks")):
        if element.get("type") == "link":
            yield _text(element.get("url"))
    for attachment in _dicts(message.get("attachments")):
        for name in ("title_link", "from_url", "original_url"):
            if attachment.get(name):
                yield _text(attachment[name])


def _link(label: str, target: str) -> str:
    return f"{label} ({target})" if label and label not in target else target


def _blocks(blocks: Any, mention: Mention) -> Iterator[str]:
    for block in _dicts(blocks):
        kind = block.get("type")
        if kind == "rich_text":
            for element in _dicts(block.get("elements")):
                yield _rich(element, mention, 0)
        elif kind in {"section", "header"}:
            texts = [block.get("text"), *_dicts(block.get("fields"))]
            yield from (plain(_text(t.get("text")), mention) for t in _dicts(texts))
        elif kind == "context":
            yield from (plain(_text(t.get("text")), mention) for t in _dicts(block.get("elements")))


def _rich(element: dict[str, Any], mention: Mention, depth: int) -> str:
    kind = element.get("type")
    if kind in _LEAVES:
        return _LEAVES[kind](element, mention)
    if depth > _MAX_DEPTH:
        return ""
    inner = [_rich(child, mention, depth + 1) for child in _dicts(element.get("elements"))]
    if kind == "rich_text_list":
        return "\n".join(f"- {item}" for item in inner)
    if kind == "rich_text_preformatted":
        return "```" + "".join(inner) + "```"
    return "".join(inner)


_LEAVES: Final[dict[str, Callable[[dict[str, Any], Mention], str]]] = {
    "text": lambda e, _: _text(e.get("text")),
    "link": lambda e, _: _link(_text(e.get("text")), _text(e.get("url"))),
    "user": lambda e, mention: "@" + mention(_text(e.get("user_id"))),
    "usergroup": lambda _e, _m: "@group",
    "channel": lambda e, _: "#" + _text(e.get("channel_id")),
    "emoji": lambda e, _: f":{_text(e.get('name'))}:",
    "broadcast": lambda e, _: "@" + _text(e.get("range")),
    "date": lambda e, _: _text(e.get("fallback")),
}


def _attachments(attachments: Any, mention: Mention) -> Iterator[str]:
    for attachment in _dicts(attachments):
        found = [plain(_text(attachment.get(n)), mention) for n in ("pretext", "title", "text")]
        found = [text.strip() for text in found if text.strip()]
        yield "\n".join(found) or plain(_text(attachment.get("fallback")), mention).strip()


def _elements(blocks: Any) -> Iterator[dict[str, Any]]:
    """Yield every element of every block, at any depth that makes sense."""
    stack = [(block, 0) for block in _dicts(blocks)]
    while stack:
        element, depth = stack.pop()
        yield element
        if depth < _MAX_DEPTH:
            stack += [(child, depth + 1) for child in _dicts(element.get("elements"))]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

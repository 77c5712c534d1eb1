"""Room: demand. One request an item: which theme, and is it a need at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from attrs import frozen

from dnr_core.config.settings import ClassificationSettings
from dnr_core.demand.confidence import HEADS, Confidences
from dnr_core.llm import Outcome
from dnr_core.model import RELEVANCE, THEMES, Request

NO_THEME: Final = "none"

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "theme": {"type": "string", "enum": [*THEMES, NO_THEME]},
        "relevance": {"type": "string", "enum": list(RELEVANCE)},
        "theme_confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "relevance_confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["theme", "relevance", "theme_confidence", "relevance_confidence"],
    "additionalProperties": False,
}


@frozen
class Verdict:
    """What is said of one item. `theme` is None where it expresses no need."""

    theme: str | None
    theme_confidence: float | None
    relevance: str | None
    relevance_confidence: float | None
    decided_by: str


DROPPED: Final = Verdict(None, None, "negative", None, "prefilter")
NOT_SAMPLED: Final = Verdict(None, None, None, None, "not_sampled")
PARSE_ERROR: Final = Verdict(None, None, None, None, "parse_error")


@cache
def prompt(name: str) -> str:
    """Return a packaged prompt."""
    return files("dnr_core.llm").joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8")


def prompt_hashes() -> dict[str, str]:
    """Return the SHA-256 of each prompt that demand uses, for the manifest."""
    return {
        name: hashlib.sha256(prompt(name).encode()).hexdigest() for name in ("classify", "entities")
    }


def classify_requests(texts: Sequence[str], settings: ClassificationSettings) -> list[Request]:
    """Return one request a text. A text stands alone in it, so no item can speak for another."""
    instructions = prompt("classify").rstrip("\n")
    return [
        Request(
            purpose="classify",
            instructions=instructions,
            item=text,
            schema=SCHEMA,
            max_tokens=settings.max_output_tokens,
            temperature=settings.temperature,
        )
        for text in texts
    ]


def verdict(outcome: Outcome, source: str, confidences: Confidences | None = None) -> Verdict:
    """Read an outcome, with its confidences corrected where `confidences` knows better.

    A call that failed or was not made leaves the item as not sampled.

    An item that is no positive has no theme, a query neither: most questions to a data tool ask
    for an answer and not for better data. A positive without a theme is no need that could be met.
    What is stored as relevance is for threads and mails alone.
    """
    if outcome.status in {"parse_error", "refused"}:
        return PARSE_ERROR
    if outcome.value is None:
        return NOT_SAMPLED
    answer = outcome.value
    theme: str | None = answer["theme"] if answer["theme"] != NO_THEME else None
    relevance = str(answer["relevance"])
    if relevance != "positive":
        theme = None
    sure = {head: float(answer[f"{head}_confidence"]) for head in HEADS}
    if confidences is not None:
        sure = {head: confidences.of(head, value) for head, value in sure.items()}
    return Verdict(
        theme,
        sure["theme"],
        None if source == "nlq" else relevance,
        None if source == "nlq" else sure["relevance"],
        "provider",
    )

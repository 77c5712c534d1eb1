"""Room: write. Reads the packaged skeletons: hand-made talk, one file a theme.

A file has entries of the form

    == late-plain-1 | plain | train
    subject: {table} [is late|came late] again
    A: a line of the one who asks
    B: a line of the one who answers
    R: a last line where it was resolved (optional)
    O: a last line where it stays open (optional)

and, for questions put to the data, `== late-q-1 | plain | train` with lines `Q: ...`.
Entries marked `test` are never used to fit the classifier.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from attrs import frozen

from dnr_llm_mock.grammar import GrammarError, Sequence, compile_line

BANDS: Final = ("plain", "indirect", "no_keyword")
SPLITS: Final = ("train", "test")
SPEAKERS: Final = {"A": 0, "B": 1, "C": 2}
THEME_FILES: Final = {
    "metric_definition_mismatch": "metrics.txt",
    "join_keys_orphans": "keys.txt",
    "freshness_ingest_lag": "late.txt",
    "duplicates_dedup": "duplicates.txt",
    "access_permissions_pii": "access.txt",
    "new_field_schema_request": "fields.txt",
    "revenue_coverage_mapping": "revenue.txt",
    "attribution_funnel_gaps": "attribution.txt",
}
NEAR_MISSES: Final = "near_misses.txt"
ORDINARY: Final = "ordinary.txt"
COMMON: Final = "common.txt"


@frozen
class Skeleton:
    """One hand-made thread (or question): its lines by speaker, and its last lines."""

    name: str
    band: str
    split: str
    subject: Sequence | None
    lines: tuple[tuple[int, Sequence], ...]
    resolved: tuple[Sequence, ...]
    still_open: tuple[Sequence, ...]
    questions: tuple[Sequence, ...]

    @property
    def is_question(self) -> bool:
        """True for questions put to the data."""
        return bool(self.questions)


@cache
def load(file: str) -> tuple[Skeleton, ...]:
    """All skeletons of a packaged file.

    Raises:
        GrammarError: an entry that cannot be read; the message names file and line.
    """
    return parse(_text(file), file)


@cache
def common() -> dict[str, tuple[Sequence, ...]]:
    """Lines that may stand in any talk, by their use: `tail`, `filler`, `resolved` ..."""
    pools: dict[str, list[Sequence]] = {}
    for number, line in _lines(_text(COMMON)):
        use, colon, rest = line.partition(":")
        if not colon:
            raise GrammarError(f"{COMMON}:{number}: a line needs 'use: text'")
        pools.setdefault(use.strip(), []).append(_compiled(rest.strip(), COMMON, number))
    return {use: tuple(lines) for use, lines in pools.items()}


def _text(file: str) -> str:
    return files(__package__).joinpath(file).read_text(encoding="utf-8")


def _lines(text: str) -> list[tuple[int, str]]:
    numbered = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _compiled(line: str, file: str, number: int) -> Sequence:
    try:
        return compile_line(line)
    except GrammarError as error:
        raise GrammarError(f"{file}:{number}: {error}") from None


def parse(text: str, file: str) -> tuple[Skeleton, ...]:
    """Read the text of a skeleton file; `file` is for messages."""
    found: list[Skeleton] = []
    head: tuple[str, str, str] | None = None
    parts: dict[str, list[Sequence]] = {}
    lines: list[tuple[int, Sequence]] = []

    def close() -> None:
        if head is None:
            return
        if not lines and not parts.get("Q"):
            raise GrammarError(f"{file}: {head[0]} has no lines")
        found.append(
            Skeleton(
                *head,
                subject=parts["subject"][0] if parts.get("subject") else None,
                lines=tuple(lines),
                resolved=tuple(parts.get("R", ())),
                still_open=tuple(parts.get("O", ())),
                questions=tuple(parts.get("Q", ())),
            )
        )

    for number, line in _lines(text):
        if line.startswith("=="):
            close()
            fields = [part.strip() for part in line[2:].split("|")]
            if len(fields) != 3 or fields[1] not in BANDS or fields[2] not in SPLITS:
                raise GrammarError(f"{file}:{number}: expected '== name | band | train or test'")
            head, parts, lines = (fields[0], fields[1], fields[2]), {}, []
            continue
        key, colon, rest = line.partition(":")
        if head is None or not colon or key not in {*SPEAKERS, "subject", "R", "O", "Q"}:
            raise GrammarError(f"{file}:{number}: expected 'A:', 'B:', 'C:', 'R:', 'O:', 'Q:'")
        sequence = _compiled(rest.strip(), file, number)
        if key in SPEAKERS:
            lines.append((SPEAKERS[key], sequence))
        else:
            parts.setdefault(key, []).append(sequence)
    close()
    return tuple(found)

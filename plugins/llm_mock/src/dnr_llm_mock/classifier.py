"""Room: classify. A small linear model over words: theme and relevance, with confidences.

It reads the text of the item and nothing else. The weights are whole numbers from -127 to 127 and
a scale a class, made by `training/train.py`; sums are exact, so the answer repeats everywhere.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.model.themes import RELEVANCE, THEMES
from dnr_llm_mock import features

WEIGHTS_FILE: Final = "weights.bin"
MAGIC: Final = b"DNRW"
CLASSES: Final = (*THEMES, *RELEVANCE)
THEME_COUNT: Final = len(THEMES)
KEPT_PARTS: Final = 200_000
"""Words and pairs remembered; when there are more, all are forgotten, so memory is bounded."""


@frozen
class Classification:
    """The answer for one item; confidences are in [0, 1]."""

    theme: str
    relevance: str
    theme_confidence: float
    relevance_confidence: float


@frozen(eq=False)
class Weights:
    """`rows[i]` are the weights of feature `numbers[i]` by class, as whole numbers.

    The score of a class is `intercept + step * sum / divisor`; `temperatures` soften theme and
    relevance so that confidences are what they say; a theme is named where the probability of
    "positive" is at least `need_from`.
    """

    numbers: NDArray[np.uint32]
    rows: NDArray[np.int8]
    steps: tuple[float, ...]
    intercepts: tuple[float, ...]
    temperatures: tuple[float, float]
    need_from: float


def packed(weights: Weights) -> bytes:
    """The weights as bytes: a header in JSON, gaps between feature numbers, rows; compressed."""
    header = json.dumps(
        {
            "classes": CLASSES,
            "features": len(weights.numbers),
            "steps": weights.steps,
            "intercepts": weights.intercepts,
            "temperatures": weights.temperatures,
            "need_from": weights.need_from,
        }
    ).encode()
    gaps = np.diff(weights.numbers, prepend=np.uint32(0)).astype("<u4")
    body = b"".join(
        [
            struct.pack("<I", len(header)),
            header,
            # Bytes of one meaning side by side compress better.
            gaps.view(np.uint8).reshape(-1, 4).T.tobytes(),
            weights.rows.T.tobytes(),
        ]
    )
    return MAGIC + zlib.compress(body, 9)


def unpacked(data: bytes) -> Weights:
    """The weights that `packed` wrote.

    Raises:
        ValueError: the bytes are no weights, or weights for other classes.
    """
    if data[:4] != MAGIC:
        raise ValueError(f"{WEIGHTS_FILE} is no file of weights")
    body = zlib.decompress(data[4:])
    (length,) = struct.unpack_from("<I", body)
    header: dict[str, Any] = json.loads(body[4 : 4 + length])
    if tuple(header["classes"]) != CLASSES:
        raise ValueError(f"{WEIGHTS_FILE} is for other classes: {header['classes']}")
    count, start = header["features"], 4 + length
    gaps = np.frombuffer(body, np.uint8, 4 * count, start).reshape(4, count).T
    rows = np.frombuffer(body, np.int8, len(CLASSES) * count, start + 4 * count)
    return Weights(
        numbers=np.cumsum(np.ascontiguousarray(gaps).view("<u4").ravel(), dtype=np.uint32),
        rows=np.ascontiguousarray(rows.reshape(len(CLASSES), count).T),
        steps=tuple(header["steps"]),
        intercepts=tuple(header["intercepts"]),
        temperatures=tuple(header["temperatures"]),
        need_from=header["need_from"],
    )


class _Rows(dict[Any, int]):
    """Row of each word (or pair, or set of concepts) met so far; a new one is summed once."""

    def __init__(self, make: Callable[[Any], int]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, part: Any) -> int:
        row = self[part] = self._make(part)
        return row


class Model:
    """Weights made ready to be summed by word."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._index = {int(n): i for i, n in enumerate(weights.numbers)}
        self._integers = weights.rows.astype(np.int32)
        self._forget()

    def _forget(self) -> None:
        # Row 0 is all zero: a word without weight or concept.
        self._table = np.zeros((4_096, len(CLASSES)), np.int32)
        self._masks = np.zeros(4_096, np.int64)
        self._used = 1
        self._words = _Rows(self._word)
        self._pairs = _Rows(self._pair)
        self._concepts = _Rows(lambda mask: self._row(features.of_concepts(mask), 0))

    def _word(self, word: str) -> int:
        return self._row(features.of_word(word), features.bits(features.concepts_of(word)))

    def _pair(self, pair: tuple[str, str]) -> int:
        return self._row(features.of_pair(*pair), features.bits(features.concepts_of_pair(*pair)))

    def _row(self, numbers: list[int], mask: int) -> int:
        """Row of the table that holds the sum of these features' weights."""
        known = [self._index[n] for n in numbers if n in self._index]
        if not known and not mask:
            return 0
        if self._used == len(self._table):
            self._table = np.vstack([self._table, np.zeros_like(self._table)])
            self._masks = np.concatenate([self._masks, np.zeros_like(self._masks)])
        self._table[self._used] = self._integers[known].sum(axis=0)
        self._masks[self._used] = mask
        self._used += 1
        return self._used - 1

    def scores(self, text: str) -> list[float]:
        """Score of each class, before temperature."""
        singles, pairs = features.parts(text)
        if len(self._words) + len(self._pairs) > KEPT_PARTS:
            self._forget()
        rows = [*map(self._words.__getitem__, singles), *map(self._pairs.__getitem__, pairs)]
        mask = int(np.bitwise_or.reduce(self._masks[rows])) if rows else 0
        rows.append(self._concepts[mask])
        sums = self._table[rows].sum(axis=0).tolist()
        divisor = features.scale(len(rows))
        weights = self._weights
        return [
            intercept + step * total / divisor
            for intercept, step, total in zip(weights.intercepts, weights.steps, sums, strict=True)
        ]

    def classify(self, text: str) -> Classification:
        """Theme and relevance of a text, with calibrated confidences."""
        return self.decide(self.scores(text))

    def decide(self, scores: list[float]) -> Classification:
        """The answer that follows from the scores of the classes."""
        weights = self._weights
        themes = softmax(scores[:THEME_COUNT], weights.temperatures[0])
        relevance = softmax(scores[THEME_COUNT:], weights.temperatures[1])
        best = max(range(len(relevance)), key=relevance.__getitem__)
        theme = max(range(THEME_COUNT), key=themes.__getitem__)
        if relevance[0] < weights.need_from:
            return Classification("none", RELEVANCE[best], 1 - relevance[0], relevance[best])
        return Classification(THEMES[theme], RELEVANCE[best], themes[theme], relevance[best])


def softmax(scores: list[float], temperature: float) -> list[float]:
    """Probabilities, rounded to the ninth digit so that a library's last bit decides nothing."""
    top = max(scores)
    powers = [math.exp((score - top) / temperature) for score in scores]
    total = math.fsum(powers)
    return [round(power / total, 9) for power in powers]


@cache
def model() -> Model:
    """The packaged model."""
    return Model(unpacked(files(__package__).joinpath(WEIGHTS_FILE).read_bytes()))


def classify(item: str) -> Classification:
    """Classify one packed thread, mail or question."""
    return model().classify(item)

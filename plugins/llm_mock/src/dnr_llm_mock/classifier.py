"""Room: classify. A small linear model over words: theme and relevance, with confidences.

It reads the text of the item and nothing else. The weights are whole numbers from -127 to 127 and
a scale a class, made by `training/train.py`; sums are exact, so the answer repeats everywhere.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from math import exp
from sys import intern
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
BIAS: Final = 1 << 15
NO_WEIGHT: Final = (0,) * len(CLASSES)
ANY: Final = bytes(1) + bytes([1]) * 255
"""What a byte of a count says: none, or any."""
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


class _Parts(dict[Any, int]):
    """Packed sum of each word (or pair) met so far; a new one is summed once."""

    def __init__(self, make: Callable[[Any], int]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, part: Any) -> int:
        # One copy of a word for all its pairs: less memory to go through is most of the speed.
        kept = intern(part) if isinstance(part, str) else (intern(part[0]), intern(part[1]))
        number = self[kept] = self._make(part)
        return number


class Model:
    """Weights made ready to be summed by word.

    The sums of a word for all classes, and its concepts, are fields of one whole number, so
    that a text is scored by one `sum` over its words. A class has 32 bits, shifted by `BIAS`
    to be positive (a word has at most some 30 features of at most 127), and one field counts
    the shifts; a concept has 16 bits that count its words (a text has at most 6,000 parts).
    A part that says nothing, as most pairs do, is 0, which is added fastest.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        rows: list[list[int]] = weights.rows.tolist()
        self._rows = dict(zip(weights.numbers.tolist(), rows, strict=True))
        self._concept_count = len(features.concept_bits())
        self._layout = struct.Struct(f"<{len(CLASSES) + 1}I{self._concept_count}H")
        self._sums = struct.Struct(f"<{len(CLASSES) + 1}I")
        self._words = _Parts(self._word)
        self._pairs = _Parts(self._pair)
        self._concepts: dict[bytes, list[int]] = {}

    def _word(self, word: str) -> int:
        return self._packed(features.of_word(word), features.concepts_of(word))

    def _pair(self, pair: tuple[str, str]) -> int:
        return self._packed(features.of_pair(*pair), features.concepts_of_pair(*pair))

    def _summed(self, numbers: list[int]) -> list[int]:
        known = [self._rows[n] for n in numbers if n in self._rows]
        return [sum(column) for column in zip(*known, strict=True)]

    def _packed(self, numbers: list[int], concepts: Iterable[str]) -> int:
        mask = features.bits(concepts)
        sums = self._summed(numbers)
        if not sums and not mask:
            return 0
        fields = [value + BIAS for value in sums or NO_WEIGHT]
        fields.append(1)
        fields += [mask >> place & 1 for place in range(self._concept_count)]
        return int.from_bytes(self._layout.pack(*fields), "little")

    def _of_concepts(self, there: bytes) -> list[int]:
        """Sum of the features of the concepts of which a text has any: two bytes a concept."""
        found = self._concepts.get(there)
        if found is None:
            mask = sum(
                1 << place for place in range(self._concept_count) if any(there[2 * place :][:2])
            )
            found = self._concepts[there] = self._summed(features.of_concepts(mask)) or list(
                NO_WEIGHT
            )
        return found

    def scores(self, text: str) -> list[float]:
        """Score of each class, before temperature."""
        singles, pairs, count = features.parts(text)
        words, twos = self._words, self._pairs
        if len(words) + len(twos) > KEPT_PARTS:
            words.clear()
            twos.clear()
            self._concepts.clear()
        total = sum(map(words.__getitem__, singles)) + sum(map(twos.__getitem__, pairs))
        packed_fields = total.to_bytes(self._layout.size, "little")
        fields = self._sums.unpack_from(packed_fields)
        together = self._of_concepts(packed_fields[self._sums.size :].translate(ANY))
        divisor = features.scale(count + 1)
        bias = BIAS * fields[len(CLASSES)]
        weights = self._weights
        return [
            intercept + step * (field - bias + more) / divisor
            for intercept, step, field, more in zip(
                weights.intercepts, weights.steps, fields, together, strict=False
            )
        ]

    def classify(self, text: str) -> Classification:
        """Theme and relevance of a text, with calibrated confidences."""
        return self.decide(self.scores(text))

    def decide(self, scores: list[float]) -> Classification:
        """The answer that follows from the scores of the classes."""
        weights = self._weights
        theme, sure_theme, _ = _softmax(scores[:THEME_COUNT], weights.temperatures[0])
        best, sure, need = _softmax(scores[THEME_COUNT:], weights.temperatures[1])
        if need < weights.need_from:
            return Classification("none", RELEVANCE[best], round(1 - need, 6), sure)
        return Classification(THEMES[theme], RELEVANCE[best], sure_theme, sure)


def _softmax(scores: list[float], temperature: float) -> tuple[int, float, float]:
    """The best class, its probability, and the probability of the first class.

    Rounded to six digits, so that a library's last bit decides nothing.
    """
    top = max(scores)
    powers = [exp((score - top) / temperature) for score in scores]
    total = sum(powers)
    return scores.index(top), round(1 / total, 6), round(powers[0] / total, 6)


@cache
def model() -> Model:
    """The packaged model."""
    return Model(unpacked(files(__package__).joinpath(WEIGHTS_FILE).read_bytes()))


def classify(item: str) -> Classification:
    """Classify one packed thread, mail or question."""
    return model().classify(item)

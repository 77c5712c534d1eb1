"""Room: classify. A small linear model over words: theme and relevance, with confidences.

It reads the text of the item and nothing else. The weights are whole numbers from -127 to 127 and
a scale a class, made by `training/train.py`; sums are exact, so the answer repeats everywhere.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from decimal import Context
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from dnr_core.model.themes import RELEVANCE, THEMES
from dnr_llm_mock import features
from dnr_llm_mock.column import EDGE_NUMBER, MOST_TEXTS, Column, Numbering

WEIGHTS_FILE: Final = "weights.bin"
MAGIC: Final = b"DNRW"
CLASSES: Final = (*THEMES, *RELEVANCE)
THEME_COUNT: Final = len(THEMES)
KEPT_WORDS: Final = 100_000
"""Words remembered; when there are more, all are forgotten, so memory is bounded."""
EXP_STEPS: Final = 1024
"""Powers are taken of whole parts of this."""
EXP_WHOLES: Final = 32
"""Beyond this a power counts as that of this: nothing, in six digits."""


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

    Numbers ascend. The score of a class is `intercept + step * sum / divisor`; `temperatures` soften theme and
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


class _Known:
    """What is known of each word met so far, as columns; a word is looked up once and kept.

    `first` and `second` are the word's places among the beginnings and ends of the lexicon's
    pairs, 0 where it is none. `before` and `after` are its parts of the number of a pair.
    """

    def __init__(self, rows: dict[int, NDArray[np.int32]]) -> None:
        self._rows = rows
        pairs = features.lexicon().pairs
        self._firsts = {w: n for n, w in enumerate(sorted({a for a, _ in pairs}), 1)}
        self._seconds = {w: n for n, w in enumerate(sorted({b for _, b in pairs}), 1)}
        self.pair_concepts = np.zeros((len(self._firsts) + 1, len(self._seconds) + 1), np.int64)
        for (a, b), concepts in pairs.items():
            self.pair_concepts[self._firsts[a], self._seconds[b]] = features.bits(concepts)
        self.forget()

    def forget(self) -> None:
        """Know no word but the edge, which comes first."""
        self.words = Numbering(self._add)
        room = 1024
        self.sums = np.zeros((room, len(CLASSES)), np.int32)
        self.concepts = np.zeros(room, np.int64)
        self.before = np.zeros(room, np.uint32)
        self.after = np.zeros(room, np.uint32)
        self.first = np.zeros(room, np.int16)
        self.second = np.zeros(room, np.int16)
        self._add(features.EDGE, EDGE_NUMBER)

    def _add(self, word: str, place: int) -> None:
        if place == len(self.before):
            for name in ("sums", "concepts", "before", "after", "first", "second"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
        self.sums[place] = _summed(self._rows, features.of_word(word))
        self.concepts[place] = features.bits(features.concepts_of(word))
        self.before[place], self.after[place] = features.pair_parts(word)
        self.first[place] = self._firsts.get(word, 0)
        self.second[place] = self._seconds.get(word, 0)


def _summed(rows: dict[int, NDArray[np.int32]], numbers: Iterable[int]) -> NDArray[np.int32]:
    total = np.zeros(len(CLASSES), np.int32)
    for number in numbers:
        row = rows.get(number)
        if row is not None:
            total += row
    return total


class Model:
    """Weights made ready to be added up by word, for many texts at once.

    All words of a part's texts lie in one long column, with an edge between two texts, so that
    NumPy adds up whole columns: for a single text it costs more than it saves. Sums are of whole
    numbers, and a text's do not depend on the texts beside it.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        at = int(np.searchsorted(weights.numbers, features.SPACE))
        plain = weights.rows[:at].astype(np.int32)
        self._rows = dict(zip(weights.numbers[:at].tolist(), plain, strict=True))
        pairs = weights.numbers[at:] - np.uint32(features.SPACE)
        # Row 0 is that of a pair without weight, as most are.
        self._pair_rows = np.zeros((len(pairs) + 1, len(CLASSES)), np.int32)
        self._pair_rows[1:] = weights.rows[at:]
        self._row_of_pair = np.zeros(1 << features.PAIR_BITS, np.uint16)
        self._row_of_pair[pairs] = np.arange(1, len(pairs) + 1)
        self._known = _Known(self._rows)
        self._concepts: dict[int, NDArray[np.int32]] = {}
        self._steps = np.array(weights.steps)
        self._intercepts = np.array(weights.intercepts)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Score of each class (columns) for each text (rows), before temperature."""
        parts = [
            self._part(texts[start : start + MOST_TEXTS])
            for start in range(0, len(texts), MOST_TEXTS)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(CLASSES)))

    def _part(self, texts: Sequence[str]) -> NDArray[np.float64]:
        known = self._known
        if len(known.words) > KEPT_WORDS:
            known.forget()
            self._concepts.clear()
        column = known.words.column(texts)
        once, starts = column.different()
        totals = np.add.reduceat(known.sums.take(once, axis=0), starts, axis=0)
        totals += self._of_pairs(column)
        concepts = np.bitwise_or.reduceat(known.concepts[once], starts)
        self._add_concepts_of_pairs(concepts, column)
        totals += self._of_concepts(concepts)
        # As many pairs as words and one more; among the different words stands the edge.
        counts = np.diff(starts, append=len(once)) - 1 + np.diff(column.edges)
        divisors = np.sqrt(np.maximum(features.LEAST_PARTS, counts).astype(np.float64))
        found: NDArray[np.float64] = self._intercepts + self._steps * totals / divisors[:, None]
        return found

    def _of_pairs(self, column: Column) -> NDArray[np.int64]:
        """Sum of the weights of the pairs of neighbours in each text."""
        known, starts = self._known, column.edges[:-1]
        mixed = known.before[column.numbers[:-1]]
        mixed += known.after[column.numbers[1:]]
        rows = self._row_of_pair[mixed >> np.uint32(32 - features.PAIR_BITS)]
        has_weight = rows != 0
        # So that each text has one.
        has_weight[starts] = True
        weighed = np.flatnonzero(has_weight)
        weights = self._pair_rows.take(rows[weighed], axis=0)
        found: NDArray[np.int64] = np.add.reduceat(
            weights, np.searchsorted(weighed, starts), axis=0
        )
        return found

    def _add_concepts_of_pairs(self, concepts: NDArray[np.int64], column: Column) -> None:
        known = self._known
        first = known.first[column.numbers[:-1]]
        second = known.second[column.numbers[1:]]
        both = np.flatnonzero((first != 0) & (second != 0))
        texts = np.searchsorted(column.edges, both, "right") - 1
        np.bitwise_or.at(concepts, texts, known.pair_concepts[first[both], second[both]])

    def _of_concepts(self, masks: NDArray[np.int64]) -> NDArray[np.int32]:
        """Sum of the features of the concepts that each text has together."""
        known = self._concepts
        for mask in set(masks.tolist()) - known.keys():
            known[mask] = _summed(self._rows, features.of_concepts(mask))
        return np.array([known[mask] for mask in masks.tolist()], np.int32)

    def classify(self, texts: Sequence[str]) -> list[Classification]:
        """Theme and relevance of each text, with calibrated confidences."""
        return self.decide(self.scores(texts))

    def decide(self, scores: NDArray[np.float64]) -> list[Classification]:
        """The answers that follow from the scores of the classes."""
        weights = self._weights
        themes = _softmax(scores[:, :THEME_COUNT], weights.temperatures[0])
        relevance = _softmax(scores[:, THEME_COUNT:], weights.temperatures[1])
        answers = []
        for theme, sure_theme, best, sure, need in zip(
            themes.argmax(axis=1).tolist(),
            themes.max(axis=1).tolist(),
            relevance.argmax(axis=1).tolist(),
            relevance.max(axis=1).tolist(),
            relevance[:, 0].tolist(),
            strict=True,
        ):
            if need < weights.need_from:
                answers.append(Classification("none", RELEVANCE[best], 1 - need, sure))
            else:
                answers.append(Classification(THEMES[theme], RELEVANCE[best], sure_theme, sure))
        return answers


@cache
def _powers() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Powers of e to the minus wholes, and to the minus parts, each rounded once.

    A library's `exp` differs in its last bit from one processor to the next; a product of two
    numbers does not.
    """
    exact = Context(prec=30)

    def power(over: int, under: int) -> float:
        return float(exact.exp(exact.divide(exact.create_decimal(-over), under)))

    wholes = [power(whole, 1) for whole in range(EXP_WHOLES + 1)]
    return np.array(wholes), np.array([power(part, EXP_STEPS) for part in range(EXP_STEPS)])


def _softmax(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities of the classes; the same to the last bit on every machine."""
    wholes, parts = _powers()
    below = (scores.max(axis=1, keepdims=True) - scores) * (EXP_STEPS / temperature)
    steps = np.minimum(np.rint(below), EXP_STEPS * EXP_WHOLES).astype(np.int64)
    powers = wholes[steps // EXP_STEPS] * parts[steps % EXP_STEPS]
    # One column after the other: how a sum over an axis is ordered depends on the processor.
    total = powers[:, 0].copy()
    for column in range(1, powers.shape[1]):
        total += powers[:, column]
    found: NDArray[np.float64] = powers / total[:, None]
    return found


@cache
def model() -> Model:
    """The packaged model."""
    return Model(unpacked(files(__package__).joinpath(WEIGHTS_FILE).read_bytes()))


def classify(items: Sequence[str]) -> list[Classification]:
    """Classify packed threads, mails or questions, each by itself."""
    return model().classify(items)

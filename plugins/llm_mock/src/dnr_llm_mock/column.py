"""Room: classify. The words of many texts at once, as one column of numbers.

Splitting a text into words and looking each up costs more than all that follows. Here the texts of
a part lie in one run of bytes, and NumPy finds where words begin and end, reads each as two whole
numbers, and looks these up in a table. What the table has not, a dictionary knows or learns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from dnr_llm_mock import features

MOST_TEXTS: Final = 256
"""Texts of one column: a text's place and a word's number share 32 bits."""
EDGE_NUMBER: Final = 0
_NUMBER_BITS: Final = 24
# Words remembered, and those of 256 texts of 6,000 characters, are under a million.
_NUMBER_MASK: Final = np.uint32((1 << _NUMBER_BITS) - 1)
_EDGE: Final = b"\xff"
# No byte of UTF-8, so no text holds it. Other bytes from 128 on are parts of letters.
_PLAIN: Final = features.PLAIN[:128] + bytes(range(128, 256))
# Made plain, bytes are blanks, signs, letters and edges, in this order.
_BLANK, _LEAST_LETTER = ord(" "), ord("a")
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]+")
_NO_LETTER: Final = re.compile(r"[\W\d_]")
_HALF_BYTES: Final = 8
_HALVES: Final = 2
_MASKS: Final = np.array([(1 << 8 * size) - 1 for size in range(_HALF_BYTES + 1)], np.uint64)
_SLOT_BITS: Final = 17
_FACTORS: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_SHIFT: Final = np.uint64(64 - _SLOT_BITS)


@frozen(eq=False)
class Column:
    """Numbers of words in order, with an edge before each text and one after the last.

    `edges` are the places of the edges: one more than there are texts.
    """

    numbers: NDArray[np.intp]
    edges: NDArray[np.intp]

    def different(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Each text's different words, the edge first, and where each text begins among them."""
        places = np.arange(len(self.edges) - 1, dtype=np.uint32) << np.uint32(_NUMBER_BITS)
        keys = np.repeat(places, np.diff(self.edges))
        keys |= self.numbers[:-1].astype(np.uint32)
        keys.sort()
        is_first = np.empty(len(keys), bool)
        is_first[:1] = True
        np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
        numbers = (keys[is_first] & _NUMBER_MASK).astype(np.intp)
        return numbers, np.flatnonzero(numbers == EDGE_NUMBER)


class Numbering:
    """Numbers of words from 1 on; a new word gets the next one and is told to `add`. 0 is the edge.

    Where a word stands in the table follows from its first 16 bytes, and it is believed only where
    both halves are equal there, so a word is never taken for another. Longer words, and those that
    share their slot with the one that came last, are looked up in the dictionary.
    """

    def __init__(self, add: Callable[[str, int], None]) -> None:
        self._add = add
        self._numbers: dict[str, int] = {}
        slots = 1 << _SLOT_BITS
        self._lows, self._highs = np.zeros(slots, np.uint64), np.zeros(slots, np.uint64)
        self._slot_numbers = np.zeros(slots, np.uint32)

    def __len__(self) -> int:
        return len(self._numbers)

    def column(self, texts: Sequence[str]) -> Column:
        """The words of at most `MOST_TEXTS` texts: those that `features.words` finds in each."""
        text = _EDGE.join([b"", *map(_plain, texts), b""])
        # Room at the end, so that sixteen bytes can be read from the last letter on.
        flat = (text + bytes(_HALVES * _HALF_BYTES)).translate(_PLAIN)
        starts, ends = _bounds(np.frombuffer(flat, np.uint8, len(text)))
        sizes = ends - starts
        halves = np.ndarray((len(text) + _HALF_BYTES,), "<u8", flat, 0, (1,))
        low = halves[starts] & _MASKS[np.minimum(sizes, _HALF_BYTES)]
        high = np.zeros_like(low)
        at = np.flatnonzero(sizes > _HALF_BYTES)
        rest = np.minimum(sizes[at] - _HALF_BYTES, _HALF_BYTES)
        high[at] = halves[starts[at] + _HALF_BYTES] & _MASKS[rest]

        slots = (low * _FACTORS[0] + high * _FACTORS[1]) >> _SHIFT
        numbers = self._slot_numbers[slots].astype(np.intp)
        is_known = (self._lows[slots] == low) & (self._highs[slots] == high)
        is_known &= sizes <= _HALVES * _HALF_BYTES
        edges = np.flatnonzero(low == _EDGE[0])
        numbers[edges] = EDGE_NUMBER
        is_known[edges] = True
        missed = np.flatnonzero(~is_known)
        bounds = zip(starts[missed].tolist(), ends[missed].tolist(), strict=True)
        numbers[missed] = [self._number(flat[start:end].decode()) for start, end in bounds]
        short = missed[sizes[missed] <= _HALVES * _HALF_BYTES]
        into = slots[short]
        self._lows[into], self._highs[into] = low[short], high[short]
        self._slot_numbers[into] = numbers[short]
        return Column(numbers, edges)

    def _number(self, word: str) -> int:
        number = self._numbers.get(word)
        if number is None:
            number = len(self._numbers) + 1
            self._add(word, number)
            self._numbers[word] = number
        return number


def _plain(text: str) -> bytes:
    """The beginning of a text as bytes whose words are those of the text."""
    text = text[: features.TEXT_CHARS]
    if text.isascii():
        return text.encode("ascii")
    # ASCII that is no letter becomes blank with the rest; here, what is beyond ASCII does.
    return _FOREIGN.sub(_foreign, text.lower()).encode()


def _foreign(run: re.Match[str]) -> str:
    found = run[0]
    return found if found.isalpha() else _NO_LETTER.sub(" ", found)


def _bounds(flat: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where words, signs and edges begin, and where they end; a sign is by itself."""
    is_letter = (flat >= _LEAST_LETTER) & (flat != _EDGE[0])
    is_single = (flat != _BLANK) & ~is_letter
    begins, ends = is_single.copy(), is_single
    # The first and the last byte are edges.
    begins[1:] |= is_letter[1:] & ~is_letter[:-1]
    ends[:-1] |= is_letter[:-1] & ~is_letter[1:]
    return np.flatnonzero(begins), np.flatnonzero(ends) + 1

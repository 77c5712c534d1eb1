"""Room: comms. Mails on disk until all are read; in memory a few numbers of each.

Any mail may name a person who is in another, or begin its thread, so none can be written before the
last is read. Ids and subjects are compared by 64 bits of a hash: among ten million mails two
different ones are alike by chance once in 400,000 mailboxes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import numpy as np
from attrs import frozen

from dnr_core.workspace import disk_errors

_LIGHTLY: Final = 1
_NO_TIME: Final = 2**63 - 1
"""Comes after all times."""


@frozen
class Mail:
    """What is kept of a mail. `base` is its subject without "Re:", where it has one."""

    key: str
    at_us: int | None
    parents: tuple[str, ...]
    base: str
    is_reply: bool
    subject: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    lists: tuple[str, ...]
    files: tuple[str, ...]
    body: str


class Spool:
    """Takes mails in any order, and gives each once, in order of time, with its thread.

    Args:
        folder: where the file lies, which has no name and goes with the process; None: where the
            system keeps such files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._file: IO[bytes]
        self._end = 0
        self._starts = array("Q")
        self._key_sizes = array("I")
        self._sizes = array("I")
        self._at = array("q")
        self._keys = array("Q")
        self._contents = array("Q")
        self._bases = array("Q")
        self._joins_by_subject = array("B")
        self._children = array("I")
        self._parents = array("Q")
        self._renamed: dict[int, str] = {}

    def __enter__(self) -> Self:
        with disk_errors(self._folder):
            self._file = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, mail: Mail) -> None:
        """Keep one mail."""
        key = _bytes(mail.key)
        rest = json.dumps(
            [mail.at_us, mail.subject, mail.sender, mail.to, mail.cc, mail.lists, mail.files, mail.body]
        ).encode("ascii")  # fmt: skip
        written = key + zlib.compress(rest, _LIGHTLY)
        with disk_errors(self._folder):
            self._file.write(written)
        number = len(self._at)
        self._starts.append(self._end)
        self._key_sizes.append(len(key))
        self._sizes.append(len(written))
        self._end += len(written)
        self._at.append(_NO_TIME if mail.at_us is None else mail.at_us)
        self._keys.append(_hash(key))
        self._contents.append(_hash(rest + "\x1f".join(mail.parents).encode("utf-8", "replace")))
        self._bases.append(_hash(_bytes(mail.base)) if mail.base else 0)
        self._joins_by_subject.append(mail.is_reply and bool(mail.base) and not mail.parents)
        for parent in mail.parents:
            self._children.append(number)
            self._parents.append(_hash(_bytes(parent)))

    def in_order(self) -> tuple[int, Iterator[tuple[str, str, Sequence[Any]]]]:
        """Return how many mails were there twice, and the others in order of time.

        Each comes with its key, the key of its thread (that of the thread's oldest mail), and what
        else is known: time, subject, sender, to, cc, lists, files, body.
        """
        own = self._first_ones()
        ordered = self._by_time(own)
        threads = self._threads(ordered)
        return len(self._at) - len(own), self._given(ordered, threads)

    def _given(
        self, ordered: np.ndarray[Any, Any], threads: np.ndarray[Any, Any]
    ) -> Iterator[tuple[str, str, Sequence[Any]]]:
        for number, oldest in zip(ordered.tolist(), threads.tolist(), strict=True):
            yield self._key(number), self._key(oldest), self._rest(number)

    def _first_ones(self) -> np.ndarray[Any, Any]:
        """Return the numbers of the mails without those that are there twice.

        Some programs give several mails one id: then the later ones get another key by what they say.
        """
        keys = np.frombuffer(self._keys, np.uint64) if self._keys else np.zeros(0, np.uint64)
        order = np.argsort(keys, kind="stable")
        again = order[1:][keys[order[1:]] == keys[order[:-1]]]
        is_own = np.ones(len(keys), bool)
        known: dict[int, set[int]] = {}
        first = {
            int(keys[n]): int(n) for n in order[:-1][keys[order[1:]] == keys[order[:-1]]][::-1]
        }
        for number in again.tolist():
            key = int(self._keys[number])
            if self._contents[number] == self._contents[first[key]]:
                is_own[number] = False
                continue
            at_us, subject, *_, body = self._rest(number)
            name = digest(self._key(number), str(at_us), subject, body)
            hashed = _hash(_bytes(name))
            if hashed in known.setdefault(key, set()):
                is_own[number] = False
                continue
            known[key].add(hashed)
            self._renamed[number] = name
        for number, name in self._renamed.items():
            self._keys[number] = _hash(_bytes(name))
        return np.nonzero(is_own)[0]

    def _by_time(self, own: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the numbers in order of time, of equal times by key; those without one come last."""
        at = np.array(self._at, np.int64)[own]
        order = np.argsort(at, kind="stable")
        ordered, at = own[order], at[order]
        bounds = np.nonzero(np.diff(at, prepend=at[:1] - 1, append=at[-1:] - 1))[0]
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            if end - start > 1:
                ordered[start:end] = sorted(ordered[start:end].tolist(), key=self._key)
        return ordered

    def _threads(self, ordered: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return for each of the ordered mails the number of the oldest of its thread."""
        keys = np.array(self._keys, np.uint64)
        parents = np.array(self._parents, np.uint64)
        children = np.array(self._children, np.int64)
        own = np.zeros(len(keys), bool)
        own[ordered] = True
        parents, children = parents[own[children]], children[own[children]]
        nodes = np.unique(np.concatenate([keys[ordered], parents]))
        place = np.searchsorted(nodes, keys).astype(np.int64)
        links = [
            (place[children], np.searchsorted(nodes, parents)),
            self._by_subject(ordered, place),
        ]
        group = array("I", range(len(nodes)))

        def find(node: int) -> int:
            while (up := group[node]) != node:
                group[node] = node = group[up]
            return node

        for left, right in links:
            for a, b in zip(left.tolist(), right.tolist(), strict=True):
                group[find(a)] = find(b)
        oldest = np.full(len(nodes), -1, np.int64)
        found = np.empty(len(ordered), np.int64)
        for at, number in enumerate(ordered.tolist()):
            root = find(int(place[number]))
            if oldest[root] < 0:
                oldest[root] = number
            found[at] = oldest[root]
        return found

    def _by_subject(
        self, ordered: np.ndarray[Any, Any], place: np.ndarray[Any, Any]
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return pairs: a reply that names no other mail, and the mail of its subject before it."""
        bases = np.array(self._bases, np.uint64)[ordered]
        order = np.argsort(bases, kind="stable")
        same = (bases[order[1:]] == bases[order[:-1]]) & (bases[order[1:]] != 0)
        joins = np.array(self._joins_by_subject, bool)[ordered]
        chosen = same & joins[order[1:]]
        later, earlier = order[1:][chosen], order[:-1][chosen]
        return place[ordered[later]], place[ordered[earlier]]

    def _key(self, number: int) -> str:
        renamed = self._renamed.get(number)
        if renamed is not None:
            return renamed
        self._file.seek(self._starts[number])
        return self._file.read(self._key_sizes[number]).decode("utf-8", "surrogatepass")

    def _rest(self, number: int) -> list[Any]:
        size = self._key_sizes[number]
        self._file.seek(self._starts[number] + size)
        found: list[Any] = json.loads(zlib.decompress(self._file.read(self._sizes[number] - size)))
        return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def digest(*parts: str) -> str:
    """Return a key for a mail that has none of its own, by what it says."""
    return "digest:" + hashlib.sha256(_bytes("\x1f".join(parts))).hexdigest()

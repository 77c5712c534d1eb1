"""Room: comms. Seeded draws by integers alone, so that a plan is the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def seed_of(*parts: str | int) -> int:
    """Return the 63-bit seed of a stream that is named by `parts`."""
    text = "\x1f".join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Draw:
    """A stream of draws, named by its parts: adding a stream changes no other.

    Only `getrandbits` of the standard generator is used; Python promises its sequence.
    """

    def __init__(self, *parts: str | int) -> None:
        self._bits = Random(seed_of(*parts)).getrandbits  # noqa: S311 - not for secrets

    def below(self, limit: int) -> int:
        """Return an integer from 0 to below `limit`."""
        return (self._bits(53) * limit) >> 53

    def between(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of 100 draws."""
        return self.below(100) < percent

    def pick(self, values: Sequence[T]) -> T:
        """Return one of the values, each as likely."""
        return values[self.below(len(values))]

    def weighted(self, weights: Mapping[T, int]) -> T:
        """Return one of the keys, as likely as its weight; the order of keys matters."""
        rest = self.below(sum(weights.values()))
        for value, weight in weights.items():
            if rest < weight:
                return value
            rest -= weight
        raise ValueError("weights must be positive")

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """Return the values in a drawn order."""
        result = list(values)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result

    def sample(self, values: Sequence[T], count: int) -> list[T]:
        """Return at most `count` of the values, none twice, in a drawn order."""
        pool = list(values)
        taken: list[T] = []
        while pool and len(taken) < count:
            taken.append(pool.pop(self.below(len(pool))))
        return taken


def by_largest_remainder(total: int, weights: Mapping[T, int]) -> dict[T, int]:
    """Split `total` by `weights`, each part within one of its exact share; ties by order."""
    whole = sum(weights.values())
    parts = {key: total * weight // whole for key, weight in weights.items()}
    order = sorted(
        weights, key=lambda key: total * weights[key] % whole, reverse=True
    )  # sorted is stable, so equal remainders keep the mapping's order
    for key in order[: total - sum(parts.values())]:
        parts[key] += 1
    return parts


def exact_mix(total: int, weights: Mapping[T, int], draw: Draw) -> list[T]:
    """Return `total` values whose counts are exact by largest remainder, in a drawn order."""
    counts = by_largest_remainder(total, weights)
    return draw.shuffled([key for key, count in counts.items() for _ in range(count)])

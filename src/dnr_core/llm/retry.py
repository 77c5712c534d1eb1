"""Room: llm. How long to wait before a call is tried again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from attrs import field, frozen


@frozen
class Backoff:
    """Exponential waits with full jitter; a server's Retry-After wins, within `most_seconds`.

    The n-th wait is drawn evenly from the upper half of `first_seconds * 2**n`, so that callers
    that failed together do not come back together. Waits change no result, only when it comes.
    `sleep` is replaced in tests.
    """

    first_seconds: float = 0.5
    most_seconds: float = 30.0
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)
    draw: Callable[[], float] = field(default=random.random)

    def wait_seconds(self, tries: int, retry_after_seconds: float | None = None) -> float:
        """Return the wait before the next try.

        Args:
            tries: how many retries were made before this one.
            retry_after_seconds: what the server asked for; nonsense (negative, NaN) is ignored.
        """
        drawn = self.first_seconds * 2.0 ** min(tries, 16) * (0.5 + self.draw() / 2)
        if retry_after_seconds is not None and retry_after_seconds >= 0:
            # Some jitter on top: everyone was told the same moment.
            drawn = retry_after_seconds + min(drawn, self.first_seconds) * 0.1
        return min(drawn, self.most_seconds)

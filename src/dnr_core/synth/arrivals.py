"""Room: synth. When entities come to be, and when events happen.

Entities arrive in the order of their ids, so "who existed at this instant" and "who came later"
are ranges of ids. Events are a Poisson process whose rate follows trend, weekday and local hour;
they are numbered in time order, and any stretch of them can be made without the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from dnr_core.model import Company
from dnr_core.synth.calendar import DAY, Slots, history, trend
from dnr_core.synth.poisson import FRACTION_BITS, poisson
from dnr_core.synth.seeds import I64, U64, Stream, below, stream_of

_STEP = 20
"""An entity's place among the arrivals is drawn in units of 2**-20 of its turn."""


def _percents(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(values)


@frozen
class Rhythm:
    """How busy a weekday (Monday first) and a local hour (0 to 23) are, in percent of usual."""

    weekday: tuple[int, ...] = field(default=(100,) * 7, converter=_percents)
    hour: tuple[int, ...] = field(default=(100,) * 24, converter=_percents)

    def __attrs_post_init__(self) -> None:
        for name, values, wanted in (("weekday", self.weekday, 7), ("hour", self.hour, 24)):
            if len(values) != wanted or min(values) < 0 or not 0 < max(values) <= 1000:
                raise ValueError(f"{name} must be {wanted} percentages from 0 to 1000: {values}")


EVEN: Final = Rhythm()


def _spread(total: int, weights: Sequence[int]) -> I64:
    """Divide `total` by weights so that every partial sum is right to one unit."""
    whole = sum(weights)
    running, bounds = 0, [0]
    for weight in weights:
        running += weight
        bounds.append(total * running // whole)
    edges = np.array(bounds, dtype=np.int64)
    return edges[1:] - edges[:-1]


def _weights(slots: Slots, company: Company, rhythm: Rhythm) -> list[int]:
    levels = np.array(trend(company.trajectory, company.months), dtype=np.int64)
    weights = (
        levels[np.maximum(slots.month, 0)]
        * np.array(rhythm.weekday, dtype=np.int64)[slots.weekday]
        * np.array(rhythm.hour, dtype=np.int64)[slots.hour]
        * slots.lengths
    )
    return [int(weight) for weight in weights.tolist()]


def expected_shares(
    company: Company, rhythm: Rhythm, part: Literal["weekday", "hour", "month"]
) -> list[float]:
    """Return the share of a company's events that falls on each weekday, local hour or month."""
    slots = history(company)
    place = {"weekday": slots.weekday, "hour": slots.hour, "month": slots.month}[part]
    sums = [0] * (int(place.max()) + 1)
    for where, weight in zip(place.tolist(), _weights(slots, company, rhythm), strict=True):
        sums[where] += weight
    whole = sum(sums)
    return [part_sum / whole for part_sum in sums]


@frozen(eq=False)
class Arrivals:
    """When each of `count` entities (ids from 1) came to be; later ids never came earlier.

    `places` are the turns (in units of 2**-20) at which each slot begins, one more than slots.
    Entity `i` takes a random place in its own turn, and the first one the very first place, so
    that every event finds somebody.
    """

    count: int
    slots: Slots
    places: I64
    stream: Stream

    def created(self, ids: I64) -> I64:
        """The instant, in seconds, at which each entity came to be."""
        place = ((ids - 1) << _STEP) + self._jitter(ids)
        slot = np.searchsorted(self.places, place, side="right") - 1
        opened, closed = self.places[slot], self.places[slot + 1]
        inside = (place - opened) * self.slots.lengths[slot] // (closed - opened)
        return self.slots.starts[slot] + inside

    def _jitter(self, ids: I64) -> I64:
        drawn = (self.stream.bits(ids) >> np.uint64(64 - _STEP)).astype(np.int64)
        return np.where(ids == 1, 0, drawn)

    def _place_at(self, seconds: I64) -> I64:
        slot = np.searchsorted(self.slots.starts, seconds, side="right") - 1
        slot = np.maximum(slot, 0)
        width = self.places[slot + 1] - self.places[slot]
        inside = np.clip(seconds - self.slots.starts[slot], 0, self.slots.lengths[slot])
        place: I64 = self.places[slot] + inside * width // self.slots.lengths[slot]
        return place

    def existing(self, seconds: I64) -> I64:
        """How many had come before each instant, so that ids up to this one were created by then.

        Exact where the instant begins a slot, such as local midnight; at least 1.
        """
        place = self._place_at(seconds)
        turns = place >> _STEP
        begun = self._jitter(turns + 1) < (place & ((1 << _STEP) - 1))
        present: I64 = np.maximum(1, turns + begun)
        return present

    def first_later(self, seconds: I64) -> I64:
        """For each instant an id from which on all came later; above `count` where none did."""
        return (self._place_at(seconds) >> _STEP) + 2

    def later(self, seconds: I64, bits: U64) -> tuple[I64, NDArray[np.bool_]]:
        """For each instant an entity that came after it, and a mask of where there is one."""
        return _later(self, seconds, bits)


@frozen(eq=False)
class Followers:
    """Entities that come with others, in the same order: the cards of accounts.

    Entity `i` belongs to the leader `leader(i)`: evenly spread, so that with more followers than
    leaders each leader has one or more, and with fewer each follower has a leader of its own. It
    comes up to `delay_seconds` after its leader.
    """

    count: int
    leaders: Comers
    delay_seconds: int
    end: int
    stream: Stream

    def leader(self, ids: I64) -> I64:
        """The leader of each entity."""
        return (ids - 1) * self.leaders.count // self.count + 1

    def created(self, ids: I64) -> I64:
        """The instant, in seconds, at which each entity came to be."""
        came = self.leaders.created(self.leader(ids))
        if not self.delay_seconds:
            return came
        late: I64 = np.minimum(came + self.stream.below(ids, self.delay_seconds), self.end - 1)
        return late

    def existing(self, seconds: I64) -> I64:
        """How many surely existed at each instant: ids up to this one were created by then."""
        leaders = self.leaders.existing(seconds - self.delay_seconds)
        return np.minimum(-(-leaders * self.count // self.leaders.count), self.count)

    def first_later(self, seconds: I64) -> I64:
        """For each instant an id from which on all came later; above `count` where none did."""
        leaders = self.leaders.first_later(seconds)
        return -(-(leaders - 1) * self.count // self.leaders.count) + 1

    def later(self, seconds: I64, bits: U64) -> tuple[I64, NDArray[np.bool_]]:
        """For each instant an entity that came after it, and a mask of where there is one."""
        return _later(self, seconds, bits)


Comers = Arrivals | Followers


def _later(comers: Comers, seconds: I64, bits: U64) -> tuple[I64, NDArray[np.bool_]]:
    lowest = comers.first_later(seconds)
    room = np.maximum(comers.count - lowest + 1, 1)
    ids = np.minimum(lowest + below(bits, room), comers.count)
    return ids, comers.created(ids) > seconds


def followers(
    company: Company, name: str, count: int, leaders: Comers, *, delay_seconds: int = 0
) -> Followers:
    """Return `count` entities that follow `leaders`, each by up to `delay_seconds`.

    Raises:
        ValueError: the delay is negative or over 300 days, so that the first of them could come
            after the first events.
    """
    if not 0 <= delay_seconds <= 300 * DAY:
        raise ValueError(f"a delay must be between 0 and 300 days: {delay_seconds} seconds")
    end = history(company).end
    return Followers(count, leaders, delay_seconds, end, stream_of(company, name, "delay"))


@lru_cache(maxsize=32)
def arrivals(
    company: Company, name: str, count: int, *, earlier_permille: int, rhythm: Rhythm = EVEN
) -> Arrivals:
    """Return the arrivals of `count` entities over the history and the year before it.

    `earlier_permille` of them came in that year. Within the history they follow the
    trajectory and the rhythm.

    Raises:
        ValueError: the share is not from 1 to 1000 permille; with none, the first events of the
            history would have no parents.
    """
    if not 1 <= earlier_permille <= 1000:
        raise ValueError(f"earlier_permille must be from 1 to 1000: {earlier_permille}")
    slots = history(company, months_earlier=12)
    weights = _weights(slots, company, rhythm)
    before = int(np.count_nonzero(slots.month < 0))
    turns = count << _STEP
    earlier = turns * earlier_permille // 1000
    widths = [*_spread(earlier, weights[:before]), *_spread(turns - earlier, weights[before:])]
    places = np.concatenate([[0], np.cumsum(np.array(widths, dtype=np.int64))])
    return Arrivals(count, slots, places, stream_of(company, name, "arrival"))


@frozen(eq=False)
class Happenings:
    """Events of one chunk, in time order: ids (dense, from 1) and instants in seconds.

    `slots` are those of the chunk, and `counts` how many events each of them has.
    """

    ids: I64
    seconds: I64
    slots: slice
    counts: I64

    def each(self, of_slots: NDArray[Any]) -> NDArray[Any]:
        """Return for each event the value of its slot; `of_slots` has one for each of `slots`."""
        return np.repeat(of_slots, self.counts)

    @property
    def slot(self) -> I64:
        """The slot of each event."""
        return self.each(np.arange(self.slots.start, self.slots.stop, dtype=np.int64))


@frozen(eq=False)
class Events:
    """Events of a Poisson process, numbered in time order.

    `before[s]` is how many happened before slot `s` (one more entry than slots); `bounds` are the
    slots at which chunks begin and end.
    """

    slots: Slots
    before: I64
    bounds: I64
    stream: Stream

    @property
    def count(self) -> int:
        """All events."""
        return int(self.before[-1])

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return len(self.bounds) - 1

    def chunk(self, number: int) -> Happenings:
        """Return the events of a chunk."""
        begin, end = int(self.bounds[number]), int(self.bounds[number + 1])
        counts = np.diff(self.before[begin : end + 1])
        ids = np.arange(self.before[begin] + 1, self.before[end] + 1, dtype=np.int64)
        starts, lengths = self.slots.starts[begin:end], self.slots.lengths[begin:end]
        even = int(lengths[0]) if (lengths == lengths[0]).all() else np.repeat(lengths, counts)
        # Seconds since the chunk's start fit into 32 bits, which sort twice as fast.
        since = self.stream.below(ids, even).astype(np.uint32)
        since += np.repeat((starts - starts[0]).astype(np.uint32), counts)
        # Slots follow one another, so sorting by time leaves each event in its slot.
        since.sort()
        return Happenings(ids, since + starts[0], slice(begin, end), counts)

    def later(self, seconds: I64, bits: U64) -> tuple[I64, NDArray[np.bool_]]:
        """For each instant an event of a later slot, and a mask of where there is one."""
        slot = np.searchsorted(self.slots.starts, seconds, side="right")
        passed = self.before[slot]
        room = np.maximum(self.count - passed, 1)
        return np.minimum(passed + 1 + below(bits, room), self.count), passed < self.count


@lru_cache(maxsize=16)
def events(
    company: Company, name: str, total: int, *, rhythm: Rhythm, rows_a_chunk: int = 250_000
) -> Events:
    """Return about `total` events over the history, following trajectory and rhythm.

    Their number is Poisson with that mean (at least one); chunks are stretches of time with
    about `rows_a_chunk` events.
    """
    for seconds_a_slot in (3600, 900, 300, 60, 10, 1):
        slots = history(company, seconds_a_slot=seconds_a_slot)
        means = _spread(total << FRACTION_BITS, _weights(slots, company, rhythm))
        if int(means.max()) >> FRACTION_BITS <= rows_a_chunk // 4:
            break
    stream = stream_of(company, name, "events")
    counts = poisson(stream.child("count"), means)
    if not counts.any():
        counts[int(np.argmax(means))] = 1
    before = np.concatenate([[0], np.cumsum(counts)])
    pieces = max(1, -(-int(before[-1]) // rows_a_chunk))
    cuts = np.arange(1, pieces, dtype=np.int64) * int(before[-1]) // pieces
    inner = np.unique(np.searchsorted(before, cuts, side="left"))
    bounds = np.concatenate([[0], inner, [len(slots.starts)]])
    return Events(slots, before, np.unique(bounds), stream.child("time"))

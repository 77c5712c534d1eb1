"""Room: comms. The people of a made company: who they are, and who talks where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from dnr_core.comms.draw import Draw, by_largest_remainder
from dnr_core.comms.tables import ROLES

_MIN_USERS: Final = 20
_ITEMS_PER_USER: Final = 10

_ASKING: Final[Mapping[str, Mapping[str, int]]] = {
    "platform": {"data_eng": 30, "eng_platform": 25, "analytics_eng": 18, "bi": 5, "pm": 8,
                 "product_analytics": 4, "finance": 2, "exec": 2, "other": 6},
    "analytics": {"bi": 20, "analytics_eng": 18, "product_analytics": 18, "data_eng": 10, "pm": 12,
                  "finance": 7, "exec": 4, "eng_platform": 3, "other": 8},
    "domain": {"other": 34, "pm": 20, "finance": 12, "bi": 9, "product_analytics": 7, "exec": 6,
               "analytics_eng": 5, "data_eng": 4, "eng_platform": 3},
    "nlq": {"pm": 20, "bi": 18, "product_analytics": 15, "finance": 13, "other": 16, "exec": 8,
            "analytics_eng": 6, "data_eng": 3, "eng_platform": 1},
}  # fmt: skip
"""Who writes in each bucket, and who puts questions to the data; parts of 100."""


@frozen
class Person:
    """One member of a made company."""

    user_id: str
    role: str


def user_count(asked: int, items: int) -> int:
    """How many people write `items`: as asked where there is enough talk for them, else fewer."""
    return min(asked, max(_MIN_USERS, items // _ITEMS_PER_USER))


def make_people(count: int, draw: Draw) -> tuple[Person, ...]:
    """Return people with the roles of `ROLES`, exact by largest remainder."""
    roles = [role for role, n in by_largest_remainder(count, ROLES).items() for _ in range(n)]
    width = max(3, len(str(count)))
    return tuple(
        Person(f"u{number:0{width}d}", role)
        for number, role in enumerate(draw.shuffled(roles), start=1)
    )


class Crowd:
    """The people by role, to draw writers from."""

    def __init__(self, people: tuple[Person, ...]) -> None:
        self._by_role: dict[str, list[Person]] = {}
        for person in people:
            self._by_role.setdefault(person.role, []).append(person)
        self._weights = {
            place: {role: weight for role, weight in weights.items() if role in self._by_role}
            for place, weights in _ASKING.items()
        }

    def writers(self, place: str, count: int, draw: Draw) -> list[Person]:
        """Return up to `count` different people of a bucket (or of "nlq")."""
        found: list[Person] = []
        for _ in range(count * 3):
            if len(found) == count:
                break
            person = draw.pick(self._by_role[draw.weighted(self._weights[place])])
            if person not in found:
                found.append(person)
        return found

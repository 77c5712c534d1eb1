"""Room: marketplace. Limits of the evening guardrail."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen, validators

_percent = validators.and_(validators.ge(0.0), validators.le(100.0))


def _is_window(_: Any, attribute: Attribute[Any], value: tuple[int, ...]) -> None:
    right = len(value) == 2 and 0 <= value[0] < value[1] <= 24
    if not right:
        raise ValueError(
            f"{attribute.name} must be two hours, from and to, with 0 <= from < to <= 24: {value}"
        )


@frozen
class EveningSettings:
    """Settings below `report.marketplace.evening_window`.

    `hours` are local: from the first, up to and without the second. A day reaches the window where
    at least `min_share_pct` of its payments lie in it.
    """

    hours: tuple[int, int] = field(default=(17, 22), validator=_is_window)
    min_share_pct: float = field(default=30.0, validator=_percent)
    min_days_pct: float = field(default=80.0, validator=_percent)

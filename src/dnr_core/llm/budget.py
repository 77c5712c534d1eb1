"""Room: llm. A cap on money: the worst case is reserved before a call and settled after it."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from threading import Lock

from dnr_core.errors import BudgetError, InternalError
from dnr_core.model import Price, Usage

# Picodollars: the price of one token in them is a whole number down to $0.000001 a million.
_PICO_PER_USD = 10**12


def _pico(usd: float) -> int:
    # str() first: 0.15 means fifteen cents, not the double nearest to it.
    return int((Decimal(str(usd)) * _PICO_PER_USD).to_integral_value(ROUND_FLOOR))


def _pico_a_token(usd_per_million: float) -> int:
    pico = Decimal(str(usd_per_million)) * _PICO_PER_USD / 1_000_000
    return int(pico.to_integral_value(ROUND_CEILING))


class Reservation:
    """The worst case of one call, taken from a budget until it is settled, released or kept."""

    __slots__ = ("_open", "completion_tokens", "pico", "prompt_tokens")

    def __init__(self, pico: int, prompt_tokens: int, completion_tokens: int) -> None:
        self.pico = pico
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens
        self._open = True

    def _close(self) -> None:
        if not self._open:
            raise InternalError("a budget reservation was closed twice")
        self._open = False


class Budget:
    """Money that a run may spend: safe from any thread, never over the cap by one request.

    Money is counted in whole picodollars, so that no order of calls changes a sum. At every moment
    spent + reserved <= cap, whatever happens.

    Args:
        cap_usd: the most that may be spent, in US dollars.
        price: price of a million tokens; None only for providers that cost nothing.

    Raises:
        BudgetError: the cap or a price is negative or no finite number.
    """

    def __init__(self, cap_usd: float, price: Price | None) -> None:
        if not math.isfinite(cap_usd) or cap_usd < 0:
            raise BudgetError(
                f"a budget cap of {cap_usd} US dollars is not possible",
                hint="give zero or a positive number",
            )
        self.price = price
        self._cap = _pico(cap_usd)
        self._prompt = self._completion = 0
        if price is not None:
            for value in (price.prompt_usd_per_million, price.completion_usd_per_million):
                if not math.isfinite(value) or value < 0:
                    raise BudgetError(
                        f"a price of {value} US dollars a million tokens is not possible",
                        hint="give zero or a positive number",
                    )
            self._prompt = _pico_a_token(price.prompt_usd_per_million)
            self._completion = _pico_a_token(price.completion_usd_per_million)
        self._spent = 0
        self._in_flight = 0
        self._kept = 0
        self._lock = Lock()

    @property
    def cap_usd(self) -> float:
        """The cap in US dollars."""
        return self._cap / _PICO_PER_USD

    @property
    def spent_usd(self) -> float:
        """US dollars that are settled."""
        return self._spent / _PICO_PER_USD

    @property
    def reserved_usd(self) -> float:
        """US dollars reserved: for calls in flight, and for calls that may have been charged."""
        with self._lock:
            return (self._in_flight + self._kept) / _PICO_PER_USD

    @property
    def kept_usd(self) -> float:
        """US dollars reserved for good, for calls whose charge nobody told us."""
        return self._kept / _PICO_PER_USD

    @property
    def remaining_usd(self) -> float:
        """US dollars that a further call may reserve now."""
        with self._lock:
            return (self._cap - self._spent - self._in_flight - self._kept) / _PICO_PER_USD

    def _worst(self, prompt_tokens: int, completion_tokens: int) -> int:
        return prompt_tokens * self._prompt + completion_tokens * self._completion

    def cost_usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of so many tokens in US dollars."""
        return self._worst(prompt_tokens, completion_tokens) / _PICO_PER_USD

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> Reservation | None:
        """Take the worst case of one call, or return None where it does not fit now.

        Args:
            prompt_tokens: upper bound of the prompt's tokens.
            completion_tokens: the most tokens that the answer may have.
        """
        worst = self._worst(prompt_tokens, completion_tokens)
        with self._lock:
            if self._spent + self._in_flight + self._kept + worst > self._cap:
                return None
            self._in_flight += worst
        return Reservation(worst, prompt_tokens, completion_tokens)

    def can_ever_fit(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Whether such a call would fit if every call in flight cost nothing."""
        worst = self._worst(prompt_tokens, completion_tokens)
        with self._lock:
            return self._spent + self._kept + worst <= self._cap

    def settle(self, reservation: Reservation, usage: Usage | None) -> tuple[float, bool]:
        """Charge what the server counted, and free the rest of the reservation.

        A count that is missing, or outside of what this call can have used, is not believed:
        the whole reservation is charged.

        Returns:
            The cost in US dollars, and whether the server's count was believed.
        """
        reservation._close()
        believed = usage is not None and _possible(usage, reservation)
        cost = (
            self._worst(usage.prompt_tokens, usage.completion_tokens)
            if usage is not None and believed
            else reservation.pico
        )
        with self._lock:
            self._in_flight -= reservation.pico
            self._spent += cost
        return cost / _PICO_PER_USD, believed

    def release(self, reservation: Reservation) -> None:
        """Free a reservation whose call was certainly not charged."""
        reservation._close()
        with self._lock:
            self._in_flight -= reservation.pico

    def keep(self, reservation: Reservation) -> float:
        """Keep a reservation for good: its call may have been charged. Returns its US dollars."""
        reservation._close()
        with self._lock:
            self._in_flight -= reservation.pico
            self._kept += reservation.pico
        return reservation.pico / _PICO_PER_USD


def _possible(usage: Usage, reservation: Reservation) -> bool:
    counts = (usage.prompt_tokens, usage.completion_tokens)
    if any(type(count) is not int for count in counts):
        return False
    return (
        0 < usage.prompt_tokens <= reservation.prompt_tokens
        and 0 <= usage.completion_tokens <= reservation.completion_tokens
    )

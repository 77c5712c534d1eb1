"""Money: reserved before, settled after, never over the cap."""

from __future__ import annotations

from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.errors import BudgetError, InternalError
from dnr_core.llm import Budget
from dnr_core.model import Price, Usage

MINI = Price(0.15, 0.60)


def test_reserve_then_settle_frees_the_rest() -> None:
    """Only what was used stays spent, to the picodollar."""
    budget = Budget(1.0, MINI)
    held = budget.reserve(1000, 64)
    assert held is not None
    assert budget.reserved_usd == pytest.approx(0.0001884)
    assert budget.settle(held, Usage(200, 10)) == (0.000036, True)
    assert (budget.spent_usd, budget.reserved_usd) == (0.000036, 0.0)
    assert budget.remaining_usd == pytest.approx(1 - 0.000036)


def test_ten_thousand_small_sums_make_the_exact_total() -> None:
    """Floats would drift; whole picodollars do not, in any order."""
    budget = Budget(10.0, MINI)
    for tokens in range(1, 10_001):
        held = budget.reserve(tokens, 1)
        assert held is not None
        budget.settle(held, Usage(tokens, 1))
    assert budget.spent_usd == (sum(range(1, 10_001)) * 150_000 + 10_000 * 600_000) / 1e12


def test_the_cap_is_reached_exactly_and_not_passed() -> None:
    """A call that fits to the last picodollar is made, and one token more is not."""
    budget = Budget(0.00015, Price(0.15, 0.0))
    assert budget.reserve(1001, 0) is None
    held = budget.reserve(1000, 5)
    assert held is not None
    assert budget.remaining_usd == 0
    assert budget.reserve(1, 0) is None
    budget.release(held)
    assert budget.reserve(1000, 0) is not None


def test_a_kept_reservation_stays() -> None:
    """A call that may have been charged lowers what is left for good."""
    budget = Budget(1.0, MINI)
    held = budget.reserve(1_000_000, 0)
    assert held is not None
    assert budget.keep(held) == 0.15
    assert (budget.spent_usd, budget.kept_usd, budget.reserved_usd) == (0.0, 0.15, 0.15)
    assert not budget.can_ever_fit(6_000_000, 0)
    assert budget.can_ever_fit(5_000_000, 0)


def test_a_reservation_is_closed_once() -> None:
    """Freeing money twice would allow to spend it twice."""
    budget = Budget(1.0, MINI)
    held = budget.reserve(10, 1)
    assert held is not None
    budget.release(held)
    for close in (budget.release, budget.keep):
        with pytest.raises(InternalError):
            close(held)
    with pytest.raises(InternalError):
        budget.settle(held, None)


@pytest.mark.parametrize("cap", [-0.01, float("nan"), float("inf")])
def test_an_impossible_cap_is_refused(cap: float) -> None:
    """Caps are finite and not negative."""
    with pytest.raises(BudgetError):
        Budget(cap, MINI)


@pytest.mark.parametrize("price", [Price(-1, 1), Price(1, float("nan"))])
def test_an_impossible_price_is_refused(price: Price) -> None:
    """A negative price would let a run spend without end."""
    with pytest.raises(BudgetError):
        Budget(1.0, price)


def test_a_price_is_rounded_up() -> None:
    """Below a picodollar a token the price is rounded against us, never for us."""
    budget = Budget(1.0, Price(1e-9, 0.0))
    assert budget.cost_usd(1, 0) == 1e-12


def test_threads_cannot_overspend_together() -> None:
    """Eight threads that reserve at once get no more than the cap between them."""
    budget = Budget(0.001, Price(1.0, 0.0))
    got: list[object] = []

    def spend() -> None:
        for _ in range(200):
            held = budget.reserve(1, 0)
            if held is not None:
                budget.settle(held, Usage(1, 0))
                got.append(held)

    threads = [Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1000
    assert budget.remaining_usd == 0


@given(
    cap=st.floats(0, 0.01),
    calls=st.lists(
        st.tuples(
            st.integers(0, 5000),
            st.integers(0, 200),
            st.sampled_from(["settle", "lie", "none", "release", "keep", "open"]),
        ),
        max_size=60,
    ),
)
def test_spent_and_reserved_never_exceed_the_cap(
    cap: float, calls: list[tuple[int, int, str]]
) -> None:
    """At every step of any history of calls."""
    budget = Budget(cap, MINI)
    for prompt, completion, end in calls:
        held = budget.reserve(prompt, completion)
        if held is None:
            continue
        if end == "settle":
            budget.settle(held, Usage(prompt // 2 + 1, completion // 2))
        elif end == "lie":
            budget.settle(held, Usage(prompt * 1000 + 1, completion * 1000))
        elif end == "none":
            budget.settle(held, None)
        elif end == "release":
            budget.release(held)
        elif end == "keep":
            budget.keep(held)
        assert budget.spent_usd + budget.reserved_usd <= cap + 1e-15
        assert budget.remaining_usd >= 0

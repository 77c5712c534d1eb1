"""Whether a need was met, by the last word on it."""

from __future__ import annotations

import pytest

from dnr_core.demand.closure import is_unmet


@pytest.mark.parametrize(
    "last",
    [
        "fixed now, thanks",
        "This is resolved.",
        "merged, should be live",
        "backfilled and all good",
        "Access granted",
        "closing this",
    ],
)
def test_a_word_of_closure_meets_a_need(last):
    """Fixed, merged, resolved and their like close a need."""
    assert not is_unmet(["the table is stale", last])


@pytest.mark.parametrize(
    "last",
    [
        "any update?",
        "this is not fixed",
        "it hasn't been merged yet",
        "can this be fixed today?",
        "needs to be backfilled",
        "when will it be resolved",
        "thanks",
    ],
)
def test_a_wish_or_a_denial_does_not(last):
    """Asking for a fix, or saying that there is none, closes nothing."""
    assert is_unmet(["the table is stale", last])


def test_what_breaks_again_is_open_again():
    """The last sign counts."""
    assert is_unmet(["stale", "fixed", "still broken for me"])
    assert not is_unmet(["stale", "still broken", "now it is fixed"])

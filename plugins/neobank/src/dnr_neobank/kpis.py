"""Room: neobank. Its figures by local month, as Ibis expressions `(month, value)`."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any, Final

import ibis

from dnr_core.model import KpiContext
from dnr_neobank.tables import CAPTURED

ACTIVE_DAYS: Final = 30


def _last_day(month: int) -> int:
    """Last day of a month (`12 * year + month - 1`), in days since 1970-01-01."""
    return (date((month + 1) // 12, (month + 1) % 12 + 1, 1) - date(1970, 1, 1)).days - 1


def _by_month(context: KpiContext, rows: Any, time: str, amount: Any) -> Any:
    """Sum `amount` (a column of `rows`) over local months, by way of local days.

    The month is worked out once a day, because on millions of rows it costs more than all the rest.
    """
    rows = rows.select(at=rows[time], amount=amount).filter(ibis._["at"].notnull())
    days = rows.group_by(day=context.local_day(rows["at"])).agg(
        at=rows["at"].min(), amount=rows.amount.sum()
    )
    days = days.select(month=context.local_month(days["at"]).cast("int64"), amount=days.amount)
    days = days.filter(days.month.isin(context.months))
    return days.group_by("month").agg(value=days.amount.sum())


def _captured(context: KpiContext) -> Any:
    swipes = context.tables["fact_card_transaction"]
    return swipes.filter(swipes.auth_result == CAPTURED)


def active(context: KpiContext) -> Any:
    """Customers with a captured transaction in the last 30 local days of each month."""
    swipes = _captured(context)
    swipes = swipes.filter(swipes.card_id.notnull(), swipes.event_time.notnull())
    rows = swipes.select("card_id", day=context.local_day(swipes.event_time))
    used = _in_windows(rows, context.months)
    cards, accounts = context.tables["dim_card"], context.tables["dim_account"]
    owners = cards.join(accounts, cards.account_id == accounts.account_id).select(
        owned_card=cards.card_id, customer_id=accounts.customer_id
    )
    found = used.join(owners, used.card_id == owners.owned_card)
    months = found.group_by("month").agg(value=found.customer_id.nunique(), known=found.month.max())
    # A filter on the group itself would be pushed down, and DuckDB would work out each day twice
    # a branch; one on an aggregate stays where it is.
    return months.filter(months.known.notnull()).select("month", "value")


def _in_windows(rows: Any, months: tuple[int, ...]) -> Any:
    """Distinct `card_id` and the months in whose last 30 local days it was seen."""
    windows = [(_last_day(month) - ACTIVE_DAYS + 1, _last_day(month), month) for month in months]
    seen = _in_first(rows, windows)
    # Neighbouring windows overlap on two days in spring: few rows lie in a second one.
    shared = [
        (first, last, month)
        for (_, last, _), (first, _, month) in pairwise(windows)
        if first <= last
    ]
    if not shared:
        return seen.distinct()
    both = rows.filter(ibis.or_(*(rows.day.between(first, last) for first, last, _ in shared)))
    return seen.union(_in_first(both, shared), distinct=True)


def _in_first(rows: Any, spans: list[tuple[int, int, int]]) -> Any:
    """Give each row the month of the first of the spans that its day lies in."""
    branches = [(rows.day.between(first, last), month) for first, last, month in spans]
    return rows.select("card_id", month=ibis.cases(*branches).cast("int64"))


def new_accounts(context: KpiContext) -> Any:
    """Accounts opened in each month."""
    accounts = context.tables["dim_account"]
    return _by_month(context, accounts, "created_at", ibis.literal(1, "int64"))


def card_spend(context: KpiContext) -> Any:
    """Captured amounts by month (GMV), in cents."""
    rows = _captured(context)
    return _by_month(context, rows, "event_time", rows.amount_cents)


def interchange(context: KpiContext) -> Any:
    """Interchange on captured amounts by month, in cents; divided after summing."""
    rows = _captured(context)
    parts = _by_month(
        context, rows, "event_time", rows.amount_cents * rows.interchange_bps.cast("int64")
    )
    return parts.select("month", value=parts.value / 10_000)


def subscriptions(context: KpiContext) -> Any:
    """Paid invoices by the month of their payment, in cents."""
    invoices = context.tables["fact_subscription_invoice"]
    return _by_month(context, invoices, "paid_at", invoices.amount_cents)

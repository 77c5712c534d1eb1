"""Room: neobank. Its figures by local month, as Ibis expressions `(month, value)`."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from dnr_core.model import KpiContext
from dnr_neobank.tables import CAPTURED

ACTIVE_DAYS: Final = 30


def _last_day(month: int) -> int:
    """Last day of a month (`12 * year + month - 1`), in days since 1970-01-01."""
    return (date((month + 1) // 12, (month + 1) % 12 + 1, 1) - date(1970, 1, 1)).days - 1


def _captured(context: KpiContext) -> Any:
    swipes = context.tables["fact_card_transaction"]
    kept = swipes.filter(swipes.auth_result == CAPTURED, swipes.event_time.notnull())
    return kept.mutate(month=context.local_month(kept.event_time).cast("int64"))


def _reported(context: KpiContext, rows: Any) -> Any:
    return rows.filter(rows.month.isin(context.months))


def active(context: KpiContext) -> Any:
    """Customers with a captured transaction in the last 30 local days of each month."""
    swipes = _captured(context)
    swipes = swipes.filter(swipes.card_id.notnull())
    # Distinct first, so that local days are worked out once a row and not once a branch.
    rows = swipes.select("month", "card_id", day=context.local_day(swipes.event_time)).distinct()
    ends = [(month, _last_day(month)) for month in (*context.months, max(context.months) + 1)]
    own = rows.filter(rows.day > rows.month.cases(*ends, else_=2**31) - ACTIVE_DAYS)
    # The thirty days of a short month begin in the month before it.
    rows = rows.mutate(month=(rows.month + 1).cast("int64"))
    following = rows.filter(rows.day > rows.month.cases(*ends, else_=2**31) - ACTIVE_DAYS)
    seen = own.select("month", "card_id").union(following.select("month", "card_id"), distinct=True)
    cards, accounts = context.tables["dim_card"], context.tables["dim_account"]
    owners = cards.join(accounts, cards.account_id == accounts.account_id).select(
        owned_card=cards.card_id, customer_id=accounts.customer_id
    )
    found = seen.join(owners, seen.card_id == owners.owned_card)
    return _reported(context, found.group_by("month").agg(value=found.customer_id.nunique()))


def new_accounts(context: KpiContext) -> Any:
    """Accounts opened in each month."""
    accounts = context.tables["dim_account"]
    rows = accounts.mutate(month=context.local_month(accounts.created_at).cast("int64"))
    return _reported(context, rows.group_by("month").agg(value=rows.count()))


def card_spend(context: KpiContext) -> Any:
    """Captured amounts by month (GMV), in cents."""
    rows = _captured(context)
    return _reported(context, rows.group_by("month").agg(value=rows.amount_cents.sum()))


def interchange(context: KpiContext) -> Any:
    """Interchange on captured amounts by month, in cents; divided after summing."""
    rows = _captured(context)
    parts = (rows.amount_cents * rows.interchange_bps).sum()
    return _reported(context, rows.group_by("month").agg(value=parts / 10_000))


def subscriptions(context: KpiContext) -> Any:
    """Paid invoices by the month of their payment, in cents."""
    invoices = context.tables["fact_subscription_invoice"]
    paid = invoices.filter(invoices.paid_at.notnull())
    rows = paid.mutate(month=context.local_month(paid.paid_at).cast("int64"))
    return _reported(context, rows.group_by("month").agg(value=rows.amount_cents.sum()))

"""Room: marketplace. Its figures by local month, as Ibis expressions `(month, value)`."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from dnr_core.model import KpiContext

ACTIVE_DAYS: Final = 30


def _last_day(month: int) -> int:
    """Last day of a month (`12 * year + month - 1`), in days since 1970-01-01."""
    return (date((month + 1) // 12, (month + 1) % 12 + 1, 1) - date(1970, 1, 1)).days - 1


def _reported(context: KpiContext, rows: Any) -> Any:
    return rows.filter(rows.month.isin(context.months))


def _orders(context: KpiContext) -> Any:
    orders = context.tables["fact_order"]
    timed = orders.filter(orders.order_time.notnull())
    return timed.mutate(month=context.local_month(timed.order_time).cast("int64"))


def _items(context: KpiContext) -> Any:
    """Items at the time of their order."""
    items, orders = context.tables["fact_order_item"], context.tables["fact_order"]
    orders = orders.select(placed_order=orders.order_id, order_time=orders.order_time)
    placed = items.join(orders, items.order_id == orders.placed_order)
    timed = placed.filter(placed.order_time.notnull())
    return timed.mutate(month=context.local_month(timed.order_time).cast("int64"))


def _captured(context: KpiContext) -> Any:
    payments = context.tables["fact_payment"]
    captured = payments.filter(payments.captured_at.notnull())
    return captured.mutate(month=context.local_month(captured.captured_at).cast("int64"))


def gmv(context: KpiContext) -> Any:
    """Quantity times item price by the month of the order, in cents."""
    rows = _items(context)
    value = (rows.qty * rows.item_price_cents).sum()
    return _reported(context, rows.group_by("month").agg(value=value))


def take_rate(context: KpiContext) -> Any:
    """Platform fees as a share of the captured goods value."""
    rows = _captured(context)
    fees, earnings = rows.platform_fee_cents.sum(), rows.seller_earnings_cents.sum()
    return _reported(context, rows.group_by("month").agg(value=fees / (fees + earnings)))


def net_revenue(context: KpiContext) -> Any:
    """Platform fees by the month of capture, in cents."""
    rows = _captured(context)
    return _reported(context, rows.group_by("month").agg(value=rows.platform_fee_cents.sum()))


def orders(context: KpiContext) -> Any:
    """Orders placed in each month."""
    rows = _orders(context)
    return _reported(context, rows.group_by("month").agg(value=rows.count()))


def order_value(context: KpiContext) -> Any:
    """Mean goods value of an order, in cents."""
    rows = _orders(context)
    value = rows.subtotal_cents.sum() / rows.count()
    return _reported(context, rows.group_by("month").agg(value=value))


def _active(context: KpiContext, rows: Any) -> Any:
    """Distinct `who` in the last 30 local days of each month."""
    rows = rows.filter(rows.who.notnull())
    # Distinct first, so that local days are worked out once a row and not once a branch.
    rows = rows.select("month", "who", day=context.local_day(rows.order_time)).distinct()
    ends = [(month, _last_day(month)) for month in (*context.months, max(context.months) + 1)]
    own = rows.filter(rows.day > rows.month.cases(*ends, else_=2**31) - ACTIVE_DAYS)
    # The thirty days of a short month begin in the month before it.
    rows = rows.mutate(month=(rows.month + 1).cast("int64"))
    following = rows.filter(rows.day > rows.month.cases(*ends, else_=2**31) - ACTIVE_DAYS)
    seen = own.select("month", "who").union(following.select("month", "who"), distinct=True)
    return _reported(context, seen.group_by("month").agg(value=seen.count()))


def buyers(context: KpiContext) -> Any:
    """Buyers with an order in the last 30 local days of each month."""
    rows = _orders(context)
    return _active(context, rows.mutate(who=rows.buyer_id))


def sellers(context: KpiContext) -> Any:
    """Sellers with a sold item in the last 30 local days of each month."""
    rows = _items(context)
    return _active(context, rows.mutate(who=rows.seller_id))


def live_listings(context: KpiContext) -> Any:
    """Active listings on a mean day of each month, of the days that the snapshot keeps."""
    days = context.tables["snapshot_listing_daily"]
    rows = days.select("ds", live=(days.status == "active").cast("int64"))
    daily = rows.group_by("ds").agg(live=rows.live.sum())
    # `ds` is a local day already, which the local month of an instant would move.
    daily = daily.mutate(month=daily.ds.year().cast("int64") * 12 + daily.ds.month() - 1)
    return _reported(context, daily.group_by("month").agg(value=daily.live.mean()))

"""Room: marketplace. Its figures by local month, as Ibis expressions `(month, value)`."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any, Final

import ibis

from dnr_core.model import KpiContext

ACTIVE_DAYS: Final = 30


def _last_day(month: int) -> int:
    """Last day of a month (`12 * year + month - 1`), in days since 1970-01-01."""
    return (date((month + 1) // 12, (month + 1) % 12 + 1, 1) - date(1970, 1, 1)).days - 1


def _by_month(context: KpiContext, rows: Any, time: str, **amounts: Any) -> Any:
    """Sum `amounts` (columns of `rows`) over local months, by way of local days.

    The month is worked out once a day, because on millions of rows it costs more than all the rest.
    """
    rows = rows.select(at=rows[time], **amounts).filter(ibis._["at"].notnull())
    days = rows.group_by(day=context.local_day(rows["at"])).agg(
        at=rows["at"].min(), **{name: rows[name].sum() for name in amounts}
    )
    days = days.select(*amounts, month=context.local_month(days["at"]).cast("int64"))
    days = days.filter(days.month.isin(context.months))
    return days.group_by("month").agg(**{name: days[name].sum() for name in amounts})


def _items(context: KpiContext) -> Any:
    """Items at the time of their order."""
    items, orders = context.tables["fact_order_item"], context.tables["fact_order"]
    orders = orders.select(placed_order=orders.order_id, order_time=orders.order_time)
    return items.join(orders, items.order_id == orders.placed_order)


def _payments(context: KpiContext) -> Any:
    """Fees and goods value of captured payments by month."""
    rows = context.tables["fact_payment"]
    return _by_month(
        context,
        rows,
        "captured_at",
        fees=rows.platform_fee_cents,
        goods=rows.platform_fee_cents + rows.seller_earnings_cents,
    )


def _baskets(context: KpiContext) -> Any:
    """Orders and their goods value by month."""
    rows = context.tables["fact_order"]
    return _by_month(
        context, rows, "order_time", orders=ibis.literal(1, "int64"), goods=rows.subtotal_cents
    )


def gmv(context: KpiContext) -> Any:
    """Quantity times item price by the month of the order, in cents."""
    rows = _items(context)
    return _by_month(
        context, rows, "order_time", value=rows.qty.cast("int64") * rows.item_price_cents
    )


def take_rate(context: KpiContext) -> Any:
    """Platform fees as a share of the captured goods value."""
    months = _payments(context)
    return months.select("month", value=months.fees / months.goods)


def net_revenue(context: KpiContext) -> Any:
    """Platform fees by the month of capture, in cents."""
    months = _payments(context)
    return months.select("month", value=months.fees)


def orders(context: KpiContext) -> Any:
    """Orders placed in each month."""
    months = _baskets(context)
    return months.select("month", value=months.orders)


def order_value(context: KpiContext) -> Any:
    """Mean goods value of an order, in cents."""
    months = _baskets(context)
    return months.select("month", value=months.goods / months.orders)


def _active(context: KpiContext, rows: Any, who: str) -> Any:
    """Distinct `who` in the last 30 local days of each month."""
    rows = rows.filter(rows[who].notnull(), rows.order_time.notnull())
    rows = rows.select(who=rows[who], day=context.local_day(rows.order_time))
    found = _in_windows(rows, context.months)
    months = found.group_by("month").agg(value=found.count(), known=found.month.max())
    # A filter on the group itself would be pushed down, and DuckDB would work out each day twice
    # a branch; one on an aggregate stays where it is.
    return months.filter(months.known.notnull()).select("month", "value")


def _in_windows(rows: Any, months: tuple[int, ...]) -> Any:
    """Distinct `who` and the months in whose last 30 local days it was seen."""
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
    return rows.select("who", month=ibis.cases(*branches).cast("int64"))


def buyers(context: KpiContext) -> Any:
    """Buyers with an order in the last 30 local days of each month."""
    return _active(context, context.tables["fact_order"], "buyer_id")


def sellers(context: KpiContext) -> Any:
    """Sellers with a sold item in the last 30 local days of each month."""
    return _active(context, _items(context), "seller_id")


def live_listings(context: KpiContext) -> Any:
    """Active listings on a mean day of each month, of the days that the snapshot keeps."""
    days = context.tables["snapshot_listing_daily"]
    rows = days.select("ds", live=ibis.ifelse(days.status == "active", 1, 0))
    daily = rows.group_by("ds").agg(live=rows.live.sum())
    # `ds` is a local day already, which the local month of an instant would move.
    daily = daily.mutate(
        month=daily.ds.year().cast("int64") * 12 + daily.ds.month().cast("int64") - 1
    )
    daily = daily.filter(daily.month.isin(context.months))
    return daily.group_by("month").agg(value=daily.live.mean())

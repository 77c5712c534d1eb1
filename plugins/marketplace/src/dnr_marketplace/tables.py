"""Room: marketplace. The eight tables of an online marketplace."""

from __future__ import annotations

from typing import Final

from dnr_core.model import Column, EventTime, ForeignKey, Schema, Table

COUNTRIES: Final = ("US", "CA", "MX", "GB", "DE", "FR", "AU", "JP")
SHOP_STATUS: Final = ("open", "on_break", "closed")
LISTING_STATUS: Final = ("active", "paused", "sold_out", "removed")
CURRENCY: Final = "USD"

BUYER: Final = Table(
    "dim_buyer",
    (
        Column("buyer_id", "int64", required=True, aliases=("buyer number", "buyer id")),
        Column(
            "created_at",
            "timestamp",
            aliases=("buyer sign-up date",),
            meaning="when they signed up",
        ),
        Column("country", "string", aliases=("buyer country",), values=COUNTRIES),
    ),
    primary_key="buyer_id",
    created_at="created_at",
    title="buyers",
    aliases=("buyers", "shoppers", "buyer list", "people who shop with us"),
)

SELLER: Final = Table(
    "dim_seller",
    (
        Column("seller_id", "int64", required=True, aliases=("seller number", "seller id")),
        Column(
            "created_at",
            "timestamp",
            aliases=("shop opening date",),
            meaning="when the shop opened",
        ),
        Column("country", "string", aliases=("seller country",), values=COUNTRIES),
        Column("shop_status", "string", aliases=("shop status", "shop state"), values=SHOP_STATUS),
    ),
    primary_key="seller_id",
    created_at="created_at",
    title="sellers",
    aliases=("sellers", "shops", "seller list", "merchants on the platform"),
)

CATEGORY: Final = Table(
    "dim_category",
    (
        Column("category_id", "int64", required=True, aliases=("category number", "category id")),
        Column("name", "string", aliases=("category name",)),
        Column(
            "parent_id", "int64", aliases=("parent category",), meaning="null for a top category"
        ),
    ),
    primary_key="category_id",
    foreign_keys=(ForeignKey("parent_id", "dim_category", "category_id", required=False),),
    title="categories",
    aliases=("categories", "category tree", "taxonomy", "departments"),
)

LISTING: Final = Table(
    "dim_listing",
    (
        Column("listing_id", "int64", required=True, aliases=("listing number", "listing id")),
        Column("seller_id", "int64", required=True, aliases=("seller of the listing",)),
        Column("category_id", "int64", required=True, aliases=("category of the listing",)),
        Column("created_at", "timestamp", aliases=("listing date",), meaning="when it went up"),
        Column("status", "string", aliases=("listing status",), values=LISTING_STATUS),
        Column("price_cents", "int64", aliases=("listing price", "asking price")),
    ),
    primary_key="listing_id",
    foreign_keys=(
        ForeignKey("seller_id", "dim_seller", "seller_id", parent_time="created_at"),
        ForeignKey("category_id", "dim_category", "category_id"),
    ),
    created_at="created_at",
    title="listings",
    aliases=("listings", "catalogue", "products on sale", "listing table"),
)

ORDER: Final = Table(
    "fact_order",
    (
        Column("order_id", "int64", required=True, aliases=("order number", "order id")),
        Column("buyer_id", "int64", required=True, aliases=("ordering buyer", "buyer reference")),
        Column("order_time", "timestamp", aliases=("checkout time", "order date")),
        Column("currency", "string", aliases=("order currency",), values=(CURRENCY,)),
        Column("subtotal_cents", "int64", aliases=("basket value", "order subtotal")),
        Column("tax_cents", "int64", aliases=("sales tax", "tax amount")),
        Column("shipping_cents", "int64", aliases=("shipping fee", "postage")),
        Column("discount_cents", "int64", aliases=("discount", "voucher amount")),
        Column("loaded_at", "timestamp", aliases=("load time of orders",)),
    ),
    primary_key="order_id",
    foreign_keys=(ForeignKey("buyer_id", "dim_buyer", "buyer_id", parent_time="created_at"),),
    event_time=EventTime("order_time"),
    loaded_at="loaded_at",
    kind="fact",
    title="orders",
    aliases=("orders", "checkouts", "purchases", "order table"),
)

ITEM: Final = Table(
    "fact_order_item",
    (
        Column("order_id", "int64", required=True, aliases=("order of the item",)),
        Column("line_id", "int32", required=True, aliases=("line number", "basket line")),
        Column(
            "listing_id", "int64", required=True, aliases=("bought listing", "listing reference")
        ),
        Column("seller_id", "int64", required=True, aliases=("seller reference", "selling shop")),
        Column("qty", "int32", aliases=("quantity", "units")),
        Column("item_price_cents", "int64", aliases=("item price", "unit price")),
        Column("loaded_at", "timestamp", aliases=("load time of order items",)),
    ),
    primary_key=("order_id", "line_id"),
    foreign_keys=(
        # An item happens at its order's time, so its order can be missing but never be later.
        ForeignKey("order_id", "fact_order", "order_id"),
        ForeignKey("listing_id", "dim_listing", "listing_id", parent_time="created_at"),
        ForeignKey("seller_id", "dim_seller", "seller_id", parent_time="created_at"),
    ),
    event_time=EventTime("order_time", through="fact_order"),
    loaded_at="loaded_at",
    kind="fact",
    title="order items",
    aliases=("order items", "basket lines", "line items", "items sold"),
)

PAYMENT: Final = Table(
    "fact_payment",
    (
        Column("order_id", "int64", required=True, aliases=("order of the payment", "paid order")),
        Column("captured_at", "timestamp", aliases=("capture time", "payment time")),
        Column("buyer_paid_cents", "int64", aliases=("amount paid", "buyer total")),
        Column("seller_earnings_cents", "int64", aliases=("seller earnings", "payout amount")),
        Column("platform_fee_cents", "int64", aliases=("platform fee", "our fee", "commission")),
        Column("loaded_at", "timestamp", aliases=("load time of payments",)),
    ),
    primary_key="order_id",
    foreign_keys=(ForeignKey("order_id", "fact_order", "order_id", parent_time="order_time"),),
    event_time=EventTime("captured_at"),
    loaded_at="loaded_at",
    kind="fact",
    title="payments",
    aliases=("payments", "captures", "checkout payments", "payment table"),
)

SNAPSHOT: Final = Table(
    "snapshot_listing_daily",
    (
        Column("ds", "date", required=True, aliases=("snapshot day",)),
        Column("listing_id", "int64", required=True, aliases=("snapshot listing",)),
        Column("status", "string", aliases=("status on the day",), values=LISTING_STATUS),
    ),
    primary_key=("ds", "listing_id"),
    foreign_keys=(ForeignKey("listing_id", "dim_listing", "listing_id"),),
    kind="snapshot",
    title="daily listing snapshots",
    aliases=("listing snapshots", "daily listing status", "catalogue history"),
)

SCHEMA: Final = Schema((BUYER, SELLER, CATEGORY, LISTING, ORDER, ITEM, PAYMENT, SNAPSHOT))

"""Room: neobank. The seven tables of a digital bank."""

from __future__ import annotations

from typing import Final

from dnr_core.model import Column, EventTime, ForeignKey, Schema, Table

KYC: Final = ("verified", "pending", "rejected")
ACCOUNT_TYPES: Final = ("checking", "savings", "joint")
ACCOUNT_STATUS: Final = ("open", "frozen", "closed")
CARD_STATUS: Final = ("active", "frozen", "cancelled")
CHANNELS: Final = ("contactless", "chip", "online", "recurring")
AUTH_RESULTS: Final = ("captured", "declined", "reversed", "expired")
CAPTURED: Final = AUTH_RESULTS[0]

CUSTOMER: Final = Table(
    "dim_customer",
    (
        Column("customer_id", "int64", required=True, aliases=("customer number", "customer id")),
        Column("created_at", "timestamp", aliases=("sign-up date",), meaning="when they signed up"),
        Column("kyc_status", "string", aliases=("identity check", "kyc state"), values=KYC),
    ),
    primary_key="customer_id",
    created_at="created_at",
    title="customers",
    aliases=("customers", "customer list", "people who bank with us", "user base"),
)

ACCOUNT: Final = Table(
    "dim_account",
    (
        Column("account_id", "int64", required=True, aliases=("account number", "account id")),
        Column("customer_id", "int64", required=True, aliases=("account holder",)),
        Column("type", "string", aliases=("account type",), values=ACCOUNT_TYPES),
        Column("created_at", "timestamp", aliases=("opening date",), meaning="when it was opened"),
        Column("status", "string", aliases=("account status",), values=ACCOUNT_STATUS),
    ),
    primary_key="account_id",
    foreign_keys=(
        ForeignKey("customer_id", "dim_customer", "customer_id", parent_time="created_at"),
    ),
    created_at="created_at",
    title="accounts",
    aliases=("accounts", "bank accounts", "account list"),
)

CARD: Final = Table(
    "dim_card",
    (
        Column("card_id", "int64", required=True, aliases=("card number", "card id")),
        Column("account_id", "int64", required=True, aliases=("account behind the card",)),
        Column("status", "string", aliases=("card status",), values=CARD_STATUS),
        Column(
            "activated_at", "timestamp", aliases=("activation date",), meaning="when it could pay"
        ),
    ),
    primary_key="card_id",
    foreign_keys=(ForeignKey("account_id", "dim_account", "account_id", parent_time="created_at"),),
    created_at="activated_at",
    title="cards",
    aliases=("cards", "debit cards", "issued cards", "card list"),
)

MERCHANT: Final = Table(
    "dim_merchant",
    (
        Column("merchant_id", "int64", required=True, aliases=("merchant number", "merchant id")),
        Column("mcc", "int32", aliases=("merchant category code", "category code")),
        Column("name", "string", aliases=("merchant name",)),
    ),
    primary_key="merchant_id",
    title="merchants",
    aliases=("merchants", "shops that take our card", "merchant list", "acceptors"),
)

PLAN: Final = Table(
    "dim_plan",
    (
        Column("plan_id", "int64", required=True, aliases=("plan number", "plan id")),
        Column("name", "string", aliases=("plan name",)),
        Column("price_cents", "int64", aliases=("list price", "plan price")),
        Column("cadence", "string", aliases=("billing cadence",), values=("monthly", "yearly")),
    ),
    primary_key="plan_id",
    title="plans",
    aliases=("plans", "price list", "membership plans", "tiers"),
)

TRANSACTION: Final = Table(
    "fact_card_transaction",
    (
        Column("txn_id", "int64", required=True, aliases=("transaction number", "transaction id")),
        Column("card_id", "int64", required=True, aliases=("card reference", "paying card")),
        Column("merchant_id", "int64", required=True, aliases=("merchant reference", "payee")),
        Column("event_time", "timestamp", aliases=("swipe time", "transaction time")),
        Column("amount_cents", "int64", aliases=("transaction amount", "spend amount")),
        Column("interchange_bps", "int32", aliases=("interchange rate", "interchange fee")),
        Column("channel", "string", aliases=("payment channel", "entry mode"), values=CHANNELS),
        Column(
            "auth_result",
            "string",
            aliases=("authorisation result", "auth outcome"),
            values=AUTH_RESULTS,
        ),
        Column("loaded_at", "timestamp", aliases=("load time of transactions",)),
    ),
    primary_key="txn_id",
    foreign_keys=(
        ForeignKey("card_id", "dim_card", "card_id", parent_time="activated_at"),
        ForeignKey("merchant_id", "dim_merchant", "merchant_id"),
    ),
    event_time=EventTime("event_time"),
    loaded_at="loaded_at",
    kind="fact",
    title="card transactions",
    aliases=("card transactions", "transactions", "card spend", "swipes", "card payments"),
)

INVOICE: Final = Table(
    "fact_subscription_invoice",
    (
        Column("invoice_id", "int64", required=True, aliases=("invoice number", "invoice id")),
        Column("customer_id", "int64", required=True, aliases=("billed customer", "subscriber")),
        Column("plan_id", "int64", required=True, aliases=("billed plan", "subscribed plan")),
        Column("period_start", "timestamp", aliases=("billing period start",)),
        Column("period_end", "timestamp", aliases=("billing period end",)),
        Column("paid_at", "timestamp", aliases=("payment date of the invoice", "paid date")),
        Column("amount_cents", "int64", aliases=("invoice amount", "billed amount")),
        Column("loaded_at", "timestamp", aliases=("load time of invoices",)),
    ),
    primary_key="invoice_id",
    foreign_keys=(
        ForeignKey("customer_id", "dim_customer", "customer_id", parent_time="created_at"),
        ForeignKey("plan_id", "dim_plan", "plan_id"),
    ),
    event_time=EventTime(("paid_at", "period_end")),
    loaded_at="loaded_at",
    kind="fact",
    title="subscription invoices",
    aliases=("invoices", "subscription invoices", "premium billing", "membership invoices"),
)

SCHEMA: Final = Schema((CUSTOMER, ACCOUNT, CARD, MERCHANT, PLAN, TRANSACTION, INVOICE))

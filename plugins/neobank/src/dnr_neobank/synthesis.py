"""Room: neobank. How the bank comes to be: its families, and what defects may ask of parents."""

from __future__ import annotations

from typing import Final

from dnr_core.model import Synthesis
from dnr_core.synth import parent
from dnr_neobank import merchants, people
from dnr_neobank.billing import INVOICES
from dnr_neobank.spending import TRANSACTIONS

SYNTHESIS: Final = Synthesis(
    (
        people.CUSTOMERS,
        people.ACCOUNTS,
        people.CARDS,
        merchants.MERCHANTS,
        people.PLAN_LIST,
        TRANSACTIONS,
        INVOICES,
    ),
    parents={
        "dim_customer": parent(lambda company: people.customers(company).count, people.customers),
        "dim_account": parent(lambda company: people.accounts(company).count, people.accounts),
        "dim_card": parent(lambda company: people.cards(company).count, people.cards),
        "dim_merchant": parent(merchants.count),
        "dim_plan": parent(lambda _: len(people.PLANS)),
    },
)

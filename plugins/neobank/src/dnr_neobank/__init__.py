"""dnr plugin: a synthetic digital bank: customers, cards, transactions, invoices."""

"""dnr plugin: a synthetic marketplace: buyers, sellers, listings, orders, payments."""

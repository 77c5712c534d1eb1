"""dnr plugin: an offline, deterministic provider that needs no key."""

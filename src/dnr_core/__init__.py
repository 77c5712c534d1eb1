"""dnr, the data-needs reporter."""

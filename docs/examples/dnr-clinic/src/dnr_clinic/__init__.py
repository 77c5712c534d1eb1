"""An example archetype for dnr: a clinic."""

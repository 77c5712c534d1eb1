"""An archetype as it was written against 0.1.0."""

"""Pure functions that measure a model against the truth."""

"""Measure a model against the truth with pure functions."""

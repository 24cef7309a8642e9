"""Assertions about random results that state how often they are wrong."""

from collapse_jax.testing.statistics import assert_mean, assert_same_law

__all__ = ["assert_mean", "assert_same_law"]

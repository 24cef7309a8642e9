"""Assertions about random results that state how often they are wrong."""

from collapse_jax.testing.statistics import (
    FALSE_FAIL,
    Evidence,
    assert_frequencies,
    assert_law,
    assert_mean,
    assert_same_law,
    frequency_evidence,
    law_evidence,
    mean_evidence,
    same_law_evidence,
)

__all__ = [
    "FALSE_FAIL",
    "Evidence",
    "assert_frequencies",
    "assert_law",
    "assert_mean",
    "assert_same_law",
    "frequency_evidence",
    "law_evidence",
    "mean_evidence",
    "same_law_evidence",
]

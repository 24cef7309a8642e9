"""Test user-defined classes against the rules of chains, and random results against laws.

`check_family`, `check_policy`, `check_selection` and `check_source` name the rule that a class
breaks. The statistical assertions state their false-fail rate and their smallest detectable effect.
Hypothesis strategies are in `collapse_jax.testing.strategies`.
"""

from collapse_jax.testing.families import check_family
from collapse_jax.testing.policies import check_policy
from collapse_jax.testing.rules import BrokenRuleError
from collapse_jax.testing.selections import check_selection
from collapse_jax.testing.sources import check_source
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
    "BrokenRuleError",
    "Evidence",
    "assert_frequencies",
    "assert_law",
    "assert_mean",
    "assert_same_law",
    "check_family",
    "check_policy",
    "check_selection",
    "check_source",
    "frequency_evidence",
    "law_evidence",
    "mean_evidence",
    "same_law_evidence",
]

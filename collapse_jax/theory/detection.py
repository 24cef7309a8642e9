"""Compute what a detector of synthetic rows makes of a share of original rows.

A detector passes original rows with probability s and synthetic rows with probability f; rows that
pass are trained on.

Source: Bayes' rule.
"""

import numpy as np

from collapse_jax.theory.checks import probabilities_of
from collapse_jax.utils import check


def effective_share(
    gamma: np.ndarray | float, true_pass: np.ndarray | float, false_pass: np.ndarray | float
) -> np.ndarray:
    """Return gamma s / (gamma s + (1 - gamma) f), the share of original rows among those that pass.

    Source: Bayes' rule.

    Args:
      gamma: share of original rows among all rows, in [0, 1], dimensionless.
      true_pass: s, probability that an original row passes, in [0, 1].
      false_pass: f, probability that a synthetic row passes, in [0, 1].

    Returns:
      float64 of the arguments' common shape, a share in [0, 1], dimensionless.

    Raises:
      ValueError: if an argument is outside [0, 1], shapes disagree, or no row passes.

    >>> import collapse_jax as cj
    >>> cj.theory.effective_share(0.1, true_pass=0.9, false_pass=[0.9, 0.1, 0.0]).round(4).tolist()
    [0.1, 0.5, 1.0]
    """
    share, passed, missed = _of_one_shape(gamma=gamma, true_pass=true_pass, false_pass=false_pass)
    original = share * passed
    passing = original + (1 - share) * missed
    if np.any(passing == 0):
        shown = np.broadcast_to(missed, passing.shape)[passing == 0].flat[0]
        allowed = "with these gamma and true_pass no row passes"
        raise check.fail("false_pass", float(shown), allowed, "let some rows pass")
    return original / passing


def largest_false_pass(
    gamma: np.ndarray | float, true_pass: np.ndarray | float, target: np.ndarray | float
) -> np.ndarray:
    """Return the largest f with an effective share of at least `target`: how good it must be.

    f = s gamma (1 - target) / ((1 - gamma) target), at most 1.

    Source: `effective_share`, solved for f.

    Args:
      gamma: share of original rows among all rows, in [0, 1], dimensionless.
      true_pass: s, probability that an original row passes, in [0, 1].
      target: share of original rows among those that pass, in [0, 1], dimensionless.

    Returns:
      float64 of the arguments' common shape, a probability; 0 where only a perfect detector
      suffices.

    Raises:
      ValueError: if an argument is outside [0, 1] or shapes disagree.

    >>> from collapse_jax.theory import detection
    >>> detection.largest_false_pass(0.1, true_pass=0.9, target=0.5).round(4).tolist()
    0.1
    """
    share, passed, wanted = _of_one_shape(gamma=gamma, true_pass=true_pass, target=target)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = passed * share * (1 - wanted) / ((1 - share) * wanted)
    return np.where((1 - share) * wanted == 0, 1.0, np.minimum(found, 1.0))


def _of_one_shape(**given: np.ndarray | float) -> list[np.ndarray]:
    """Return probabilities whose shapes can be broadcast against each other."""
    values = [probabilities_of(name, value) for name, value in given.items()]
    try:
        np.broadcast_shapes(*(value.shape for value in values))
    except ValueError:
        name, *others = given
        shown = check.Shown(f"array of shape {values[0].shape}")
        shapes = ", ".join(str(value.shape) for value in values[1:])
        allowed = f"shapes of {' and '.join(others)} are {shapes}"
        remedy = "pass one number, or equal shapes"
        raise check.fail(name, shown, allowed, remedy) from None
    return values

"""Check the arguments of theory functions and convert them to arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from collapse_jax.utils import check

Sizes = Sequence[int] | np.ndarray
Law = Sequence[float] | np.ndarray
Share = Sequence[float] | np.ndarray | float


def numbers_of(name: str, value: Any, remedy: str) -> np.ndarray:
    """Return numbers of any shape as float64.

    Args:
      name: name of the argument, for error messages.
      value: a number, or numbers of any shape.
      remedy: a clause that says what to do.

    Returns:
      float64 of the shape of `value`.

    Raises:
      ValueError: if `value` is no number and no array of numbers.
    """
    try:
        values = np.asarray(value)
        if values.dtype.kind in "SUTmMc":
            raise TypeError
        return values.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise check.fail(name, value, "it must be numbers", remedy) from None


def sizes_of(sizes: Sizes, least: int = 1, name: str = "sizes") -> np.ndarray:
    """Return M_0 .. M_G as float64.

    Args:
      sizes: [generation], numbers of rows.
      least: smallest number of rows allowed.
      name: name of the argument, for error messages.

    Returns:
      [generation] float64, numbers of rows.

    Raises:
      ValueError: if `sizes` is empty, is not one-dimensional or has a number below `least`.
    """
    values = numbers_of(name, sizes, "pass M_0 .. M_G")
    if values.ndim != 1 or values.size == 0 or not np.min(values) >= least:
        allowed = f"it must be a sequence of numbers >= {least}"
        raise check.fail(name, values.tolist(), allowed, "pass M_0 .. M_G")
    return values


def counts_of(sizes: Sizes) -> np.ndarray:
    """Return M_0 .. M_G as integers.

    Args:
      sizes: [generation], whole numbers of rows, at least 1.

    Returns:
      [generation] int64, numbers of rows.

    Raises:
      ValueError: if `sizes` is empty, is not one-dimensional or has a number that is not a
        positive whole one.
    """
    values = sizes_of(sizes)
    if np.any(values != np.round(values)):
        raise check.fail(
            "sizes", values.tolist(), "they must be whole numbers of rows", "round them"
        )
    return values.astype(np.int64)


def law_of(probabilities: Law) -> np.ndarray:
    """Return p_0 as float64, with sum 1.

    Args:
      probabilities: [state], non-negative, with sum 1 to within 1e-6, dimensionless.

    Returns:
      [state] float64, the probability of each state.

    Raises:
      ValueError: if `probabilities` is not one-dimensional, or is no law.
    """
    law = numbers_of("probabilities", probabilities, "pass one probability for each state")
    if law.ndim != 1 or law.size == 0 or not np.all(law >= 0) or abs(law.sum() - 1) > 1e-6:
        shown = law.tolist() if law.size <= 8 else check.Shown(f"array of shape {law.shape}")
        allowed = "it must be one-dimensional, non-negative, with sum 1"
        raise check.fail("probabilities", shown, allowed, "divide counts by their sum")
    return law / law.sum()


def share_of(name: str, share: Share, length: int) -> np.ndarray:
    """Return a share for each of `length` generations, from one number or from `length` numbers.

    Args:
      name: name of the argument, for error messages.
      share: one number or [length], in [0, 1], dimensionless.
      length: number of generations after D_0.

    Returns:
      [length] float64, shares in [0, 1], dimensionless.

    Raises:
      ValueError: if the number of shares is neither 1 nor `length`, or a share is outside [0, 1].
    """
    values = numbers_of(name, share, "pass one number for all")
    if values.ndim > 1 or (values.ndim == 1 and len(values) != length):
        allowed = f"it must be one number or {length}, one for each of D_1 .. D_G"
        raise check.fail(name, values.tolist(), allowed, "pass one number for all")
    if not np.all((values >= 0) & (values <= 1)):
        raise check.fail(name, values.tolist(), "it must lie in [0, 1]", "pass a share of rows")
    return np.broadcast_to(values, (length,))


def probabilities_of(name: str, value: Any) -> np.ndarray:
    """Return probabilities of any shape as float64.

    Args:
      name: name of the argument, for error messages.
      value: one number or numbers of any shape, in [0, 1], dimensionless.

    Returns:
      float64 of the shape of `value`, in [0, 1], dimensionless.

    Raises:
      ValueError: if a value is outside [0, 1] or no number.
    """
    values = numbers_of(name, value, "pass numbers in [0, 1]")
    if not np.all((values >= 0) & (values <= 1)):
        raise check.fail(name, values.tolist(), "it must lie in [0, 1]", "pass numbers in [0, 1]")
    return values


def allocation_of(allocation: Any) -> str:
    """Return how the rows of a share are allocated.

    Args:
      allocation: "multinomial" or "fixed".

    Raises:
      ValueError: for anything else.
    """
    return check.choice("allocation", allocation, ("multinomial", "fixed"))


def bias_of(sampling_bias: Any) -> float:
    """Return the factor of the covariance of drawn rows.

    Args:
      sampling_bias: positive, dimensionless.

    Raises:
      ValueError: for anything else.
    """
    remedy = "pass 1.0 for unbiased draws"
    return check.number("sampling_bias", sampling_bias, 0, np.inf, remedy, open_low=True)


def made_and_original(
    num_samples: Sizes, num_original: Sizes | int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of each kind that generations add.

    Args:
      num_samples: m_0 .. m_G, [generation], rows, at least 1.
      num_original: one number or n_0 .. n_G, rows, at least 0.

    Returns:
      Two float64 arrays [G + 1], rows.

    Raises:
      ValueError: if an argument is outside its range.
    """
    made = sizes_of(num_samples, name="num_samples")
    remedy = "pass one number >= 0, or n_0 .. n_G"
    original = numbers_of("num_original", num_original, remedy)
    if original.shape not in ((), made.shape) or not np.all((original >= 0) & (original < np.inf)):
        allowed = f"it must be one number >= 0, or {len(made)} of them"
        raise check.fail("num_original", original.tolist(), allowed, remedy)
    return made, np.broadcast_to(original, made.shape)

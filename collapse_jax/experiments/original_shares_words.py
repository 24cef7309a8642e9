"""Say which share of original data preserves a model."""

import numpy as np

from collapse_jax.results.policy_words import number, percent
from collapse_jax.results.records import Records
from collapse_jax.results.statements import plus_minus

ORIGINALS = {"redrawn": "distribution", "kept": "data"}  # values of Mixing.original
_WITHIN = 2  # standard errors of a mean: about a 95 % interval


def smallest_sufficient(shares: np.ndarray, row: np.ndarray, target: float) -> float | None:
    """Return the smallest share from which on all preserve enough; None if the largest does not.

    A smaller share that preserves more than a larger one does so by chance.

    Args:
      shares: shares of original rows.
      row: what is left at each share.
      target: what has to be left.
    """
    least = None
    for k in np.argsort(shares)[::-1]:
        if not row[k] >= target:
            break
        least = float(shares[k])
    return least


def sufficient_words(
    shares: np.ndarray, row: np.ndarray, error: np.ndarray, target: float, what: str
) -> str:
    """Say which share suffices, with what chance allows; {} stands for what is preserved.

    Args:
      shares: shares of original rows.
      row: what is left at each share.
      error: standard errors of `row`.
      target: what has to be left.
      what: the rows whose share it is.
    """
    unknown = [number(float(share)) for share in shares[~np.isfinite(row)]]
    if unknown:
        return (
            f"the share of {what} that preserves {{}} is not known: there is no value for gamma = "
            f"{', '.join(unknown)}"
        )
    least = smallest_sufficient(shares, row, target)
    at = int(np.argmax(shares) if least is None else np.flatnonzero(shares == least)[0])
    left = f"{row[at]:#.3g}{plus_minus(error[at])}"
    if least is None:
        words = f"no tried share of {what} preserves {{}}"
        words += f"; gamma = {number(float(shares[at]))} leaves {left}"
    else:
        words = f"gamma = {number(least)} is the smallest tried share of {what} that, like all "
        words += f"larger ones, preserves {{}}; it leaves {left}"
    low, high = (
        smallest_sufficient(shares, row + sign * _WITHIN * error, target) for sign in (1, -1)
    )
    if low == high:
        return words
    assert low is not None  # more is left than at `high`
    first = f"; within {_WITHIN} standard errors it may be gamma = {number(low)}"
    return f"{words}{first}, or none" if high is None else f"{words}{first} to {number(high)}"


def originals_of(records: Records) -> str:
    """Return "kept" or "redrawn".

    Args:
      records: of a study of shares.
    """
    chosen = records.config["chain"]["policy"]["original"]
    return next(name for name, value in ORIGINALS.items() if value == chosen)


def finding_of(records: Records, start: str, enough: str, is_few: bool) -> str:
    """Return the smallest sufficient share for the largest corpus, and for the others.

    Args:
      records: of a study of shares.
      start: after how many generations, the start of the sentence.
      enough: what is preserved, in words.
      is_few: whether chains are too few to tell.
    """
    originals, target = originals_of(records), records.config["study"]["target"]
    if is_few:
        return f"{start}, too few chains tell which share of {originals} originals is enough."
    least = [smallest_sufficient(records["gamma"], row, target) for row in records["surviving"][-1]]
    found = {
        int(size): "none" if share is None else percent(share)
        for size, share in zip(records["num_samples"], least, strict=True)
    }
    largest = max(found)
    share = found.pop(largest)
    others = "; ".join(f"M = {size:,}: {words}" for size, words in found.items())
    more = f" ({others})" if others else ""
    if share == "none":
        words = f"no tried share of {originals} originals preserves {enough} for"
    else:
        words = f"the smallest tried share of {originals} originals that preserves {enough} is "
        words += f"{share} for"
    return f"{start}, {words} M = {largest:,} rows{more}."

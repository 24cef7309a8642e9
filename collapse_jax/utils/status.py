"""Codes of the variable `status`: the outcome of a fit."""

import enum
from typing import Any


class Status(enum.IntEnum):
    """The outcome of the fit of a generation.

    A chain with NON_FINITE or DEGENERATE is frozen: no further step is taken, and its
    variables are NaN from then on. DEGENERATE is also the outcome where a policy asked for more
    rows than there are slots. FLOORED is a note; the chain continues.

    >>> import collapse_jax as cj
    >>> cj.Status.DEGENERATE == 2, [status.label for status in cj.Status]
    (True, ['ok', 'non-finite', 'degenerate', 'floor'])
    """

    OK = 0
    NON_FINITE = 1
    DEGENERATE = 2
    FLOORED = 3

    @property
    def label(self) -> str:
        """Return the name in tables and figures."""
        return ("ok", "non-finite", "degenerate", "floor")[self]


FROZEN = (Status.NON_FINITE, Status.DEGENERATE)
"""Codes of chains that take no further step."""


def is_frozen(status: Any) -> Any:
    """Tell whether a chain takes no further step.

    Args:
      status: integer code, see `Status`, of any shape.

    Returns:
      True for NON_FINITE and DEGENERATE, of the shape of `status`.
    """
    first, second = FROZEN
    return (status == int(first)) | (status == int(second))

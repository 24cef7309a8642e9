"""Codes of the variable `status`: the outcome of a fit."""

import enum


class Status(enum.IntEnum):
    """The outcome of the fit of a generation.

    A chain with NON_FINITE or DEGENERATE is frozen: no further step is taken, and its
    variables are NaN from then on. FLOORED is a note; the chain continues.

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

"""Define the Poisson and the exponential law, with exact means of their samples."""

import jax.numpy as jnp
import numpy as np

from collapse_jax.config import config
from collapse_jax.core.corpus import Size, Totals
from collapse_jax.core.samples import Rows, prefix_weights
from collapse_jax.core.source import TotalsSource
from collapse_jax.random.exponential import exponential, log_exponential_mean
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.poisson import poisson, poisson_mean
from collapse_jax.utils import check

MOST_COUNTS = 1e9
"""Largest rate of a Poisson law."""


@config
class PoissonLaw(TotalsSource):
    """The Poisson law: numbers of events, of mean `rate`.

    Args:
      rate: mean of a row, in [0, 1e9].

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Poisson(), cj.PoissonLaw(2.5), cj.Replace(100))
    >>> chain.source.rate
    2.5
    """

    rate: float

    def __post_init__(self) -> None:
        remedy = "pass the mean number of events, e.g. rate=2.5"
        rate = check.number("PoissonLaw.rate", self.rate, 0, MOST_COUNTS, remedy)
        object.__setattr__(self, "rate", rate)

    @property
    def is_elementwise(self) -> bool:
        """Return True: a mean is one number."""
        return True

    def draw_totals(self, keys: Keys, size: Size) -> Totals:
        """Draw the mean of Poisson rows: their sum is Poisson."""
        mean = poisson_mean(keys, Purpose.SOURCE, size, self.rate)
        return Totals(np.int32(size) if isinstance(size, int) else size, mean, jnp.zeros_like(mean))

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw Poisson numbers as rows of length 1."""
        rows = poisson(keys, Purpose.SOURCE, self.rate, (capacity, 1))
        return Rows.of_rows(rows, size)


@config
class ExponentialLaw(TotalsSource):
    """The exponential law: waiting times, of mean 1 / `rate`.

    Args:
      rate: events per data unit, in [1e-30, 1e30].

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Exponential(), cj.ExponentialLaw(0.5), cj.Replace(100))
    >>> chain.source.rate
    0.5
    """

    rate: float

    def __post_init__(self) -> None:
        remedy = "pass events per data unit, e.g. rate=0.5 for a mean of 2, or change the unit"
        rate = check.number("ExponentialLaw.rate", self.rate, 1e-30, 1e30, remedy)
        object.__setattr__(self, "rate", rate)

    @property
    def is_elementwise(self) -> bool:
        """Return True: a mean is one number."""
        return True

    @property
    def _log_mean(self):
        return -jnp.log(jnp.asarray(self.rate, jnp.result_type(float)))

    def draw_totals(self, keys: Keys, size: Size) -> Totals:
        """Draw the mean of exponential rows: their sum has a gamma law."""
        log_mean = log_exponential_mean(keys, Purpose.SOURCE, size) + self._log_mean
        rows = np.int32(size) if isinstance(size, int) else size
        return Totals(rows, jnp.ones_like(log_mean), log_mean)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw exponential numbers as rows of length 1, in units of the mean."""
        rows = exponential(keys, Purpose.SOURCE, (capacity, 1))
        origin = jnp.zeros(1, rows.dtype)
        return Rows(rows, prefix_weights(size, capacity), origin, self._log_mean)

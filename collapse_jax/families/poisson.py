"""Define Poisson laws: the branching process of a fitted rate, exact in law at every M."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from collapse_jax.config import config, static
from collapse_jax.core.corpus import Size, Totals
from collapse_jax.core.family import Schedule
from collapse_jax.core.metric import Curve, Quantity
from collapse_jax.core.samples import Rows
from collapse_jax.core.source import AbstractSource
from collapse_jax.families.mean_family import AbstractMeanFamily
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.poisson import poisson, poisson_mean


@config
class Poisson(AbstractMeanFamily):
    """Poisson laws, fitted by the mean of their rows.

    One generation, in order: M rows are drawn from the Poisson law of rate_g; rate_{g+1} is their
    mean. M rate_{g+1} is Poisson(M rate_g), so with the corpus "moments" a generation costs one
    draw, for every M. A rate of 0 is absorbing, and is reached with probability 1.

    Variables: `rate`, the mean number of events in a row, and `is_absorbed` (rate 0). On request
    `samples` (rows of D_g, forced corpus only). `status` 2: the corpus is empty; 1: the mean is
    negative or not finite.

    Sources: `PoissonLaw`, `Empirical` of whole numbers >= 0, `Categorical` (state i is the number
    i), or a `Sampler` of such rows.

    Args:
      corpus: "moments", "samples" (rows are drawn: the slow twin), or "auto": moments
        unless the policy reuses rows or selects them.

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Poisson(), cj.PoissonLaw(0.01), cj.Replace(100))
    >>> records = cj.simulate(chain, key=0, num_chains=2000, num_generations=2)
    >>> records.theory["is_absorbed"].values.round(3).tolist()
    [0.368, 0.531, 0.626]
    >>> bool(abs(records["is_absorbed"][2].mean() - 0.626) < 0.05)
    True
    """

    corpus: str = static(default="auto")

    @property
    def takes_whole_numbers(self) -> bool:
        """Return True."""
        return True

    @property
    def schedule(self) -> Schedule:
        """Return an elementwise schedule with exact moments."""
        return Schedule(elementwise=self.corpus == "moments")

    def params_of(self, corpus: Totals) -> Float[Array, ""]:
        """Return the rate."""
        return corpus.relative_mean * jnp.exp(corpus.log_scale)

    def draw_totals(self, keys: Keys, params: Float[Array, ""], size: Size) -> Totals:
        """Draw the mean of M rows, whose sum is Poisson."""
        mean = poisson_mean(keys, Purpose.DRAW, size, params)
        return Totals(np.int32(size) if isinstance(size, int) else size, mean, jnp.zeros_like(mean))

    def draw_rows(self, keys: Keys, params: Float[Array, ""], size: Size, capacity: int) -> Rows:
        """Draw Poisson numbers."""
        return Rows.of_rows(poisson(keys, Purpose.DRAW, params, (capacity, 1)), size)

    def measure(
        self, params: Float[Array, ""], corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Array]:
        """Return the rate."""
        return {"rate": params, "is_absorbed": params == 0}

    def absorbed(self, params: Float[Array, ""]) -> Bool[Array, ""]:
        """Tell whether the rate is 0."""
        return params == 0

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name and unit of the default variables."""
        return {
            "rate": Quantity("fitted mean number of events"),
            "is_absorbed": Quantity("the rate is 0"),
        }

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return expectations on a `PoissonLaw`, without reused rows or a selection."""
        from collapse_jax.families.rate_theory import poisson_curves

        return poisson_curves(chain, sizes)

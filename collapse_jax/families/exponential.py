"""Define exponential laws: a fitted rate that drifts geometrically, exact in law at every M."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config, static
from collapse_jax.core.corpus import Size, Totals
from collapse_jax.core.family import Fit, Schedule
from collapse_jax.core.metric import Curve, Quantity
from collapse_jax.core.samples import Rows, prefix_weights
from collapse_jax.core.source import AbstractSource
from collapse_jax.families.mean_family import AbstractMeanFamily
from collapse_jax.random.exponential import exponential, log_exponential_mean
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils.status import Status


@config
class Exponential(AbstractMeanFamily):
    """Exponential laws, fitted by the mean of their rows.

    One generation, in order: M rows are drawn from the exponential law of rate_g; rate_{g+1} is 1
    over their mean. M rate_g / rate_{g+1} has the law Gamma(M), so with the corpus "moments" a
    generation costs one draw, for every M. ln rate is a random walk.

    Variables: `rate`, events per data unit, and `log_rate`, its logarithm, which neither
    underflows nor overflows. On request `samples` (rows of D_g, forced corpus only). `status` 2:
    all rows are 0, or there are none; 1: a value is negative or not finite.

    Sources: `ExponentialLaw`, `PoissonLaw`, `Empirical` of numbers >= 0, or a `Sampler` of such
    rows.

    Args:
      corpus: "moments", "samples" (rows are drawn: the slow twin), or "auto": moments
        unless the policy reuses rows or selects them.

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Exponential(), cj.ExponentialLaw(1.0), cj.Replace(10))
    >>> records = cj.simulate(chain, key=0, num_chains=2000, num_generations=3)
    >>> records.theory["log_rate"].values.round(3).tolist()
    [0.051, 0.102, 0.152, 0.203]
    >>> bool(abs(records["log_rate"][3].mean() - 0.203) < 0.07)
    True
    """

    corpus: str = static(default="auto")

    @property
    def takes_whole_numbers(self) -> bool:
        """Return False."""
        return False

    @property
    def schedule(self) -> Schedule:
        """Return an elementwise schedule with exact moments."""
        return Schedule(elementwise=self.corpus == "moments")

    def params_of(self, corpus: Totals) -> Float[Array, ""]:
        """Return ln of the rate."""
        return -(jnp.log(corpus.relative_mean) + corpus.log_scale)

    def fit(self, keys: Keys, corpus: Any, previous: Any, generation0: Any) -> Fit:
        """Return ln of the rate; rows that are all 0 have none."""
        fit = super().fit(keys, corpus, previous, generation0)
        is_degenerate = (fit.status == Status.OK) & (fit.params == jnp.inf)
        return fit._replace(status=jnp.where(is_degenerate, Status.DEGENERATE, fit.status))

    def draw_totals(self, keys: Keys, params: Float[Array, ""], size: Size) -> Totals:
        """Draw the mean of M rows, whose sum has a gamma law."""
        log_mean = log_exponential_mean(keys, Purpose.DRAW, size) - params
        rows = np.int32(size) if isinstance(size, int) else size
        return Totals(rows, jnp.ones_like(log_mean), log_mean)

    def draw_rows(self, keys: Keys, params: Float[Array, ""], size: Size, capacity: int) -> Rows:
        """Draw exponential numbers, in units of their mean."""
        rows = exponential(keys, Purpose.DRAW, (capacity, 1))
        return Rows(rows, prefix_weights(size, capacity), jnp.zeros(1, rows.dtype), -params)

    def measure(
        self, params: Float[Array, ""], corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Array]:
        """Return the rate and its logarithm."""
        return {"rate": jnp.exp(params), "log_rate": params}

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name and unit of the default variables."""
        return {
            "rate": Quantity("fitted rate in events per data unit"),
            "log_rate": Quantity("ln of the fitted rate in events per data unit"),
        }

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return expectations on an `ExponentialLaw` under `Replace` without a selection."""
        from collapse_jax.families.rate_theory import exponential_curves

        return exponential_curves(chain, sizes)

"""Define series densities on the circle: regularised estimates that collapse to few directions."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Rows, Samples, prefix_weights
from collapse_jax.core.source import AbstractSource
from collapse_jax.families.mean_family import SAMPLES
from collapse_jax.random.circle import (
    MOST_TERMS,
    basis,
    draw_angles,
    lowest_value,
    node_values,
    wrap,
)
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.theory.series_density import term_weights
from collapse_jax.utils import check
from collapse_jax.utils.row_sums import row_sums
from collapse_jax.utils.status import Status

_LARGEST = 1e6  # of penalty and smoothness
_TOGETHER = 8  # sums that one loop over rows makes
_ROUNDING = 1e-6  # of a density: what float32 may take from one that touches zero


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SeriesModel:
    """Coefficients of a density relative to the uniform law, and what was done for it to be one."""

    coefficients: Float[Array, " term"]
    negativity: Float[Array, ""]  # minus the minimum of the estimate; 0 for a density


@config
class SeriesDensity(AbstractFamily):
    """Regularised series estimates of a density on the circle.

    Rows are angles in radians, modulo 2 pi. With phi_{2k-1} = sqrt(2) cos kx, phi_{2k} = sqrt(2)
    sin kx and eigenvalues s_j = k^(-2 smoothness) of a reproducing kernel, the estimate is
    f = 1 + sum_j c_j phi_j relative to the uniform law, c_j = s_j / (s_j + penalty) times the
    sample mean of phi_j: the f that minimizes |f|^2 / 2 - mean f(x_i) + penalty |f|_H^2 / 2. The
    constant is not penalised. Where an estimate is negative somewhere, the model is its mixture
    with the uniform law that just touches zero: all c_j are divided by 1 - min f.

    One generation, in order: M angles are drawn from the model, their means of phi_j are
    shrunk to the next one. While no estimate is negative, E c_j after n fits is
    (s_j / (s_j + penalty))^n c_j(0): the chain collapses to the topmost directions.

    Variables: `coefficients` [term] of the model; `energy`, the sum of their squares, 0 for the
    uniform law; `negativity`, minus the minimum of the estimate if that is negative, else 0.
    On request `samples` (rows of D_g). `status` 3: an estimate was negative; 2: the corpus is
    empty; 1: a row is not finite.

    Args:
      num_terms: J, number of phi_j beside the constant, 1 to 64.
      penalty: lambda >= 0, dimensionless; 0 for the plain series estimate.
      smoothness: half the power at which eigenvalues decay with frequency, > 0.

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.SeriesDensity(4, 1.0), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> records = cj.simulate(chain, key=0, num_chains=1000, num_generations=3)
    >>> records.theory["coefficients"].values[:, 0].round(3).tolist()  # halved by every fit
    [0.429, 0.214, 0.107, 0.054]
    >>> bool(abs(records["coefficients"][3, :, 0].mean() - 0.054) < 0.02)
    True
    """

    num_terms: int = static()
    penalty: float = static(default=0.1)
    smoothness: float = static(default=1.0)

    def __post_init__(self) -> None:
        name = "SeriesDensity"
        terms = check.integer(f"{name}.num_terms", self.num_terms, 1, MOST_TERMS)
        remedy = "pass a regularisation such as 0.1"
        penalty = check.number(f"{name}.penalty", self.penalty, 0, _LARGEST, remedy)
        remedy = "pass half the power of the eigenvalues' decay, such as 1.0"
        label, given = f"{name}.smoothness", self.smoothness
        smoothness = check.number(label, given, 0, _LARGEST, remedy, open_low=True)
        values = {"num_terms": terms, "penalty": penalty, "smoothness": smoothness}
        for field, value in values.items():
            object.__setattr__(self, field, value)

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Refuse sources whose rows are no numbers."""
        if source.row_dim != 1:
            rows = "are labels" if source.row_dim is None else f"have length {source.row_dim}"
            allowed = f"its rows {rows}, and SeriesDensity needs angles"
            remedy = "pass a source of real rows of length 1, in radians"
            raise check.fail("Chain.source", type(source).__name__, allowed, remedy)
        return self

    def summarize(self, samples: Samples) -> Rows:
        """Return rows as angles in [0, 2 pi)."""
        angles = wrap(samples.absolute_rows)
        origin = jnp.zeros(1, angles.dtype)
        return Rows(angles, samples.weights, origin, jnp.zeros((), angles.dtype))

    def fit(self, keys: Keys, corpus: Rows, previous: Any, generation0: Any) -> Fit:
        """Return the shrunk means of phi_j, drawn towards 0 until the density is not negative."""
        angles = wrap(corpus.absolute_rows[:, 0])  # a selection may have moved them
        terms = basis(angles, self.num_terms)
        if corpus.weights is not None:
            is_used = corpus.weights > 0
            terms = [jnp.where(is_used, term, 0) for term in terms]
        size = jnp.asarray(corpus.size)
        groups = [terms[i : i + _TOGETHER] for i in range(0, len(terms), _TOGETHER)]
        sums = jnp.stack([total for group in groups for total in row_sums(group)])
        means = sums / jnp.maximum(size, 1).astype(sums.dtype)
        estimate = means * self._weights.astype(means.dtype)
        _, density, slope = node_values(estimate)
        lowest = lowest_value(density, slope)
        is_negative = lowest < -_ROUNDING
        negativity = jnp.where(is_negative, -lowest, 0)
        status = jnp.where(is_negative, Status.FLOORED, Status.OK)
        status = jnp.where(size > 0, status, Status.DEGENERATE)
        status = jnp.where(jnp.all(jnp.isfinite(estimate)), status, Status.NON_FINITE)
        coefficients = estimate / (1 + jnp.maximum(-lowest, 0))
        return Fit(SeriesModel(coefficients, negativity), status.astype(jnp.int32))

    @property
    def _weights(self) -> np.ndarray:
        """Return s_j / (s_j + penalty)."""
        return term_weights(self.num_terms, self.penalty, self.smoothness)

    def draw(
        self, keys: Keys, params: SeriesModel, size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Draw angles from the density."""
        angles = draw_angles(keys, Purpose.DRAW, params.coefficients, capacity)
        origin = jnp.zeros(1, angles.dtype)
        weights = prefix_weights(size, capacity)
        return Rows(angles[:, None], weights, origin, jnp.zeros((), angles.dtype))

    def measure(
        self, params: SeriesModel, corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Float[Array, "..."]]:
        """Return the coefficients, the sum of their squares, and the negativity."""
        return {
            "coefficients": params.coefficients,
            "energy": jnp.sum(params.coefficients**2),
            "negativity": params.negativity,
        }

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables on request, by name."""
        return {"samples": SAMPLES}

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name and axes of the default variables."""
        return {
            "coefficients": Quantity("coefficients of the density", dims=("term",)),
            "energy": Quantity("squared distance from the uniform law"),
            "negativity": Quantity("depth of the estimate below zero"),
        }

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return expectations where negative estimates are beyond six standard deviations."""
        from collapse_jax.families.series_density_theory import series_density_curves

        return series_density_curves(chain, sizes)

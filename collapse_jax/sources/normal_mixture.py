"""Define finite mixtures of normal laws."""

import dataclasses
import itertools
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.config import config, replace_fields
from collapse_jax.core.corpus import Moments, Size, draw_moments
from collapse_jax.core.samples import Rows, expand, prefix_weights
from collapse_jax.core.source import MomentsSource, Truth
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.normal import normal
from collapse_jax.random.wishart import number_of_scores
from collapse_jax.sources.normal import check_covariance
from collapse_jax.utils import check, log_cholesky


@config
class NormalMixture(MomentsSource):
    """A mixture of normal laws: component k has probability weights[k].

    Args:
      weights: [component], non-negative, summing to 1 to within 1e-6.
      means: [component, dim], or [component] in one dimension.
      covariances: [component, dim, dim], or [component] variances in one dimension.

    Raises:
      ArgumentError: for shapes that disagree, weights that are no probabilities, or a
        covariance that is not symmetric positive semi-definite.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> truth = cj.NormalMixture([0.5, 0.5], means=[-1.0, 1.0], covariances=[1.0, 1.0]).truth
    >>> truth.mean.tolist(), jnp.exp(2 * truth.log_scale).round(4).tolist()
    ([0.0], [2.0])
    """

    weights: Any
    means: Any
    covariances: Any
    log_scales: Any = dataclasses.field(init=False, repr=False)
    factors: Any = dataclasses.field(init=False, repr=False)
    moments: Any = dataclasses.field(init=False, repr=False)  # Truth, computed on the host

    def __post_init__(self) -> None:
        remedy = "pass one weight, mean and covariance per component"
        weights = check.array("NormalMixture.weights", self.weights, 1, remedy)
        if np.min(weights) < 0 or abs(np.sum(weights) - 1) > 1e-6:
            allowed = "weights must be >= 0 and sum to 1 to within 1e-6"
            raise check.fail("NormalMixture.weights", weights.tolist(), allowed, remedy)
        means = check.array("NormalMixture.means", self.means, (1, 2), remedy)
        means = means.reshape(len(means), -1)
        covariances = check.array("NormalMixture.covariances", self.covariances, (1, 3), remedy)
        for name, value in (("means", means), ("covariances", covariances)):
            if len(value) != len(weights):
                allowed = f"there must be one per weight, {len(weights)}"
                raise check.fail(f"len(NormalMixture.{name})", len(value), allowed, remedy)
        triples = [
            check_covariance(f"NormalMixture.covariances[{k}]", covariance, means.shape[1])
            for k, covariance in enumerate(covariances)
        ]
        stacked = [np.stack(arrays) for arrays in zip(*triples, strict=True)]
        values = (weights / np.sum(weights), means, *stacked)
        names = ("weights", "means", "covariances", "log_scales", "factors")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "moments", _truth(*values[:3]))

    @property
    def row_dim(self) -> int:
        """Return the length of a row."""
        return self.means.shape[1]

    @property
    def location(self) -> Any:
        """Return the mean of the mixture."""
        return self.moments.mean

    def translated(self, shift: Any) -> Self:
        """Return the mixture with other means."""
        moments = self.moments._replace(mean=self.moments.mean + shift)
        return replace_fields(self, means=self.means + shift, moments=moments)

    @property
    def truth(self) -> Truth:
        """Return the moments of the mixture, with an overlap found by quadrature."""
        return self.moments.as_floats()

    def _component_counts(self, keys: Keys, size: Size) -> jax.Array:
        weights = jnp.asarray(self.weights, jnp.result_type(float))
        return multinomial(keys, Purpose.COMPONENT_COUNTS, size, weights)

    def draw_moments(self, keys: Keys, size: Size, capacity: int) -> Moments:
        """Draw exact moments: multinomial component sizes, then pooled component moments."""
        dtype = jnp.result_type(float)
        counts = self._component_counts(keys, size)
        scores = normal(keys, Purpose.SOURCE, (len(self.means), number_of_scores(self.row_dim)))
        pooled: Moments | None = None
        for k in range(len(self.means)):
            mean, log_scale = (
                jnp.asarray(self.means[k], dtype),
                jnp.asarray(self.log_scales[k], dtype),
            )
            factor = jnp.asarray(self.factors[k], dtype)
            part = draw_moments(scores[k], mean, log_scale, factor, counts[k])
            pooled = part if pooled is None else pooled.merge(part, pooled.size)
        assert pooled is not None
        return dataclasses.replace(pooled, num_rows=jnp.asarray(size, jnp.int32))

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw rows in the frame of the mixture."""
        truth = self.truth
        top = jnp.max(truth.log_scale)
        component = expand(self._component_counts(keys, size), capacity)
        scores = normal(keys, Purpose.SOURCE, (capacity, self.row_dim))
        factors = jnp.asarray(self.factors) * jnp.exp(jnp.asarray(self.log_scales)[:, None] - top)
        centres = (jnp.asarray(self.means) - truth.mean) * jnp.exp(-top)
        rows = centres[component] + jnp.einsum("rij,rj->ri", factors[component], scores)
        return Rows(rows.astype(scores.dtype), prefix_weights(size, capacity), truth.mean, top)


def _truth(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> Truth:
    mean = weights @ means
    gaps = means - mean
    covariance = np.einsum("k,kij->ij", weights, covariances)
    covariance = covariance + np.einsum("k,ki,kj->ij", weights, gaps, gaps)
    log_scale, factor = log_cholesky.factorize_on_host(covariance)
    overlap = None
    if means.shape[1] == 1:
        overlap = _overlap(weights, gaps[:, 0], np.sqrt(covariances[:, 0, 0]))
    return Truth.of(mean, log_scale, factor, overlap)


def _overlap(weights: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> float:
    """Return int Q(u) Phi^{-1}(u) du = int phi(Phi^{-1}(F(x))) dx by piecewise quadrature."""
    from scipy import integrate, special

    steps = np.array([-40, -12, -6, -3, -1, 0, 1, 3, 6, 12, 40.0])
    landmarks = np.unique(centres[:, None] + scales[:, None] * steps)

    def integrand(x: float) -> float:
        score = (x - centres) / np.where(scales > 0, scales, 1e-300)
        below, above = weights @ special.ndtr(score), weights @ special.ndtr(-score)
        quantile = special.ndtri(below) if below < above else -special.ndtri(above)
        return float(np.exp(-0.5 * quantile**2) / np.sqrt(2 * np.pi))

    pieces = [
        integrate.quad(integrand, low, high, epsabs=1e-13, epsrel=1e-11)[0]
        for low, high in itertools.pairwise(landmarks)
    ]
    return float(np.sum(pieces))

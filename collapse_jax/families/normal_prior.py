"""Define the conjugate prior of normal laws, and what learners take of its posterior."""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Moments
from collapse_jax.random.chi_square import log_chi_square
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.normal import normal
from collapse_jax.sources.normal import check_covariance
from collapse_jax.utils import check, log_cholesky

_MOST_ROWS = 1e9  # that a prior is worth


@config
class NormalInverseWishart:
    """The prior Sigma ~ inverse Wishart(scale, dof), mu | Sigma ~ N(mean, Sigma / kappa).

    Its expectations are E mu = mean, and E Sigma = scale / (dof - dim - 1) where dof > dim + 1.

    Args:
      mean: a number or [dim], in data units.
      kappa: number of rows that the prior of the mean is worth, in (0, 1e9].
      scale: a number > 0 in one dimension, else a positive definite [dim, dim] matrix, in data
        units squared.
      dof: degrees of freedom, a whole number >= dim.

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> prior = cj.NormalInverseWishart(mean=0.0, kappa=1.0, scale=4.0, dof=4)
    >>> chain = cj.Chain(cj.Gaussian(prior=prior), cj.Normal(3.0, 1.0), cj.Replace(5))
    >>> cj.simulate(chain, key=0, num_chains=10, num_generations=0)["log_std"].shape
    (1, 10)
    """

    mean: Any
    kappa: float
    scale: Any
    dof: int = static()
    log_scale: Any = dataclasses.field(init=False, repr=False)  # of the factor of scale / kappa
    factor: Any = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        name = "NormalInverseWishart"
        mean = check.array(f"{name}.mean", self.mean, (0, 1), "pass a number or [dim]").reshape(-1)
        remedy = "pass the number of rows that the prior is worth"
        kappa = check.number(f"{name}.kappa", self.kappa, 0, _MOST_ROWS, remedy, open_low=True)
        scale, log_scale, factor = check_covariance(f"{name}.scale", self.scale, len(mean))
        if np.any(log_scale == -np.inf):
            shown = float(np.min(np.linalg.eigvalsh(scale)))
            label = f"smallest eigenvalue of {name}.scale"
            raise check.fail(label, shown, "it must be > 0", "pass a positive definite matrix")
        dof = check.integer(f"{name}.dof", self.dof, len(mean), int(_MOST_ROWS))
        values = {"mean": mean, "kappa": kappa, "scale": scale, "dof": dof, "factor": factor}
        for field, value in (values | {"log_scale": log_scale - 0.5 * np.log(kappa)}).items():
            object.__setattr__(self, field, value)

    @property
    def dim(self) -> int:
        """Return the length of a row."""
        return len(self.mean)

    def translated(self, shift: np.ndarray) -> Self:
        """Return the prior of the law of rows plus a vector.

        Args:
          shift: float64 [dim], in data units.
        """
        return replace_fields(self, mean=self.mean + shift)

    def posterior(self, data: Moments) -> Moments:
        """Return the posterior as moments: mean, and scale / kappa as covariance.

        The prior counts as `kappa` rows with its mean and the covariance scale / kappa.

        Args:
          data: of the rows.

        Returns:
          Moments of kappa + M rows.
        """
        dtype = jnp.result_type(float)
        mean, log_scale, factor, kappa = (
            jnp.asarray(value, dtype)
            for value in (self.mean, self.log_scale, self.factor, self.kappa)
        )
        return Moments(kappa, mean, log_scale, factor).merge(data, jnp.int32(0))

    def mean_model(self, data: Moments) -> Moments:
        """Return the posterior mean of mu and Sigma.

        Args:
          data: of the rows.

        Returns:
          Moments whose mean and covariance are the model's.
        """
        found = self.posterior(data)
        rest = data.num_rows + (self.dof - self.dim - 1)
        ratio = jnp.log(found.num_rows / jnp.asarray(rest, found.mean.dtype))
        return dataclasses.replace(found, log_scale=found.log_scale + 0.5 * ratio)

    def sample_model(self, keys: Keys, data: Moments) -> Moments:
        """Return mu and Sigma drawn from the posterior.

        Sigma = L C C^T L^T with L L^T the scale, C^{-T} the upper Bartlett factor of a Wishart law.

        Args:
          keys: random numbers of the generation.
          data: of the rows.

        Returns:
          Moments whose mean and covariance are the model's.
        """
        found, dim = self.posterior(data), self.dim
        scores = normal(keys, Purpose.FIT, (2 * dim + dim * (dim - 1) // 2,))
        dof = data.num_rows + (self.dof - np.arange(dim)[::-1])
        known = isinstance(data.num_rows, (int, np.integer))
        dof = np.asarray(dof) if known else jnp.asarray(dof)
        log_diagonal = 0.5 * log_chi_square(scores[:dim], dof, 1.0)
        log_scale = found.log_scale + 0.5 * jnp.log(found.num_rows)
        new_scale = log_scale - log_diagonal
        factor = found.factor
        if dim > 1:
            upper = jnp.zeros((dim, dim), scores.dtype)
            upper = upper.at[np.triu_indices(dim, 1)].set(scores[2 * dim :])
            upper = upper + jnp.diag(jnp.exp(log_diagonal))
            unit = jnp.eye(dim, dtype=scores.dtype)
            lower = jax.lax.linalg.triangular_solve(upper.T, unit, left_side=True, lower=True)
            ratio = jnp.exp(log_scale[:, None] - new_scale)
            factor = log_cholesky.product(factor, jnp.tril(lower * ratio))
        step = _times_root(new_scale, factor, scores[dim : 2 * dim]) / jnp.sqrt(found.num_rows)
        return Moments(data.num_rows, found.mean + step, new_scale, factor)


def _times_root(
    log_scale: Float[Array, " dim"], factor: Float[Array, "dim dim"], scores: Float[Array, " dim"]
) -> Float[Array, " dim"]:
    """Return L z."""
    scaled = jnp.exp(log_scale) * scores
    return scaled if len(scaled) == 1 else log_cholesky.product(factor, scaled[:, None])[:, 0]

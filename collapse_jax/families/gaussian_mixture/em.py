"""Fit normal mixtures by expectation-maximisation, to the rows of one chain.

Rows have their coordinates as first axis, [dim, row], and are standardised: the overall mean
is zero, the overall covariance the identity. A component holds the Cholesky factor of its
covariance. An M step multiplies this factor by the factor of the covariance of the rows in the
coordinates of the component. No covariance is ever formed, so narrow components lose no digits.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.families.gaussian_mixture.linalg import (
    Whitened,
    cholesky,
    diagonals,
    log_sum_exp,
    moments,
    product,
    squared_norms,
    times_vectors,
    whiten,
)
from collapse_jax.utils.row_sums import row_sums

RESOLUTION = 8  # least standard deviation, in rounding errors of a row: below, it is noise


class Components(NamedTuple):
    """A normal mixture: component k is N(means[k], factors[k] factors[k]^T).

    A removed component has weight 0, and the mean and covariance of all rows.
    """

    weights: Float[Array, " component"]
    means: Float[Array, "component dim"]
    factors: Float[Array, "component dim dim"]  # lower triangular; diagonal for "diag"


class Points(NamedTuple):
    """The rows of one chain with their multiplicities, None for one of each."""

    values: Float[Array, "dim row"]
    weights: Float[Array, " row"] | None

    @property
    def total(self) -> Float[Array, ""] | int:
        """Return the number of rows."""
        return self.values.shape[1] if self.weights is None else row_sums([self.weights])[0]

    def weigh(self, values: Float[Array, "... row"]) -> Float[Array, "... row"]:
        """Return values times the multiplicities.

        Args:
          values: one value per row, [..., row].
        """
        return values if self.weights is None else values * self.weights


class Settings(NamedTuple):
    """The settings of a fit; all static.

    Attributes:
      is_diagonal: whether covariances are diagonal.
      tolerance: least change of the mean log-likelihood, nats; EM stops below.
      max_iterations: the most iterations.
      floor: least variance of a component in any direction, relative to that of all rows.
    """

    is_diagonal: bool
    tolerance: float
    max_iterations: int
    floor: float


class EMState(NamedTuple):
    """A mixture after some iterations.

    Attributes:
      components: the mixture after the last M step.
      num_iterations: number of pairs of E and M step.
      log_likelihood: mean over rows, of the mixture before the last M step, nats.
      change: change of the log-likelihood in the last iteration, nats.
      floored: whether the floor acted in the last M step.
    """

    components: Components
    num_iterations: Int[Array, ""]
    log_likelihood: Float[Array, ""]
    change: Float[Array, ""]
    floored: Bool[Array, ""]


def fit(rows: Points, start: Components, settings: Settings, floored: Bool[Array, ""]) -> EMState:
    """Iterate until the mean log-likelihood changes by less than the tolerance.

    Args:
      rows: standardised rows.
      start: the mixture of the first E step.
      settings: the settings of the fit.
      floored: whether the floor acted on the start.

    Returns:
      The mixture after the last iteration.
    """
    dtype = rows.values.dtype
    infinite = jnp.full((), jnp.inf, dtype)
    begin = EMState(start, jnp.int32(0), -infinite, infinite, floored)

    def is_unfinished(now: EMState) -> Array:
        is_moving = jnp.abs(now.change) >= settings.tolerance
        return is_moving & (now.num_iterations < settings.max_iterations)

    return jax.lax.while_loop(is_unfinished, lambda now: iterate(rows, now, settings), begin)


def iterate(rows: Points, now: EMState, settings: Settings) -> EMState:
    """Make one E step and one M step.

    Args:
      rows: standardised rows.
      now: the state before the iteration.
      settings: the settings of the fit.

    Returns:
      The state after the iteration.
    """
    old = now.components
    whitened = whiten(rows.values, old.means, old.factors, settings.is_diagonal)
    logits = _log_densities(whitened, old)
    per_row = log_sum_exp(logits)
    responsibilities = rows.weigh(jnp.exp(logits - per_row))
    log_likelihood = row_sums([rows.weigh(per_row)])[0] / rows.total
    components, floored = maximize(rows, responsibilities, old, settings, whitened)
    change = log_likelihood - now.log_likelihood
    return EMState(components, now.num_iterations + 1, log_likelihood, change, floored)


def log_density(values: Float[Array, "dim row"], components: Components) -> Float[Array, " row"]:
    """Return ln of the mixture's density at every row.

    Args:
      values: rows in the frame of the mixture, [dim, row].
      components: the mixture.

    Returns:
      Nats, [row].
    """
    whitened = whiten(values, components.means, components.factors, is_diagonal=False)
    return log_sum_exp(_log_densities(whitened, components))


def maximize(
    rows: Points,
    responsibilities: Float[Array, "component row"],
    old: Components,
    settings: Settings,
    whitened: Whitened | None = None,
) -> tuple[Components, Bool[Array, ""]]:
    """Make the M step.

    Args:
      rows: standardised rows.
      responsibilities: shares of the rows times their multiplicities, [component, row].
      old: the preceding components, whose coordinates are used.
      settings: the settings of the fit.
      whitened: the rows in the coordinates of each component; None to compute them.

    Returns:
      The new components, and whether the floor acted.
    """
    if whitened is None:
        whitened = whiten(rows.values, old.means, old.factors, settings.is_diagonal)
    counts, first, second = moments(responsibilities, whitened, settings.is_diagonal)
    safe = jnp.where(counts > 0, counts, 1)[:, None]
    shift = first / safe
    spread = second / safe[..., None] - shift[:, :, None] * shift[:, None, :]
    if settings.is_diagonal:
        spread = spread * jnp.eye(spread.shape[-1], dtype=spread.dtype)
    means = old.means + times_vectors(old.factors, shift)
    factors = product(old.factors, cholesky(spread))
    floored = jnp.bool_(False)
    if settings.floor > 0:
        factors, floored = _raise_to_floor(factors, settings.floor)
        floored = floored & (counts > 0)
    scales = diagonals(factors)
    resolution = RESOLUTION * jnp.finfo(means.dtype).eps * (1 + jnp.max(jnp.abs(means), axis=-1))
    is_alive = (counts > 0) & jnp.all(scales > resolution[:, None], axis=-1)
    heaviest = jnp.arange(len(counts)) == jnp.argmax(counts)
    remaining = jnp.where(jnp.any(is_alive), jnp.where(is_alive, counts, 0), heaviest)
    components = Components(
        remaining / jnp.sum(remaining),
        jnp.where(is_alive[:, None], means, 0),
        jnp.where(is_alive[:, None, None], factors, jnp.eye(means.shape[-1], dtype=means.dtype)),
    )
    return components, jnp.any(floored & is_alive)


def identity_components(num_components: int, dim: int, dtype: jnp.dtype) -> Components:
    """Return components of equal weights, each the normal law of all standardised rows.

    Args:
      num_components: K.
      dim: length of a row.
      dtype: type of the arrays.
    """
    return Components(
        jnp.full(num_components, 1 / num_components, dtype),
        jnp.zeros((num_components, dim), dtype),
        jnp.broadcast_to(jnp.eye(dim, dtype=dtype), (num_components, dim, dim)),
    )


def _log_densities(whitened: Whitened, components: Components) -> Float[Array, "component row"]:
    """Return ln(weight * density) of each component at every row."""
    scales = diagonals(components.factors)
    constant = jnp.log(components.weights) - jnp.sum(jnp.log(scales), axis=-1)
    constant = constant - 0.5 * scales.shape[-1] * jnp.log(2 * jnp.pi).astype(constant.dtype)
    return constant[:, None] - 0.5 * squared_norms(whitened)


def _raise_to_floor(
    factors: Float[Array, "component dim dim"], floor: float
) -> tuple[Array, Bool[Array, " component"]]:
    """Raise eigenvalues of covariances to `floor`; also return which components changed."""
    covariances = product(factors, jnp.swapaxes(factors, -1, -2))
    values, vectors = jnp.linalg.eigh(jnp.nan_to_num(covariances))
    raised = vectors * jnp.sqrt(jnp.maximum(values, floor))[:, None, :]
    acted = jnp.any(values < floor, axis=-1)
    lifted = cholesky(product(raised, jnp.swapaxes(raised, -1, -2)))
    return jnp.where(acted[:, None, None], lifted, factors), acted

"""Define kernel density estimates: rows that are resampled with normal noise."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.config import config, static
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Rows, moments_of, prefix_weights
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.resample import indices_and_scores
from collapse_jax.random.wishart import colour
from collapse_jax.theory.kernel_density import RULES
from collapse_jax.utils import check
from collapse_jax.utils.log_cholesky import scaled_factor
from collapse_jax.utils.row_sums import row_sums
from collapse_jax.utils.status import Status

_WIDEST = 1e30  # of a kernel: variances in float32 end at 3e38


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KernelModel:
    """Rows of the corpus, and the factor of the kernel, in units of exp(log_scale)."""

    rows: Float[Array, "slot dim"]  # centred, of order one; those beyond num_rows are 0
    num_rows: Int[Array, ""] | None  # None: every slot holds a row
    location: Float[Array, " dim"]  # mean of the rows
    log_scale: Float[Array, ""]
    kernel: Float[Array, "dim dim"]  # lower triangular
    variance: Float[Array, " dim"]  # of the model, along each axis


@config
class KernelDensity(AbstractFamily):
    """Normal kernels on the rows of the corpus.

    One generation, in order: each of M new rows is a row of D_g, chosen at random, plus noise of
    the kernel; model g+1 has the new rows and, by a rule, a new width. The kernel's covariance is
    bandwidth^2 times the identity, or by a rule f^2 times the covariance of D_g with divisor
    M - 1, f = M^(-1 / (d + 4)) ("scott") or (M (d + 2) / 4)^(-1 / (d + 4)) ("silverman"), as in
    `scipy.stats.gaussian_kde`. All rows of a corpus have equal weight.

    Variables, of the fitted density: `mean` [dim]; in one dimension `log_std`, in more
    `trace_covariance`. On request `samples` [slot, dim], the rows of D_g, NaN in empty slots.
    `status` 2: the corpus is empty, or has no spread that a kernel could smooth; 1: a row is not
    finite.

    Args:
      dim: length of a row, >= 1.
      bandwidth: "scott", "silverman", or the kernel's standard deviation in data units, a number
        from 0 (resampling without noise) to 1e30. It is not scipy's factor.

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.KernelDensity(1, 0.5), cj.Normal(0.0, 1.0), cj.Replace(10))
    >>> records = cj.simulate(chain, key=0, num_chains=2000, num_generations=2)
    >>> records.theory["variance"].values.round(4).tolist()  # that of D_g, plus 0.25
    [1.15, 1.285, 1.4065]
    >>> bool(abs((2 * records["log_std"][2]).astype(float).mean()) < 0.5)
    True
    """

    dim: int = static(default=1)
    bandwidth: float | str = static(default="scott")

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", check.integer("KernelDensity.dim", self.dim, 1, 1024))
        name, given = "KernelDensity.bandwidth", self.bandwidth
        if isinstance(given, str):
            check.choice(name, given, RULES)
            return
        remedy = 'pass "scott", "silverman", or a standard deviation in data units'
        object.__setattr__(self, "bandwidth", check.number(name, given, 0, _WIDEST, remedy))

    @property
    def _log_width(self) -> float:
        """Return ln of a given bandwidth, -inf for 0."""
        return math.log(self.bandwidth) if self.bandwidth else -math.inf  # pyright: ignore

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Refuse sources of other rows, and corpora of one row by a rule."""
        if source.row_dim != self.dim:
            rows = "are labels" if source.row_dim is None else f"have length {source.row_dim}"
            allowed = f"its rows {rows}, the family's dim={self.dim}"
            remedy = f"use KernelDensity(dim={source.row_dim or 1}) on a source of real rows"
            raise check.fail("Chain.source", type(source).__name__, allowed, remedy)
        if isinstance(self.bandwidth, str) and policy.smallest_size < 2:
            name = f"{type(policy).__name__}.num_samples"
            allowed = f"bandwidth={self.bandwidth!r} needs 2 rows for a variance"
            raise check.fail(name, policy.num_samples, allowed, "pass 2 or more")
        return self

    def fit(self, keys: Keys, corpus: Rows, previous: Any, generation0: Any) -> Fit:
        """Return the rows, centred and scaled, and the kernel."""
        rows, size = _compact(corpus)
        total = jnp.asarray(corpus.capacity if size is None else size).astype(rows.dtype)
        total = jnp.maximum(total, 1)
        shift = row_sums([rows.T])[0] / total
        used = 1 if size is None else prefix_weights(size, len(rows))[:, None]  # pyright: ignore
        centred = (rows - shift) * used
        squares = row_sums([centred.T**2])[0] / total
        log_std = 0.5 * jnp.log(squares)
        log_top = jnp.max(log_std)
        if isinstance(self.bandwidth, str):
            kernel, log_unit = self._rule(corpus, total, squares, log_top)
            is_flat = log_top == -jnp.inf
        else:
            width = self._log_width - corpus.log_scale
            log_unit = jnp.maximum(log_top, width)
            is_flat = log_unit == -jnp.inf
            log_unit = jnp.where(is_flat, 0, log_unit)
            kernel = jnp.exp(width - log_unit) * jnp.eye(self.dim, dtype=rows.dtype)
        unit = jnp.exp(-log_unit)
        spread = squares * unit * unit + jnp.sum(kernel**2, axis=1)
        finite = jnp.all(jnp.isfinite(squares)) & (corpus.log_scale < jnp.inf)
        is_bad = is_flat if size is None else is_flat | (size == 0)
        status = jnp.where(is_bad, Status.DEGENERATE, Status.OK)
        model = KernelModel(
            centred * unit,
            size,
            corpus.location + jnp.exp(corpus.log_scale) * shift,
            corpus.log_scale + log_unit,
            kernel,
            spread,
        )
        return Fit(model, jnp.where(finite, status, Status.NON_FINITE).astype(jnp.int32))

    def _rule(
        self, corpus: Rows, total: Array, squares: Array, log_top: Array
    ) -> tuple[Array, Array]:
        """Return the kernel in units of the widest axis, and ln of this unit in the corpus's."""
        scaled = total if self.bandwidth == "scott" else total * (self.dim + 2) / 4
        factor = scaled ** (-1 / (self.dim + 4)) / jnp.sqrt(jnp.maximum(1 - 1 / total, 0.5))
        log_top = jnp.where(log_top == -jnp.inf, 0, log_top)
        if self.dim == 1:
            return jnp.sqrt(squares * jnp.exp(-2 * log_top))[:, None] * factor, log_top
        moments = moments_of(corpus)
        log_scale = moments.log_scale - corpus.log_scale - log_top
        return scaled_factor(log_scale, moments.factor) * factor, log_top

    def draw(
        self, keys: Keys, params: KernelModel, size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Draw rows of the model's corpus at random, with noise of the kernel."""
        bound = len(params.rows) if params.num_rows is None else jnp.maximum(params.num_rows, 1)
        purposes = (Purpose.DRAW, Purpose.COMPONENT)
        index, scores = indices_and_scores(keys, purposes, bound, (capacity, self.dim))
        chosen = params.rows.at[index].get(mode="promise_in_bounds")
        if self.dim == 1:
            noise = scores * params.kernel[0]
        elif isinstance(self.bandwidth, str):
            noise, _ = colour(scores, jnp.zeros(self.dim, scores.dtype), params.kernel)
        else:
            noise = scores * jnp.diagonal(params.kernel)
        weights = prefix_weights(size, capacity)
        return Rows(chosen + noise, weights, params.location, params.log_scale)

    @property
    def located(self) -> Sequence[str]:
        """Return the variables that move with the rows."""
        return ("mean", "samples")

    def translate(self, params: KernelModel, shift: Float[Array, " dim"]) -> KernelModel:
        """Return the model with its rows moved."""
        return dataclasses.replace(params, location=params.location + shift)

    def measure(
        self, params: KernelModel, corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Float[Array, "..."]]:
        """Return mean and spread of a density."""
        if self.dim == 1:
            log_std = params.log_scale + 0.5 * jnp.log(params.variance[0])
            return {"mean": params.location, "log_std": log_std}
        trace = jnp.exp(2 * params.log_scale) * jnp.sum(params.variance)
        return {"mean": params.location, "trace_covariance": trace}

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables on request, by name."""
        return {
            "samples": Metric(
                _samples,
                "samples",
                ("slot", "dim"),
                unit="data units",
                long_name="rows of the corpus",
                is_relative=True,
            ),
        }

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name, unit and axes of the default variables."""
        squared = "data units squared"
        return {
            "mean": Quantity("mean of the density", "data units", ("dim",)),
            "log_std": Quantity("ln of the density's standard deviation in data units"),
            "variance": Quantity("variance of the density", squared),
            "trace_covariance": Quantity("trace of the density's covariance", squared),
        }

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return expectations on a law with known moments, without reused rows or a selection."""
        from collapse_jax.families.kernel_density_theory import kernel_density_curves

        return kernel_density_curves(chain, sizes)


def _compact(corpus: Rows) -> tuple[Float[Array, "slot dim"], Int[Array, ""] | None]:
    """Return the rows in their frame, those of slots in use first and 0 beyond, and their number.

    The number is None if every slot holds a row.
    """
    rows = corpus.plain_rows
    if corpus.weights is None:
        return rows, None
    used = corpus.weights > 0
    slot = jnp.where(used, jnp.cumsum(used) - 1, len(rows))
    return jnp.zeros_like(rows).at[slot].set(rows, mode="drop"), corpus.size


def _samples(key, family, params, corpus, source, generation0) -> Array:
    rows = params.location + jnp.exp(params.log_scale) * params.rows
    if params.num_rows is None:
        return rows
    return jnp.where(jnp.arange(len(rows))[:, None] < params.num_rows, rows, jnp.nan)

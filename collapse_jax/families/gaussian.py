"""Define the normal family in any dimension, with exact chains whose cost is independent of M."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import AbstractCorpus, Moments, Size, draw_moments
from collapse_jax.core.family import AbstractFamily, Fit, Schedule
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Rows, moments_of, prefix_weights
from collapse_jax.core.source import AbstractSource, MomentsSource
from collapse_jax.core.state import InitialGeneration
from collapse_jax.families.learner import check_learner
from collapse_jax.families.shrinkage import ledoit_wolf
from collapse_jax.metrics import gaussian as metrics
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.normal import normal, normal_rows
from collapse_jax.random.wishart import colour, number_of_scores
from collapse_jax.utils import check
from collapse_jax.utils.log_cholesky import product, scaled_factor
from collapse_jax.utils.status import Status


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NormalModel:
    """N(mean, L L^T) with L = factor @ diag(exp(log_scale))."""

    mean: Float[Array, " dim"]
    log_scale: Float[Array, " dim"]
    factor: Float[Array, "dim dim"]


_LABELS = "use Discrete(), or Empirical(np.asarray(data, float)) for integers that are measured"


@config
class Gaussian(AbstractFamily):
    """Normal models fitted by their sample mean and covariance.

    One generation, in order: M rows are drawn from N(mu_g, sampling_bias * Sigma_g);
    mu_{g+1} is their mean, Sigma_{g+1} their covariance with divisor M ("mle") or
    M - 1 ("unbiased"), or shrunk towards a multiple of the identity ("ledoit_wolf", which reads
    rows). With a prior, both are the means of their posterior, or a sample of it; a chain of
    samples has the prior as its stationary law (Griffiths and Kalish 2007). With the corpus
    "moments" no row is drawn: mean and scatter have their exact normal and Wishart laws, and a
    generation costs O(dim^2) for every M.

    Variables: `mean` [dim]; in one dimension `log_std` = ln sigma and
    `wasserstein2_squared` (left out if the moments of the truth are unknown); in more
    dimensions `log_det_covariance` (-inf if singular) and `trace_covariance`. On request
    `variance` (one dimension), `wasserstein2_squared`, `covariance`, `samples` (rows of D_g,
    forced corpus only).
    `status` 2: all variances are zero; 1: a value is not finite.

    Args:
      dim: length of a row, >= 1.
      estimator: "unbiased", "mle" or "ledoit_wolf"; ignored with a prior.
      sampling_bias: lambda in (0, 1e6], the factor on the covariance at sampling
        (Alemohammad et al., arXiv 2307.01850).
      corpus: "moments", "samples" (rows are drawn: the slow twin), or "auto": moments
        unless the policy reuses rows or selects them.
      prior: a `NormalInverseWishart`; None for none.
      learner: "posterior_mean" or "posterior_sample", with a prior.

    Raises:
      ArgumentError: for any other value.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> corpus = cj.Moments(jnp.int32(5), jnp.array([2.0]), jnp.zeros(1), jnp.ones((1, 1)))
    >>> model = cj.Gaussian(1, "unbiased").fit(None, corpus, None, None).params
    >>> model.mean.tolist(), jnp.exp(2 * model.log_scale).round(4).tolist()  # 1, times 5 / 4
    ([2.0], [1.25])
    """

    dim: int = static(default=1)
    estimator: str = static(default="unbiased")
    sampling_bias: float = 1.0
    corpus: str = static(default="auto")
    prior: Any = None
    learner: str = static(default="posterior_mean")

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", check.integer("Gaussian.dim", self.dim, 1, 2**15))
        check.choice("Gaussian.estimator", self.estimator, ("unbiased", "mle", "ledoit_wolf"))
        check.choice("Gaussian.corpus", self.corpus, ("auto", "moments", "samples"))
        remedy = "pass a factor such as sampling_bias=0.9, or 1 for none"
        bias = check.number(
            "Gaussian.sampling_bias", self.sampling_bias, 0, 1e6, remedy, open_low=True
        )
        object.__setattr__(self, "sampling_bias", bias)
        check_learner("Gaussian", self.learner, self.prior)
        if self.prior is None:
            return
        from collapse_jax.families.normal_prior import NormalInverseWishart

        allowed, remedy = "it must be a prior", "pass NormalInverseWishart(mean, kappa, scale, dof)"
        prior = check.instance("Gaussian.prior", self.prior, NormalInverseWishart, allowed, remedy)
        if prior.dim != self.dim:
            shown, allowed = check.Shown(f"dim={prior.dim}"), f"the family has dim={self.dim}"
            raise check.fail("Gaussian.prior", shown, allowed, "pass a prior of rows as long")

    @property
    def schedule(self) -> Schedule:
        """Return an elementwise schedule in one dimension with exact moments."""
        is_plain = self.corpus == "moments" and self.prior is None
        return Schedule(elementwise=self.dim == 1 and is_plain)

    @property
    def fits_weights(self) -> bool:
        """Tell whether moments are weighted, as all but shrunk ones are."""
        return not self._is_shrunk

    @property
    def _is_shrunk(self) -> bool:
        return self.estimator == "ledoit_wolf" and self.prior is None

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Choose moments, unless the policy needs rows."""
        if source.row_dim != self.dim:
            if source.row_dim is None:
                allowed = f"its rows are labels, not vectors of length dim={self.dim}"
            else:
                allowed = f"its rows have length {source.row_dim}, the family's dim={self.dim}"
            name = type(source).__name__
            remedy = f"use Gaussian(dim={source.row_dim})" if source.row_dim else _LABELS
            raise check.fail("Chain.source", name, allowed, remedy)
        if policy.smallest_size < 2:
            name = f"{type(policy).__name__}.num_samples"
            raise check.fail(
                name, policy.num_samples, "Gaussian needs 2 rows for a variance", "pass 2 or more"
            )
        selection = policy.selected_by
        needs_rows = policy.reuses_rows or selection is not None or self._is_shrunk
        if needs_rows and self.corpus == "moments":
            name = type(policy).__name__
            reads = "a verifier reads rows" if policy.verifier else "a selection reads rows"
            reason = "rows are trained on again" if selection is None else reads
            reason = "shrinkage reads rows" if self._is_shrunk else reason
            allowed = f"moments do not suffice for {name}: {reason}"
            raise check.fail("Gaussian.corpus", "moments", allowed, "use corpus='auto'")
        if self.corpus != "auto":
            return self
        return replace_fields(self, corpus="samples" if needs_rows else "moments")

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return exact moments if the source knows them."""
        if self.corpus == "moments" and isinstance(source, MomentsSource):
            return source.draw_moments(keys, size, capacity)
        return self.summarize(source.draw(keys, size, capacity))

    def summarize(self, samples: Any) -> AbstractCorpus:
        """Return the moments of rows, or the rows if the corpus holds rows."""
        return samples if self.corpus == "samples" else moments_of(samples)

    def fit(self, keys: Keys, corpus: Moments | Rows, previous: Any, generation0: Any) -> Fit:
        """Return the sample mean and covariance, or those of the posterior."""
        if isinstance(corpus, Moments):
            moments = corpus
        else:
            moments = ledoit_wolf(corpus) if self._is_shrunk else moments_of(corpus)
        if self.prior is not None:
            is_sample = self.learner == "posterior_sample"
            prior, data = self.prior, moments
            moments = prior.sample_model(keys, data) if is_sample else prior.mean_model(data)
        log_scale = moments.log_scale
        if self.estimator == "unbiased" and self.prior is None:
            size = moments.num_rows.astype(log_scale.dtype)
            log_scale = log_scale - 0.5 * jnp.log1p(-1 / size)
        largest = jnp.max(log_scale)
        finite = jnp.all(jnp.isfinite(moments.mean)) & (largest < jnp.inf)
        status = jnp.where(largest > -jnp.inf, Status.OK, Status.DEGENERATE)
        status = jnp.where(finite, status, Status.NON_FINITE).astype(jnp.int32)
        return Fit(NormalModel(moments.mean, log_scale, moments.factor), status)

    def draw(
        self, keys: Keys, params: NormalModel, size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Draw the moments of M rows, or the rows, with the biased covariance."""
        log_scale = self._biased(params.log_scale)
        if self.corpus == "samples":
            scores = normal(keys, Purpose.DRAW, (capacity, self.dim))
            rows, top = colour(scores, log_scale, params.factor)
            return Rows(rows, prefix_weights(size, capacity), params.mean, top)
        scores = normal(keys, Purpose.DRAW, (number_of_scores(self.dim),))
        return draw_moments(scores, params.mean, log_scale, params.factor, size)

    def _biased(self, log_scale: Float[Array, "..."]) -> Float[Array, "..."]:
        return log_scale + 0.5 * jnp.log(self.sampling_bias)

    @property
    def recalls_rows(self) -> bool:
        """Return True: a row follows from its model and from its index, which makes the scores."""
        return True

    def recall(
        self,
        keys: Keys,
        models: NormalModel,
        generation: Int[Array, " row"],
        row: Int[Array, " row"],
        size: Size,
        generation0: InitialGeneration | None,
    ) -> Rows:
        """Return rows of D_0 and of later draws, in the frame of D_0."""
        assert generation0 is not None
        original = generation0.corpus
        scores = normal_rows(keys, Purpose.DRAW, generation, row, self.dim)
        model = jax.tree.map(lambda leaf: leaf[jnp.maximum(generation - 1, 0)], models)
        scale = jnp.exp(self._biased(model.log_scale) - original.log_scale)
        centre = (model.mean - original.location) * jnp.exp(-original.log_scale)
        if self.dim == 1:
            drawn = centre + scale * scores
        else:
            drawn = centre + jnp.einsum("rij,rj->ri", model.factor, scale * scores)
        given = original.rows[jnp.minimum(row, original.capacity - 1)]
        rows = jnp.where(generation[:, None] == 0, given, drawn)
        return dataclasses.replace(
            original, rows=rows, weights=prefix_weights(size, len(generation))
        )

    @property
    def located(self) -> Sequence[str]:
        """Return the variables that move with the rows."""
        return ("mean", "samples")

    def translated(self, shift: np.ndarray) -> Self:
        """Return the family with its prior moved."""
        if self.prior is None:
            return self
        return replace_fields(self, prior=self.prior.translated(shift))

    def translate(self, params: NormalModel, shift: Float[Array, " dim"]) -> NormalModel:
        """Return the model with its mean moved."""
        return dataclasses.replace(params, mean=params.mean + shift)

    def measure(
        self, params: NormalModel, corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Float[Array, "..."]]:
        """Return mean and spread of a model."""
        if self.dim > 1:
            return {
                "mean": params.mean,
                "log_det_covariance": metrics.log_det_covariance(params.log_scale),
                "trace_covariance": metrics.trace_covariance(params.log_scale, params.factor),
            }
        values = {"mean": params.mean, "log_std": params.log_scale[0]}
        if isinstance(source, MomentsSource):
            values["wasserstein2_squared"] = _wasserstein(None, self, params, None, source, None)
        return values

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables on request, by name."""
        variance = Metric(
            _variance, "variance", unit="data units squared", long_name="fitted variance"
        )
        return {
            **({"variance": variance} if self.dim == 1 else {}),
            "wasserstein2_squared": Metric(
                _wasserstein,
                "wasserstein2_squared",
                unit="data units squared",
                reads=("family", "params", "source"),
                long_name="squared Wasserstein-2 distance from the truth",
                is_relative=True,
            ),
            "covariance": Metric(
                _covariance,
                "covariance",
                ("dim", "dim_other"),
                unit="data units squared",
                long_name="fitted covariance",
            ),
            "samples": Metric(
                _samples,
                "samples",
                ("slot", "dim"),
                unit="data units",
                reads=("family", "corpus"),
                long_name="rows of the corpus",
                is_relative=True,
            ),
        }

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name, unit and axes of the default variables."""
        squared = "data units squared"
        return {
            "mean": Quantity("fitted mean", "data units", ("dim",)),
            "log_std": Quantity("ln of the fitted standard deviation in data units"),
            "wasserstein2_squared": Quantity(
                "squared Wasserstein-2 distance from the truth", squared
            ),
            "variance": Quantity("fitted variance", squared),
            "log_det_covariance": Quantity("ln of the determinant of the fitted covariance"),
            "trace_covariance": Quantity("trace of the fitted covariance", squared),
        }

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return expectations on a `Normal` truth, without reused rows or a selection."""
        from collapse_jax.families.gaussian_theory import gaussian_curves

        if type(self) is not Gaussian:
            return {}
        return gaussian_curves(chain, sizes)


def _wasserstein(key, family, params, corpus, source, generation0) -> Array:
    if not isinstance(source, MomentsSource):
        name = type(source).__name__
        allowed = "wasserstein2_squared needs the moments of the truth"
        raise check.fail("Chain.source", name, allowed, "leave it out of metrics")
    return metrics.wasserstein2_squared(params.mean, params.log_scale, params.factor, source.truth)


def _variance(key, family, params, corpus, source, generation0) -> Array:
    return jnp.exp(2 * params.log_scale[0])


def _covariance(key, family, params, corpus, source, generation0) -> Array:
    cholesky = scaled_factor(params.log_scale, params.factor)
    return product(cholesky, cholesky.T)


def _samples(key, family, params, corpus, source, generation0) -> Array:
    if not isinstance(corpus, Rows):
        raise check.fail(
            "metrics",
            "samples",
            f"no rows are held with corpus={family.corpus!r}",
            "force them with corpus='samples'",
        )
    return jnp.where(corpus.full_weights()[:, None] > 0, corpus.absolute_rows, jnp.nan)

"""Define Gaussian mixtures, fitted by expectation-maximisation in every generation."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.family import AbstractFamily, Fit, Schedule
from collapse_jax.core.metric import Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Rows, prefix_weights
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import Needs
from collapse_jax.families.gaussian_mixture import em, initialization, metrics
from collapse_jax.families.gaussian_mixture.em import Components, EMState, Points, Settings
from collapse_jax.families.gaussian_mixture.frame import (
    Frame,
    Standardization,
    frame_of,
    move,
    standardize,
)
from collapse_jax.families.gaussian_mixture.linalg import WRITTEN_OUT, fold, inverse, times_rows
from collapse_jax.families.gaussian_mixture.matching import assignment
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.normal import normal
from collapse_jax.sources.normal import Normal
from collapse_jax.sources.normal_mixture import NormalMixture
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.status import Status
from collapse_jax.utils.vmap import sequential_on_cpu

_STARTS = ("kmeans", "kmeans++", "random_from_data", "previous")
_MOST_COMPONENTS, _MOST_DIMENSIONS = 1024, 1024  # bounds of compile time and memory


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MixtureModel:
    """A fitted mixture in the frame of overall mean 0 and covariance 1.

    Component k is N(mu_k, S_k), mu_k = location + exp(log_scale) factor means[k] and
    S_k = G G^T with G = exp(log_scale) factor factors[k]. A removed component has weight 0,
    and the mean and covariance of all rows.
    """

    weights: Float[Array, " component"]
    means: Float[Array, "component dim"]
    factors: Float[Array, "component dim dim"]  # lower triangular
    location: Float[Array, " dim"]
    log_scale: Float[Array, ""]
    factor: Float[Array, "dim dim"]  # lower triangular
    num_iterations: Int[Array, ""]
    log_likelihood: Float[Array, ""]

    @property
    def components(self) -> Components:
        """Return the mixture in its frame."""
        return Components(self.weights, self.means, self.factors)

    @property
    def frame(self) -> Frame:
        """Return the frame of the mixture."""
        return Frame(self.location, self.log_scale, self.factor)


class _Fitted(NamedTuple):
    """A mixture fitted to the rows of one chain."""

    standardization: Standardization
    frame: Frame
    progress: EMState


@config
class GaussianMixture(AbstractFamily):
    """Mixtures of normal laws, refitted by expectation-maximisation (EM).

    One generation, in order: M rows are drawn independently from the mixture; EM starts
    again, alternates E and M steps as in scikit-learn, and stops when the mean
    log-likelihood of a row changes by less than `tolerance`. By default no variance is
    floored: a mixture may collapse to 1e-100 without loss of relative precision.

    A component whose covariance becomes singular to rounding (without rows, with fewer than
    dim + 1, or with coincident ones) would make the likelihood infinite. EM removes such a
    component: its weight is 0, other components take its rows, and the chain continues with
    status 0. `status` 2: all rows coincide or lie in a hyperplane; 1: a value is not finite;
    3: the floor acted.

    Variables: `weights` [component]; `means` [component, dim]; `covariances` [component,
    dim, dim] (may underflow to 0 with status 0); `log_det_covariances` [component];
    `log_l2_squared`, ln of the integral of (f_0 - f_g)^2, f_0 being model 0 (-inf at
    generation 0); `log_likelihood`, mean over the rows of D_g before the last M step, in
    nats (scikit-learn's `lower_bound_`); `num_iterations` of EM. On request
    `log_l2_squared_to_truth` (sources `Normal`, `NormalMixture`); `original_log_likelihood`,
    mean over as many fresh rows of the source as D_g has slots; `effective_components`,
    exp of the entropy of the weights; `component_distances` [component, component_other],
    Mahalanobis distances between means under the average of both covariances;
    `log_spreads` [component], ln sqrt(trace / dim); `samples` (rows of D_g).

    Args:
      num_components: K, in [1, 1024]; a corpus must have as many rows.
      dim: length of a row, in [1, 1024].
      covariance: "full" or "diag".
      init: the start of EM. "kmeans": Lloyd's algorithm from greedy k-means++ seeds, the
        default of scikit-learn; "kmeans++": these seeds as means, "random_from_data": random
        rows as means, both with the covariance of all rows and equal weights; "previous":
        the last model ("kmeans" in generation 0; a removed component stays removed); or a
        `NormalMixture`, the start in every generation.
      tolerance: in (0, 1e6], on the change of the mean log-likelihood in an iteration.
      max_iterations: >= 1.
      floor: least variance of a component in any direction, in [0, 1) of the variance of
        all rows in that direction.
      order: "matched": optimal assignment gives each component the index of its predecessor;
        "raw": the order of the start.

    Raises:
      ArgumentError: for any other value.
    """

    num_components: int = static()
    dim: int = static()
    covariance: str = static(default="full")
    init: str | NormalMixture = static(default="kmeans")
    tolerance: float = static(default=1e-5)
    max_iterations: int = static(default=2000)
    floor: float = static(default=0.0)
    order: str = static(default="matched")

    def __post_init__(self) -> None:
        name = "GaussianMixture"
        check.integer(f"{name}.num_components", self.num_components, 1, _MOST_COMPONENTS)
        check.integer(f"{name}.dim", self.dim, 1, _MOST_DIMENSIONS)
        check.choice(f"{name}.covariance", self.covariance, ("full", "diag"))
        check.choice(f"{name}.order", self.order, ("matched", "raw"))
        check.integer(f"{name}.max_iterations", self.max_iterations, 1)
        remedy = "pass a number such as tolerance=1e-5"
        check.number(f"{name}.tolerance", self.tolerance, 0, 1e6, remedy, open_low=True)
        remedy = "pass a share of the overall variance such as floor=1e-6, or 0 for none"
        floor = check.number(f"{name}.floor", self.floor, 0, 1, remedy)
        if floor == 1:
            raise check.fail(f"{name}.floor", floor, "it must be below 1", remedy)
        if isinstance(self.init, NormalMixture):
            self._check_start(self.init)
        else:
            check.choice(f"{name}.init", self.init, _STARTS)

    def _check_start(self, given: NormalMixture) -> None:
        shape = given.means.shape
        wanted = (self.num_components, self.dim)
        if shape != wanted:
            shown = check.Shown(
                f"mixture of {counted(shape[0], 'component')} in {counted(shape[1], 'dimension')}"
            )
            allowed = f"num_components={wanted[0]} and dim={wanted[1]} need another"
            remedy = f"pass a NormalMixture with means of shape {wanted}"
            raise check.fail("GaussianMixture.init", shown, allowed, remedy)
        for k, scales in enumerate(given.log_scales):
            if min(scales) == -jnp.inf:
                allowed = "a start must have positive definite covariances"
                shown = given.covariances[k].tolist()
                remedy = "pass covariances of full rank"
                raise check.fail(f"GaussianMixture.init.covariances[{k}]", shown, allowed, remedy)

    @property
    def needs(self) -> Needs:
        """Return model 0, the reference of distances."""
        return Needs(generation0=True)

    @property
    def schedule(self) -> Schedule:
        """Return a sequential schedule, because EM of each chain stops at another iteration."""
        return Schedule(sequential_on_cpu=True)

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Check that rows have the right dimension and are numerous enough."""
        if source.row_dim != self.dim:
            rows = "labels" if source.row_dim is None else f"of length {source.row_dim}"
            allowed = f"its rows are {rows}, the family's dim={self.dim}"
            remedy = "use Discrete()"
            if source.row_dim is not None:
                remedy = f"use GaussianMixture(..., dim={source.row_dim})"
            raise check.fail("Chain.source", type(source).__name__, allowed, remedy)
        least = max(self.num_components, self.dim + 1)
        if policy.smallest_size < least:
            name = f"{type(policy).__name__}.num_samples"
            components = counted(self.num_components, "component")
            allowed = (
                f"{components} in {counted(self.dim, 'dimension')} fit to {least} rows or more"
            )
            remedy = f"pass {least} or more, or fewer components"
            raise check.fail(name, policy.num_samples, allowed, remedy)
        return self

    def summarize(self, samples: Any) -> Rows:
        """Return rows in a frame with a factor."""
        dtype = samples.rows.dtype
        return dataclasses.replace(samples, factor=jnp.eye(self.dim, dtype=dtype))

    @property
    def located(self) -> Sequence[str]:
        """Return the variables that move with the rows."""
        return ("means", "samples")

    def translated(self, shift: np.ndarray) -> Self:
        """Return the family with a given start moved."""
        if not isinstance(self.init, NormalMixture):
            return self
        return replace_fields(self, init=self.init.translated(shift))

    def translate(self, params: MixtureModel, shift: Float[Array, " dim"]) -> MixtureModel:
        """Return the mixture with its frame moved."""
        return dataclasses.replace(params, location=params.location + shift)

    @property
    def settings(self) -> Settings:
        """Return the settings of EM."""
        return Settings(self.covariance == "diag", self.tolerance, self.max_iterations, self.floor)

    def fit(self, keys: Keys, corpus: Rows, previous: Any, generation0: Any) -> Fit:
        """Run EM until convergence, and order the components."""
        old = frame_of(corpus)
        known = None if previous is None else move(previous.components, previous.frame, old)
        begin = known if self.init == "previous" else self._given_start(old)
        fitted = sequential_on_cpu(self._fit_rows)(
            Points(corpus.rows.T, corpus.weights), old, self._uniforms(keys), begin
        )
        frame, progress = fitted.frame, fitted.progress
        components = progress.components
        if known is not None and self.order == "matched":
            order = assignment(components, fitted.standardization.components(known))
            components = jax.tree.map(lambda leaf: leaf[order], components)
        log_likelihood = progress.log_likelihood - frame.log_volume
        finite = jnp.isfinite(log_likelihood) & jnp.all(jnp.isfinite(frame.location))
        status = jnp.where(progress.floored, Status.FLOORED, Status.OK)
        status = jnp.where(fitted.standardization.is_singular, Status.DEGENERATE, status)
        status = jnp.where(finite, status, Status.NON_FINITE).astype(jnp.int32)
        model = MixtureModel(
            **components._asdict(),
            **frame._asdict(),
            num_iterations=progress.num_iterations,
            log_likelihood=log_likelihood,
        )
        return Fit(model, status)

    def _uniforms(self, keys: Keys) -> Float[Array, "component candidate"]:
        """Draw numbers in (0, 1), which choose the rows of the start."""
        shape = (self.num_components, initialization.num_candidates(self.num_components))
        high, low = keys.bits(Purpose.FIT, shape)
        dtype = jnp.result_type(float)
        fraction = (low.astype(dtype) + 0.5) * 2.0**-32
        return (high.astype(dtype) + fraction) * 2.0**-32

    def _given_start(self, frame: Frame) -> Components | None:
        """Return the start that is given by the config, in a frame; None if there is none."""
        if not isinstance(self.init, NormalMixture):
            return None
        dtype = jnp.result_type(float)
        factors = self.init.factors * jnp.exp(self.init.log_scales)[:, None, :]
        values = (self.init.weights, self.init.means, factors)
        components = Components(*(jnp.asarray(value, dtype) for value in values))
        origin = Frame(jnp.zeros(self.dim, dtype), jnp.zeros((), dtype), jnp.eye(self.dim))
        return move(components, origin, frame)

    def _fit_rows(
        self, rows: Points, old: Frame, uniforms: Array, begin: Components | None
    ) -> _Fitted:
        """Standardize the rows of one chain, start, and run EM."""
        settings = self.settings
        standard, standardization = standardize(rows, settings.is_diagonal)
        frame = standardization.frame(old)
        floored = jnp.bool_(False)
        if begin is not None:
            begin = standardization.components(begin)
            if settings.is_diagonal:
                begin = begin._replace(factors=begin.factors * jnp.eye(self.dim))
        else:
            plain = Points(times_rows(frame.factor, standard.values), rows.weights)
            begin, floored = self._start(standard, plain, frame, uniforms)
        progress = em.fit(standard, begin, settings, floored)
        return _Fitted(standardization, frame, progress)

    def _start(
        self, rows: Points, plain: Points, frame: Frame, uniforms: Array
    ) -> tuple[Components, Bool[Array, ""]]:
        """Choose a start from rows; distances in `plain` are those of absolute rows."""
        dtype = rows.values.dtype
        equal = em.identity_components(self.num_components, self.dim, dtype)
        if self.init in ("kmeans", "previous"):
            belongs = initialization.k_means(plain, uniforms)
            centres = initialization.cluster_means(rows, belongs, equal.means.T)
            equal = equal._replace(means=centres.T)
            return em.maximize(rows, rows.weigh(belongs), equal, self.settings)
        choose = initialization.plus_plus if self.init == "kmeans++" else initialization.at_random
        means = times_rows(inverse(frame.factor[None])[0], choose(plain, uniforms))
        return equal._replace(means=means.T), jnp.bool_(False)

    def draw(
        self, keys: Keys, params: MixtureModel, size: Size, capacity: int, generation0: Any
    ) -> Rows:
        """Draw independent rows in the frame of the model."""
        scores = normal(keys, Purpose.DRAW, (capacity, self.dim)).T
        component = self._choose_components(keys, params.weights, capacity)
        rows = _rows(scores, component, params.means, params.factors)
        weights = prefix_weights(size, capacity)
        return Rows(rows.T, weights, params.location, params.log_scale, params.factor)

    def _choose_components(
        self, keys: Keys, weights: Float[Array, " component"], capacity: int
    ) -> Int[Array, " row"]:
        """Draw the component of each row by comparing a 32-bit word with cumulated weights."""
        high, low = keys.bits(Purpose.COMPONENT, (-(-capacity // 2),))
        words = jnp.stack([high, low], axis=-1).reshape(-1)[:capacity]
        after = [weights[0]]
        for weight in weights[1:-1]:
            after.append(after[-1] + weight)
        component = jnp.zeros(capacity, jnp.int32)
        for edge in after[: self.num_components - 1]:
            word = (jnp.minimum(edge, 1) * 2.0**32).astype(jnp.uint32)
            component = component + ((words >= word) & (edge < 1))
        last = len(weights) - 1 - jnp.argmax(weights[::-1] > 0)
        return jnp.minimum(component, last)  # a component of weight 0 is never drawn

    def measure(
        self, params: MixtureModel, corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Float[Array, "..."]]:
        """Return the mixture, its distance from model 0, and facts about the fit."""
        means, roots = metrics.absolute(params.components, params.frame)
        initial = generation0.params
        return {
            "weights": params.weights,
            "means": means,
            "covariances": jnp.einsum("kij,klj->kil", roots, roots),
            "log_det_covariances": metrics.log_dets(params.components, params.frame),
            "log_l2_squared": metrics.log_l2_squared(
                params.components, params.frame, initial.components, initial.frame
            ),
            "log_likelihood": params.log_likelihood,
            "num_iterations": params.num_iterations,
        }

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables on request, by name."""
        offered = (
            Metric(
                _log_l2_to_truth,
                "log_l2_squared_to_truth",
                reads=("params", "source"),
                long_name="ln of the squared L2 distance from the truth",
                is_relative=True,
            ),
            Metric(
                _original_log_likelihood,
                "original_log_likelihood",
                unit="nats per row",
                reads=("key", "params", "corpus", "source"),
                long_name="mean log-likelihood of new original rows",
                is_relative=True,
            ),
            Metric(
                _effective_components,
                "effective_components",
                unit="components",
                long_name="effective number of components",
            ),
            Metric(
                _component_distances,
                "component_distances",
                ("component", "component_other"),
                long_name="distance of means in units of the mean spread",
            ),
            Metric(
                _log_spreads,
                "log_spreads",
                ("component",),
                long_name="ln of the spread sqrt(trace / dim) in data units",
            ),
            Metric(
                _samples,
                "samples",
                ("slot", "dim"),
                unit="data units",
                reads=("corpus",),
                long_name="rows of the corpus",
                is_relative=True,
            ),
        )
        return {str(metric.name): metric for metric in offered}

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name, unit and axes of the default variables."""
        component = ("component",)
        return {
            "weights": Quantity("weight of a component", dims=component),
            "means": Quantity("mean of a component", "data units", ("component", "dim")),
            "covariances": Quantity(
                "covariance of a component",
                "data units squared",
                ("component", "dim", "dim_other"),
            ),
            "log_det_covariances": Quantity(
                "ln of the determinant of a component's covariance", dims=component
            ),
            "log_l2_squared": Quantity("ln of the squared L2 distance from model 0"),
            "log_likelihood": Quantity("mean log-likelihood of the corpus", "nats per row"),
            "num_iterations": Quantity("iterations of EM", "iterations"),
        }


def _rows(
    scores: Float[Array, "dim row"],
    component: Int[Array, " row"],
    means: Float[Array, "component dim"],
    factors: Float[Array, "component dim dim"],
) -> Float[Array, "dim row"]:
    """Return mean + factor score for the component of each row."""
    dim = len(scores)
    if dim > WRITTEN_OUT or len(means) > 32:
        turned = jnp.einsum("rij,jr->ir", factors[component], scores)
        return means[component].T + turned

    def of_row(values: Array) -> Array:
        chosen = values[0]
        for k in range(1, len(values)):
            chosen = jnp.where(component == k, values[k], chosen)
        return chosen

    def coordinate(i: int) -> Array:
        turned = [of_row(factors[:, i, j]) * scores[j] for j in range(i + 1)]
        return fold(jnp.add, [of_row(means[:, i]), *turned])

    return jnp.stack([coordinate(i) for i in range(dim)])


def _log_l2_to_truth(key, family, params, corpus, source, generation0) -> Array:
    if isinstance(source, NormalMixture):
        given = (source.weights, source.means, source.log_scales, source.factors)
    elif isinstance(source, Normal):
        law = source.truth
        given = (jnp.ones(1), law.mean[None], law.log_scale[None], law.factor[None])
    else:
        allowed = "log_l2_squared_to_truth needs a truth with a density"
        remedy = "use a Normal or NormalMixture source, or leave it out of metrics"
        raise check.fail("Chain.source", type(source).__name__, allowed, remedy)
    truth = metrics.of_normals(*given)
    return metrics.log_l2_squared(params.components, params.frame, *truth)


def _original_log_likelihood(key, family, params, corpus, source, generation0) -> Array:
    capacity = corpus.capacity
    fresh = source.independent.draw(Keys(key, jnp.int32(0)), capacity, capacity)
    return metrics.mean_log_density(fresh, params.components, params.frame)


def _effective_components(key, family, params, corpus, source, generation0) -> Array:
    return metrics.effective_components(params.weights)


def _component_distances(key, family, params, corpus, source, generation0) -> Array:
    return metrics.component_distances(params.components)


def _log_spreads(key, family, params, corpus, source, generation0) -> Array:
    return metrics.log_spreads(params.components, params.frame)


def _samples(key, family, params, corpus, source, generation0) -> Array:
    return jnp.where(corpus.full_weights()[:, None] > 0, corpus.absolute_rows, jnp.nan)

"""Define linear and logistic regression: labels by the predecessor, covariates from the truth."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import AbstractCorpus, Size
from collapse_jax.core.family import AbstractFamily, Fit
from collapse_jax.core.gram import Gram, draw_gram
from collapse_jax.core.metric import Curve, Metric, Quantity
from collapse_jax.core.policy import AbstractPolicy
from collapse_jax.core.samples import Rows
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.normal import normal
from collapse_jax.sources.regression import (
    LinearModel,
    LogisticModel,
    RegressionSource,
    Table,
    labelled,
    linear_rows,
    logistic_rows,
)
from collapse_jax.utils import check
from collapse_jax.utils.row_sums import largest_size, row_sums
from collapse_jax.utils.status import Status

_MOST_STEPS = 60  # of Newton's method; from 0 it takes about 8
_SHORT = 0.01  # relative to the margins: such a step is taken whatever rounding says
_LEAST_SHARE = 2.0**-5  # of a step of it: none is taken that is shorter than twice this
_HIGHEST = jax.lax.Precision.HIGHEST


class AbstractRegression(AbstractFamily):
    """A regression of the last entry of a row on the others, without intercept.

    Attributes:
      dim: number of covariates.
      penalty: on the sum of squared coefficients.
      truth: the source, with its coefficients; None before a chain is made.
    """

    dim: int
    penalty: float
    truth: Any

    def check_settings(self) -> None:
        """Check `dim` and `penalty`."""
        name = type(self).__name__
        object.__setattr__(self, "dim", check.integer(f"{name}.dim", self.dim, 1, 1024))
        penalty = check.number(f"{name}.penalty", self.penalty, 0, 1e30, "pass 0 for none")
        object.__setattr__(self, "penalty", penalty)

    @abc.abstractmethod
    def fit_table(self, source: Table) -> Table:
        """Return a table with its truth, the fit to all of its rows in float64."""

    def check_source(
        self, source: AbstractSource, kind: type[RegressionSource]
    ) -> RegressionSource:
        """Refuse a source that is neither of a kind nor a `Table`, or has other dimensions."""
        family, name = type(self).__name__, type(source).__name__
        if not isinstance(source, (kind, Table)):
            remedy = f"pass {kind.__name__}(...), or Table(data, x=..., y=...)"
            allowed = f"{family} needs rows of covariates and a label"
            raise check.fail("Chain.source", name, allowed, remedy)
        if source.dim != self.dim:
            allowed = f"it has dim={source.dim}, the family dim={self.dim}"
            raise check.fail("Chain.source", name, allowed, f"use {family}(dim={source.dim})")
        return self.fit_table(source) if isinstance(source, Table) else source

    def measure(
        self, params: Float[Array, " dim"], corpus: Any, source: AbstractSource, generation0: Any
    ) -> dict[str, Float[Array, ""]]:
        """Return the excess risk (b - b_0)^T Sigma (b - b_0)."""
        gap = params - jnp.asarray(self.truth.coefficients, params.dtype)
        covariance = jnp.asarray(self.truth.covariance, params.dtype)
        return {"error": jnp.sum(gap * jnp.matmul(covariance, gap, precision=_HIGHEST))}

    @property
    def optional_metrics(self) -> Mapping[str, Metric]:
        """Return the variables on request, by name."""
        return {
            "coefficients": Metric(
                _coefficients, "coefficients", ("feature",), long_name="fitted coefficients"
            )
        }

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Return name and unit of the default variables."""
        return {"error": Quantity("excess risk (b - b_0)^T Sigma (b - b_0)")}


@config
class LinearRegression(AbstractRegression):
    """Linear models, fitted by least squares, ridge regression or the minimum norm.

    One generation, in order: M rows of covariates x are drawn from the truth, with labels
    y = x . b_g + noise; b_{g+1} minimises |y - X b|^2 + penalty |b|^2, and has the least norm among
    the minima if there are several. The noise is that of the truth. On a `LinearModel` no row is
    drawn unless the policy needs rows: X^T X and X^T y have their exact laws (Wishart, normal).

    Variables: `error`, the excess risk (b - b_0)^T Sigma (b - b_0). On request `coefficients`
    [feature]. `status` 2: X^T X is singular to rounding, with M >= dim; 1: a value is not finite.

    Args:
      dim: number of covariates, >= 1. There is no intercept.
      penalty: in [0, 1e30], of ridge regression; sklearn's alpha.
      corpus: "moments" (X^T X and X^T y), "samples" (rows), or "auto": moments on a `LinearModel`
        unless the policy reuses rows or selects them.

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.LinearRegression(2), cj.LinearModel([1.0, -1.0]), cj.Replace(20))
    >>> records = cj.simulate(chain, key=0, num_chains=2000, num_generations=2)
    >>> records.theory["error"].values.round(4).tolist()
    [0.1176, 0.2353, 0.3529]
    >>> bool(abs(records["error"][2].mean() - 0.353) < 0.04)
    True
    """

    dim: int = static(default=1)
    penalty: float = 0.0
    corpus: str = static(default="auto")
    has_few_rows: bool = static(init=False, repr=False, default=False)
    truth: Any = dataclasses.field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.check_settings()
        options = ("auto", "moments", "samples")
        check.choice("LinearRegression.corpus", self.corpus, options)

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Take covariates and noise from the source, and choose products unless rows are needed."""
        truth = self.check_source(source, LinearModel)
        needs_rows = (
            policy.reuses_rows or policy.selected_by is not None or isinstance(truth, Table)
        )
        if needs_rows and self.corpus == "moments":
            name = type(truth if isinstance(truth, Table) else policy).__name__
            allowed = f"products of rows do not suffice for {name}"
            raise check.fail("LinearRegression.corpus", "moments", allowed, "use corpus='auto'")
        corpus = self.corpus
        if corpus == "auto":
            corpus = "samples" if needs_rows else "moments"
        few = policy.smallest_size < self.dim and self.penalty == 0
        return replace_fields(self, corpus=corpus, truth=truth, has_few_rows=few)

    def fit_table(self, source: Table) -> Table:
        """Return a table with its least-squares coefficients and the deviation of residuals."""
        b = np.linalg.lstsq(source.features, source.labels, rcond=None)[0]
        residuals = source.labels - source.features @ b
        dof = max(len(residuals) - self.dim, 1)
        noise = np.asarray(np.sqrt(np.sum(residuals**2) / dof))
        return replace_fields(source, coefficients=b, noise=noise)

    def original(
        self, keys: Keys, source: AbstractSource, size: Size, capacity: int
    ) -> AbstractCorpus:
        """Return the exact products of a linear model's rows, or rows."""
        if self.corpus == "moments" and isinstance(source, LinearModel):
            return self._gram(keys, Purpose.SOURCE, source.coefficients, size)
        return self.summarize(source.draw(keys, size, capacity))

    def _gram(self, keys: Keys, purpose: int, coefficients: Any, size: Size) -> Gram:
        dtype = jnp.result_type(float)
        factor, b = jnp.asarray(self.truth.factor, dtype), jnp.asarray(coefficients, dtype)
        return draw_gram(keys, purpose, factor, b, jnp.asarray(self.truth.noise, dtype), size)

    def summarize(self, samples: Any) -> AbstractCorpus:
        """Return the products of rows, or the rows if the corpus holds rows."""
        return samples if self.corpus == "samples" else gram_of(samples)

    def fit(self, keys: Keys, corpus: Gram | Rows, previous: Any, generation0: Any) -> Fit:
        """Return the coefficients that minimise squared errors and penalty."""
        gram = gram_of(corpus) if isinstance(corpus, Rows) else corpus
        rows = jnp.maximum(jnp.asarray(gram.num_rows), 1).astype(gram.xx.dtype)
        if self.has_few_rows:
            b = _least_norm(gram.xx, gram.xy)
        else:
            scale = jnp.max(jnp.diagonal(gram.xx))
            unit = jnp.where(scale > 0, scale, 1)
            ridge = jnp.eye(self.dim, dtype=rows.dtype) * (self.penalty / rows / unit)
            b = _solve(gram.xx / unit + ridge, gram.xy / unit)
        is_known = jnp.all(jnp.isfinite(gram.xy)) & jnp.all(jnp.isfinite(gram.xx))
        is_solved = jnp.all(jnp.isfinite(b)) & (jnp.asarray(gram.num_rows) > 0)
        status = jnp.where(is_solved, Status.OK, Status.DEGENERATE)
        return Fit(b, jnp.where(is_known, status, Status.NON_FINITE).astype(jnp.int32))

    def draw(
        self, keys: Keys, params: Float[Array, " dim"], size: Size, capacity: int, generation0: Any
    ) -> AbstractCorpus:
        """Draw products or rows, labelled by the model."""
        if self.corpus == "moments":
            return self._gram(keys, Purpose.DRAW, params, size)
        if isinstance(self.truth, Table):
            x = self.truth.covariates(keys, Purpose.PROMPT, size, capacity)
            errors = normal(keys, Purpose.DRAW, (capacity, 1))[:, 0] * self.truth.noise
            return labelled(x, params, errors, size)
        scores = normal(keys, Purpose.DRAW, (capacity, self.dim + 1))
        return linear_rows(self.truth, params, scores, size)

    def theory(self, chain: Any, sizes: np.ndarray) -> Mapping[str, Curve]:
        """Return the expected error of least squares on a `LinearModel`."""
        from collapse_jax.families.regression_theory import regression_curves

        return regression_curves(chain, sizes)


@config
class LogisticRegression(AbstractRegression):
    """Logistic models, fitted by maximum likelihood or with a penalty.

    One generation, in order: M rows of covariates x are drawn from the truth, with labels y, 1 with
    probability 1 / (1 + exp(-x . b_g)) and else 0; b_{g+1} minimises the sum of losses
    plus penalty |b|^2 / 2, by Newton's method with halved steps. sklearn's C is 1 / penalty.

    Variables: `error`, (b - b_0)^T Sigma (b - b_0) of the coefficients. On request `coefficients`
    [feature]. `status` 2: the rows are separable, so that no maximum exists (pass a penalty), or
    the method has not converged; 1: a value is not finite.

    Args:
      dim: number of covariates, >= 1. There is no intercept.
      penalty: in [0, 1e30].

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.LogisticRegression(1), cj.LogisticModel([1.0]), cj.Replace(200))
    >>> records = cj.simulate(chain, key=0, num_chains=50, num_generations=2)
    >>> bool((records["error"][2] < 1).all())
    True
    """

    dim: int = static(default=1)
    penalty: float = 0.0
    truth: Any = dataclasses.field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.check_settings()

    def resolve(self, source: AbstractSource, policy: AbstractPolicy) -> Self:
        """Take covariates from the source."""
        return replace_fields(self, truth=self.check_source(source, LogisticModel))

    def fit_table(self, source: Table) -> Table:
        """Return a table with the coefficients fitted to all rows."""
        if not np.all(np.isin(source.labels, (0, 1))):
            shown = float(source.labels[~np.isin(source.labels, (0, 1))][0])
            raise check.fail("Table.y", shown, "labels are 0 and 1", "convert them")
        b = _newton_on_host(source.features, source.labels, self.penalty)
        if b is None:
            allowed = "the rows are separable, or so nearly that no most likely fit is found"
            remedy = "pass a penalty, e.g. LogisticRegression(dim, penalty=1.0)"
            raise check.fail("Table.data", check.Shown("separable rows"), allowed, remedy)
        return replace_fields(source, coefficients=b, noise=np.zeros(()))

    def fit(self, keys: Keys, corpus: Rows, previous: Any, generation0: Any) -> Fit:
        """Return the coefficients that minimise losses and penalty."""
        x, y, weights = _columns(corpus)
        total = jnp.maximum(row_sums([weights])[0], 1)
        weights, penalty = weights / total, self.penalty / total
        signs, columns = 2 * y - 1, x.T
        least_change = 0.1 * float(jnp.finfo(x.dtype).eps) ** 0.5  # the next are of order eps

        def loss(b: Array, margins: Array) -> Array:
            return row_sums([weights * jax.nn.softplus(-margins)])[0] + 0.5 * penalty * b @ b

        def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
            count, b, margins, least, _ = carry
            wrong = jax.nn.sigmoid(-margins)
            gradient = penalty * b - row_sums([columns * (weights * signs * wrong)])[0]
            curvature = weights * wrong * (1 - wrong)
            hessian = jnp.matmul(columns * curvature, x, precision=_HIGHEST)
            move = _solve(hessian + penalty * jnp.eye(self.dim, dtype=x.dtype), gradient)
            along = signs * jnp.matmul(x, move, precision=_HIGHEST)
            # Margins have no unit, unlike coefficients.
            change = largest_size(along) / (1 + largest_size(margins))

            def is_long(tried: tuple[Array, Array]) -> Array:
                return (tried[0] > _LEAST_SHARE) & (change > _SHORT) & (tried[1] > least)

            def taken(share: Array) -> Array:  # the whole step if no part of it is better
                return jnp.where(share > _LEAST_SHARE, jnp.minimum(share, 1), 1)

            def halved(tried: tuple[Array, Array]) -> tuple[Array, Array]:
                share = tried[0] / 2
                return share, loss(b - taken(share) * move, margins - taken(share) * along)

            # A short step is taken as it is: no loss is computed once all steps are short.
            start = jnp.full((), 2, x.dtype), jnp.full((), jnp.inf, x.dtype)
            share, reached = jax.lax.while_loop(is_long, halved, start)
            share = taken(share)
            b, margins = b - share * move, margins - share * along
            return count + 1, b, margins, jnp.where(change > _SHORT, reached, least), change

        def is_separated(margins: Array) -> Array:
            return jnp.all((margins > 0) | (weights == 0)) & (self.penalty == 0)

        def goes_on(carry: tuple[Array, ...]) -> Array:
            count, _, margins, _, change = carry
            return (count < _MOST_STEPS) & (change > least_change) & ~is_separated(margins)

        start, margins = jnp.zeros(self.dim, x.dtype), jnp.zeros_like(y)
        least = loss(start, margins)
        if previous is not None:  # labels are its own: a few steps are left
            theirs = signs * jnp.matmul(x, previous, precision=_HIGHEST)
            reached = loss(previous, theirs)
            is_near = reached < least
            start, margins, least = (
                jnp.where(is_near, one, zero)
                for one, zero in ((previous, start), (theirs, margins), (reached, least))
            )
        carry = jnp.int32(0), start, margins, least, jnp.ones((), x.dtype)
        _, b, _, _, change = jax.lax.while_loop(goes_on, step, carry)
        margins = signs * jnp.matmul(x, b, precision=_HIGHEST)
        is_known = jnp.all(jnp.isfinite(jnp.where(weights[:, None] > 0, x, 0)))
        is_bad = is_separated(margins) | ~jnp.all(jnp.isfinite(b)) | ~(change < 1e-3)
        status = jnp.where(is_bad, Status.DEGENERATE, Status.OK)
        return Fit(b, jnp.where(is_known, status, Status.NON_FINITE).astype(jnp.int32))

    def draw(
        self, keys: Keys, params: Float[Array, " dim"], size: Size, capacity: int, generation0: Any
    ) -> Rows:
        """Draw rows labelled by the model."""
        x = self.truth.covariates(keys, Purpose.PROMPT, size, capacity)
        return logistic_rows(keys, Purpose.DRAW, x, params, size)


def _coefficients(key, family, params, corpus, source, generation0) -> Array:
    return params


def _columns(corpus: Rows) -> tuple[Array, Array, Array]:
    """Return covariates [slot, dim], labels [slot] and weights [slot]; empty slots are 0."""
    weights = corpus.full_weights()
    rows = jnp.where(weights[:, None] > 0, corpus.absolute_rows, 0)
    return rows[:, :-1], rows[:, -1], weights


def gram_of(corpus: Rows) -> Gram:
    """Return the mean products of weighted rows (x, y).

    Args:
      corpus: rows with weights, [slot, dim + 1].
    """
    x, y, weights = _columns(corpus)
    total = jnp.maximum(row_sums([weights])[0], 1)
    columns = x.T * (weights / total)
    xx = jnp.matmul(columns, x, precision=_HIGHEST)
    return Gram(corpus.size, xx, jnp.matmul(columns, y, precision=_HIGHEST))


def _solve(matrix: Float[Array, "dim dim"], right: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """Return the solution of a positive definite system; NaN if the matrix is not."""
    if len(right) == 1:
        return jnp.where(matrix[0] > 0, right / matrix[0], jnp.nan)
    root = jnp.linalg.cholesky(matrix)

    def solved(side: Array) -> Array:
        return jax.scipy.linalg.cho_solve((root, True), side)

    first = solved(right)
    return first + solved(right - jnp.matmul(matrix, first, precision=_HIGHEST))


def _least_norm(xx: Float[Array, "dim dim"], xy: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """Return the least-squares solution of least norm."""
    sizes, vectors = jnp.linalg.eigh(xx)
    floor = 4 * len(sizes) * jnp.finfo(xx.dtype).eps * sizes[-1]
    inverse = jnp.where(sizes > floor, 1 / jnp.where(sizes > floor, sizes, 1), 0)
    along = jnp.matmul(vectors.T, xy, precision=_HIGHEST)
    return jnp.matmul(vectors, inverse * along, precision=_HIGHEST)


def _newton_on_host(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray | None:
    """Return the coefficients of logistic regression in float64; None for separable rows."""
    b = np.zeros(x.shape[1])
    for _ in range(_MOST_STEPS):
        chance = 0.5 * (1 + np.tanh(0.5 * (x @ b)))
        gradient = x.T @ (chance - y) + penalty * b
        hessian = (x.T * (chance * (1 - chance))) @ x + penalty * np.eye(len(b))
        try:
            move = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return None
        b = b - move
        if np.max(np.abs(move)) <= 1e-12 * (1 + np.max(np.abs(b))):
            is_separable = penalty == 0 and np.all((2 * y - 1) * (x @ b) > 0)
            return None if is_separable else b
    return None

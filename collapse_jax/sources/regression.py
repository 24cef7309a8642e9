"""Define sources of rows (x, y): linear and logistic models, and tables of data."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Rows, prefix_weights
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.normal import normal
from collapse_jax.sources import tables
from collapse_jax.sources.choice import draw_rows
from collapse_jax.sources.normal import check_covariance
from collapse_jax.utils import check
from collapse_jax.utils.log_cholesky import product

_RANGE = (1e-15, 1e15)  # of standard deviations: their squares are summed in float32


class RegressionSource(AbstractSource):
    """A source of rows (x_1 .. x_d, y).

    Attributes:
      coefficients: b_0, [dim].
      covariance: Sigma = E x x^T, [dim, dim].
    """

    coefficients: Any
    covariance: Any

    @property
    def dim(self) -> int:
        """Return d, the number of covariates."""
        return len(self.covariance)

    @property
    def row_dim(self) -> int:
        """Return d + 1."""
        return self.dim + 1

    @abc.abstractmethod
    def covariates(
        self, keys: Keys, purpose: int, size: Size, capacity: int
    ) -> Float[Array, "slot dim"]:
        """Draw covariates from the truth, for labels of a model.

        Args:
          keys: random numbers of the generation.
          purpose: stream to use, a `Purpose`.
          size: number of rows, may be traced.
          capacity: slots, static, at least `size`.

        Returns:
          [slot, dim].
        """


class NormalDesign(RegressionSource):
    """A source whose covariates are N(0, covariance)."""

    factor: Any  # lower triangular root of the covariance

    def covariates(
        self, keys: Keys, purpose: int, size: Size, capacity: int
    ) -> Float[Array, "slot dim"]:
        """Draw normal covariates."""
        scores = normal(keys, purpose, (capacity, self.dim))
        return product(scores, jnp.asarray(self.factor, scores.dtype).T)


def _check_design(self: Any) -> None:
    """Check coefficients and covariance of a config, and set the root of the covariance."""
    name = type(self).__name__
    remedy = "pass one number for each covariate"
    values = check.array(f"{name}.coefficients", self.coefficients, (0, 1), remedy).reshape(-1)
    if np.max(np.abs(values)) > _RANGE[1]:
        shown = float(np.max(np.abs(values)))
        raise check.fail(f"{name}.coefficients", shown, "they are at most 1e15", "rescale x or y")
    given = self.covariance
    if np.ndim(given) == 0 and isinstance(given, (int, float)):
        given = np.eye(len(values)) * check.number(f"{name}.covariance", given, 0, 1e30, remedy)
    covariance, log_scale, factor = check_covariance(f"{name}.covariance", given, len(values))
    spreads = np.sqrt(np.diagonal(covariance))
    if np.min(spreads) < _RANGE[0] or np.max(spreads) > _RANGE[1]:
        shown = check.Shown(f"a standard deviation of {float(np.min(spreads)):.3g}")
        allowed = "those of x must lie in [1e-15, 1e15]"
        raise check.fail(f"{name}.covariance", shown, allowed, "change the unit of x")
    object.__setattr__(self, "coefficients", values)
    object.__setattr__(self, "covariance", covariance)
    object.__setattr__(self, "factor", factor * np.exp(log_scale))


@config
class LinearModel(NormalDesign):
    """Rows (x, y) with x ~ N(0, covariance) and y = x . coefficients + noise * N(0, 1).

    Args:
      coefficients: b_0, [dim], or a number for one covariate; at most 1e15.
      noise: standard deviation of y given x, in [0, 1e15]. It is known to the chain, not estimated.
      covariance: of x, [dim, dim], or a number times the identity; standard deviations in
        [1e-15, 1e15].

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> cj.LinearModel([1.0, -2.0], noise=0.5, covariance=1.0).row_dim
    3
    """

    coefficients: Any
    noise: float = 1.0
    covariance: Any = 1.0
    factor: Any = dataclasses.field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        remedy = "pass the standard deviation of y given x"
        noise = check.number("LinearModel.noise", self.noise, 0, _RANGE[1], remedy)
        object.__setattr__(self, "noise", noise)
        _check_design(self)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw rows (x, y)."""
        scores = normal(keys, Purpose.SOURCE, (capacity, self.row_dim))
        return linear_rows(self, self.coefficients, scores, size)


@config
class LogisticModel(NormalDesign):
    """Rows (x, y) with x ~ N(0, covariance) and y 1 with probability 1 / (1 + exp(-x . b_0)).

    Args:
      coefficients: b_0, [dim], or a number for one covariate; at most 1e15.
      covariance: of x, [dim, dim], or a number times the identity; standard deviations in
        [1e-15, 1e15].

    Raises:
      ArgumentError: for any other value.

    >>> import collapse_jax as cj
    >>> cj.LogisticModel([1.0, -2.0]).row_dim
    3
    """

    coefficients: Any
    covariance: Any = 1.0
    factor: Any = dataclasses.field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        _check_design(self)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw rows (x, y)."""
        x = self.covariates(keys, Purpose.SOURCE, size, capacity)
        return logistic_rows(keys, Purpose.COMPONENT, x, self.coefficients, size)


@config
class Table(RegressionSource):
    """Finite rows (x, y) of data: columns x and y of a table.

    A corpus of size < n is a subset of the rows without replacement, of size n the data in order,
    of size > n a sample with replacement; so are the covariates that a model labels, and with n
    rows the design is fixed. The truth is the family's own fit to all rows.

    Args:
      data: an array [row, column], a table, or the path of a file, see `Empirical`.
      x: name of the column of covariates, or several names; indices for an array without names.
      y: name of the column of labels, likewise: numbers, 0 and 1 for `LogisticRegression`.

    Raises:
      ArgumentError: if there is no such column, or values are missing or no numbers.

    >>> import numpy as np
    >>> import collapse_jax as cj
    >>> cj.Table(np.array([[1.0, 2.0, 5.0], [0.0, 1.0, 2.0]]), x=[0, 1], y=2).num_rows
    2
    """

    data: Any
    x: Any = None
    y: Any = None
    features: Any = dataclasses.field(init=False, repr=False, default=None)
    labels: Any = dataclasses.field(init=False, repr=False, default=None)
    coefficients: Any = dataclasses.field(init=False, repr=False, default=None)
    noise: Any = dataclasses.field(init=False, repr=False, default=None)
    with_replacement: Any = dataclasses.field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        features = _column(self.data, self.x, "x")
        labels = _column(self.data, self.y, "y")
        if labels.shape[1] != 1:
            raise check.fail("Table.y", self.y, "it must be one column", "pass one name")
        object.__setattr__(self, "data", None)
        object.__setattr__(self, "x", None)
        object.__setattr__(self, "y", None)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "labels", labels[:, 0])

    @property
    def covariance(self) -> Any:
        """Return the mean of x x^T, [dim, dim]."""
        return self.features.T @ self.features / len(self.features)

    @property
    def num_rows(self) -> int:
        """Return the number of rows."""
        return len(self.features)

    @property
    def independent(self) -> "Table":
        """Return a source of rows chosen with replacement."""
        from collapse_jax.config import replace_fields

        return replace_fields(self, with_replacement=True)

    def _draw(self, keys: Keys, values: Any, size: Size, capacity: int) -> Rows:
        rows = jnp.asarray(values, jnp.result_type(float))
        origin = jnp.zeros(rows.shape[1], rows.dtype)
        data = Rows(rows, None, origin, jnp.zeros((), rows.dtype))
        return draw_rows(keys, data, size, capacity, self.with_replacement is not None)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Choose rows; with size n, return the data in order."""
        rows = jnp.concatenate([self.features, jnp.asarray(self.labels)[:, None]], axis=1)
        return self._draw(keys, rows, size, capacity)

    def covariates(
        self, keys: Keys, purpose: int, size: Size, capacity: int
    ) -> Float[Array, "slot dim"]:
        """Choose covariates as rows are chosen, independently of them."""
        return self._draw(keys.branch(purpose, 0), self.features, size, capacity).rows


def _column(data: Any, column: Any, argument: str) -> np.ndarray:
    """Return columns as float64, [row, column]."""
    remedy = f"pass {argument}=NAME of a column of numbers"
    if column is None:
        raise check.fail(f"Table.{argument}", column, "it must be given", remedy)
    if isinstance(data, np.ndarray) and data.dtype.names is None and data.ndim == 2:
        several = isinstance(column, Sequence) and not isinstance(column, str)
        wanted = list(column) if several else [column]
        name = f"Table.{argument}"
        indices = [check.integer(name, one, 0, data.shape[1] - 1, remedy) for one in wanted]
        return check.array("Table.data", data[:, indices], 2, "pass finite numbers")
    try:
        values, _ = tables.read(data, column)
    except check.ArgumentError as error:
        words = str(error).replace("Empirical.column", f"Table.{argument}")
        words = words.replace("leave column out", "pass a table, or an array [row, column]")
        raise check.ArgumentError(words.replace("Empirical.", "Table.")) from None
    if values.dtype.kind not in "iuf":
        shown = check.Shown(f"column {column!r} of texts")
        raise check.fail(f"Table.{argument}", shown, "it must hold numbers", remedy)
    return check.array("Table.data", values, (1, 2), remedy).reshape(len(values), -1)


def linear_rows(
    source: LinearModel, coefficients: Any, scores: Float[Array, "slot column"], size: Size
) -> Rows:
    """Return rows (x, y) of a linear model from standard normal scores, [slot, dim + 1].

    Args:
      source: the truth, whose covariates and noise the rows have.
      coefficients: of the model that labels them, [dim].
      scores: standard normal scores.
      size: number of rows, may be traced.
    """
    x = product(scores[:, :-1], jnp.asarray(source.factor, scores.dtype).T)
    return labelled(x, coefficients, source.noise * scores[:, -1], size)


def labelled(x: Array, coefficients: Any, errors: Array, size: Size) -> Rows:
    """Return rows (x, x . coefficients + errors), see `linear_rows`."""
    b = jnp.asarray(coefficients, x.dtype)
    y = product(x, b[:, None])[:, 0] + errors
    return Rows.of_rows(jnp.concatenate([x, y[:, None]], axis=1), size)


def logistic_rows(keys: Keys, purpose: int, x: Array, coefficients: Any, size: Size) -> Rows:
    """Return rows (x, y) with y 1 with probability 1 / (1 + exp(-x . coefficients)), else 0.

    Args:
      keys: random numbers of the generation.
      purpose: stream to use, a `Purpose`.
      x: covariates, [slot, dim].
      coefficients: of the model that labels them, [dim].
      size: number of rows, may be traced.
    """
    b = jnp.asarray(coefficients, x.dtype)
    chance = jax.nn.sigmoid(product(x, b[:, None])[:, 0])
    high, low = keys.bits(purpose, (len(x),))
    uniform = (high.astype(x.dtype) + (low.astype(x.dtype) + 0.5) * 2.0**-32) * 2.0**-32
    y = (uniform < chance).astype(x.dtype)
    corpus = Rows.of_rows(jnp.concatenate([x, y[:, None]], axis=1), size)
    return dataclasses.replace(corpus, weights=prefix_weights(size, len(x)))

"""Define a user's own source by any function from a key to rows."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.config import config, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Rows
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.utils import check
from collapse_jax.utils.row_sums import largest_size

_ORDINARY = 20  # binary digits before or after the point, up to which squares keep far from limits


@config
class Sampler(AbstractSource):
    """A source of rows from `function(key, num_rows)`.

    The law is unknown, so variables that compare with the truth are left out. Units may be tiny
    or huge, as long as the rows are floats that are not rounded to zero or infinity.

    Args:
      function: a pure function of a typed key and a static number of rows that
        returns finite real rows, [num_rows, dim]; traced, not run, when the source
        is made.
      dim: length of a row.

    Raises:
      ArgumentError: if the result of the function has another shape or is not real.

    >>> import jax
    >>> import collapse_jax as cj
    >>> cj.Sampler(lambda key, num_rows: jax.random.t(key, 4.0, (num_rows, 1)), dim=1).row_dim
    1
    """

    function: Callable[[Any, int], Any] = static()
    dim: int = static()

    def __post_init__(self) -> None:
        check.integer("Sampler.dim", self.dim, 1)
        remedy = "pass a function(key, num_rows) that returns an array [num_rows, dim]"
        if not callable(self.function):
            raise check.fail("Sampler.function", self.function, "it must be callable", remedy)
        try:
            rows = jax.eval_shape(lambda key: self.function(key, 3), jax.random.key(0))
        except Exception as error:
            message = " ".join(str(error).split())[:120]
            allowed = f"tracing it raised {type(error).__name__} ({message})"
            raise check.fail("Sampler.function", self.function, allowed, remedy) from error
        shape, dtype = getattr(rows, "shape", None), getattr(rows, "dtype", None)
        is_right = shape == (3, self.dim) and dtype is not None
        if dtype is not None and is_right and not jnp.issubdtype(dtype, jnp.floating):
            allowed = f"it returned {dtype}, and rows are floats"
            raise check.fail("Sampler.function", self.function, allowed, "add .astype(float)")
        if not is_right:
            allowed = f"for num_rows=3 it returned {dtype} of shape {shape}, not (3, {self.dim})"
            raise check.fail("Sampler.function", self.function, allowed, remedy)

    @property
    def row_dim(self) -> int:
        """Return the length of a row."""
        return self.dim

    def draw(self, keys: Keys, size: Size, capacity: int) -> Rows:
        """Draw rows, in absolute coordinates unless these are tiny or huge."""
        rows = self.function(keys.key(Purpose.SOURCE), capacity).astype(jnp.result_type(float))
        return _of_order_one(Rows.of_rows(rows, size))


def _of_order_one(samples: Rows) -> Rows:
    """Return tiny or huge rows in units of a power of two, and others as they are.

    A maximum and a power of two have no rounding, so the rows stay what they were.
    """
    rows, dtype = samples.rows, samples.rows.dtype
    top = largest_size(jnp.where(samples.full_weights()[:, None] > 0, rows, 0))
    most = int(jnp.finfo(dtype).maxexp) - 8  # so that neither the power nor its inverse is rounded
    exponent = jnp.clip(jnp.frexp(top)[1], -most, most)
    is_ordinary = (jnp.abs(exponent) <= _ORDINARY) | (top == 0) | ~jnp.isfinite(top)
    exponent = jnp.where(is_ordinary, 0, exponent)
    unit = jnp.ldexp(jnp.ones((), dtype), -exponent)
    log_scale = exponent.astype(dtype) * jnp.asarray(math.log(2), dtype)
    return dataclasses.replace(samples, rows=rows * unit, log_scale=log_scale)

"""Give original rows a total weight in the fit, next to rows of the model."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from collapse_jax.core.corpus import AbstractCorpus, Moments, Size, join
from collapse_jax.core.samples import Samples
from collapse_jax.policies.original_rows import Schedule
from collapse_jax.utils import check


def check_weight(policy: str, weight: Any, num_original: Schedule) -> float | None:
    """Return a checked weight.

    Args:
      policy: name of the class.
      weight: as given, None for rows of equal weight.
      num_original: original rows, as checked.

    Raises:
      ValueError: for a weight outside (0, 1], or where a later corpus has no original row.
    """
    if weight is None:
        return None
    remedy = "pass the share of the weight that original rows have, or None for equal rows"
    value = check.number(f"{policy}.weight", weight, 0, 1, remedy, open_low=True)
    later = num_original if isinstance(num_original, int) else min(num_original[1:], default=1)
    if not later:
        allowed = f"with weight={value:g} every corpus needs an original row"
        raise check.fail(f"{policy}.num_original", num_original, allowed, "pass 1 or more")
    return value


def weighted(
    parts: list[AbstractCorpus], sizes: list[Size], weight: float | Array, capacity: int
) -> AbstractCorpus:
    """Return rows of the model and original rows, of which the latter have a total weight.

    The weights of all rows add up to their number. A row without weight is not in the corpus.

    Args:
      parts: rows of the model, original rows.
      sizes: their numbers.
      weight: share of the total weight that original rows have, in (0, 1], dimensionless.
      capacity: slots, static.

    Raises:
      TypeError: for a corpus that holds neither moments nor rows.
    """
    made, real = parts
    size = sizes[0] + sizes[1]
    if isinstance(made, Moments) and isinstance(real, Moments):
        made = dataclasses.replace(made, num_rows=size * (1 - weight))
        real = dataclasses.replace(real, num_rows=size * weight)
        pooled = made.merge(real, jnp.int32(0))
        present = jnp.where(jnp.asarray(weight) < 1, size, sizes[1]).astype(jnp.int32)
        return dataclasses.replace(pooled, num_rows=present)
    joined = join(parts, sizes, capacity, is_full=False)
    if not isinstance(joined, Samples):
        raise TypeError(f"rows of {type(joined).__name__} have no weights")
    is_made = np.arange(capacity) < jnp.asarray(sizes[0])
    of_made = size * (1 - weight) / jnp.maximum(made.size, 1)
    of_real = size * weight / jnp.maximum(real.size, 1)
    weights = jnp.where(is_made, of_made, of_real) * joined.full_weights()
    return joined.with_rows(joined.rows, weights)

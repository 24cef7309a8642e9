"""Define laws on finitely many states."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config
from collapse_jax.core.corpus import Counts, Size
from collapse_jax.core.samples import Labels, expand, prefix_weights
from collapse_jax.core.source import CountsSource
from collapse_jax.random.alias import alias_table, draw_from
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.utils import check

_MOST_CELLS = 2**20  # states of a table: a larger one would not stay in the caches


@config
class Categorical(CountsSource):
    """A source of independent labels with given probabilities.

    Args:
      probabilities: [state], non-negative, summing to 1 to within 1e-6. A state of
        probability zero never occurs.

    Raises:
      ArgumentError: for values that are no probabilities.

    >>> import collapse_jax as cj
    >>> source = cj.Categorical([0.5, 0.25, 0.25])
    >>> source.num_states, source.law.tolist()
    (3, [0.5, 0.25, 0.25])
    """

    probabilities: Any
    table: Any = dataclasses.field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        remedy = "pass non-negative probabilities that sum to 1, e.g. weights / weights.sum()"
        values = check.array("Categorical.probabilities", self.probabilities, 1, remedy)
        if np.min(values) < 0:
            index = int(np.argmin(values))
            name = f"Categorical.probabilities[{index}]"
            raise check.fail(name, float(values[index]), "it must be >= 0", remedy)
        if abs(np.sum(values) - 1) > 1e-6:
            name = "sum(Categorical.probabilities)"
            raise check.fail(name, float(np.sum(values)), "it must be 1 to within 1e-6", remedy)
        object.__setattr__(self, "probabilities", values / np.sum(values))
        if len(values) <= _MOST_CELLS:
            object.__setattr__(self, "table", alias_table(values))

    @property
    def num_states(self) -> int:
        """Return the number of states."""
        return len(self.probabilities)

    @property
    def law(self) -> Float[Array, " state"]:
        """Return the probabilities, [state]."""
        return jnp.asarray(self.probabilities, jnp.result_type(float))

    def draw_counts(self, keys: Keys, size: Size) -> Counts:
        """Draw multinomial counts."""
        return Counts(multinomial(keys, Purpose.SOURCE, size, self.law))

    def draw(self, keys: Keys, size: Size, capacity: int) -> Labels:
        """Draw labels one by one, from a table if there is one.

        Without a table they are sorted, which loses nothing because rows are exchangeable.
        """
        if self.table is None:
            labels = expand(self.draw_counts(keys, size).counts, capacity)
        else:
            labels = draw_from(keys, Purpose.SOURCE, self.table, (capacity,))
        return Labels(labels, prefix_weights(size, capacity))

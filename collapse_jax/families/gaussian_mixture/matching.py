"""Match the components of a mixture with those of its predecessor."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.families.gaussian_mixture.em import Components


def assignment(new: Components, old: Components) -> Int[Array, " component"]:
    """Return the order of new components that matches the old ones.

    The assignment minimises the sum of |mean - mean|^2 + |factor - factor|^2, an upper
    bound of the squared Wasserstein distance of two components.

    Args:
      new: the components to be ordered.
      old: the preceding components, in the same frame.

    Returns:
      For each component of `old` the index of its match in `new`, [component].
    """
    from optax import assignment as solvers

    cost = _squared_gaps(old.means, new.means) + _squared_gaps(
        old.factors.reshape(len(old.means), -1), new.factors.reshape(len(new.means), -1)
    )
    indices, partners = solvers.hungarian_algorithm(cost)
    return jnp.zeros_like(partners).at[indices].set(partners)


def _squared_gaps(
    left: Float[Array, "component part"], right: Float[Array, "component part"]
) -> Float[Array, "component component"]:
    return jnp.sum((left[:, None] - right[None]) ** 2, axis=-1)

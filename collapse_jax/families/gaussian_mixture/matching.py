"""Which component of a mixture continues which of the one before."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.families.gaussian_mixture.em import Components


def assignment(new: Components, old: Components) -> Int[Array, " component"]:
    """order[k] = the component of `new` that goes on as component k.

    The assignment with the least sum of |mean - mean|^2 + |factor - factor|^2, an upper
    bound of the squared Wasserstein distance of two components. Both in one frame.
    """
    from optax import assignment as solvers

    cost = _squared_gaps(old.means, new.means) + _squared_gaps(
        old.factors.reshape(len(old.means), -1), new.factors.reshape(len(new.means), -1)
    )
    places, partners = solvers.hungarian_algorithm(cost)
    return jnp.zeros_like(partners).at[places].set(partners)


def _squared_gaps(
    left: Float[Array, "component part"], right: Float[Array, "component part"]
) -> Float[Array, "component component"]:
    return jnp.sum((left[:, None] - right[None]) ** 2, axis=-1)

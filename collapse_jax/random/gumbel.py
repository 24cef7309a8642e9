"""Draw standard Gumbel numbers, precise in both tails.

A Gumbel number is -ln E with E exponential. Where E is small, the uniform number behind it is one
minus a small number, which float32 would round; so one bit chooses the half of the unit interval
that the uniform number lies in, and the others its distance from the nearer end.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32


def gumbel_from_block(high: UInt32[Array, "..."], low: UInt32[Array, "..."]) -> Float[Array, "..."]:
    """Return the Gumbel number of a 64-bit block.

    The largest of log weights plus such numbers is an index drawn proportionally to the weights;
    the n largest are n indices drawn without replacement, one after the other.

    Args:
      high: [...] uint32; the top bit chooses the half of the unit interval.
      low: [...] uint32.

    Returns:
      [...] in the default float type, dimensionless, within [-3.8, 44].
    """
    dtype = jnp.result_type(float)
    kind = dtype.type
    fraction = (low.astype(dtype) + kind(0.5)) * kind(2.0**-32)
    distance = ((high & np.uint32(2**31 - 1)).astype(dtype) + fraction) * kind(2.0**-32)
    is_small = (high >> np.uint32(31)) == 0
    return -jnp.log(-jnp.where(is_small, jnp.log1p(-distance), jnp.log(distance)))

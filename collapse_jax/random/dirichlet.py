"""Draw probability vectors from Dirichlet laws."""

import jax
from jaxtyping import Array, Float

from collapse_jax.random.keys import Keys


def dirichlet(
    keys: Keys, purpose: int, concentration: Float[Array, " state"]
) -> Float[Array, " state"]:
    """Draw a probability vector from a Dirichlet law.

    Logarithms of gamma numbers are drawn and normalised, so that concentrations far below 1 do
    not underflow together.

    Source: Marsaglia and Tsang, ACM TOMS 26 (2000), by `jax.random.loggamma`.

    Args:
      keys: the chain's random numbers for this generation.
      purpose: stream to use, a `Purpose`.
      concentration: parameters > 0, [state], dimensionless.

    Returns:
      Probabilities, [state].
    """
    return jax.nn.softmax(jax.random.loggamma(keys.key(purpose), concentration))

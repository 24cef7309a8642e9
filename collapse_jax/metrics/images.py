"""Compare samples of images with real ones by the distances between them."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


def squared_distances(
    left: Float[Array, "left pixel"], right: Float[Array, "right pixel"]
) -> Float[Array, "left right"]:
    """Return the squared Euclidean distances between all pairs of images.

    Args:
      left: [left, pixel], images.
      right: [right, pixel], images.

    Returns:
      [left, right], in the squared unit of the pixels, at least 0.

    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import images
    >>> origin, others = jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0], [0.0, 1.0]])
    >>> images.squared_distances(origin, others).tolist()
    [[25.0, 1.0]]
    """
    product = left @ right.T
    sums = jnp.sum(left**2, axis=1)[:, None] + jnp.sum(right**2, axis=1)
    return jnp.maximum(sums - 2 * product, 0)


def precision_and_recall(
    samples: Float[Array, "sample pixel"], real: Float[Array, "real pixel"], neighbours: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the share of samples within the manifold of real images, and the converse.

    An image is within the manifold of a set if its distance to an image of the set is at most the
    distance of that image to its k-th nearest neighbour in the set.

    Source: Kynkäänniemi et al., arXiv 1904.06991, with pixels as features.

    Args:
      samples: [sample, pixel], more than `neighbours` images.
      real: [real, pixel], more than `neighbours` images.
      neighbours: k, number of neighbours, at least 1; static.

    Returns:
      Precision and recall, scalar shares in [0, 1], dimensionless.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from collapse_jax.metrics import images
    >>> real = jnp.arange(8.0)[:, None]
    >>> samples = real[:4] + 0.5  # on the manifold, and near half of it
    >>> precision_and_recall = jax.jit(images.precision_and_recall, static_argnums=2)
    >>> [float(value) for value in precision_and_recall(samples, real, 1)]
    [1.0, 0.625]
    """
    across = squared_distances(samples, real)

    def radii(images: Array) -> Array:
        own = squared_distances(images, images)
        own = jnp.where(jnp.eye(len(images), dtype=bool), jnp.inf, own)
        return -lax.top_k(-own, neighbours)[0][:, -1]

    def share(inside: Bool[Array, "image other"], axis: int) -> Array:
        return jnp.mean(jnp.any(inside, axis=axis), dtype=jnp.float32)

    is_real = share(across <= radii(real)[None, :], 1)
    return is_real, share(across <= radii(samples)[:, None], 0)

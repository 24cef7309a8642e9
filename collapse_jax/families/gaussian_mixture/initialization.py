"""Choose the start of expectation-maximisation: k-means, k-means++ seeds, or random rows.

Arthur & Vassilvitskii, "k-means++" (SODA 2007), in the greedy form of scikit-learn, which
takes the best of a few candidates for each seed. Lloyd's iterations stop as in scikit-learn.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.families.gaussian_mixture.em import Points
from collapse_jax.families.gaussian_mixture.linalg import fold, squared_distances
from collapse_jax.utils.row_sums import row_sums

_TOLERANCE = 1e-4  # squared shift of all centres, relative to the mean variance of a coordinate
_MAX_ITERATIONS = 300  # iterations; both are the defaults of scikit-learn


def num_candidates(num_components: int) -> int:
    """Return the number of candidates for each k-means++ seed, as in scikit-learn.

    Args:
      num_components: K.
    """
    return 2 + int(math.log(num_components))


def k_means(
    rows: Points, uniforms: Float[Array, "component candidate"]
) -> Float[Array, "component row"]:
    """Assign rows to clusters by Lloyd's iterations from k-means++ seeds.

    Args:
      rows: rows with their multiplicities.
      uniforms: numbers in (0, 1), [component, candidate].

    Returns:
      One if a row belongs to a cluster, else zero, [component, row].
    """
    seeds = plus_plus(rows, uniforms)
    means = row_sums([rows.weigh(x) for x in rows.values])
    spread = row_sums([rows.weigh(jnp.sum(rows.values**2, axis=0))])[0] / rows.total
    spread = spread - sum((mean / rows.total) ** 2 for mean in means)
    tolerance = _TOLERANCE * spread / len(rows.values)

    def is_unfinished(carry: tuple[Array, Array, Array]) -> Array:
        _, moved, iteration = carry
        return (moved > tolerance) & (iteration < _MAX_ITERATIONS)

    def move(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        centres, _, iteration = carry
        new = cluster_means(rows, _nearest(rows, centres), centres)
        return new, jnp.sum((new - centres) ** 2), iteration + 1

    start = (seeds, jnp.inf * spread, jnp.int32(0))
    centres, _, _ = jax.lax.while_loop(is_unfinished, move, start)
    return _nearest(rows, centres)


def plus_plus(
    rows: Points, uniforms: Float[Array, "component candidate"]
) -> Float[Array, "dim component"]:
    """Choose distant seeds, each with a probability proportional to its squared distance.

    Args:
      rows: rows with their multiplicities.
      uniforms: numbers in (0, 1), [component, candidate].

    Returns:
      Rows, [dim, component].
    """

    def closest(candidates: Array, nearest: Array) -> Array:
        return jnp.minimum(nearest, squared_distances(rows.values, candidates))

    everywhere = rows.weigh(jnp.ones_like(rows.values[0]))
    first = rows.values[:, choose(everywhere, uniforms[0, :1])]
    start = squared_distances(rows.values, first)[0]
    seeds = jnp.broadcast_to(first, (len(rows.values), len(uniforms)))

    def add(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        seeds, nearest = carry
        candidates = rows.values[:, choose(rows.weigh(nearest), uniforms[k])]
        options = closest(candidates, nearest)
        # One array for each candidate: on CPU sums of several arrays are one fast loop.
        best = jnp.argmin(jnp.stack(row_sums([rows.weigh(option) for option in options])))
        seed = candidates[:, best]
        return seeds.at[:, k].set(seed), closest(seed[:, None], nearest)[0]

    return jax.lax.fori_loop(1, len(uniforms), add, (seeds, start))[0]


def at_random(
    rows: Points, uniforms: Float[Array, "component candidate"]
) -> Float[Array, "dim component"]:
    """Choose different rows, all equally likely.

    Args:
      rows: rows with their multiplicities.
      uniforms: numbers in (0, 1), of which the first of each component is used,
        [component, candidate].

    Returns:
      Rows, [dim, component].
    """

    def add(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        seeds, mass = carry
        index = choose(mass, uniforms[k, :1])[0]
        return seeds.at[:, k].set(rows.values[:, index]), mass.at[index].set(0)

    seeds = jnp.zeros((len(rows.values), len(uniforms)), rows.values.dtype)
    everywhere = rows.weigh(jnp.ones_like(rows.values[0]))
    return jax.lax.fori_loop(0, len(uniforms), add, (seeds, everywhere))[0]


def choose(mass: Float[Array, " row"], uniforms: Float[Array, " draw"]) -> Int[Array, " draw"]:
    """Choose indices with probabilities proportional to their mass.

    The search has two steps, over blocks and in one block, so that no long sum is accumulated.

    Args:
      mass: >= 0, [row].
      uniforms: numbers in (0, 1), [draw].

    Returns:
      Indices of rows with positive mass, [draw].
    """
    width = max(1, math.isqrt(len(mass)))
    blocks = jnp.pad(mass, (0, -len(mass) % width)).reshape(-1, width)
    sums = jnp.sum(blocks, axis=1)

    def find(parts: Array, target: Array) -> tuple[Array, Array]:
        """Return the index of the part that holds `target`, and the sum of preceding parts."""
        after = jnp.cumsum(parts)
        last = len(parts) - 1 - jnp.argmax(parts[::-1] > 0)
        index = jnp.minimum(jnp.sum(after <= target), last)
        return index, after[index] - parts[index]

    def one(uniform: Array) -> Array:
        target = uniform * jnp.sum(sums)
        block, before = find(sums, target)
        return block * width + find(blocks[block], target - before)[0]

    return jax.vmap(one)(uniforms)


def _nearest(rows: Points, centres: Float[Array, "dim component"]) -> Float[Array, "component row"]:
    """Return one for the centre nearest to a row (the first of equals), zero for the others."""
    distances = squared_distances(rows.values, centres)
    least = fold(jnp.minimum, list(distances))
    indices = jnp.arange(len(distances))[:, None]
    nearest = fold(jnp.minimum, list(jnp.where(distances <= least, indices, len(distances))))
    return (nearest == indices).astype(rows.values.dtype)


def cluster_means(
    rows: Points, belongs: Float[Array, "component row"], old: Float[Array, "dim component"]
) -> Float[Array, "dim component"]:
    """Return the mean of each cluster; a cluster without rows keeps its old centre.

    Args:
      rows: rows with their multiplicities.
      belongs: one if a row belongs to a cluster, else zero, [component, row].
      old: the old centres, [dim, component].

    Returns:
      The new centres, [dim, component].
    """
    belongs = rows.weigh(belongs)
    counts, *sums = row_sums([belongs, *(belongs * x for x in rows.values)])
    means = jnp.stack(sums) / jnp.where(counts > 0, counts, 1)
    return jnp.where(counts > 0, means, old)

"""Where expectation-maximisation starts: k-means, k-means++ seeds, or rows at random.

Arthur & Vassilvitskii, "k-means++" (SODA 2007), in the greedy form of scikit-learn: of a
few candidates for each seed the best is taken. Lloyd's iterations stop as scikit-learn's.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from collapse_jax.families.gaussian_mixture.em import Points
from collapse_jax.families.gaussian_mixture.linalg import fold, row_sums, squared_distances

_TOLERANCE = 1e-4  # squared shift of all centres, relative to the mean variance of a coordinate
_MAX_ITERATIONS = 300


def num_candidates(num_components: int) -> int:
    """Candidates for each k-means++ seed."""
    return 2 + int(math.log(num_components))


def k_means(
    rows: Points, uniforms: Float[Array, "component candidate"]
) -> Float[Array, "component row"]:
    """Which rows belong to which cluster, as zeros and ones: seeds, then Lloyd's iterations."""
    seeds = plus_plus(rows, uniforms)
    means = row_sums([rows.weigh(x) for x in rows.values])
    spread = row_sums([rows.weigh(jnp.sum(rows.values**2, axis=0))])[0] / rows.total
    spread = spread - sum((mean / rows.total) ** 2 for mean in means)
    tolerance = _TOLERANCE * spread / len(rows.values)

    def goes_on(carry: tuple[Array, Array, Array]) -> Array:
        _, moved, iteration = carry
        return (moved > tolerance) & (iteration < _MAX_ITERATIONS)

    def move(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        centres, _, iteration = carry
        new = cluster_means(rows, _nearest(rows, centres), centres)
        return new, jnp.sum((new - centres) ** 2), iteration + 1

    centres, _, _ = jax.lax.while_loop(goes_on, move, (seeds, jnp.inf * spread, jnp.int32(0)))
    return _nearest(rows, centres)


def plus_plus(
    rows: Points, uniforms: Float[Array, "component candidate"]
) -> Float[Array, "dim component"]:
    """Seeds far from one another: each is chosen with probability as its squared distance."""

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
        best = jnp.argmin(row_sums([rows.weigh(options)])[0])
        return seeds.at[:, k].set(candidates[:, best]), options[best]

    return jax.lax.fori_loop(1, len(uniforms), add, (seeds, start))[0]


def at_random(
    rows: Points, uniforms: Float[Array, "component candidate"]
) -> Float[Array, "dim component"]:
    """Different rows, all equally likely."""

    def add(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        seeds, mass = carry
        place = choose(mass, uniforms[k, :1])[0]
        return seeds.at[:, k].set(rows.values[:, place]), mass.at[place].set(0)

    seeds = jnp.zeros((len(rows.values), len(uniforms)), rows.values.dtype)
    everywhere = rows.weigh(jnp.ones_like(rows.values[0]))
    return jax.lax.fori_loop(0, len(uniforms), add, (seeds, everywhere))[0]


def choose(mass: Float[Array, " row"], uniforms: Float[Array, " draw"]) -> Int[Array, " draw"]:
    """Places with probability as their mass, one for each number in (0, 1).

    Found in two steps, in blocks and in one block, so that no long sum is accumulated.
    """
    width = max(1, math.isqrt(len(mass)))
    blocks = jnp.pad(mass, (0, -len(mass) % width)).reshape(-1, width)
    sums = jnp.sum(blocks, axis=1)

    def find(parts: Array, target: Array) -> tuple[Array, Array]:
        """The part that holds `target`, never an empty one, and what lies before it."""
        after = jnp.cumsum(parts)
        last = len(parts) - 1 - jnp.argmax(parts[::-1] > 0)
        place = jnp.minimum(jnp.sum(after <= target), last)
        return place, after[place] - parts[place]

    def one(uniform: Array) -> Array:
        target = uniform * jnp.sum(sums)
        block, before = find(sums, target)
        return block * width + find(blocks[block], target - before)[0]

    return jax.vmap(one)(uniforms)


def _nearest(rows: Points, centres: Float[Array, "dim component"]) -> Float[Array, "component row"]:
    """One for the centre nearest to a row, the first of equals; zero for the others."""
    distances = squared_distances(rows.values, centres)
    least = fold(jnp.minimum, list(distances))
    places = jnp.arange(len(distances))[:, None]
    first = fold(jnp.minimum, list(jnp.where(distances <= least, places, len(distances))))
    return (first == places).astype(rows.values.dtype)


def cluster_means(
    rows: Points, belongs: Float[Array, "component row"], old: Float[Array, "dim component"]
) -> Float[Array, "dim component"]:
    """Mean of each cluster; a centre without rows stays where it is."""
    belongs = rows.weigh(belongs)
    counts, *sums = row_sums([belongs, *(belongs * x for x in rows.values)])
    means = jnp.stack(sums) / jnp.where(counts > 0, counts, 1)
    return jnp.where(counts > 0, means, old)

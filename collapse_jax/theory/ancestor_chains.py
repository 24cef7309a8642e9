"""Simulation of the ancestral dual: absorption times and support without the chain itself.

The number of ancestors A_0 = M, A_1, ... is a Markov chain that only falls. Its transition
law is a table; while all lineages keep parents of their own, the time until some share one
is geometric. A chain is done after about 100 jumps for M = 1000, where the rows themselves
need thousands of generations.

Absorption. If R is the length of the first run of equal rows among independent rows of p_0,
then P(A_g <= R) = E sum_i p_i^A_g = P(D_g holds a single state), so the first g with
A_g <= R has exactly the law of the absorption time.

Support. Given A_g, the states of D_g are those of A_g independent rows of p_0. For each
generation the law is exact; over generations of one chain it is not that of a forward
chain, whose ancestors differ from generation to generation.

Probabilities are compared with 53 random bits.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.threefry import as_key
from collapse_jax.theory.checks import Law, law_of
from collapse_jax.theory.occupancy import rows_of
from collapse_jax.utils import check

_HOLD, _JUMP, _RUN, _FIRST, _FOUNDERS = range(5)  # streams of random numbers
_LARGEST = 20_000
_BISECTIONS = 10  # no row of so many lineages has 2^10 entries
_BATCH = 4096
_ELEMENTS = 2**23  # of a batch


class _Transitions(NamedTuple):
    """Where a number of lineages jumps to, as the distribution functions of all rows in turn.

    Attributes:
      begin: [a + 1], the row of a is cumulative[begin[a] : begin[a + 1]].
      first: [a], the number of parents that the row begins with.
      log_stay: [a], ln P(a | a).
      cumulative: P(j parents or fewer | a lineages, fewer parents than that).
    """

    begin: Any
    first: Any
    log_stay: Any
    cumulative: Any


@functools.lru_cache(maxsize=4)
def _transitions(size: int) -> _Transitions:
    """The table for corpora of `size` rows."""
    first, stay, parts = [0], [1.0], [np.ones(1)]
    for lineages, row in enumerate(rows_of(size, size)):
        if lineages == 0:
            continue
        fewer = row.probabilities[: lineages - row.first]
        whole = len(fewer) == len(row.probabilities)
        stay.append(0.0 if whole else float(row.probabilities[-1]))
        first.append(row.first)
        parts.append(np.cumsum(fewer) / np.sum(fewer) if len(fewer) else np.ones(1))
    begin = np.cumsum([0, *map(len, parts)])
    with np.errstate(divide="ignore"):
        return _Transitions(begin, np.array(first), np.log(stay), np.concatenate(parts))


def absorption_times(
    probabilities: Law,
    num_samples: int,
    *,
    key: int | Key[Array, ""],
    num_chains: int,
    first_chain: int = 0,
) -> np.ndarray:
    """Numbers of fits until a single state is left, [chain], under Replace.

    Draws with the law that forward chains have, several hundred times faster; chain c is
    the same whatever the number of chains. `ancestors.mean_absorption_time` is their mean.

    Args:
      probabilities: p_0.
      num_samples: M, of every corpus, at most 20,000.
      key: an int or a typed threefry key.
      num_chains: how many draws.
      first_chain: id of the first.

    Raises:
      ValueError: for a bad argument.

    >>> from collapse_jax.theory import ancestor_chains, ancestors
    >>> times = ancestor_chains.absorption_times([0.5, 0.5], 10, key=0, num_chains=4000)
    >>> round(ancestors.mean_absorption_time([0.5, 0.5], 10), 2)
    12.59
    >>> bool(abs(times.mean() - ancestors.mean_absorption_time([0.5, 0.5], 10)) < 0.7)
    True
    """
    law, size = law_of(probabilities), _size(num_samples)
    with np.errstate(divide="ignore"):
        arguments = (_transitions(size), _cumulative(law), np.log(law))
    return _many(_absorption_time, arguments, key, num_chains, first_chain, _BATCH)


def support_sizes(
    probabilities: Law,
    num_samples: int,
    generations: Sequence[int],
    *,
    key: int | Key[Array, ""],
    num_chains: int,
    first_chain: int = 0,
) -> np.ndarray:
    """Numbers of states present in D_g, [generation, chain], under Replace.

    Each generation has the law of forward chains, see the module. Chain c is the same
    whatever the number of chains. `ancestors.expected_support_size` is the mean.

    Args:
      probabilities: p_0.
      num_samples: M, of every corpus, at most 20,000.
      generations: which g, in rising order.
      key: an int or a typed threefry key.
      num_chains: how many chains.
      first_chain: id of the first.

    Raises:
      ValueError: for a bad argument.
    """
    law, size = law_of(probabilities), _size(num_samples)
    wanted = [check.integer("generations", g, 0) for g in generations]
    if not wanted or wanted != sorted(set(wanted)):
        raise check.fail("generations", wanted, "they must rise", "pass e.g. [0, 10, 100]")
    arguments = (_transitions(size), _cumulative(law), np.array(wanted))
    batch = max(1, min(_BATCH, _ELEMENTS // (size + len(law))))
    return _many(_support, arguments, key, num_chains, first_chain, batch).T


def _size(num_samples: int) -> int:
    remedy = "use ancestors.expected_support_size for more"
    return check.integer("num_samples", num_samples, 1, _LARGEST, remedy)


def _cumulative(law: np.ndarray) -> np.ndarray:
    sums = np.cumsum(law)
    return sums / sums[-1]


@functools.partial(jax.jit, static_argnames="one")
def _batch(one: Callable[..., Array], base: Array, chains: Array, arguments: Any) -> Array:
    return jax.vmap(lambda chain: one(chain_key(base, chain), *arguments))(chains)


def _many(
    one: Callable[..., Array],
    arguments: Any,
    key: int | Key[Array, ""],
    num_chains: int,
    first_chain: int,
    width: int,
) -> np.ndarray:
    """`one` of every chain, `width` at a time, in double precision."""
    number = check.integer("num_chains", num_chains, 1)
    start = check.integer("first_chain", first_chain, 0)
    ids = np.arange(start, start + number, dtype=np.uint32)
    width, parts = min(width, number), []
    with jax.enable_x64(True):
        base, arguments = as_key(key), jax.device_put(arguments)
        for begin in range(0, number, width):
            part = ids[begin : begin + width]
            whole = np.resize(part, width)  # the last one filled up
            parts.append(np.asarray(_batch(one, base, whole, arguments))[: len(part)])
    return np.concatenate(parts)


def _fraction(keys: Keys, purpose: int, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
    """Uniform on [0, 1): multiples of 2^-53."""
    high, low = keys.bits(purpose, shape)
    word = (high.astype(jnp.uint64) << np.uint64(32)) | low.astype(jnp.uint64)
    return (word >> np.uint64(11)).astype(jnp.float64) * 2.0**-53


def _geometric(keys: Keys, purpose: int, log_again: Float[Array, ""]) -> Int[Array, ""]:
    """Trials up to the first failure, each a success with probability exp(log_again)."""
    again = jnp.log(1 - _fraction(keys, purpose)) / log_again
    again = jnp.where(log_again < 0, jnp.minimum(again, 2.0**62), 2.0**62)
    return 1 + again.astype(jnp.int64)


def _jump(table: _Transitions, keys: Keys, lineages: Int[Array, ""]) -> Int[Array, ""]:
    """The number of parents of lineages that are known to share some."""
    fraction = _fraction(keys, _JUMP)
    start, low = table.begin[lineages], table.begin[lineages]
    high = table.begin[lineages + 1] - 1
    for _ in range(_BISECTIONS):
        middle = (low + high) // 2
        above = table.cumulative[middle] > fraction
        low, high = jnp.where(above, low, middle + 1), jnp.where(above, middle, high)
        low = jnp.minimum(low, high)
    return table.first[lineages] + low - start


def _step(
    key: Key[Array, ""], table: _Transitions, number: Int[Array, ""], lineages: Int[Array, ""]
) -> tuple[Array, Array]:
    """How long the lineages stay as many, and how many are left then."""
    keys = Keys(key, number)
    hold = _geometric(keys, _HOLD, table.log_stay[lineages])
    return hold, _jump(table, keys, lineages)


def _start(table: _Transitions) -> tuple[Array, Array, Array]:
    """Number of the step, generation, lineages."""
    return jnp.int64(1), jnp.int64(0), jnp.int64(len(table.first) - 1)


def _absorption_time(
    key: Key[Array, ""],
    table: _Transitions,
    cumulative: Float[Array, " state"],
    logs: Float[Array, " state"],
) -> Int[Array, ""]:
    keys = Keys(key, jnp.int64(0))
    state = _state(cumulative, _fraction(keys, _FIRST))
    run = _geometric(keys, _RUN, logs[state])

    def more(carry: tuple[Array, Array, Array]) -> Array:
        return carry[2] > run

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        number, generation, lineages = carry
        hold, fewer = _step(key, table, number, lineages)
        return number + 1, generation + hold, fewer

    _, generation, _ = jax.lax.while_loop(more, step, _start(table))
    return generation + 1


def _support(
    key: Key[Array, ""],
    table: _Transitions,
    cumulative: Float[Array, " state"],
    wanted: Int[Array, " generation"],
) -> Int[Array, " generation"]:
    def more(carry: tuple[Array, Array, Array, Array]) -> Array:
        return (carry[1] <= wanted[-1]) & (carry[2] > 1)

    def step(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        number, generation, lineages, found = carry
        hold, fewer = _step(key, table, number, lineages)
        here = (wanted >= generation) & (wanted < generation + hold)
        return number + 1, generation + hold, fewer, jnp.where(here, lineages, found)

    alone = jnp.ones(wanted.shape, jnp.int64)
    *_, ancestors = jax.lax.while_loop(more, step, (*_start(table), alone))
    size = len(table.first) - 1
    founders = _state(cumulative, _fraction(Keys(key, jnp.int64(0)), _FOUNDERS, (size,)))
    first = jnp.full(len(cumulative), size).at[founders].min(jnp.arange(size))
    return jnp.sum(first < ancestors[:, None], axis=1)


def _state(cumulative: Float[Array, " state"], fraction: Float[Array, "..."]) -> Int[Array, "..."]:
    """The state of a row of p_0; one of probability zero is never found."""
    return jnp.searchsorted(cumulative, fraction, side="right")

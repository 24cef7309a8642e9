"""Simulate the ancestral dual: absorption times and support sizes without the chain.

The number of ancestors A_0 = M, A_1, ... is a Markov chain that never rises. Its transition
law is a table, and the time during which all lineages have distinct parents is geometric. One
draw takes about 100 jumps for M = 1000; a simulation of the rows takes thousands of generations.

Absorption. Let R be the length of the initial run of equal rows among independent rows of p_0.
Then P(A_g <= R) = E sum_i p_i^A_g = P(D_g holds a single state), so the smallest g with
A_g <= R has exactly the law of the absorption time.

Support. Given A_g, the states of D_g are those of A_g independent rows of p_0. The law of each
single generation is exact. The joint law over the generations of a chain is not that of a forward
chain, whose ancestors differ from generation to generation.

Uniform numbers have 53 random bits.

Source: Cannings, Adv. Appl. Probab. 6 (1974).
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
from collapse_jax.utils.jax_settings import own_settings

_HOLD, _JUMP, _RUN, _FIRST, _FOUNDERS = range(5)  # streams of random numbers
_LARGEST = 20_000  # rows of a corpus: the table then takes 90 MiB
_BISECTIONS = 10  # a row of the table has fewer than 2^10 entries up to _LARGEST lineages
_BATCH = 4096  # chains a call: its compiled program serves every number of chains
_ELEMENTS = 2**23  # entries of the arrays of one call, 64 MiB in float64


class _Transitions(NamedTuple):
    """Transition law of the number of lineages: distribution functions of all rows, concatenated.

    Attributes:
      begin: [a + 1], the row of a is cumulative[begin[a] : begin[a + 1]].
      first: [a], the smallest number of parents in the row.
      log_stay: [a], ln P(a | a), nats.
      cumulative: P(j parents or fewer | a lineages, fewer than a parents).
    """

    begin: Any
    first: Any
    log_stay: Any
    cumulative: Any


@functools.lru_cache(maxsize=4)
def _transitions(size: int) -> _Transitions:
    """Return the table for corpora of `size` rows."""
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
    """Draw the number of fits until a single state is left, for every chain, under Replace.

    The law is that of forward chains; a draw is several hundred times faster. Chain c is the same
    for every number of chains. `ancestors.mean_absorption_time` is the mean.

    Source: the ancestral dual of Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      num_samples: M, rows of every corpus, 1 .. 20,000.
      key: an int in [0, 2^64) or a scalar typed threefry key.
      num_chains: number of chains, at least 1.
      first_chain: id of the first chain, at least 0.

    Returns:
      [chain] int64, numbers of fits, at least 1.

    Raises:
      ValueError: if an argument is outside its range.

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
    """Draw the number of states present in D_g, for every chain, under Replace.

    Each single generation has the law of forward chains, see the module. Chain c is the same for
    every number of chains. `ancestors.expected_support_size` is the mean.

    Source: the ancestral dual of Cannings, Adv. Appl. Probab. 6 (1974).

    Args:
      probabilities: p_0, [state], probabilities with sum 1.
      num_samples: M, rows of every corpus, 1 .. 20,000.
      generations: [generation], indices g >= 0 in increasing order.
      key: an int in [0, 2^64) or a scalar typed threefry key.
      num_chains: number of chains, at least 1.
      first_chain: id of the first chain, at least 0.

    Returns:
      [generation, chain] integers, numbers of states, 1 .. K.

    Raises:
      ValueError: if an argument is outside its range, or `generations` does not increase.
    """
    law, size = law_of(probabilities), _size(num_samples)
    remedy = "pass e.g. [0, 10, 100]"
    if not np.iterable(generations) or isinstance(generations, str):
        raise check.fail("generations", generations, "it must be a sequence", remedy)
    wanted = [check.integer("generations", g, 0, remedy=remedy) for g in generations]
    if not wanted or wanted != sorted(set(wanted)):
        raise check.fail("generations", wanted, "they must increase", remedy)
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
    """Return `one` of every chain in float64, computed `width` chains at a time."""
    number = check.integer("num_chains", num_chains, 1)
    start = check.integer("first_chain", first_chain, 0)
    ids = np.arange(start, start + number, dtype=np.uint32)
    width, parts = min(width, number), []
    with own_settings(enable_x64=True):
        base, arguments = as_key(key), jax.device_put(arguments)
        for begin in range(0, number, width):
            part = ids[begin : begin + width]
            whole = np.resize(part, width)  # the last part is padded, so that all have one shape
            parts.append(np.asarray(_batch(one, base, whole, arguments))[: len(part)])
    return np.concatenate(parts)


def _fraction(keys: Keys, purpose: int, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
    """Draw uniform numbers in [0, 1): multiples of 2^-53."""
    high, low = keys.bits(purpose, shape)
    word = (high.astype(jnp.uint64) << np.uint64(32)) | low.astype(jnp.uint64)
    return (word >> np.uint64(11)).astype(jnp.float64) * 2.0**-53


def _geometric(keys: Keys, purpose: int, log_again: Float[Array, ""]) -> Int[Array, ""]:
    """Count trials up to the first failure, each a success with probability exp(log_again)."""
    again = jnp.log(1 - _fraction(keys, purpose)) / log_again
    again = jnp.where(log_again < 0, jnp.minimum(again, 2.0**62), 2.0**62)
    return 1 + again.astype(jnp.int64)


def _jump(table: _Transitions, keys: Keys, lineages: Int[Array, ""]) -> Int[Array, ""]:
    """Draw the number of parents of lineages that are known to share at least one parent."""
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
    """Draw how many generations the number of lineages lasts, and the next number."""
    keys = Keys(key, number)
    hold = _geometric(keys, _HOLD, table.log_stay[lineages])
    return hold, _jump(table, keys, lineages)


def _start(table: _Transitions) -> tuple[Array, Array, Array]:
    """Return the initial step number, generation and number of lineages."""
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
    """Return the state of a row of p_0; a state of probability zero is never returned."""
    return jnp.searchsorted(cumulative, fraction, side="right")

"""Compile the loop over generations that starts and advances many chains together.

The scan over generations is outside the vmap over chains, so that a generation is one
scalar. The number of generations of a call and the stride of records are inputs of the
program, not part of it: one compilation serves every chunk, the first call and the
last, and a run that resumes another.

Chains are independent, so several devices each run this same program on batches of their
own. A program sharded over devices would be compiled differently, and round differently.
A batch of several tiles goes through it tile by tile, see `batches`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, UInt32

from collapse_jax.config import replace_fields
from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.core.samples import Samples
from collapse_jax.core.state import ChainState, Needs
from collapse_jax.engine.elementwise import is_elementwise
from collapse_jax.engine.folding import folded, squeezed, unfolded, unsqueezed
from collapse_jax.engine.repeated_values import check_repeated
from collapse_jax.random.keys import chain_key
from collapse_jax.random.threefry import key_from_words
from collapse_jax.results.reduce import Histograms, reduce_blocks
from collapse_jax.utils import memory
from collapse_jax.utils.jax_settings import followed_settings

ALL = 2**32  # chains: more than a run can have


class Program(NamedTuple):
    """The settings that are fixed when a run is compiled.

    Attributes:
      metrics: variables beyond the default ones.
      retained: the parts of a chain that its state holds.
      horizon: last generation, where capacities depend on it, else 0.
      length: the most records of a call.
      reduced: whether records are statistics of blocks of chains.
      raw: the number of leading chains of a tile whose values are returned.
      tile: chains that go through the generations of a call together; tiles that only pad the
        batch are left out. None for the whole batch.
      group: chains of a tile that are computed together in each generation; groups that only
        pad are left out. None for the whole tile.
      histograms: edges by variable, for reduced records.
      folded: whether the chains are along two axes during a call, see `folding`.
    """

    metrics: tuple[Metric, ...]
    retained: Needs
    horizon: int
    length: int
    reduced: bool
    raw: int
    tile: int | None = None
    group: int | None = None
    histograms: Histograms = ()
    folded: bool = False


class Carry(NamedTuple):
    """A batch of chains after a generation; leaves have the chain as first axis."""

    state: ChainState
    first_event: Int[Array, " chain"]


class Batch(NamedTuple):
    """The ids of chains; those that are not valid pad the batch."""

    ids: Any  # uint32 [chain]
    valid: Any  # bool [chain]


class AbstractShapes(NamedTuple):
    """The shapes of the arrays of one chain, each with a leading axis of one chain.

    Attributes:
      carry: the chain between two calls.
      record: its variables of a generation, by name.
      nbytes: memory of the chain at work, with its corpus and its candidates, in bytes.
      candidates: memory of the rows from which a selection chooses, in bytes.
      has_elementwise_metrics: whether no metric of the program adds along an axis.
    """

    carry: Carry
    record: dict[str, Any]
    nbytes: int
    candidates: int
    has_elementwise_metrics: bool


def abstract_shapes(program: Program, chain: Chain) -> AbstractShapes:
    """Return the shapes of a chain, without compiling anything.

    Args:
      program: the settings of the run.
      chain: the process.
    """
    return _abstract_shapes(program, signature_of(chain))


class Signature(NamedTuple):
    """What a compiled program depends on beside its settings.

    Attributes:
      structure: of the chain as a pytree, with its sizes and choices.
      inputs: shape and dtype of each of its numbers.
      settings: those of jax that the library follows.
    """

    structure: Any
    inputs: tuple[Any, ...]
    settings: tuple[tuple[str, Any], ...]


def signature_of(chain: Chain) -> Signature:
    """Return what a program for a chain depends on; equal ones share a compilation.

    Args:
      chain: the process.
    """
    twin = replace_fields(chain, family=chain.family.abstract_twin)
    leaves, structure = jax.tree.flatten(twin)
    inputs = tuple(jax.typeof(leaf) for leaf in leaves)
    return Signature(structure, inputs, tuple(followed_settings().items()))


@functools.lru_cache(maxsize=256)
def _abstract_shapes(program: Program, signature: Signature) -> AbstractShapes:
    chain = jax.tree.unflatten(signature.structure, signature.inputs)
    key = jax.ShapeDtypeStruct((2,), np.uint32)
    found = jax.eval_shape(functools.partial(_one_chain, program), chain, key)
    carry, record, whole = _axis_first(found, 1)
    metrics = functools.partial(_metrics_of_one, program)
    is_local = not program.metrics or is_elementwise(metrics, chain, key, found[0].state)
    candidates = _candidate_bytes(chain, found[2].state.corpus)
    nbytes = memory.size_of(whole) + candidates
    return AbstractShapes(carry, record, nbytes, candidates, is_local)


def _candidate_bytes(chain: Chain, corpus: Any) -> int:
    """Return the bytes of the vectors from which a selection chooses; 0 where it needs none."""
    selection = chain.policy.selected_by
    if selection is None or not isinstance(corpus, Samples) or corpus.rows.ndim == 1:
        return 0
    slots, *row = corpus.rows.shape
    return selection.candidates(slots) * math.prod(row) * corpus.rows.dtype.itemsize


def _one_chain(
    program: Program, chain: Chain, key: UInt32[Array, "2"]
) -> tuple[Carry, dict[str, Array], Carry]:
    """Return a chain after generation 0, its record, and the chain with all its parts."""
    keys = chain_key(key_from_words(key), jnp.uint32(0))
    whole = chain.init(keys, program.horizon)
    state, event = program.retained.of(whole), jnp.int32(-1)
    record = chain.measure(keys, jnp.int32(0), state, program.metrics)
    return Carry(state, event), record, Carry(whole, event)


def _metrics_of_one(
    program: Program, chain: Chain, key: UInt32[Array, "2"], state: ChainState
) -> dict[str, Array]:
    """Return the values of the metrics of a chain."""
    keys = chain_key(key_from_words(key), jnp.uint32(0))
    return chain.measure_metrics(keys, jnp.int32(0), state, program.metrics, ())


def record_like(program: Program, record: dict[str, Any], width: int) -> dict[str, Any]:
    """Return the shapes of the record of a batch, from those of one chain.

    Args:
      program: the settings of the call.
      record: shapes of one chain, by variable.
      width: chains of the batch.

    Returns:
      Shapes of "raw" values, of "blocks" of statistics, or of both.
    """
    return _record_like(program, tuple(record.items()), width)


@functools.lru_cache(maxsize=256)
def _record_like(
    program: Program, record: tuple[tuple[str, Any], ...], width: int
) -> dict[str, Any]:
    tile = program.tile or width
    each = {name: leaf.update(shape=(tile, *leaf.shape[1:])) for name, leaf in record}
    found = jax.eval_shape(functools.partial(raw_of, program), each)
    if program.reduced:
        valid = jax.ShapeDtypeStruct((tile,), np.bool_)
        reduce = functools.partial(reduce_blocks, histograms=program.histograms)
        found["blocks"] = jax.eval_shape(reduce, each, valid)
    tiles = width // tile
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((tiles * leaf.shape[0], *leaf.shape[1:]), leaf.dtype),
        found,
    )


def empty_carry(carry: Carry, width: int) -> Carry:
    """Return a carry of zeros on the host, [width, ...].

    Args:
      carry: shapes of one chain, see `abstract_shapes`.
      width: chains of the batch.
    """
    return jax.tree.map(lambda leaf: np.zeros((width, *leaf.shape[1:]), leaf.dtype), carry)


def empty_records(program: Program, record: dict[str, Any], width: int) -> dict:
    """Return the records of a call, zeros on the host, [program.length, ...].

    Args:
      program: the settings of the call.
      record: shapes of the variables of one chain, see `abstract_shapes`.
      width: chains of the batch.
    """
    records = record_like(program, record, width)
    return jax.tree.map(lambda leaf: np.zeros((program.length, *leaf.shape), leaf.dtype), records)


def raw_of(program: Program, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of chains that a record holds one by one, as its entry "raw".

    Args:
      program: the settings of the call.
      values: variables of a tile, [chain, ...].
    """
    if not program.raw:
        return {}
    return {"raw": {name: value[: program.raw] for name, value in values.items()}}


def _axis_first(shapes: Any, size: int) -> Any:
    return jax.tree.map(lambda leaf: leaf.update(shape=(size, *leaf.shape)), shapes)


def keys_of(key: UInt32[Array, "2"], batch: Batch) -> Key[Array, " chain"]:
    """Return the keys of the chains of a batch.

    Args:
      key: two words of the run's key.
      batch: the chains.
    """
    key = key_from_words(key)
    return _vectorized(batch, lambda chain: chain_key(key, chain))(batch.ids)


def _vectorized(batch: Batch, function: Callable[..., Any]) -> Callable[..., Any]:
    """Map a function over the one axis of chains, or over the two of a folded batch."""
    if batch.ids.ndim == 1:
        return jax.vmap(function)
    return jax.vmap(jax.vmap(function, -1, -1), -1, -1)


def _each_chain(program: Program, batch: Batch, function: Callable[..., Any]) -> Callable[..., Any]:
    """Map a function over chains, group by group; groups that only pad give zeros."""
    vectorized, group = _vectorized(batch, function), program.group
    if group is None or group == len(batch.ids):
        return vectorized

    def run(*chains: Any) -> Any:
        def compute(index: Array, results: Any) -> Any:
            part = jax.tree.map(
                lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, index * group, group), chains
            )
            return jax.tree.map(
                lambda all, some: jax.lax.dynamic_update_slice_in_dim(
                    all, some, index * group, axis=0
                ),
                results,
                vectorized(*part),
            )

        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), chains)
        shapes = _axis_first(jax.eval_shape(function, *one), len(batch.ids))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        groups = (jnp.sum(batch.valid, dtype=jnp.int32) + group - 1) // group
        return jax.lax.fori_loop(0, groups, compute, zeros)

    return run


def _note_events(chain: Chain, batch: Batch, carry: Carry, generation: Int[Array, ""]) -> Carry:
    event = _vectorized(batch, chain.event)(carry.state)
    now = (carry.first_event < 0) & event
    return carry._replace(first_event=jnp.where(now, generation, carry.first_event))


def _record(program: Program, chain: Chain, keys, batch: Batch, carry: Carry, generation) -> dict:
    """Measure a generation: raw variables, block statistics, or both."""
    measure = _each_chain(
        program,
        batch,
        lambda chain_key, state: chain.measure(chain_key, generation, state, program.metrics),
    )
    values, valid = measure(keys, carry.state), batch.valid
    if program.reduced and program.folded:
        values, valid = unfolded((values, valid))
    record = raw_of(program, values)
    if program.reduced:
        record["blocks"] = reduce_blocks(values, valid, program.histograms)
    return record


@functools.partial(jax.jit, static_argnums=0)
def initial(program: Program, chain: Chain, key: UInt32[Array, "2"], batch: Batch) -> Carry:
    """Make generation 0 of a batch.

    Args:
      program: the fixed settings.
      chain: the process.
      key: two words of the run's key.
      batch: the chains.

    Returns:
      The chains after generation 0.
    """
    begin = _each_chain(
        program, batch, lambda key: chain.init(key, program.horizon, program.retained)
    )
    state = begin(keys_of(key, batch))
    carry = Carry(state, jnp.full(batch.ids.shape, -1, jnp.int32))
    return _note_events(chain, batch, carry, jnp.int32(0))


@functools.partial(jax.jit, static_argnums=0, donate_argnames=("carry", "records"))
def advance(
    program: Program,
    chain: Chain,
    key: UInt32[Array, "2"],
    batch: Batch,
    carry: Carry,
    records: dict,
    start: Int[Array, ""],
    every: Int[Array, ""],
    count: Int[Array, ""],
) -> tuple[Carry, dict]:
    """Advance a batch from generation `start` by `count` times `every` generations.

    Args:
      program: the fixed settings.
      chain: the process.
      key: two words of the run's key.
      batch: the chains.
      carry: the chains after generation `start`, ignored below 0; its memory is reused.
      records: buffers for records, overwritten and reused.
      start: the generation reached; -every before generation 0, which is then made.
      every: generations from one record to the next.
      count: number of records, at most `program.length`.

    Returns:
      The new carry, and records of which the first `count` are set.
    """
    schedule, size = (start, every, count), program.tile
    if program.folded:
        return _advance_folded(program, chain, key, batch, carry, records, schedule)
    if size is None:
        return _advance_tile(program, chain, key, batch, carry, records, jnp.int32(0), schedule)

    def advance_one(index: Array, loop: tuple[Carry, dict]) -> tuple[Carry, dict]:
        carry, records = loop
        begin = index * np.int32(size)
        tile, part = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, begin, size), (batch, carry)
        )
        part, records = _advance_tile(program, chain, key, tile, part, records, index, schedule)
        carry = jax.tree.map(
            lambda all, some: jax.lax.dynamic_update_slice_in_dim(all, some, begin, 0), carry, part
        )
        return carry, records

    tiles = (jnp.sum(batch.valid, dtype=jnp.int32) + size - 1) // size
    return jax.lax.fori_loop(0, tiles, advance_one, (carry, records))


_on_cpu: Any = jax.jit(
    advance.__wrapped__,  # pyright: ignore[reportAttributeAccessIssue]
    static_argnums=0,
    donate_argnames=("carry", "records"),
    compiler_options={"xla_cpu_prefer_vector_width": "512"},
)
"""`advance` on CPU: XLA prefers 256 bits by itself; 512, where there are, take 10 to 20 % off."""


def advance_on(platform: str) -> Callable[..., tuple[Carry, dict]]:
    """Return `advance` as it is compiled for a platform.

    Args:
      platform: cpu, gpu or tpu.
    """
    return _on_cpu if platform == "cpu" else advance


def drop_programs() -> int:
    """Forget all compiled programs, and return how many they were."""
    programs: list[Any] = [advance, _on_cpu]
    number = sum(one._cache_size() for one in programs)
    for one in programs:
        one.clear_cache()
    return number


def _advance_folded(
    program: Program,
    chain: Chain,
    key: UInt32[Array, "2"],
    batch: Batch,
    carry: Carry,
    records: dict,
    schedule: tuple[Int[Array, ""], Int[Array, ""], Int[Array, ""]],
) -> tuple[Carry, dict]:
    """Advance a batch that is one tile, with its chains along two axes."""
    batch, carry = folded((batch, carry))
    if not program.reduced:  # records of single chains; statistics have no chains
        records = folded(records, 1)
    tile = (program, chain, key, batch, carry, records, jnp.int32(0), schedule)
    carry, records = _advance_tile(*tile)
    return unfolded(carry), records if program.reduced else unfolded(records, 1)


def _advance_tile(
    program: Program,
    chain: Chain,
    key: UInt32[Array, "2"],
    tile: Batch,
    carry: Carry,
    records: dict,
    number: Int[Array, ""],
    schedule: tuple[Int[Array, ""], Int[Array, ""], Int[Array, ""]],
) -> tuple[Carry, dict]:
    """Advance the tile of this number; its records are written into those of the batch."""
    start, every, count = schedule
    keys = keys_of(key, tile)
    # Generations depend on nothing else: programs that differ in records share their traces.
    made_by = program._replace(metrics=(), length=0, reduced=False, raw=0, histograms=())
    whole = jax.lax.cond(start < 0, lambda: initial(made_by, chain, key, tile), lambda: carry)

    def advance_once(generation: Array, carry: Carry) -> Carry:
        now = keys
        if program.folded:  # otherwise the compiler computes a part of each draw before the loop
            words, generation = jax.lax.optimization_barrier(
                (jax.random.key_data(keys), generation)
            )
            now = key_from_words(words)
        made = step(made_by, chain, now, tile, unsqueezed(carry, whole), generation)
        return squeezed(made, program.folded)

    def record(index, loop):
        carry, records = loop
        begin = start + index * every + 1
        carry = jax.lax.fori_loop(jnp.maximum(begin, 1), begin + every, advance_once, carry)
        values = _record(program, chain, keys, tile, unsqueezed(carry, whole), begin + every - 1)
        check_repeated(records, values, first_axes=2, axes=1)
        return carry, jax.tree.map(functools.partial(write, index), records, values)

    def write(index: Array, all: Array, some: Array) -> Array:
        begin = (index, number * np.int32(some.shape[0]), *[np.int32(0)] * (some.ndim - 1))
        return jax.lax.dynamic_update_slice(all, some[None], begin)

    carry, records = jax.lax.fori_loop(0, count, record, (squeezed(whole, program.folded), records))
    return unsqueezed(carry, whole), records


@functools.partial(jax.jit, static_argnums=0)
def step(
    program: Program,
    chain: Chain,
    keys: Key[Array, " chain"],
    tile: Batch,
    carry: Carry,
    generation: Int[Array, ""],
) -> Carry:
    """Make one generation of a tile.

    Args:
      program: the fixed settings.
      chain: the process.
      keys: of the chains.
      tile: the chains.
      carry: the chains after the generation before.
      generation: the generation to be made.

    Returns:
      The chains after it.
    """
    advance = _each_chain(program, tile, lambda key, state: chain.step(key, generation, state))
    state = advance(keys, carry.state)
    return _note_events(chain, tile, carry._replace(state=state), generation)

"""Advance chains while `jax_disable_jit` is set: metrics run as plain Python, chain by chain.

The setting is the usual way to debug a function of one's own. A metric then gets arrays with
values, which it may print, convert to floats or stop at in a debugger. All else is compiled as
ever, so that the chains have the same bits and a run takes no longer than its metrics do.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from collapse_jax.core.chain import Chain
from collapse_jax.engine import program as compiled
from collapse_jax.engine.program import ALL, AbstractShapes, Batch, Carry, Program, raw_of
from collapse_jax.engine.repeated_values import check_repeated
from collapse_jax.random.keys import chain_key
from collapse_jax.random.threefry import key_from_words
from collapse_jax.results.reduce import reduce_blocks


def abstract_shapes(program: Program, chain: Chain, key: Any, first_chain: int) -> AbstractShapes:
    """Return what `program.abstract_shapes` does; the metrics are called on one chain at work.

    Args:
      program: the settings of the run.
      chain: the process.
      key: two words of the run's key.
      first_chain: id of the chain, whose generation 0 is made.
    """
    bare = program._replace(metrics=())
    shapes = compiled.abstract_shapes(bare, chain)
    one = Batch(np.array([first_chain], np.uint32), np.ones(1, bool))
    carry = compiled.initial(bare._replace(group=None), chain, key, one)
    found = _measured(program, chain, key, one, carry, 0, shapes.record)
    values = {name: jax.ShapeDtypeStruct(one.shape, one.dtype) for name, one in found.items()}
    return shapes._replace(record={**shapes.record, **values})


@functools.cache
def advance_on(platform: str) -> Callable[..., tuple[Carry, dict]]:
    """Return `advance` with the chains compiled as for that platform: they have the same bits.

    Args:
      platform: cpu, gpu or tpu.
    """
    return functools.partial(_advance, compiled.advance_on(platform))


def _advance(
    advance: Callable[..., tuple[Carry, dict]],
    program: Program,
    chain: Chain,
    key: UInt32[Array, "2"],
    batch: Batch,
    carry: Carry,
    records: dict,
    start: Any,
    every: Any,
    count: Any,
) -> tuple[Carry, dict]:
    """Advance a batch as `program.advance` does, and call the metrics between two records.

    Args:
      advance: the compiled function.
      program: the settings of the run.
      chain: the process.
      key: two words of the run's key.
      batch: the chains.
      carry: the chains after generation `start`, ignored below 0; its memory is reused.
      records: buffers for records, of which only the shapes are used.
      start: the generation reached; -every before generation 0, which is then made.
      every: generations from one record to the next.
      count: number of records.

    Returns:
      The new carry, and records of which the first `count` are set.
    """
    bare = program._replace(metrics=(), length=1, reduced=False, raw=ALL)
    shapes = compiled.abstract_shapes(bare, chain)
    records = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), records)
    for index in range(max(1, int(count))):  # a call for no records compiles the program
        now = np.int32(start + index * every)
        buffers = compiled.empty_records(bare, shapes.record, len(batch.ids))
        arguments = (bare, chain, key, batch, carry, buffers, now, every)
        carry, made = advance(*arguments, np.int32(min(1, count)))
        if count:
            values = {name: value[0] for name, value in made["raw"].items()}
            values |= _measured(program, chain, key, batch, carry, int(now + every), shapes.record)
            _set(records, index, _recorded(program, values, batch))
    return carry, records


def _recorded(program: Program, values: dict[str, Any], batch: Batch) -> dict[str, Any]:
    """Return the record of a generation: raw variables, block statistics, or both."""
    record = raw_of(program, values)
    if program.reduced:
        record["blocks"] = _reduce(values, batch.valid, program.histograms)
    return record


@functools.partial(jax.jit, static_argnums=2)
def _reduce(values: dict[str, Array], valid: Array, histograms: Any) -> Any:
    return reduce_blocks(values, valid, histograms)


def _set(records: dict, index: int, record: dict) -> None:
    check_repeated(records, record, first_axes=2, axes=1)
    for all, one in zip(jax.tree.leaves(records), jax.tree.leaves(record), strict=True):
        all[index, : len(one)] = one  # histograms are of the batch, not of each tile


def _measured(
    program: Program, chain: Chain, key: Any, batch: Batch, carry: Carry, generation: int, taken
) -> dict[str, np.ndarray]:
    """Call the metrics on every valid chain, without jit; zeros for the chains that pad."""
    run, now, found = key_from_words(jnp.asarray(key)), jnp.int32(generation), []
    for index in np.flatnonzero(batch.valid):
        state = jax.tree.map(lambda leaf, index=index: leaf[index], carry.state)
        keys = chain_key(run, batch.ids[index])
        with jax.disable_jit(True):
            found.append(chain.measure_metrics(keys, now, state, program.metrics, taken))
        check_repeated(found[0], found[-1], first_axes=0, axes=0)
    padding = len(batch.ids) - len(found)
    stacked = {name: np.stack([np.asarray(one[name]) for one in found]) for name in found[0]}
    return {
        name: np.pad(value, [(0, padding)] + [(0, 0)] * (value.ndim - 1))
        for name, value in stacked.items()
    }

"""Advance chains of families on the host in a plain loop over generations, one at a time.

The loop is called like the compiled loop of `program`; fit and draw of such families are loops
over compiled programs of their own.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

from collapse_jax.config import replace_fields
from collapse_jax.core.chain import Chain
from collapse_jax.core.host_context import HostContext
from collapse_jax.engine.program import Batch, Carry, Program
from collapse_jax.engine.repeated_values import check_repeated
from collapse_jax.random.keys import chain_key
from collapse_jax.random.threefry import key_from_words


def with_context(chain: Chain, context: HostContext) -> Chain:
    """Return the chain with its family at work in a context.

    Args:
      chain: a chain whose family works on the host.
      context: devices, and checkpoints of unfinished work.
    """
    return replace_fields(chain, family=chain.family.with_host_context(context))


def advance(
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
    """Advance a batch of one chain as `program.advance` does, with new buffers for records.

    Args:
      program: the settings of the run.
      chain: the process, with its context.
      key: two words of the run's key.
      batch: one chain.
      carry: the chain after generation `start`; ignored below 0.
      records: buffers, of which only the shapes are used.
      start: the generation reached; -every before generation 0.
      every: generations from one record to the next.
      count: number of records.

    Returns:
      The new carry, and records of which the first `count` are set.

    Raises:
      Stopped: if the work was to end; the context has checkpointed unfinished work.
    """
    keys = chain_key(key_from_words(key), batch.ids[0])
    records = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), records)
    state = jax.tree.map(lambda leaf: leaf[0], carry.state)
    first_event = int(carry.first_event[0])
    begin, stride, times = int(start), int(every), int(count)
    if begin < 0 and times:
        state, first_event = chain.init(keys, program.horizon, program.retained), -1
        first_event = _noted(chain, state, first_event, 0)
    for index in range(times):
        low = begin + index * stride + 1
        for generation in range(max(low, 1), low + stride):
            state = chain.step(keys, jnp.int32(generation), state)
            first_event = _noted(chain, state, first_event, generation)
        now = jnp.int32(low + stride - 1)
        values = chain.measure(keys, now, state, program.metrics)
        check_repeated(records["raw"], values, first_axes=2, axes=0)
        for name, value in values.items():
            records["raw"][name][index, 0] = value
    events: Any = np.array([first_event], np.int32)
    return Carry(jax.tree.map(lambda leaf: np.asarray(leaf)[None], state), events), records


def _noted(chain: Chain, state: Any, first_event: int, generation: int) -> int:
    """Return the generation of the first event so far, -1 if there is none."""
    return generation if first_event < 0 and chain.event(state) else first_event

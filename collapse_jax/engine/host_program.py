"""Chains of a family that works on the host: the steps of `Chain` in Python, one chain at a time.

The same calls as those of the compiled programs in `execution`, for families whose fit or
draw is a loop over programs of their own.
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
from collapse_jax.random.keys import chain_key
from collapse_jax.random.threefry import unrolled_threefry


def at(chain: Chain, place: HostContext) -> Chain:
    """The chain, its family at work in a place."""
    return replace_fields(chain, family=chain.family.at(place))


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
    """What `execution.advance` does, for a batch of one chain, with new memory for records.

    Raises:
      Stopped: if the work was to end; what there is of it is kept where the chain works.
    """
    keys = chain_key(jax.random.wrap_key_data(key, impl=unrolled_threefry), batch.ids[0])
    records = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), records)
    state = jax.tree.map(lambda leaf: leaf[0], carry.state)
    first_event = int(carry.first_event[0])
    begin, stride, times = int(start), int(every), int(count)
    if begin < 0 and times:
        state, first_event = chain.init(keys, program.horizon, program.retained), -1
        first_event = _noted(chain, state, first_event, 0)
    for index in range(times):
        first = begin + index * stride + 1
        for generation in range(max(first, 1), first + stride):
            state = chain.step(keys, jnp.int32(generation), state)
            first_event = _noted(chain, state, first_event, generation)
        now = jnp.int32(first + stride - 1)
        values = chain.measure(keys, now, state, program.metrics)
        for name, value in values.items():
            records["raw"][name][index, 0] = value
    events: Any = np.array([first_event], np.int32)
    return Carry(jax.tree.map(lambda leaf: np.asarray(leaf)[None], state), events), records


def _noted(chain: Chain, state: Any, first_event: int, generation: int) -> int:
    return generation if first_event < 0 and chain.event(state) else first_event

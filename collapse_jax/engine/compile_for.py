"""Compile a run for accelerators that are not here: does it fit, and how long does a step take?"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from collapse_jax.core.chain import Chain
from collapse_jax.core.ecosystem import Ecosystem
from collapse_jax.core.metric import Metric
from collapse_jax.engine.folding import folded, squeezed, unsqueezed
from collapse_jax.engine.program import (
    Batch,
    Carry,
    Program,
    advance,
    empty_carry,
    empty_records,
    keys_of,
    step,
)
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_spec import RunSpec, make_run_spec
from collapse_jax.random.threefry import key_from_words
from collapse_jax.results.reduce import Reduce
from collapse_jax.utils import check, memory
from collapse_jax.utils.accelerators import DescribedSlice, describe
from collapse_jax.utils.compiled import CompileReport, compile_ahead, costs_of
from collapse_jax.utils.jax_settings import own_settings


def compile_for(
    chain: Chain | Ecosystem,
    topology: str,
    *,
    num_chains: int,
    num_generations: int,
    every: int = 1,
    metrics: Sequence[str | Metric | Callable[..., Any]] = (),
    reduce: Reduce | None = None,
    chain_batch: int | None = None,
) -> CompileReport:
    """Compile a run for accelerators that are not here, to see whether it fits.

    Nothing runs. The compilers come with `pip install 'collapse-jax[accelerators]'`; a machine
    without GPU also needs `JAX_PLATFORMS=cpu` in the environment.

    Args:
      chain: the process, as in `simulate`.
      topology: a TPU slice, "v5e:2x2" (v5e, v5p or v6e), or one GPU, "h100" or "a100".
      num_chains: as in `simulate`.
      num_generations: as in `simulate`.
      every: as in `simulate`.
      metrics: as in `simulate`.
      reduce: as in `simulate`.
      chain_batch: as in `simulate`.

    Returns:
      Memory, time and whether it fits.

    Raises:
      ArgumentError: for a bad argument, an unknown topology, a compiler that is not installed, or a
        program that the compiler refuses.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100))
    >>> cj.compile_for(  # doctest: +SKIP
    ...     chain, "v5e:2x2", num_chains=65_536, num_generations=100
    ... ).fits
    True
    """
    request = Request(
        chain=chain.joint if isinstance(chain, Ecosystem) else chain,
        key=0,
        num_chains=num_chains,
        num_generations=num_generations,
        every=every,
        metrics=metrics,
        reduce=reduce,
        chain_batch=chain_batch,
    )
    return compile_request(request.checked(), describe(topology))


@own_settings()
def compile_request(request: Request, target: DescribedSlice) -> CompileReport:
    """Compile a run for accelerators that are not here, see `compile_for`.

    Args:
      request: the arguments of `simulate`.
      target: the accelerators.

    Raises:
      ArgumentError: for a bad argument, or a program that the compiler refuses.
    """
    request = request.checked()
    if request.chain.schedule.on_host:
        name = type(request.chain.family).__name__
        allowed, remedy = "it calls programs of its own", "use lm.compile_for"
        raise check.fail("chain.family", check.Shown(name), allowed, remedy)
    spec = make_run_spec(request, target.devices)
    whole, single, like = _arguments(spec, target.devices[0])
    run = compile_ahead(advance, whole, target)
    once = _one_generation(like)
    generation = compile_ahead(once, single, target).program
    costs = costs_of(generation, _costs_before_fusion(once, single), target.kind)
    kind, state = target.kind, 2 * spec.width * memory.size_of(spec.carry_shape)
    least = max(costs.flops / kind.flops, state / kind.bandwidth)
    return CompileReport(
        topology=target.topology,
        num_devices=len(target.devices),
        step="generation",
        rows="chains",
        batch=spec.width,
        seconds=run.seconds,
        peak_bytes=run.peak_bytes,
        memory_bytes=kind.memory,
        fits=run.peak_bytes is not None and run.peak_bytes <= kind.memory,
        flops=costs.flops,
        bytes_accessed=costs.nbytes,
        step_seconds=costs.seconds,
        roofline_share=least / costs.seconds if costs.seconds else 0.0,
    )


def _arguments(spec: RunSpec, device: Any) -> tuple[tuple[Any, ...], tuple[Any, ...], Carry]:
    """Return the arguments of `advance` and of a single generation, and the carry of the latter.

    All are shapes on a device; the carry of the arguments is squeezed.
    """
    program = spec.program._replace(raw=spec.num_raw(0))
    carry = empty_carry(spec.carry_shape, spec.width)
    records = empty_records(program, spec.record_shape, spec.width)
    batch = Batch(np.zeros(spec.width, np.uint32), np.zeros(spec.width, bool))
    key, number = np.zeros(2, np.uint32), np.int32(0)
    arrays = (spec.chain.centred, key, batch, carry, records, number)
    place = SingleDeviceSharding(device)
    chain, key, batch, carry, records, number = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        jax.eval_shape(lambda tree: tree, arrays),
    )
    whole = (program, chain, key, batch, carry, records, number, number, number)
    if program.folded:
        batch, carry = jax.eval_shape(folded, (batch, carry))
    keys = jax.eval_shape(lambda key, batch: jax.random.key_data(keys_of(key, batch)), key, batch)
    narrow = jax.eval_shape(functools.partial(squeezed, is_folded=program.folded), carry)
    batch, narrow, keys = jax.tree.map(
        lambda leaf: leaf.update(sharding=place), (batch, narrow, keys)
    )
    return whole, (program, chain, keys, batch, narrow, number), carry


def _one_generation(like: Carry) -> Any:
    """Return a program for one generation that records nothing, to learn what one costs."""

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=4)
    def advance_once(
        program: Program, chain: Chain, keys: Any, batch: Batch, carry: Carry, generation: Any
    ) -> Carry:
        keys, whole = key_from_words(keys), unsqueezed(carry, like)
        return squeezed(step(program, chain, keys, batch, whole, generation), program.folded)

    return advance_once


def _costs_before_fusion(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return operations and bytes of a program as it is before any compiler changes it."""
    program, *arrays = arguments
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), arrays)
    return function.lower(program, *shapes).cost_analysis() or {}

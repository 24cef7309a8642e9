"""Compile a run for accelerators that are not here: does it fit, and how long does a step take?"""

import dataclasses
import functools
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import Metric
from collapse_jax.engine.accelerators import Accelerator, describe, first_line
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
from collapse_jax.utils.jax_settings import own_settings


@dataclasses.dataclass(frozen=True)
class CompileReport:
    """What a compiler tells about a program for accelerators that are not here.

    Attributes:
      topology: the accelerators, such as "v5e:2x2".
      num_devices: how many they are; each runs batches of its own.
      chains: chains of a batch, with those that pad it.
      seconds: CPU seconds of compiling.
      peak_bytes: memory of a device at most: arguments, results and temporaries; None where the
        compiler ended without telling.
      memory_bytes: memory of a device.
      fits: whether the program fits.
      flops: operations of one generation of a batch; what is repeated until a condition holds, such
        as a step of EM, is counted once, in the following figures too.
      bytes_accessed: bytes that it reads and writes, as TPU's compiler counts them. For GPU, those
        of the program before it is compiled: too many.
      step_seconds: time of one generation of a batch, as TPU's compiler estimates it. For GPU,
        whose compiler does not, the least that `flops` and `bytes_accessed` allow.
      roofline_share: the least time that the operations, and reading and writing every chain once,
        allow, as a share of `step_seconds`.

    >>> import collapse_jax as cj
    >>> report = cj.CompileReport(
    ...     "v5e:2x2", 4, 8192, 5.2, 4332544, 17179869184, True, 3.3e6, 2.5e6, 18.6e-6, 0.01
    ... )
    >>> print(report)
    v5e:2x2: fits
    devices                4, each with batches of its own
    chains of a batch      8,192
    compiled in            5.2 CPU seconds
    memory of a device     4.1 MiB of 16.0 GiB
    one generation         3,300,000 operations, 2,500,000 bytes
    estimated time         18.6 microseconds, 1% of the roofline
    """

    topology: str
    num_devices: int
    chains: int
    seconds: float
    peak_bytes: int | None
    memory_bytes: int
    fits: bool
    flops: float
    bytes_accessed: float
    step_seconds: float
    roofline_share: float

    def __str__(self) -> str:
        """Return the report in words, a line each."""
        peak = "unknown" if self.peak_bytes is None else f"{self.peak_bytes / 2**20:,.1f} MiB"
        memory = f"{self.memory_bytes / 2**30:,.1f} GiB"
        return "\n".join(
            [
                f"{self.topology}: {'fits' if self.fits else 'DOES NOT FIT'}",
                f"devices                {self.num_devices}, each with batches of its own",
                f"chains of a batch      {self.chains:,}",
                f"compiled in            {self.seconds:.1f} CPU seconds",
                f"memory of a device     {peak} of {memory}",
                f"one generation         {self.flops:,.0f} operations, "
                f"{self.bytes_accessed:,.0f} bytes",
                f"estimated time         {self.step_seconds * 1e6:,.1f} microseconds, "
                f"{self.roofline_share:.0%} of the roofline",
            ]
        )


def compile_for(
    chain: Chain,
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
      chain: the process.
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
        chain=chain,
        key=0,
        num_chains=num_chains,
        num_generations=num_generations,
        every=every,
        metrics=metrics,
        reduce=reduce,
        chain_batch=chain_batch,
    ).checked()
    if chain.schedule.on_host:
        name = type(chain.family).__name__
        allowed = "it calls programs of its own"
        raise check.fail("chain.family", check.Shown(name), allowed, "use simulate")
    slice_ = describe(topology)
    return _compile(request, topology, slice_.kind, slice_.devices)


@own_settings()
def _compile(
    request: Request, topology: str, kind: Accelerator, devices: tuple[Any, ...]
) -> CompileReport:
    spec = make_run_spec(request, devices)
    whole, single, like = _arguments(spec, devices[0])
    began = time.process_time()
    compiled = _compiled(_lowered(advance, whole, kind), topology)
    seconds = time.process_time() - began
    peak = None if compiled is None else _peak(compiled)
    once = _one_generation(like)
    generation = _compiled(_lowered(once, single, kind), topology)
    costs = (generation and generation.cost_analysis()) or _costs_before_fusion(once, single)
    flops, nbytes = float(costs.get("flops", 0)), float(costs.get("bytes accessed", 0))
    taken = max(flops / kind.flops, nbytes / kind.bandwidth)
    if generation is not None and kind.clock is not None:
        taken = _estimated_cycles(generation) / kind.clock
    least = max(
        flops / kind.flops, 2 * spec.width * memory.size_of(spec.carry_shape) / kind.bandwidth
    )
    return CompileReport(
        topology=topology,
        num_devices=len(devices),
        chains=spec.width,
        seconds=seconds,
        peak_bytes=peak,
        memory_bytes=kind.memory,
        fits=peak is not None and peak <= kind.memory,
        flops=flops,
        bytes_accessed=nbytes,
        step_seconds=taken,
        roofline_share=least / taken if taken else 0.0,
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


def _lowered(function: Any, arguments: tuple[Any, ...], kind: Accelerator) -> Any:
    return function.trace(*arguments).lower(lowering_platforms=(kind.platform,))


def _compiled(lowered: Any, topology: str) -> Any | None:
    """Return the compiled program; None if the compiler finds that it does not fit."""
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            return None
        allowed = f"the compiler refuses the program: {first_line(error)}"
        raise check.fail("topology", topology, allowed, "report this as a bug") from None


def _costs_before_fusion(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return operations and bytes of a program as it is before any compiler changes it."""
    program, *arrays = arguments
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), arrays)
    return function.lower(program, *shapes).cost_analysis() or {}


def _peak(compiled: Any) -> int:
    """Return the bytes of arguments, results and temporaries; results may reuse arguments."""
    found = compiled.memory_analysis()
    arrays = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return int(arrays + found.temp_size_in_bytes)


def _estimated_cycles(compiled: Any) -> int:
    """Return the cycles that the compiler for TPU expects."""
    return sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', compiled.as_text())))

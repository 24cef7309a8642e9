"""Names for what a run records: dims of its variables, and its coordinates."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.engine.run_spec import RunSpec
from collapse_jax.results.provenance import describe, provenance
from collapse_jax.results.reduce import HostRecords, Reduce, reduced, survival
from collapse_jax.results.variable import Variable

STATUS_CODES = ("ok", "non-finite", "degenerate", "floor")
Axes = Mapping[str, tuple[str, ...]]


def chain_variables(arrays: Mapping[str, np.ndarray], axes: Axes) -> dict[str, Variable]:
    """Variables of every chain from arrays [generation, chain, ...]."""
    return {
        name: Variable(("generation", "chain", *axes[name]), value)
        for name, value in arrays.items()
    }


def reduced_variables(
    reduce: Reduce,
    batches: Sequence[HostRecords],
    first_event: np.ndarray,
    generations: np.ndarray,
    axes: Axes,
) -> dict[str, Variable]:
    """Statistics over the chains of all batches, in the order of their chains."""
    variables = {}
    for name, (value, extra) in reduced(reduce, batches).items():
        own = axes.get(name.rsplit("_", 1)[0], ())
        variables[name] = Variable(("generation", *extra, *own), value)
    if reduce.survival:
        share = survival(first_event, generations)
        variables["survival"] = Variable(("generation",), share)
    return variables


def coordinates(
    generations: np.ndarray,
    dims: Collection[str],
    chains: range,
    reduce: Reduce | None,
    state_names: Sequence[str],
) -> dict[str, Variable]:
    """Coordinates of the dims of a run, but for `first_event`.

    Args:
      generations: those recorded.
      dims: of everything that was recorded.
      chains: ids.
      reduce: None if every chain is kept.
      state_names: of the states of a source that has some.
    """
    found = {"generation": generations.astype(np.int64)}
    if reduce is None:
        found["chain"] = np.arange(chains.start, chains.stop, dtype=np.int64)
    else:
        if reduce.quantiles:
            found["quantile"] = np.array(reduce.quantiles)
        found |= {f"{name}_bin": np.array([-np.inf, *edges]) for name, edges in reduce.edges}
        found["code"] = np.arange(len(STATUS_CODES))
    if state_names and "state" in dims:
        found["state"] = np.array(state_names)
    return {name: Variable((name,), values) for name, values in found.items()}


def axes_of(spec: RunSpec) -> Axes:
    """Names of the axes of every variable beyond generation and chain."""
    axes = dict(spec.chain.family.axes)
    for name, shape in spec.record_shape.items():
        axes.setdefault(name, tuple(f"{name}_axis_{k}" for k in range(shape.ndim - 1)))
    return axes


def coordinates_of(spec: RunSpec, dims: Collection[str]) -> dict[str, Variable]:
    """Coordinates of a run, but for `first_event`."""
    chains = range(spec.first_chain, spec.first_chain + spec.num_chains)
    names = getattr(spec.chain.source, "names", ())
    return coordinates(spec.generations, dims, chains, spec.reduce, names)


def config_of(spec: RunSpec) -> dict[str, Any]:
    """What decides every number of a run, but for its key and the machine."""
    return {
        "chain": describe(spec.chain),
        "num_chains": spec.num_chains,
        "num_generations": spec.num_generations,
        "every": spec.every,
        "metrics": [describe(metric) for metric in spec.program.metrics],
        "reduce": describe(spec.reduce),
        "first_chain": spec.first_chain,
    }


def provenance_of(spec: RunSpec) -> dict[str, Any]:
    """Where a run comes from."""
    workers = dict.fromkeys(spec.shared_devices or spec.workers)
    devices = [jax.local_devices()[0] if device is None else device for device in workers]
    return provenance(spec.key, str(jnp.result_type(float)), devices)

"""Names for what a run records: dims of its variables, and its coordinates."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.engine.run_spec import Plan
from collapse_jax.results.provenance import describe, provenance
from collapse_jax.results.reduce import Kept, Reduce, reduced, survival
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
    batches: Sequence[Kept],
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


def axes_of(plan: Plan) -> Axes:
    """Names of the axes of every variable beyond generation and chain."""
    axes = dict(plan.chain.family.axes)
    for name, shape in plan.record_shape.items():
        axes.setdefault(name, tuple(f"{name}_axis_{k}" for k in range(shape.ndim - 1)))
    return axes


def coordinates_of(plan: Plan, dims: Collection[str]) -> dict[str, Variable]:
    """Coordinates of a run, but for `first_event`."""
    chains = range(plan.first_chain, plan.first_chain + plan.num_chains)
    names = getattr(plan.chain.source, "names", ())
    return coordinates(plan.generations, dims, chains, plan.reduce, names)


def config_of(plan: Plan) -> dict[str, Any]:
    """What decides every number of a run, but for its key and the machine."""
    return {
        "chain": describe(plan.chain),
        "num_chains": plan.num_chains,
        "num_generations": plan.num_generations,
        "every": plan.every,
        "metrics": [describe(metric) for metric in plan.program.metrics],
        "reduce": describe(plan.reduce),
        "first_chain": plan.first_chain,
    }


def provenance_of(plan: Plan) -> dict[str, Any]:
    """Where a run comes from."""
    workers = dict.fromkeys(plan.team or plan.workers)
    devices = [jax.local_devices()[0] if device is None else device for device in workers]
    return provenance(plan.key, str(jnp.result_type(float)), devices)

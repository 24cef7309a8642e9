"""Collect names, axes, units and coordinates of the records of a run, and its provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.core.metric import Quantity
from collapse_jax.engine.run_spec import RunSpec
from collapse_jax.results.provenance import describe, provenance
from collapse_jax.results.records import Table
from collapse_jax.results.reduce import KINDS, STATUS_COUNT, HostRecords, reduced, survival
from collapse_jax.utils.jax_settings import matmul_precision
from collapse_jax.utils.status import Status

_ENGINE = {
    "status": Quantity("how the fit ended: " + ", ".join(f"{s:d} {s.label}" for s in Status)),
    "acceptance": Quantity("share of the model's rows that the selection takes"),
    "chosen_score": Quantity("mean score of the selected rows", "units of the score"),
    "candidate_score": Quantity("mean score of all candidates", "units of the score"),
    "edited_share": Quantity("share of the model's rows that were changed"),
}
_EVENT = {"long_name": "generation of absorption or of status > 0, -1 if none", "units": "1"}


def quantities_of(spec: RunSpec) -> dict[str, Quantity]:
    """Return long name, unit and axes of all variables that a run may record, by name.

    Axes of recorded arrays without names are called NAME_axis_0, NAME_axis_1, ...

    Args:
      spec: the run.
    """
    known = _ENGINE | dict(spec.chain.family.quantities)
    known |= {str(metric.name): metric.quantity for metric in spec.program.metrics}
    for name, shape in spec.record_shape.items():
        known.setdefault(name, Quantity(name.replace("_", " ")))
        missing = range(len(known[name].dims), shape.ndim - 1)
        dims = (*known[name].dims, *(f"{name}_axis_{k}" for k in missing))
        known[name] = known[name]._replace(dims=dims)
    return known


def attributes_of(quantity: Quantity, location: np.ndarray | None) -> dict[str, Any]:
    """Return long name, unit and, for a position, location as attributes of an array.

    Args:
      quantity: a recorded variable.
      location: the point that the chains kept a position relative to, [dim]; differences from it
        are as precise as float32 is. None for any other variable.
    """
    found: dict[str, Any] = {"long_name": quantity.long_name, "units": quantity.unit}
    return found if location is None else found | {"location": location.tolist()}


def chain_table(spec: RunSpec, arrays: Mapping[str, np.ndarray]) -> Table:
    """Return the variables of single chains as a table.

    Args:
      spec: the run.
      arrays: values by name, [generation, chain, ...].

    Returns:
      Dims, values and attributes by name.
    """
    known, positions = quantities_of(spec), spec.positions
    return {
        name: (
            ("generation", "chain", *known[name].dims),
            value,
            attributes_of(known[name], positions.get(name)),
        )
        for name, value in arrays.items()
    }


def reduced_table(
    spec: RunSpec,
    batches: Sequence[HostRecords],
    first_event: np.ndarray,
    generations: np.ndarray,
) -> Table:
    """Return statistics over the chains of all batches as a table.

    Args:
      spec: the run, with a reduction.
      batches: records of each batch, in the order of their chains.
      first_event: generation of the first event of every chain, -1 if none, [chain].
      generations: the recorded generations, [record].

    Returns:
      Dims, values and attributes by name.
    """
    assert spec.reduce is not None
    known, table = quantities_of(spec), {}
    for name, (value, statistic, dims) in reduced(spec.reduce, batches, spec.positions).items():
        base = name.removesuffix(f"_{statistic}")
        quantity = known[base]
        words = "number of chains by code" if name == STATUS_COUNT else KINDS[statistic]
        is_count = statistic in ("count", "histogram")
        location = spec.positions.get(base) if statistic in ("mean", "quantile") else None
        attributes = attributes_of(quantity, location) | {
            "long_name": f"{words} of the {quantity.long_name}",
            "units": "chains" if is_count else quantity.unit,
        }
        own = () if name == STATUS_COUNT else quantity.dims
        table[name] = (("generation", *dims, *own), value, attributes)
    if spec.reduce.survival:
        share = survival(first_event, generations)
        name = "share of chains neither absorbed nor with a status > 0"
        table["survival"] = (("generation",), share, {"long_name": name, "units": "1"})
    return table


def coordinates_of(spec: RunSpec, variables: Table) -> Table:
    """Return the coordinates of a run except `first_event` as a table.

    Args:
      spec: the run.
      variables: its variables; coordinates are those of their dims.

    Returns:
      Dims, values and attributes by name.
    """
    table: dict[str, Any] = {}

    def add(name: str, values: Any, long_name: str, units: str = "1") -> None:
        table[name] = ((name,), np.asarray(values), {"long_name": long_name, "units": units})

    add("generation", spec.generations.astype(np.int64), "generation")
    if spec.reduce is None:
        chains = np.arange(spec.num_chains, dtype=np.int64) + spec.first_chain
        add("chain", chains, "id of a chain")
    else:
        if spec.reduce.quantiles:
            add("quantile", spec.reduce.quantiles, "level of a quantile")
        known = quantities_of(spec)
        for name, edges in spec.reduce.edges:
            long_name = f"lower end of a bin of the {known[name].long_name}"
            add(f"{name}_bin", [-np.inf, *edges], long_name, known[name].unit)
        add("code", np.arange(len(Status)), "code of `status`")
    names = getattr(spec.chain.source, "names", ())
    if len(names) and any("state" in dims for dims, *_ in variables.values()):
        add("state", names, "name of a state")
    return table


def event_coordinate(first_event: np.ndarray) -> Table:
    """Return the coordinate `first_event` of a run as a table.

    Args:
      first_event: generation of the first event of every chain, -1 if none, [chain].
    """
    return {"first_event": (("chain",), first_event, _EVENT)}


def config_of(spec: RunSpec) -> dict[str, Any]:
    """Return all settings that decide the numbers of a run, except key and machine.

    Args:
      spec: the run.
    """
    return {
        "chain": describe(spec.chain),
        "num_chains": spec.num_chains,
        "num_generations": spec.num_generations,
        "every": spec.every,
        "metrics": [str(metric.name) for metric in spec.program.metrics],
        "reduce": describe(spec.reduce),
        "first_chain": spec.first_chain,
    }


def provenance_of(spec: RunSpec) -> dict[str, Any]:
    """Return the provenance of a run: key, dtype, devices, versions.

    Args:
      spec: the run.
    """
    workers = dict.fromkeys(spec.shared_devices or spec.workers)
    devices = [jax.local_devices()[0] if device is None else device for device in workers]
    return provenance(spec.key, str(jnp.result_type(float)), devices, matmul_precision())

"""Check the arguments of `simulate`, one by one and before anything is planned."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from collapse_jax.core.chain import Chain
from collapse_jax.core.metric import RENAME, RESERVED, Metric
from collapse_jax.random.keys import MAX_GENERATIONS
from collapse_jax.results.reduce import Reduce
from collapse_jax.results.run_state import RunState
from collapse_jax.store.store import Store
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted

_DIMS = ("generation", "chain", "quantile", "code")  # of every run, or of every reduced one


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of `simulate`, as given by the user; see there.

    `without_jit` tells whether the user has disabled `jax.jit`, see `debug_program`.
    """

    chain: Chain
    key: int | Key[Array, ""]
    num_chains: int
    num_generations: int
    every: int = 1
    metrics: Sequence[str | Metric | Callable[..., Any]] = ()
    reduce: Reduce | None = None
    first_chain: int = 0
    chain_batch: int | None = None
    generation_chunk: int | None = None
    devices: int | str | Sequence[Any] | None = None
    progress: bool = False
    store: str | Path | Store | None = None
    state: RunState | None = None
    without_jit: bool = False

    def checked(self) -> "Request":
        """Return the request with plain ints, a `Store` and `Metric` objects.

        Raises:
          ArgumentError: for a bad argument.
        """
        chain, remedy = self.chain, "pass collapse_jax.Chain(...)"
        check.instance("chain", chain, Chain, "it must be a Chain", remedy)
        first_chain = check.integer("first_chain", self.first_chain, 0, 2**32 - 1)
        most, remedy = 2**32 - first_chain, "pass an int such as num_chains=1000"
        if first_chain:
            remedy = "choose ids below 2^32: first_chain + num_chains is at most 2^32"
        num_chains = check.integer("num_chains", self.num_chains, 1, most, remedy)
        last = check.integer("num_generations", self.num_generations, 0, MAX_GENERATIONS - 1)
        every = check.integer("every", self.every, 1, MAX_GENERATIONS)
        chunk = self.generation_chunk
        if chunk is not None:
            chunk = check.integer("generation_chunk", chunk, 1, MAX_GENERATIONS)
        store = Store.of(self.store)
        if store is not None and self.state is not None:
            raise check.fail("state", "given", "a run directory has its own", "pass state=None")
        check.instance("progress", self.progress, bool, "it must be True or False", "pass a bool")
        metrics = _check_metrics(chain, self.metrics)
        if self.reduce is not None:
            remedy = "pass collapse_jax.Reduce() or None"
            check.instance("reduce", self.reduce, Reduce, "it must be a Reduce", remedy)
            if chain.schedule.on_host:
                allowed = f"chains of a {type(chain.family).__name__} are few: all are recorded"
                raise check.fail("reduce", self.reduce, allowed, "pass reduce=None")
        chain.validate(last)
        if chain.schedule.on_host:
            chunk = chunk or 1
        return dataclasses.replace(
            self,
            num_chains=num_chains,
            num_generations=last,
            every=every,
            metrics=metrics,
            first_chain=first_chain,
            generation_chunk=chunk,
            store=store,
        )


def _check_metrics(chain: Chain, metrics: Any) -> tuple[Metric, ...]:
    """Return the metrics, with names replaced by the family's metrics."""
    if isinstance(metrics, tuple) and not metrics:
        return ()
    known = chain.family.optional_metrics
    remedy = f"pass functions, Metric objects or names among {sorted(known)}"
    if isinstance(metrics, (str, bytes)) or not np.iterable(metrics):
        raise check.fail("metrics", metrics, "it must be a sequence of names or functions", remedy)
    chosen: dict[str, Metric] = {}
    for index, metric in enumerate(metrics):
        label = f"metrics[{index}]"
        if isinstance(metric, str):
            if metric not in known:
                allowed = f"{type(chain.family).__name__} has no optional variable of this name"
                raise check.fail(label, metric, allowed, remedy)
            metric = known[metric]
        elif not callable(metric):
            allowed = "it must be a name, a function or a Metric"
            raise check.fail(label, metric, allowed, remedy)
        elif not isinstance(metric, Metric) and not hasattr(metric, "__name__"):
            allowed = "it has no __name__"
            raise check.fail(label, metric, allowed, RENAME)
        one = Metric.of(metric)
        if one.name in chosen or one.name in RESERVED:
            taken = "another metric" if one.name in chosen else "a variable of every run"
            shown = check.Shown(f"metric {one.name!r}")
            raise check.fail(label, shown, f"{taken} has this name", RENAME)
        chosen[str(one.name)] = one
    return tuple(chosen.values())


def check_values(chain: Chain, metrics: Sequence[Metric], record: Mapping[str, Any]) -> None:
    """Refuse metrics whose values cannot be recorded, or whose axes contradict other variables.

    Args:
      chain: the process.
      metrics: of the run.
      record: shapes of its variables by name, [chain, ...].

    Raises:
      ArgumentError: naming the metric.
    """
    sizes: dict[str, int] = {}
    for name, quantity in chain.family.quantities.items():
        if name in record:
            sizes |= dict(zip(quantity.dims, record[name].shape[1:], strict=False))
    for metric in metrics:
        shape, dims = record[str(metric.name)].shape[1:], tuple(metric.dims)
        label = f"the metric {metric.name!r}"
        kind = np.dtype(record[str(metric.name)].dtype).kind
        if kind not in "fiub" or 0 in shape:
            shown = check.Shown(f"{record[str(metric.name)].dtype} array of shape {shape}")
            allowed = "real numbers or truth values are recorded, at least one"
            raise check.fail(f"result of {label}", shown, allowed, "return such an array")
        if dims and len(dims) != len(shape):
            allowed = f"{label} returns an array of {counted(len(shape), 'axis', 'axes')}"
            raise check.fail("Metric.dims", dims, allowed, "name each axis, or none")
        taken = [dim for dim in dims if dim in _DIMS or dim in record or dims.count(dim) > 1]
        if taken:
            allowed = f"{taken[0]!r} is another axis or variable"
            raise check.fail("Metric.dims", dims, allowed, "choose another name for the axis")
        for dim, size in zip(dims, shape, strict=False):
            if sizes.setdefault(dim, size) != size:
                allowed = f"the axis {dim!r} of other variables has length {sizes[dim]}, not {size}"
                raise check.fail("Metric.dims", dims, allowed, "choose another name for the axis")
    for metric in metrics:
        if metric.name in sizes:
            shown = check.Shown(f"metric {metric.name!r}")
            raise check.fail("metrics", shown, "an axis has this name", RENAME)

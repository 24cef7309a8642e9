"""Reduce chains to means, deviations, quantiles, histograms and survival.

On the device each block of 256 chains is reduced to a count, a mean and a standard
deviation, so that float32 never adds more than 256 numbers. The host merges
blocks, batches and devices in float64 (Chan, Golub & LeVeque 1979). Frozen chains and
NaN are left out of all three. Tiny and huge values are summed in units of their
block. Histograms are counted on the device and added as integers.
"""

import functools
import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from collapse_jax.config import config, static
from collapse_jax.results.quantiles import quantiles
from collapse_jax.utils import check
from collapse_jax.utils.cpus import count_cpus
from collapse_jax.utils.status import Status, is_frozen

STATUS_COUNT = "status_count"  # name of the number of chains by code
BLOCK = 256  # chains of a block: float32 sums of so few numbers are precise
_PIECE = 2**19  # values that a thread takes at a time: many small calls wait for each other
QUANTILE_CHAINS = 16_384  # chains whose values are stored for quantiles, to bound the memory
Histograms = tuple[tuple[str, tuple[float, ...]], ...]  # a mapping that can be hashed


@config
class Reduce:
    """Statistics over chains that are recorded instead of one value per chain.

    Every statistic rests on the chains that are not frozen and whose value is not NaN; their
    number is recorded as `<variable>_count`. Where a value is infinite, so is the mean, and the
    std is NaN; quantiles are NaN only without any chain.

    Args:
      mean: whether to record `<variable>_mean`.
      std: whether to record `<variable>_std` (divisor: the number of chains).
      quantiles: levels in [0, 1] of `<variable>_quantile`, from the first 16,384
        chains; () for none. They are exact for these chains; as estimates for all chains, the
        level q is off by sqrt(q (1 - q) / 16,384), 0.2 % at 5 % and 0.4 % at the median.
      histograms: edges by variable, such as {"log_std": np.linspace(-3, 1, 41)}; finite and
        increasing. `<variable>_histogram` has the number of chains below the first edge,
        between neighbouring edges, and from the last edge on. Its axis `<variable>_bin` has
        the lower ends of these intervals, -inf for the first.
      survival: whether to record `survival`, the share of chains that have neither been
        absorbed nor a status > 0 up to a generation.

    Raises:
      ArgumentError: for a level outside [0, 1], edges that do not increase, or if nothing is
        recorded.

    >>> import collapse_jax as cj
    >>> reduce = cj.Reduce(std=False, quantiles=[0.5], histograms={"log_std": [-2, -1, 0]})
    >>> reduce.quantiles, reduce.edges
    ((0.5,), (('log_std', (-2.0, -1.0, 0.0)),))
    """

    mean: bool = static(default=True)
    std: bool = static(default=True)
    quantiles: Sequence[float] = static(default=(0.05, 0.5, 0.95))
    histograms: Mapping[str, Sequence[float]] | Histograms = static(default=())
    survival: bool = static(default=False)

    def __post_init__(self) -> None:
        remedy = "pass levels such as quantiles=(0.05, 0.5, 0.95)"
        if isinstance(self.quantiles, (str, bytes)) or not np.iterable(self.quantiles):
            raise check.fail("Reduce.quantiles", self.quantiles, "it must be a sequence", remedy)
        levels = tuple(
            check.number(f"Reduce.quantiles[{index}]", level, 0, 1, remedy)
            for index, level in enumerate(self.quantiles)
        )
        for name in ("mean", "std", "survival"):
            allowed = "it must be True or False"
            check.instance(f"Reduce.{name}", getattr(self, name), bool, allowed, "pass a bool")
        histograms = _check_histograms(self.histograms)
        if not (self.mean or self.std or levels or histograms or self.survival):
            raise check.fail(
                "Reduce", check.Shown("nothing"), "something must be recorded", "leave mean=True"
            )
        object.__setattr__(self, "quantiles", levels)
        object.__setattr__(self, "histograms", histograms)

    @property
    def edges(self) -> Histograms:
        """Return the histograms as pairs of a variable and its edges."""
        return cast("Histograms", self.histograms)


def _check_histograms(given: Any) -> Histograms:
    """Return edges by variable, as a tuple of pairs."""
    remedy = "pass edges by variable such as histograms={'log_std': [-2, -1, 0]}"
    try:
        table = dict(given)
    except (TypeError, ValueError):
        raise check.fail("Reduce.histograms", given, "it must be a mapping", remedy) from None
    for name, edges in table.items():
        label = f"Reduce.histograms[{name!r}]"
        values = check.array(label, edges, 1, remedy)
        if np.any(np.diff(values) <= 0):
            raise check.fail(label, edges, "edges must increase", remedy)
        table[name] = tuple(values.tolist())
    return tuple(sorted(table.items()))


class Blocks(NamedTuple):
    """The count of each block, its mean, and its standard deviation with the count as divisor."""

    count: Any
    mean: Any
    std: Any


def reduce_blocks(
    values: Mapping[str, Array], valid: Bool[Array, " chain"], histograms: Histograms
) -> dict[str, Blocks | Array]:
    """Reduce variables to statistics of blocks of 256 chains.

    While every chain is valid, runs and has a value, a faster reduction without masks is used.

    Args:
      values: variables of a generation, [chain, ...]; "status" is among them.
      valid: False for chains that pad the batch, [chain].
      histograms: edges by variable.

    Returns:
      By variable `Blocks` of arrays [block, ...]; for "status" the number of chains with each
      code, [block, code]; for each histogram the number of chains by bin, [1, bin, ...].
    """
    running = valid & ~is_frozen(values["status"])
    counts = {
        histogram_name(name): _count(values[name], running, edges)[None]
        for name, edges in histograms
    }
    blocks = {name: _blocks_of(value) for name, value in values.items() if name != "status"}
    sums = {name: jnp.sum(value, axis=1) for name, value in blocks.items()}
    clean = jnp.all(valid) & (jnp.max(values["status"]) == 0)
    for total in sums.values():
        clean = clean & ~jnp.any(jnp.isnan(total))

    def unmasked() -> dict[str, Blocks]:
        result = {}
        for name, value in blocks.items():
            mean = sums[name] / BLOCK
            variance = jnp.sum((value - mean[:, None]) ** 2, axis=1) / BLOCK
            result[name] = Blocks(jnp.full(mean.shape, BLOCK, jnp.int32), mean, jnp.sqrt(variance))
        return result

    def masked() -> dict[str, Blocks]:
        return {name: _masked(value, running) for name, value in blocks.items()}

    def scaled() -> dict[str, Blocks]:
        return {name: _scaled(value, running) for name, value in blocks.items()}

    ordinary = jax.lax.cond(clean, unmasked, masked)
    real = [name for name, value in values.items() if jnp.issubdtype(value.dtype, jnp.floating)]
    lost = [_is_lost(ordinary[name]) for name in real]
    found = jax.lax.cond(functools.reduce(operator.or_, lost, False), scaled, lambda: ordinary)
    shaped = {
        name: Blocks(*(part.reshape(-1, *values[name].shape[1:]) for part in parts))
        for name, parts in found.items()
    }
    return {**counts, **shaped, "status": _statuses(values["status"], valid, clean)}


def _blocks_of(values: Array) -> Array:
    """Return values by block, [block, chain] for single numbers or [block, chain, entry]."""
    entries = values[0].size
    shape = (-1, BLOCK) if entries == 1 else (-1, BLOCK, entries)
    return values.astype(jnp.result_type(float)).reshape(shape)


def _statuses(status: Array, valid: Bool[Array, " chain"], clean: Array) -> Array:
    """Return the number of chains of each block with each code, [block, code]."""

    def all_ok() -> Array:
        codes = jnp.array([BLOCK] + [0] * (len(Status) - 1), jnp.int32)
        return jnp.tile(codes, (valid.size // BLOCK, 1))

    def counted() -> Array:
        codes = jnp.where(valid, status, -1).reshape(-1, BLOCK, 1)
        return jnp.sum(codes == jnp.arange(len(Status)), axis=1, dtype=jnp.int32)

    return jax.lax.cond(clean, all_ok, counted)


def histogram_name(name: str) -> str:
    """Return the name of the histogram of a variable.

    Args:
      name: the variable.
    """
    return f"{name}_histogram"


def _count(
    values: Array, valid: Bool[Array, " chain"], edges: Sequence[float]
) -> Int[Array, "bin ..."]:
    """Count chains below the first edge, between neighbouring edges, and above the last."""
    values = values.astype(jnp.result_type(float))
    mask = valid.reshape(-1, *[1] * (values.ndim - 1)) & ~jnp.isnan(values)
    levels = [np.asarray(edge, values.dtype) for edge in edges]  # one, or one for each dimension
    beyond = [jnp.sum(mask & (values >= level), axis=0, dtype=jnp.int32) for level in levels]
    beyond = [jnp.sum(mask, axis=0, dtype=jnp.int32), *beyond, jnp.zeros_like(beyond[0])]
    return jnp.stack([low - high for low, high in itertools.pairwise(beyond)])


def _with_value(blocks: Array, valid: Bool[Array, " chain"]) -> Array:
    """Tell which chains are valid and have a value, [block, chain, ...]."""
    return valid.reshape(-1, BLOCK, *[1] * (blocks.ndim - 2)) & ~jnp.isnan(blocks)


def _masked(blocks: Array, valid: Bool[Array, " chain"]) -> Blocks:
    """Reduce blocks over the chains that are valid and have a value."""
    mask = _with_value(blocks, valid)
    count = jnp.sum(mask, axis=1, dtype=jnp.int32)
    number = jnp.maximum(count, 1)
    mean = jnp.sum(jnp.where(mask, blocks, 0), axis=1) / number
    squares = jnp.where(mask, blocks - mean[:, None], 0) ** 2
    return Blocks(count, mean, jnp.sqrt(jnp.sum(squares, axis=1) / number))


def _is_lost(blocks: Blocks) -> Bool[Array, ""]:
    """Tell whether a deviation drowns in the rounding of the mean, or squares leave their range."""
    limits = jnp.finfo(blocks.std.dtype)
    lowest = np.sqrt(limits.tiny / limits.eps)  # below, squares of deviations are lost
    rounding = BLOCK * limits.eps * jnp.abs(blocks.mean)
    is_kept = (jnp.maximum(lowest, rounding) < blocks.std) & (blocks.std < jnp.inf)
    return jnp.any(~is_kept & (blocks.count > 1))


def _scaled(blocks: Array, valid: Bool[Array, " chain"]) -> Blocks:
    """Reduce blocks of any scale: sums are of order one, in units that are powers of two.

    Deviations are from a mean that is rounded. Their own mean corrects mean and deviation.
    """

    limits = jnp.finfo(blocks.dtype)
    powers = np.exp2(np.arange(limits.minexp, limits.maxexp - 1)).astype(limits.dtype)  # exact

    def relative(values: Array) -> tuple[Array, Array]:
        """Return values of a size below 2, and their unit."""
        sizes = jnp.where(mask & jnp.isfinite(values), jnp.abs(values), 0)
        exponent = jnp.frexp(jnp.max(sizes, axis=1))[1] - 1 - limits.minexp
        exponent = jnp.clip(exponent, 0, len(powers) - 1)
        inverse = jnp.asarray(powers[::-1])[exponent]
        return jnp.where(mask, values * inverse[:, None], 0), jnp.asarray(powers)[exponent]

    mask = _with_value(blocks, valid)
    count = jnp.sum(mask, axis=1, dtype=jnp.int32)
    number = jnp.maximum(count, 1)
    values, unit = relative(blocks)
    mean = jnp.sum(values, axis=1) / number
    gaps, finer = relative(values - mean[:, None])
    rest = jnp.sum(gaps, axis=1) / number
    variance = jnp.sum(jnp.where(mask, gaps - rest[:, None], 0) ** 2, axis=1) / number
    mean = jnp.where(jnp.isfinite(mean), mean + rest * finer, mean)
    return Blocks(count, mean * unit, jnp.sqrt(variance) * finer * unit)


def merge_blocks(blocks: Blocks, axis: int) -> Blocks:
    """Merge blocks along an axis, in float64 on the host (Chan, Golub & LeVeque 1979).

    Args:
      blocks: statistics of blocks.
      axis: the axis of the blocks.

    Returns:
      Statistics of all chains, without the axis.
    """
    count = np.asarray(blocks.count, np.float64)
    mean = np.asarray(blocks.mean, np.float64)
    total = np.sum(count, axis=axis)
    with np.errstate(invalid="ignore"):
        share = count / np.expand_dims(np.maximum(total, 1), axis)
        weighted = np.where(count > 0, share * mean, 0)
        merged = np.sum(weighted, axis=axis)
        gap = np.where(count > 0, mean - np.expand_dims(merged, axis), 0)
        within = np.where(count > 0, np.asarray(blocks.std, np.float64), 0)
        variance = np.sum(share * (within**2 + gap**2), axis=axis)
    return Blocks(total, merged, np.sqrt(variance))


def _merge_chunk(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the blocks of each record of a chunk: [record, block, ...] to [record, ...]."""
    return {
        name: merge_blocks(value, axis=1)
        if isinstance(value, Blocks)
        else np.sum(value, axis=1, dtype=np.int64)
        for name, value in blocks.items()
    }


Positions = Mapping[str, np.ndarray]
"""Points that variables by name are relative to on the device, float64 [dim]."""


def relative_edges(histograms: Histograms, positions: Positions) -> Any:
    """Return the edges of histograms as the device counts them.

    Args:
      histograms: edges by variable, absolute.
      positions: what the variables of that name are relative to.

    Returns:
      The same, where edges of positions are tuples of one number for each dimension.
    """

    def moved(name: str, edges: tuple[float, ...]) -> Any:
        if name not in positions:
            return edges
        return tuple(tuple((edge - positions[name]).tolist()) for edge in edges)

    return tuple((name, moved(name, edges)) for name, edges in histograms)


HostRecords = dict[str, dict[str, Any]]
"""Values of single chains ("raw") and statistics ("blocks") by variable, [record, ...] each."""


def to_host(
    records: Mapping[str, Any],
    count: int,
    chains: slice,
    width: int,
    reduce: Reduce | None,
    positions: Positions = MappingProxyType({}),
) -> HostRecords:
    """Return the records of a call on the host, without padding; single values as views.

    Args:
      records: result of the compiled program, [record, chain or block, ...].
      count: number of leading records that are set.
      chains: indices of the batch among all chains of the run.
      width: chains of the program.
      reduce: None for all chains, otherwise for statistics and the chains of quantiles.
      positions: what is added to variables of single chains; see `reduced` for statistics.
    """
    size = chains.stop - chains.start
    singles = size if reduce is None else min(size, max(0, QUANTILE_CHAINS - chains.start))
    values = records.get("raw", {}) if singles else {}
    raw = {name: np.asarray(leaf)[:count, :singles] for name, leaf in values.items()}
    if reduce is None:
        for name in positions.keys() & raw.keys():
            raw[name] = positions[name] + raw[name].astype(np.float64)
        return {"raw": raw}

    def set_part(leaf: Any) -> np.ndarray:
        """Leave out tiles that only pad: what is first along the axis of blocks."""
        return np.asarray(leaf)[:count, : math.ceil(size * leaf.shape[1] / width)]

    blocks = jax.tree.map(set_part, records["blocks"])
    return {"raw": raw, "blocks": _merge_chunk(blocks)}


def join(pieces: Sequence[HostRecords]) -> HostRecords:
    """Concatenate the records of successive calls.

    Args:
      pieces: records of each call, at least one.
    """
    if len(pieces) == 1:
        return pieces[0]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *pieces)


KINDS = {
    "mean": "mean over chains",
    "std": "standard deviation over chains",
    "quantile": "quantile over chains",
    "histogram": "number of chains by bin",
    "count": "number of chains with a value",
}
"""Statistics over chains in words, by the suffix of their names."""


class Statistic(NamedTuple):
    """A statistic over chains.

    Attributes:
      values: [record, ...].
      kind: the suffix of its name, a key of `KINDS`.
      dims: names of the axes between "generation" and the axes of the variable.
    """

    values: np.ndarray
    kind: str
    dims: tuple[str, ...] = ()


def reduced(
    reduce: Reduce,
    batches: Sequence[HostRecords],
    positions: Positions = MappingProxyType({}),
) -> dict[str, Statistic]:
    """Return the statistics of a run by name.

    Args:
      reduce: the requested statistics.
      batches: records of each batch, in the order of their chains.
      positions: what is added to means and quantiles, which chains record relative to it.
    """
    result: dict[str, Statistic] = {}
    blocks = [batch["blocks"] for batch in batches]
    histograms = {histogram_name(name): f"{name}_bin" for name, _ in reduce.edges}
    for name, axis in histograms.items():
        total = np.sum([batch[name] for batch in blocks], axis=0)
        result[name] = Statistic(total, "histogram", (axis,))
    names = sorted(blocks[0].keys() - {"status"} - histograms.keys())
    levels = _quantiles_of(batches, names, reduce.quantiles) if reduce.quantiles else {}
    for name in names:
        parts = zip(*(batch[name] for batch in blocks), strict=True)
        merged = merge_blocks(Blocks(*(np.stack(part) for part in parts)), axis=0)
        empty, origin = merged.count == 0, positions.get(name, 0.0)
        result[f"{name}_count"] = Statistic(merged.count.astype(np.int64), "count")
        if reduce.mean:
            means = np.where(empty, np.nan, merged.mean) + origin
            result[f"{name}_mean"] = Statistic(means, "mean")
        if reduce.std:
            result[f"{name}_std"] = Statistic(np.where(empty, np.nan, merged.std), "std")
        if reduce.quantiles:
            values = np.moveaxis(levels[name], 0, 1) + origin
            result[f"{name}_quantile"] = Statistic(values, "quantile", ("quantile",))
    codes = np.sum([batch["status"] for batch in blocks], axis=0)
    result[STATUS_COUNT] = Statistic(codes, "count", ("code",))
    return dict(sorted(result.items()))


def survival(first_event: np.ndarray, generations: np.ndarray) -> np.ndarray:
    """Return the share of chains whose first event is later than each generation.

    Args:
      first_event: generation of the first event of every chain, -1 if none, [chain].
      generations: the recorded generations, [record].

    Returns:
      Shares in [0, 1], [record].
    """
    events = np.sort(first_event[first_event >= 0])
    return 1 - np.searchsorted(events, generations, side="right") / len(first_event)


def _quantiles_of(
    batches: Sequence[HostRecords], names: Sequence[str], levels: Sequence[float]
) -> dict[str, np.ndarray]:
    """Return quantiles by variable, [level, record, ...]; threads share the records."""
    with ThreadPoolExecutor(count_cpus()) as pool:
        found = {}
        for name in names:
            values = _running(batches, name)
            pieces = np.array_split(values, max(1, values.size // _PIECE))
            found[name] = [pool.submit(quantiles, piece, levels, axis=1) for piece in pieces]
        return {
            name: np.concatenate([part.result() for part in parts], axis=1)
            for name, parts in found.items()
        }


def _running(batches: Sequence[HostRecords], name: str) -> np.ndarray:
    """Return values of single chains, NaN for frozen ones, [record, chain, ...]."""
    raw = [batch["raw"] for batch in batches if batch["raw"]]
    values, status = (
        raw[0][key] if len(raw) == 1 else np.concatenate([one[key] for one in raw], 1)
        for key in (name, "status")
    )
    if status.any() and (frozen := is_frozen(status)).any():
        is_real = np.issubdtype(values.dtype, np.floating)
        values = values.copy() if is_real else values.astype(np.float64)
        values[frozen] = np.nan
    return values

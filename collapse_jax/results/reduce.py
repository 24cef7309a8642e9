"""Means, standard deviations and quantiles over chains, without keeping the chains.

On the device each block of 256 chains is reduced to a count, a mean and a sum of
squared deviations, so that float32 never adds more than 256 numbers. The host merges
blocks, batches and devices in float64 (Chan, Golub & LeVeque 1979). NaN, the value of
a frozen chain, is left out; the count says of how many.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from collapse_jax import check
from collapse_jax.config import config, static

BLOCK = 256
QUANTILE_CHAINS = 16_384
NUM_CODES = 4


@config
class Reduce:
    """What to keep of each variable instead of one value per chain.

    Args:
      mean: whether to keep `<variable>_mean`.
      std: whether to keep `<variable>_std` (divisor: the number of chains).
      quantiles: levels in [0, 1] of `<variable>_quantile`, from the first 16,384
        chains; () for none.

    Raises:
      ValueError: for a level outside [0, 1], or if nothing is kept.
    """

    mean: bool = static(default=True)
    std: bool = static(default=True)
    quantiles: Sequence[float] = static(default=(0.05, 0.5, 0.95))

    def __post_init__(self) -> None:
        remedy = "pass levels such as quantiles=(0.05, 0.5, 0.95)"
        if isinstance(self.quantiles, (str, bytes)) or not np.iterable(self.quantiles):
            raise check.fail("Reduce.quantiles", self.quantiles, "it must be a sequence", remedy)
        levels = tuple(
            check.number(f"Reduce.quantiles[{place}]", level, 0, 1, remedy)
            for place, level in enumerate(self.quantiles)
        )
        for name in ("mean", "std"):
            allowed = "it must be True or False"
            check.instance(f"Reduce.{name}", getattr(self, name), bool, allowed, "pass a bool")
        if not (self.mean or self.std or levels):
            raise check.fail(
                "Reduce", check.Shown("nothing"), "something must be kept", "leave mean=True"
            )
        object.__setattr__(self, "quantiles", levels)


class Blocks(NamedTuple):
    """Count, mean and sum of squared deviations of each block; NaN where it is empty."""

    count: Any
    mean: Any
    squares: Any


def reduce_blocks(
    values: Mapping[str, Array], valid: Bool[Array, " chain"]
) -> dict[str, Blocks | Array]:
    """Statistics of variables [chain, ...] in blocks of 256 chains: [block, ...] each.

    "status" becomes the number of chains with each code, [block, code]. As long as every
    chain is valid, runs and has a value, nothing is masked.
    """
    blocks = {
        name: value.astype(jnp.result_type(float)).reshape(-1, BLOCK, *value.shape[1:])
        for name, value in values.items()
        if name != "status"
    }
    sums = {name: jnp.sum(value, axis=1) for name, value in blocks.items()}
    clean = jnp.all(valid) & (jnp.max(values["status"]) == 0)
    for total in sums.values():
        clean = clean & ~jnp.any(jnp.isnan(total))

    def unmasked() -> dict[str, Blocks | Array]:
        result: dict[str, Blocks | Array] = {}
        for name, value in blocks.items():
            mean = sums[name] / BLOCK
            squares = jnp.sum((value - mean[:, None]) ** 2, axis=1)
            result[name] = Blocks(jnp.full(mean.shape, BLOCK, jnp.int32), mean, squares)
        codes = jnp.array([BLOCK] + [0] * (NUM_CODES - 1), jnp.int32)
        return result | {"status": jnp.tile(codes, (valid.size // BLOCK, 1))}

    def masked() -> dict[str, Blocks | Array]:
        result = {name: _masked(value, valid) for name, value in blocks.items()}
        codes = jnp.where(valid, values["status"], -1).reshape(-1, BLOCK, 1)
        counts = jnp.sum(codes == jnp.arange(NUM_CODES), axis=1, dtype=jnp.int32)
        return result | {"status": counts}

    return jax.lax.cond(clean, unmasked, masked)


def _masked(blocks: Array, valid: Bool[Array, " chain"]) -> Blocks:
    """The same for chains that are valid and have a value."""
    mask = valid.reshape(-1, BLOCK, *[1] * (blocks.ndim - 2)) & ~jnp.isnan(blocks)
    count = jnp.sum(mask, axis=1, dtype=jnp.int32)
    mean = jnp.sum(jnp.where(mask, blocks, 0), axis=1) / jnp.maximum(count, 1)
    squares = jnp.sum(jnp.where(mask, blocks - mean[:, None], 0) ** 2, axis=1)
    return Blocks(count, mean, squares)


def merge_blocks(blocks: Blocks, axis: int) -> Blocks:
    """One block from many along `axis`, in float64 on the host."""
    count = np.asarray(blocks.count, np.float64)
    mean = np.asarray(blocks.mean, np.float64)
    total = np.sum(count, axis=axis)
    with np.errstate(invalid="ignore"):
        share = count / np.expand_dims(np.maximum(total, 1), axis)
        weighted = np.where(count > 0, share * mean, 0)
        merged = np.sum(weighted, axis=axis)
        gap = np.where(count > 0, mean - np.expand_dims(merged, axis), 0)
        squares = np.sum(np.asarray(blocks.squares, np.float64) + count * gap**2, axis=axis)
    return Blocks(total, merged, squares)


def merge_chunk(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the blocks of each record of a chunk: [record, block, ...] to [record, ...]."""
    merged: dict[str, Any] = {
        name: merge_blocks(value, axis=1) for name, value in blocks.items() if name != "status"
    }
    return merged | {"status": np.sum(blocks["status"], axis=1, dtype=np.int64)}


class Reducer:
    """Holds the merged records of every batch and names the resulting variables."""

    def __init__(self, reduce: Reduce, num_records: int) -> None:
        self._reduce = reduce
        self._num_records = num_records
        self._batches: dict[int, dict[str, Any]] = {}
        self._raw: dict[int, dict[str, np.ndarray]] = {}

    def add(
        self, begin: int, chunks: Sequence[Mapping[str, Any]], raw: Sequence[Mapping[str, Any]]
    ) -> None:
        """The chunks, in order, of the batch that starts with chain `begin`."""
        self._batches[begin] = jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
        if raw[0]:
            self._raw[begin] = jax.tree.map(lambda *parts: np.concatenate(parts), *raw)

    def variables(self) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
        """Values [record, ...] by name, and the axis each adds after "generation"."""
        result: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
        batches = [self._batches[begin] for begin in sorted(self._batches)]
        for name in batches[0].keys() - {"status"}:
            parts = zip(*(batch[name] for batch in batches), strict=True)
            merged = merge_blocks(Blocks(*(np.stack(part) for part in parts)), axis=0)
            empty = merged.count == 0
            if self._reduce.mean:
                result[f"{name}_mean"] = np.where(empty, np.nan, merged.mean), ()
            if self._reduce.std:
                variance = merged.squares / np.maximum(merged.count, 1)
                result[f"{name}_std"] = np.where(empty, np.nan, np.sqrt(variance)), ()
            if self._reduce.quantiles:
                sample = [self._raw[begin][name] for begin in sorted(self._raw)]
                first = np.concatenate(sample, axis=1)[:, :QUANTILE_CHAINS]
                values = _quantiles(first, self._reduce.quantiles)
                result[f"{name}_quantile"] = values, ("quantile",)
        codes = np.sum([batch["status"] for batch in batches], axis=0)
        result["status_count"] = codes, ("code",)
        return dict(sorted(result.items()))


def _quantiles(sample: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Quantiles of [record, chain, ...] along chain, NaN left out: [record, level, ...]."""
    values = sample.astype(np.float64)
    if np.isnan(values).any():
        return _quantiles_without_nan(values, levels)
    return np.moveaxis(np.quantile(values, levels, axis=1), 0, 1)


def _quantiles_without_nan(values: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    result = np.full((len(values), len(levels), *values.shape[2:]), np.nan)
    for place in np.ndindex(len(values), *values.shape[2:]):
        column = values[(place[0], slice(None), *place[1:])]
        column = column[~np.isnan(column)]
        if column.size:
            result[(place[0], slice(None), *place[1:])] = np.quantile(column, levels)
    return result

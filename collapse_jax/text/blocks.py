"""Tokens of lines, cut into blocks of one length."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int32

REMAINDERS = ("batch", "end")


def cut_blocks(
    lines: Sequence[Sequence[int]],
    block_size: int,
    remainder: str = "batch",
    *,
    batch_lines: int = 1000,
    num_shards: int = 4,
) -> Int32[np.ndarray, "block token"]:
    """Join lines, cut what is joined, and drop what is left over.

    Args:
      lines: tokens of every line.
      block_size: tokens of a block.
      remainder: what is left over is dropped once at the "end"; or from every "batch" of
        lines, as `datasets.map(batched=True, num_proc=num_shards)` has it, whose shards are
        cut into batches each for itself (the paper's code).
      batch_lines: lines of a batch, the last of a shard may have fewer.
      num_shards: contiguous parts of all lines, as equal as can be.
    """
    batches = [lines]
    if remainder == "batch":
        batches = [lines[batch] for batch in _batches(len(lines), batch_lines, num_shards)]
    blocks = [np.empty((0, block_size), np.int32)]
    for batch in batches:
        tokens = np.fromiter(itertools.chain.from_iterable(batch), np.int32)
        blocks.append(tokens[: len(tokens) // block_size * block_size].reshape(-1, block_size))
    return np.concatenate(blocks)


def _batches(total: int, batch_lines: int, num_shards: int) -> Iterator[slice]:
    length, longer = divmod(total, num_shards)
    for shard in range(num_shards):
        start = shard * length + min(shard, longer)
        end = start + length + (shard < longer)
        for first in range(start, end, batch_lines):
            yield slice(first, min(first + batch_lines, end))

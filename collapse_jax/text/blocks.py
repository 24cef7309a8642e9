"""Cut the tokens of lines into blocks of equal length."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int32

REMAINDERS = ("batch", "end")
"""Rules for tokens that fill no block, see `cut_blocks`."""


def cut_blocks(
    lines: Sequence[Sequence[int]],
    block_size: int,
    remainder: str = "batch",
    *,
    batch_lines: int = 1000,
    num_shards: int = 4,
) -> Int32[np.ndarray, "block token"]:
    """Join lines, cut the tokens into blocks, and drop those that fill no block.

    Args:
      lines: tokens of every line.
      block_size: tokens per block.
      remainder: where tokens are dropped: once at the "end"; or in every "batch" of lines, as
        in `datasets.map(batched=True, num_proc=num_shards)`, which cuts each shard into
        batches separately (the code of Shumailov et al. 2024).
      batch_lines: number of lines in a batch; the last of a shard may have fewer.
      num_shards: number of contiguous parts of the lines, whose sizes differ by at most one.

    Returns:
      Blocks of tokens, int32 [block, token], in the order of lines.
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
    """Return the ranges of lines of all batches."""
    length, longer = divmod(total, num_shards)
    for shard in range(num_shards):
        start = shard * length + min(shard, longer)
        end = start + length + (shard < longer)
        for first in range(start, end, batch_lines):
            yield slice(first, min(first + batch_lines, end))

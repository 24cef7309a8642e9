"""Measure the diversity of text on the host, from blocks of tokens."""

import numpy as np
from jaxtyping import Bool, Int

Blocks = Int[np.ndarray, "block token"]
_MOST = 2**63 - 1  # largest int64


def distinct(blocks: Blocks, n: int) -> float:
    """Return the share of different n-grams among all n-grams within blocks (distinct-n).

    Source: Li et al., "A diversity-promoting objective function", 2016.

    Args:
      blocks: [block, token], token ids.
      n: tokens of an n-gram, at least 1.

    Returns:
      Share in (0, 1], dimensionless; NaN if there are no n-grams.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> blocks = np.array([[1, 2, 1, 2], [3, 3, 3, 3]])
    >>> float(texts.distinct(blocks, 2))  # 12, 21 and 33 of six
    0.5
    """
    grams = np.sort(_ngrams(blocks, n), axis=None)
    number = 1 + np.count_nonzero(grams[1:] != grams[:-1])
    return number / grams.size if grams.size else float("nan")


def repetition_rate(blocks: Blocks, n: int = 4) -> float:
    """Return the share of n-grams that occurred earlier in their block, averaged over blocks.

    Args:
      blocks: [block, token], token ids.
      n: tokens of an n-gram, at least 1.

    Returns:
      Share in [0, 1), dimensionless; NaN if there are no n-grams.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> blocks = np.array([[1, 2, 1, 2], [3, 3, 3, 3]])
    >>> texts.repetition_rate(blocks, n=2)  # a third, and two thirds
    0.5
    """
    grams = np.sort(_ngrams(blocks, n), axis=1)
    if not grams.size:
        return float("nan")
    return float(np.mean(np.sum(grams[:, 1:] == grams[:, :-1], axis=1) / grams.shape[1]))


def unigram_entropy(blocks: Blocks, vocab_size: int) -> float:
    """Return the entropy of the relative frequencies of the tokens.

    Args:
      blocks: [block, token], token ids.
      vocab_size: number of token ids, larger than every id.

    Returns:
      Entropy in [0, ln vocab_size], nats.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> round(texts.unigram_entropy(np.array([[0, 1, 2, 3]]), vocab_size=5), 4)  # ln 4
    1.3863
    """
    counts = np.bincount(blocks.ravel(), minlength=vocab_size)
    shares = counts[counts > 0] / blocks.size
    return float(-np.sum(shares * np.log(shares)))


def rare_tail(blocks: Blocks, vocab_size: int, mass: float = 0.1) -> Bool[np.ndarray, " token"]:
    """Mark the rarest tokens of a corpus that together are at most `mass` of it.

    Among equally rare tokens smaller ids precede larger ones; tokens that never occur belong to
    the tail.

    Args:
      blocks: [block, token], token ids.
      vocab_size: number of token ids, larger than every id.
      mass: largest share of the corpus, in [0, 1], dimensionless.

    Returns:
      [vocab_size] bool, True in the tail.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> corpus = np.array([[0] * 10 + [1] * 9 + [2]])
    >>> texts.rare_tail(corpus, vocab_size=4).tolist()
    [False, False, True, True]
    """
    counts = np.bincount(blocks.ravel(), minlength=vocab_size)
    order = np.argsort(counts, kind="stable")
    is_rare = np.empty(vocab_size, bool)
    is_rare[order] = np.cumsum(counts[order]) <= mass * blocks.size
    return is_rare


def tail_share(blocks: Blocks, is_rare: Bool[np.ndarray, " token"]) -> float:
    """Return the share of tokens that are rare.

    Args:
      blocks: [block, token], token ids.
      is_rare: [token id] bool, from `rare_tail` of the original corpus.

    Returns:
      Share in [0, 1], dimensionless.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> texts.tail_share(np.array([[0, 1, 2, 3]]), np.array([False, False, True, True]))
    0.5
    """
    return float(np.mean(is_rare[blocks]))


def unique_share(blocks: Blocks) -> float:
    """Return the share of different blocks among all blocks.

    Args:
      blocks: [block, token], token ids.

    Returns:
      Share in (0, 1], dimensionless.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> texts.unique_share(np.array([[1, 2], [1, 2], [2, 1], [1, 1]]))
    0.75
    """
    return len(np.unique(blocks, axis=0)) / len(blocks)


def _ngrams(blocks: Blocks, n: int) -> Int[np.ndarray, "block position"]:
    """Return a number for every n-gram; two numbers are equal if and only if the n-grams are."""
    width, vocab = max(0, blocks.shape[1] - n + 1), int(blocks.max()) + 1
    grams, largest = blocks[:, :width].astype(np.int64), vocab - 1
    for position in range(1, n):
        if largest >= _MOST // vocab - 1:  # ranks are smaller and preserve equality
            grams = np.unique(grams, return_inverse=True)[1].reshape(grams.shape)
            largest = grams.size
        grams = grams * vocab + blocks[:, position : position + width]
        largest = largest * vocab + vocab - 1
    return grams

"""Diversity of text: blocks of tokens, [block, token], counted on the host."""

import numpy as np
from jaxtyping import Bool, Int

Blocks = Int[np.ndarray, "block token"]
_MOST = 2**63 - 1


def distinct(blocks: Blocks, n: int) -> float:
    """Different n-grams over all n-grams within blocks; NaN if there are none.

    Source: Li et al., "A diversity-promoting objective function", 2016 (distinct-n).

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
    """Share of n-grams that came earlier in a block, mean over blocks; NaN if there are none.

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
    """Entropy of the tokens' relative frequencies, nats.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> round(texts.unigram_entropy(np.array([[0, 1, 2, 3]]), vocab_size=5), 4)  # ln 4
    1.3863
    """
    counts = np.bincount(blocks.ravel(), minlength=vocab_size)
    shares = counts[counts > 0] / blocks.size
    return float(-np.sum(shares * np.log(shares)))


def rare_tail(blocks: Blocks, vocab_size: int, mass: float = 0.1) -> Bool[np.ndarray, " token"]:
    """The rarest tokens of a corpus that together are at most `mass` of it.

    Of equally rare ones those with the smaller id come first; tokens that never occur belong
    to the tail.

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
    """Share of tokens that are among the rare ones.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> texts.tail_share(np.array([[0, 1, 2, 3]]), np.array([False, False, True, True]))
    0.5
    """
    return float(np.mean(is_rare[blocks]))


def unique_share(blocks: Blocks) -> float:
    """Different blocks over blocks.

    >>> import numpy as np
    >>> from collapse_jax.metrics import texts
    >>> texts.unique_share(np.array([[1, 2], [1, 2], [2, 1], [1, 1]]))
    0.75
    """
    return len(np.unique(blocks, axis=0)) / len(blocks)


def _ngrams(blocks: Blocks, n: int) -> Int[np.ndarray, "block place"]:
    """A number for every n-gram, the same where the n-grams are."""
    width, vocab = max(0, blocks.shape[1] - n + 1), int(blocks.max()) + 1
    grams, largest = blocks[:, :width].astype(np.int64), vocab - 1
    for place in range(1, n):
        if largest >= _MOST // vocab - 1:  # their ranks are smaller
            grams = np.unique(grams, return_inverse=True)[1].reshape(grams.shape)
            largest = grams.size
        grams = grams * vocab + blocks[:, place : place + width]
        largest = largest * vocab + vocab - 1
    return grams

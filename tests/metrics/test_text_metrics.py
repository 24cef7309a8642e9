"""Diversity of text against counting in plain Python."""

import collections
import math

import numpy as np
import pytest

from collapse_jax.metrics import texts

CASES = [(1, 1, 3), (1, 6, 2), (5, 9, 3), (20, 12, 50), (7, 30, 4), (3, 40, 2**30)]


def random_blocks(number, length, vocab):
    random = np.random.default_rng(number)
    return random.choice(random.integers(0, vocab, min(vocab, 9)), (number, length))


def ngrams(block, n):
    return [tuple(block[place : place + n]) for place in range(len(block) - n + 1)]


@pytest.mark.parametrize(("number", "length", "vocab"), CASES)
def test_ngrams_are_counted_as_by_hand(number, length, vocab):
    blocks = random_blocks(number, length, vocab)
    for n in (1, 2, 3, 4):
        grams = [gram for block in blocks for gram in ngrams(block, n)]
        if not grams:
            assert math.isnan(texts.distinct(blocks, n))
            assert math.isnan(texts.repetition_rate(blocks, n))
            continue
        assert texts.distinct(blocks, n) == len(set(grams)) / len(grams)
        rates = [1 - len(set(ngrams(block, n))) / len(ngrams(block, n)) for block in blocks]
        assert texts.repetition_rate(blocks, n) == pytest.approx(sum(rates) / number)


@pytest.mark.parametrize(("number", "length", "vocab"), CASES)
def test_tokens_and_blocks_are_counted_as_by_hand(number, length, vocab):
    blocks = random_blocks(number, length, vocab)
    blocks = blocks % 1000
    counts = collections.Counter(blocks.ravel().tolist())
    shares = [count / blocks.size for count in counts.values()]
    expected = -sum(share * math.log(share) for share in shares)
    assert texts.unigram_entropy(blocks, 1003) == pytest.approx(expected, abs=1e-12)
    assert texts.unique_share(blocks) == len({tuple(block) for block in blocks}) / number


def test_the_rare_tail_is_at_most_its_mass():
    blocks = np.array([[0] * 50 + [1] * 30 + [2] * 8 + [3] * 6 + [4] * 4 + [5] * 2])
    is_rare = texts.rare_tail(blocks, 7, mass=0.1)
    assert np.flatnonzero(is_rare).tolist() == [4, 5, 6]
    assert texts.tail_share(blocks, is_rare) == pytest.approx(0.06)
    assert texts.tail_share(np.full((2, 3), 6), is_rare) == 1
    equal = np.repeat(np.arange(10), 2)[None]
    assert np.flatnonzero(texts.rare_tail(equal, 10, mass=0.3)).tolist() == [0, 1, 2]


def test_a_text_that_repeats_itself():
    blocks = np.tile(np.arange(4), (3, 5))
    assert texts.distinct(blocks, 2) == 4 / (3 * 19)
    assert texts.repetition_rate(blocks, 4) == pytest.approx(13 / 17)
    assert texts.unique_share(blocks) == pytest.approx(1 / 3)

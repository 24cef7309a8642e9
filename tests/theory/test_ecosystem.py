"""Similarity of models that feed each other: simulated row by row, and limits that are known."""

import numpy as np
import pytest

from collapse_jax.testing import assert_mean
from collapse_jax.theory import discrete, ecosystem
from collapse_jax.utils.check import ArgumentError

LAW = np.array([0.5, 0.3, 0.2])
WEIGHTS = np.array([[0.5, 0.3, 0.1], [0.2, 0.6, 0.2], [0.0, 0.4, 0.3]])
SIZES = [8, 5, 12, 9]


def similarities(weights, number=100_000):
    """Return p_i . p_j of models whose rows are drawn one generation after the other."""
    rng = np.random.default_rng(0)
    laws = rng.multinomial(SIZES[0], LAW, size=(number, len(weights))) / SIZES[0]
    yield np.einsum("nik,njk->nij", laws, laws)
    for size in SIZES[1:]:
        mixed = np.einsum("ij,njk->nik", weights, laws)
        mixed = mixed + (1 - weights.sum(axis=1))[:, None] * LAW
        laws = rng.multinomial(size, mixed / mixed.sum(axis=2, keepdims=True)) / size
        yield np.einsum("nik,njk->nij", laws, laws)


def test_similarities_are_those_of_a_simulation():
    exact = ecosystem.expected_similarity(WEIGHTS, LAW, SIZES)
    for found, expected in zip(similarities(WEIGHTS), exact, strict=True):
        for i in range(3):
            for j in range(3):
                assert_mean(found[:, i, j], expected[i, j])


def test_weights_over_the_other_axis_are_told_apart():
    exact = ecosystem.expected_similarity(WEIGHTS / 1.5, LAW, SIZES)
    *_, found = similarities(WEIGHTS.T / 1.5)
    with pytest.raises(AssertionError):
        assert_mean(found[:, 0, 0], exact[-1, 0, 0])


@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0])
def test_a_single_model_is_a_chain_with_redrawn_rows(gamma):
    found = ecosystem.expected_similarity([[1 - gamma]], LAW, SIZES)[:, 0, 0]
    assert np.allclose(1 - found, discrete.expected_heterozygosity(LAW, SIZES, gamma))


def test_models_that_share_all_rows_lose_diversity_more_slowly():
    """K models that draw from all alike have the loss of one model of K times the rows."""
    number, size, last = 4, 10, 300
    pooled = np.full((number, number), 1 / number)
    alone = ecosystem.expected_similarity(np.eye(number), LAW, [size] * (last + 1))
    found = ecosystem.expected_similarity(pooled, LAW, [size] * (last + 1))
    rates = [(1 - one[last, 0, 1]) / (1 - one[last - 1, 0, 1]) for one in (alone, found)]
    assert np.isclose(rates[0], 1)
    assert np.isclose(rates[1], 1 - 1 / (number * size))
    assert alone[-1, 0, 0] > found[-1, 0, 0]


BAD = {
    "a vector": ([0.5, 0.5], "weights="),
    "not square": ([[0.5, 0.5]], "weights=array of shape .1, 2."),
    "negative": ([[0.5, 0.5], [-0.1, 0.5]], r"weights\[1, 0\]=-0.1"),
    "above one": ([[0.5, 0.4], [0.6, 0.5]], r"sum\(weights\[1\]\)=1.1"),
    "not a number": ([[float("nan")]], r"weights\[0, 0\]=nan"),
    "text": ("alike", "weights='alike'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_weights_are_refused_in_one_line(name):
    weights, words = BAD[name]
    with pytest.raises(ArgumentError, match=words):
        ecosystem.expected_similarity(weights, LAW, SIZES)

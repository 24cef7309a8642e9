"""Discrete fits, sampling laws and draws, and the samplers beneath them."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.random.binomial import binomial
from collapse_jax.random.hypergeometric import hypergeometric
from collapse_jax.random.integers import uniform_integers
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.normal import normal
from collapse_jax.random.subset import random_subset
from collapse_jax.testing import strategies
from collapse_jax.testing.rules import keys_of

FIT = jax.jit(lambda family, corpus: family.fit(None, corpus, None, None).params)
SAMPLING_LAW = jax.jit(lambda family, law: family.sampling_law(law))
DRAW = jax.jit(lambda family, keys, model, size: family.draw(keys, model, size, 7, None))
BINOMIAL = jax.jit(lambda keys, *given: binomial(keys, 1, *given))
MULTINOMIAL = jax.jit(lambda keys, *given: multinomial(keys, 1, *given))
HYPERGEOMETRIC = jax.jit(lambda keys, *given: hypergeometric(keys, 1, *given))
INTEGERS = jax.jit(lambda keys, bound: uniform_integers(keys, 1, bound, (16,)))
SUBSET = jax.jit(lambda keys, *given: random_subset(keys, 1, *given, 30))
NORMAL = jax.jit(lambda keys, *shape: normal(keys, 1, shape), static_argnums=(1, 2))
SMOOTHING = st.sampled_from((0.25, 1.0, 4.0))


def family_of(num_states, **settings):
    return cj.Discrete(num_states, corpus="counts", **settings)


def fit(corpus, **settings):
    return np.asarray(FIT(family_of(len(corpus.counts), **settings), corpus))


def law_of(family, law):
    weights = np.asarray(SAMPLING_LAW(family, jnp.asarray(law, float)))
    return weights / weights.sum()


@given(strategies.counts())
def test_a_fit_is_the_relative_frequencies(corpus):
    law, counts = fit(corpus), np.asarray(corpus.counts)
    np.testing.assert_allclose(law, counts / counts.sum(), rtol=1e-6)
    assert np.array_equal(law == 0, counts == 0)


@given(strategies.counts(5), st.permutations(range(5)))
def test_relabelled_counts_have_the_relabelled_fit(corpus, order):
    order = np.array(order)
    turned = cj.Counts(corpus.counts[order])
    for smoothing in (0.0, 1.0):
        one, other = fit(corpus, smoothing=smoothing), fit(turned, smoothing=smoothing)
        np.testing.assert_array_equal(one[order], other)


@given(strategies.counts(), SMOOTHING)
def test_smoothing_is_laplace_s_rule(corpus, smoothing):
    counts = np.asarray(corpus.counts)
    expected = (counts + smoothing) / (counts.sum() + len(counts) * smoothing)
    np.testing.assert_allclose(fit(corpus, smoothing=smoothing), expected, rtol=1e-5)


@given(strategies.counts(), SMOOTHING)
def test_smoothing_brings_a_fit_closer_to_uniform(corpus, smoothing):
    uniform = 1 / len(corpus.counts)
    gaps = [np.abs(fit(corpus, smoothing=value) - uniform).max() for value in (0.0, smoothing)]
    assert gaps[1] <= gaps[0] + 1e-6


@given(st.lists(st.integers(0, 2), min_size=7, max_size=7))
def test_labels_and_their_counts_have_one_fit(labels):
    rows = cj.Labels(jnp.asarray(labels, jnp.int32))
    family = cj.Discrete(3, corpus="samples")
    held = family.probabilities(FIT(family, rows))
    counts = cj.Counts(jnp.asarray(np.bincount(labels, minlength=3), jnp.int32))
    np.testing.assert_allclose(held, fit(counts), rtol=1e-6)


@given(strategies.laws(), st.sampled_from((0.5, 2.0, 4.0)))
def test_temperature_is_a_power(law, temperature):
    found = law_of(family_of(len(law), temperature=temperature), law)
    expected = np.where(law > 0, law, 0) ** (1 / temperature)
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-4)


@given(strategies.laws())
def test_no_temperature_and_no_cut_leave_the_law(law):
    np.testing.assert_allclose(law_of(family_of(len(law)), law), law, rtol=1e-5)


@given(strategies.laws(5), st.sampled_from((0.3, 0.625, 0.9)))
def test_top_p_keeps_the_fewest_states_that_hold_so_much(law, top_p):
    kept = law_of(family_of(5, top_p=top_p), law) > 0
    assert law[kept].sum() >= top_p - 1e-5
    assert law[kept].sum() - law[kept].min() < top_p + 1e-5
    assert law[kept].min() >= law[~kept].max(initial=0)


@given(strategies.laws(5), st.sampled_from((0.1, 0.3, 0.9)))
def test_unlikely_states_are_cut_but_never_all(law, least):
    kept = law_of(family_of(5, min_probability=least), law) > 0
    far = np.abs(law - least) > 1e-6
    likely = (law >= least) | (law == law.max())
    assert np.array_equal(kept[far], likely[far])


@given(strategies.laws(), strategies.discretes())
def test_a_sampling_law_has_no_states_of_its_own(law, family):
    found = law_of(family, law)
    assert np.all(found[law == 0] == 0)
    assert abs(found.sum() - 1) < 1e-5


@given(strategies.laws(3), strategies.seeds(), st.sampled_from((0, 1, 13, 10**6)))
def test_draws_have_their_size_and_no_impossible_state(law, seed, size):
    keys = keys_of(seed, 0)
    drawn = DRAW(family_of(3), keys, jnp.asarray(law, float), jnp.int32(size))
    assert int(drawn.size) == size
    assert np.all(np.asarray(drawn.counts)[law == 0] == 0)


@given(st.lists(st.integers(0, 2), min_size=7, max_size=7), strategies.seeds())
def test_resampled_labels_are_among_the_labels(labels, seed):
    family = cj.Discrete(3, corpus="samples")
    model = FIT(family, cj.Labels(jnp.asarray(labels, jnp.int32)))
    drawn = DRAW(family, keys_of(seed, 0), model, jnp.int32(7))
    assert set(np.asarray(drawn.rows).tolist()) <= set(labels)


TRIALS = st.sampled_from((0, 1, 5, 40, 10**4, 2**31 - 1))


@given(strategies.seeds(), TRIALS, st.integers(0, 64), st.integers(0, 64))
def test_binomial_draws_are_in_range_and_mirrored(seed, n, success, failure):
    if success == failure:
        return
    keys, weights = keys_of(seed, 0), (jnp.float32(success), jnp.float32(failure))
    one = int(BINOMIAL(keys, n, *weights))
    other = int(BINOMIAL(keys, n, *weights[::-1]))
    assert 0 <= one <= n
    assert one + other == n
    assert (success > 0) or one == 0
    assert (failure > 0) or one == n


@given(strategies.seeds(), strategies.laws(5), TRIALS)
def test_multinomial_counts_do_not_know_the_scale_of_their_weights(seed, law, n):
    one, other = (
        np.asarray(MULTINOMIAL(keys_of(seed, 0), jnp.int32(n), jnp.asarray(law * scale, float)))
        for scale in (1, 2**20)
    )
    assert np.array_equal(one, other)
    assert one.astype(np.int64).sum() == n


@given(strategies.seeds(), st.integers(0, 50), st.integers(0, 50), st.integers(0, 16))
def test_hypergeometric_draws_are_in_range(seed, good, bad, sixteenths):
    sample = (good + bad) * sixteenths // 16
    found = int(HYPERGEOMETRIC(keys_of(seed, 0), good, bad, sample))
    assert max(0, sample - bad) <= found <= min(good, sample)


@given(strategies.seeds(), st.integers(1, 2**31 - 1))
def test_integers_are_below_their_bound(seed, bound):
    found = np.asarray(INTEGERS(keys_of(seed, 0), jnp.int32(bound)))
    assert np.all((found >= 0) & (found < bound))


@given(strategies.seeds(), st.integers(1, 60), st.integers(0, 16))
def test_a_subset_of_slots_repeats_nothing(seed, total, sixteenths):
    size = min(total * sixteenths // 16, 30)
    chosen = np.asarray(SUBSET(keys_of(seed, 0), jnp.int32(total), jnp.int32(size)))
    used = chosen[:size]
    assert len(np.unique(used)) == size
    assert np.all((chosen >= 0) & (chosen < total))


@given(strategies.seeds(), st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**24 - 2))
def test_purposes_and_generations_have_words_of_their_own(seed, one, other, generation):
    def words(purpose, g):
        return np.stack(keys_of(seed, 0, g).bits(purpose, (8,))).T.tolist()

    first = words(one, generation)
    assert first == words(one, generation)
    assert not any(word in first for word in words(one, generation + 1))
    if one != other:
        assert not any(word in first for word in words(other, generation))


@given(strategies.seeds(), st.sampled_from((1, 2, 3)))
def test_more_rows_of_scores_leave_the_earlier_ones(seed, width):
    keys = keys_of(seed, 0)
    few, many = (np.asarray(NORMAL(keys, rows, width)) for rows in (5, 12))
    assert np.array_equal(few, many[:5])
    assert np.all(np.abs(many) < 6.4)

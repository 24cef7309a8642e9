"""Exact laws: monotone, blind to labels, equal to enumeration for every law and schedule."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collapse_jax.testing import strategies
from collapse_jax.theory import ancestors, bounds, discrete, gaussian, gaussian_accumulation
from collapse_jax.theory.enumeration import EnumeratedChain

LAWS = strategies.laws()
SIZES = st.lists(st.integers(1, 12), min_size=4, max_size=4)
GAUSSIAN_SIZES = st.lists(st.integers(2, 200), min_size=4, max_size=4)
GAMMAS = st.sampled_from((0.0, 0.125, 0.5, 1.0))
ESTIMATORS = st.sampled_from(("unbiased", "mle"))


@given(strategies.laws(3), st.integers(1, 7), GAMMAS)
def test_the_dual_is_the_enumerated_chain(law, size, gamma):
    chain, sizes = EnumeratedChain(law, size, gamma), np.full(5, size)
    support = chain.expectation(lambda n: np.sum(n > 0, axis=1), 4)
    alone = chain.expectation(lambda n: np.sum(n > 0, axis=1) == 1, 4)
    np.testing.assert_allclose(
        ancestors.expected_support_size(law, sizes, gamma), support, atol=1e-10
    )
    np.testing.assert_allclose(
        ancestors.absorption_probability(law, sizes, gamma), alone, atol=1e-10
    )


@given(strategies.laws(2), st.integers(1, 20))
def test_absorption_takes_as_long_as_in_the_enumerated_chain(law, size):
    exact = EnumeratedChain(law, size).mean_absorption_time
    assert abs(ancestors.mean_absorption_time(law, size) - exact) <= 1e-10 * exact


@given(LAWS, SIZES)
def test_support_only_falls_and_absorption_only_rises(law, sizes):
    support = ancestors.expected_support_size(law, sizes)
    absorbed = ancestors.absorption_probability(law, sizes)
    assert np.all(np.diff(support) <= 1e-12)
    assert np.all(np.diff(absorbed) >= -1e-12)
    assert np.all((support >= 1 - 1e-12) & (support <= np.sum(law > 0) + 1e-12))


@given(LAWS, st.integers(1, 200))
def test_the_first_corpus_has_the_textbook_s_support(law, size):
    expected = np.sum(1 - (1 - law) ** size)
    assert abs(ancestors.expected_support_size(law, [size])[0] - expected) <= 1e-12 * len(law)


@given(strategies.laws(5), st.permutations(range(5)), SIZES, GAMMAS)
def test_exact_laws_do_not_know_the_labels(law, order, sizes, gamma):
    for function in (
        ancestors.expected_support_size,
        ancestors.absorption_probability,
        discrete.expected_heterozygosity,
    ):
        one, other = (function(x, sizes, gamma) for x in (law, law[np.array(order)]))
        np.testing.assert_allclose(one, other, atol=1e-12)


@given(LAWS, SIZES)
def test_the_surviving_mass_is_that_of_its_parts(law, sizes):
    tail = np.arange(len(law)) % 2 == 0
    whole = ancestors.expected_surviving_mass(law, sizes)
    parts = [ancestors.expected_surviving_mass(law, sizes, within=m) for m in (tail, ~tail)]
    np.testing.assert_allclose(parts[0] + parts[1], whole, atol=1e-12)
    assert np.all(np.diff(whole) <= 1e-12)


@given(LAWS, SIZES, GAMMAS, st.sampled_from(("multinomial", "fixed")))
def test_heterozygosity_stays_below_that_of_the_truth(law, sizes, gamma, allocation):
    if allocation == "fixed" and gamma not in (0.0, 1.0):
        sizes = [8] * len(sizes)  # a whole number of original rows
    values = discrete.expected_heterozygosity(law, sizes, gamma, allocation)
    assert np.all((values >= -1e-12) & (values <= law @ (1 - law) + 1e-12))


@given(LAWS, SIZES)
def test_only_original_rows_are_one_corpus_of_the_truth(law, sizes):
    values = discrete.expected_heterozygosity(law, sizes, 1.0)
    np.testing.assert_allclose(values, law @ (1 - law) * (1 - 1 / np.array(sizes)), atol=1e-12)


@given(LAWS, SIZES)
def test_variance_and_heterozygosity_share_what_there_is(law, sizes):
    """E H = 1 - sum (p^2 + Var p)."""
    variance = discrete.variance_of_probability(law, sizes)
    left = 1 - np.sum(law**2 + variance, axis=1)
    np.testing.assert_allclose(discrete.expected_heterozygosity(law, sizes), left, atol=1e-12)


@given(LAWS, SIZES)
def test_accumulating_keeps_more_than_replacing(law, sizes):
    kept = discrete.accumulate_expected_heterozygosity(law, sizes)
    assert np.all(kept >= discrete.expected_heterozygosity(law, sizes) - 1e-12)


@given(st.integers(1, 60), st.integers(2, 5))
def test_eigenvalues_fall_from_one_and_count_the_states(size, num_states):
    values = discrete.eigenvalues(size)
    assert values[0] == values[1] == 1
    assert np.all(np.diff(values[1:]) < 0)
    assert (
        sum(discrete.eigenvalue_multiplicities(2, num_states)) == num_states * (num_states + 1) // 2
    )


@given(st.integers(2, 100), st.integers(1, 50), st.integers(1, 12))
def test_survival_lies_between_its_bounds(size, percent, fits):
    p = percent / 100
    state = np.array([True, False])
    mass = ancestors.expected_surviving_mass([p, 1 - p], np.full(fits, size), within=state)
    low, high = bounds.suresh_survival_bounds(p, size, fits)
    assert np.all(low <= mass / p + 1e-12)
    assert np.all(mass / p <= high + 1e-12)


@given(LAWS, st.integers(2, 40), st.integers(1, 12))
def test_absorption_is_at_least_what_its_bound_says(law, size, fits):
    several = 1 - ancestors.absorption_probability(law, np.full(fits, size))
    assert np.all(several <= bounds.heterozygosity_survival_bound(law, size, fits) + 1e-12)


@given(GAUSSIAN_SIZES, ESTIMATORS)
def test_moments_of_sigma_keep_jensen_s_order(sizes, estimator):
    """exp(E ln sigma^2) <= (E sigma)^2 <= E sigma^2."""
    log = np.exp(gaussian.expected_log_variance(sizes, estimator))
    root = gaussian.expected_standard_deviation(sizes, estimator) ** 2
    variance = gaussian.expected_variance(sizes, estimator)
    assert np.all(log <= root + 1e-12)
    assert np.all(root <= variance + 1e-12)


@given(GAUSSIAN_SIZES)
def test_estimators_differ_by_their_divisors_in_theory(sizes):
    gaps = [gaussian.expected_log_variance(sizes, name) for name in ("unbiased", "mle")]
    expected = np.cumsum(np.log1p(-1 / np.array(sizes)))
    np.testing.assert_allclose(gaps[1] - gaps[0], expected, atol=1e-11)


@given(GAUSSIAN_SIZES, ESTIMATORS)
def test_wasserstein_distance_is_made_of_its_moments(sizes, estimator):
    """E W2^2 = E mu^2 + E sigma^2 - 2 E sigma + 1."""
    expected = (
        gaussian.mean_squared_error(sizes, estimator)
        + gaussian.expected_variance(sizes, estimator)
        - 2 * gaussian.expected_standard_deviation(sizes, estimator)
        + 1
    )
    found = gaussian.expected_wasserstein2_squared(sizes, estimator)
    np.testing.assert_allclose(found, expected, atol=1e-10)


@given(GAUSSIAN_SIZES, ESTIMATORS)
def test_no_fresh_rows_is_replacing(sizes, estimator):
    found = gaussian_accumulation.fresh_share_moments(sizes, 0.0, estimator)
    expected = gaussian.expected_variance(sizes, estimator)
    np.testing.assert_allclose(found.variance, expected, rtol=1e-9)
    error = gaussian.mean_squared_error(sizes, estimator)
    np.testing.assert_allclose(found.squared_error, error, rtol=1e-9)


@given(GAUSSIAN_SIZES, GAMMAS, st.sampled_from(("multinomial", "fixed")))
def test_a_row_keeps_the_truth_s_variance_about_its_mean(sizes, gamma, allocation):
    """Maximum likelihood splits E (x - mu_0)^2 = 1 into E sigma^2 and E (mu - mu_0)^2."""
    found = gaussian_accumulation.fresh_share_moments(sizes, gamma, "mle", allocation)
    np.testing.assert_allclose(found.variance + found.squared_error, 1, rtol=1e-12)

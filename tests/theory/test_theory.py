"""The exact laws against each other: the dual, enumeration, fractions, closed forms, bounds."""

import decimal
import fractions
import math

import numpy as np
import pytest

from collapse_jax.theory import ancestors, bounds, discrete, gaussian, gaussian_accumulation
from collapse_jax.theory.enumeration import EnumeratedChain
from collapse_jax.theory.occupancy import binomial_rows, rows_of

LAWS = {
    "even": ([0.5, 0.5], 30),
    "rare": ([0.9, 0.1], 500),
    "very rare": ([1e-6, 1 - 1e-6], 50),
    "three": ([0.2, 0.3, 0.5], 30),
    "four": ([0.01, 0.04, 0.45, 0.5], 11),
    "a state of none": ([0.0, 0.3, 0.7], 12),
    "one row": ([0.3, 0.7], 1),
    "one state": ([1.0], 5),
}
G = 25


def support(counts):
    return np.sum(counts > 0, axis=1)


@pytest.mark.parametrize("gamma", [0.0, 0.07, 1.0])
@pytest.mark.parametrize("name", LAWS)
def test_the_dual_agrees_with_enumeration(name, gamma):
    law, size = LAWS[name]
    chain, sizes = EnumeratedChain(law, size, gamma), np.full(G + 1, size)
    for function, expected in (
        (support, ancestors.expected_support_size(law, sizes, gamma)),
        (lambda counts: support(counts) == 1, ancestors.absorption_probability(law, sizes, gamma)),
        (lambda counts: (counts > 0) @ law, ancestors.expected_surviving_mass(law, sizes, gamma)),
        (
            lambda counts: 1 - np.sum((counts / size) ** 2, axis=1),
            discrete.expected_heterozygosity(law, sizes, gamma),
        ),
    ):
        found = chain.expectation(function, G)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    if gamma == 0:
        time = ancestors.mean_absorption_time(law, size)
        assert chain.mean_absorption_time == pytest.approx(time, abs=1e-10)
        np.testing.assert_allclose(chain.absorption_probabilities, law, rtol=0, atol=1e-12)


def test_shares_that_change():
    law, size, shares = [0.2, 0.3, 0.5], 12, [0.0, 0.3, 1.0, 0.05]
    found = EnumeratedChain(law, size).start
    expected = ancestors.expected_support_size(law, np.full(5, size), shares)
    for g, share in enumerate(shares):
        chain = EnumeratedChain(law, size, share)
        assert found @ support(chain.counts) == pytest.approx(expected[g], abs=1e-12)
        found = found @ chain.transition
    assert found @ support(chain.counts) == pytest.approx(expected[-1], abs=1e-12)


def parents_in_fractions(size, lineages):
    """P(j | a) = C(M, j) j! S(a, j) / M^a with exact Stirling numbers."""
    stirling = [1]
    for _ in range(lineages):
        longer = [*stirling, 0]
        stirling = [j * longer[j] + (longer[j - 1] if j else 0) for j in range(len(longer))]
    return [
        fractions.Fraction(math.comb(size, j) * math.factorial(j) * s, size**lineages)
        for j, s in enumerate(stirling)
    ]


def test_parents_have_the_occupancy_law():
    for size, lineages in ((1, 4), (7, 7), (7, 20), (20, 9)):
        exact = [float(p) for p in parents_in_fractions(size, lineages)]
        *_, row = rows_of(size, lineages)
        found = np.zeros(max(len(exact), size + 1))
        found[row.first : row.first + len(row.probabilities)] = row.probabilities
        np.testing.assert_allclose(found[: len(exact)], exact, rtol=1e-12, atol=1e-25)


def test_sizes_that_change():
    law, sizes = np.array([0.05, 0.15, 0.8]), [6, 3, 3, 9, 2, 4]
    expected = ancestors.expected_support_size(law, sizes)
    for g, size in enumerate(sizes):
        weights = {size: fractions.Fraction(1)}
        for parents in reversed(sizes[:g]):
            after = {}
            for lineages, weight in weights.items():
                for j, p in enumerate(parents_in_fractions(parents, lineages)):
                    after[j] = after.get(j, 0) + weight * p
            weights = after
        exact = sum(float(w) * np.sum(1 - (1 - law) ** a) for a, w in weights.items())
        assert expected[g] == pytest.approx(exact, abs=1e-13)


def test_the_law_of_ancestors():
    law, truncation = ancestors.ancestor_law(2000, 60)
    assert truncation < 1e-12
    assert law[0, 2000] == 1
    # One state in 50 is missing if none of its rows is an ancestor.
    missing = law @ (0.98 ** np.arange(2001))
    support = ancestors.expected_support_size(np.full(50, 0.02), np.full(61, 2000))
    np.testing.assert_allclose(50 * (1 - missing), support, rtol=1e-12)
    mean = 2000 * (1 - (1 - 1 / 2000) ** 2000)
    assert law[1] @ np.arange(2001) == pytest.approx(mean, rel=1e-12)


def test_rows_of_probabilities_are_whole():
    for rows in (rows_of(3000, 3000), binomial_rows(0.3, 3000)):
        assert max(abs(1 - row.probabilities.sum()) for row in rows) < 1e-12


def test_a_million_different_states():
    law = np.random.default_rng(0).dirichlet(np.ones(10**6))
    found = ancestors.expected_support_size(law, np.full(3, 300))
    # Generation 0 is a closed form.
    assert found[0] == pytest.approx(np.sum(-np.expm1(300 * np.log1p(-law))), rel=1e-12)
    assert found[0] > found[1] > found[2]


def test_eigenvalues_of_the_transition():
    for law, size in (([0.4, 0.6], 9), ([0.2, 0.3, 0.5], 6)):
        expected = np.repeat(
            discrete.eigenvalues(size), discrete.eigenvalue_multiplicities(size, len(law))
        )
        found = np.sort(np.linalg.eigvals(EnumeratedChain(law, size).transition).real)[::-1]
        np.testing.assert_allclose(found, np.sort(expected)[::-1], atol=1e-6)
        assert np.sum(expected == 1) == len(law)


def test_variances_and_missing_states():
    law, size = np.array([0.2, 0.3, 0.5]), 10
    chain = EnumeratedChain(law, size)
    second = chain.expectation(lambda counts: (counts / size - law) ** 2, G)
    found = discrete.variance_of_probability(law, np.full(G + 1, size))
    np.testing.assert_allclose(found, second, atol=1e-13)
    missing = chain.start @ (chain.counts == 0)
    np.testing.assert_allclose(discrete.missing_probability(law, size), missing, rtol=1e-12)


def test_smoothing_makes_no_state_absorbing():
    chain = EnumeratedChain([0.5, 0.5], 8, smoothing=0.5)
    late = chain.laws(500)[-1]
    np.testing.assert_allclose(late @ chain.transition, late, atol=1e-12)
    with pytest.raises(ValueError, match="never absorbed"):
        _ = chain.mean_absorption_time


@pytest.mark.parametrize(("states", "gap"), [(2, 0.49), (100, 0.72)])
def test_the_diffusion_s_excess(states, gap):
    law, size = np.full(states, 1 / states), 4000
    excess = discrete.diffusion_absorption_time(law, size)
    excess -= ancestors.mean_absorption_time(law, size)
    assert excess == pytest.approx(math.log(size) / 3 + gap, abs=0.02)


@pytest.mark.parametrize(("probability", "size"), [(1e-4, 100), (1e-3, 1000), (0.02, 40)])
def test_survival_lies_between_its_bounds(probability, size):
    law = [probability, 1 - probability]
    alive = ancestors.expected_surviving_mass(
        law, np.full(20, size), within=np.array([True, False])
    )
    low, high = bounds.suresh_survival_bounds(probability, size, 20)
    assert np.all(low <= alive / probability + 1e-15)
    assert np.all(alive / probability <= high + 1e-15)
    assert high[0] < 1


def test_absorption_lies_below_its_bound():
    law, size = [0.2, 0.3, 0.5], 12
    several = 1 - ancestors.absorption_probability(law, np.full(200, size))
    bound = bounds.heterozygosity_survival_bound(law, size, 200)
    assert np.all(several <= bound + 1e-15)
    assert bound[-1] < 1e-5


def test_poisson_survival_is_the_iterated_generating_function():
    # P(0) of one fit is exp(-M rate); a fit of total t gives the next Poisson(t) rows.
    found = bounds.poisson_survival(0.003, 100, 4)
    value = [math.exp(-1)]
    for _ in range(3):
        value.append(math.exp(value[-1] - 1))
    # Total = number of rows: it dies by fit n with the n-th iterate of exp(s - 1) at 0.
    expected = [1 - math.exp(0.3 * (s - 1)) for s in [0.0, *value[:3]]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_kernels_and_first_orders():
    steps, value = [], 1 - 1 / 50
    for _ in range(5):
        steps.append(value)
        value = (1 - 1 / 50) * (value + 0.04)
    found = gaussian.kernel_density_expected_variance(0.2, 50, 4)
    np.testing.assert_allclose(found, steps, rtol=1e-12)
    sizes = np.full(30, 10_000)
    for estimator in ("unbiased", "mle"):
        exact = gaussian.expected_log_variance(sizes, estimator)
        np.testing.assert_allclose(
            gaussian.first_order_log_variance(sizes, estimator), exact, rtol=2e-4
        )
    np.testing.assert_allclose(
        gaussian.first_order_wasserstein2_squared(sizes),
        gaussian.expected_wasserstein2_squared(sizes, "unbiased"),
        rtol=5e-3,
    )
    draws = gaussian.variance_of_a_draw(sizes, "mle")
    np.testing.assert_allclose(draws, 1, rtol=1e-12)
    # Two moments of ln sigma^2, nearly normal here, give that of sigma^2.
    spread = np.expm1(gaussian.variance_of_log_variance(sizes))
    np.testing.assert_allclose(gaussian.relative_variance_of_variance(sizes), spread, rtol=1e-3)


def exact_mean_of_chi(num_samples):
    """E sigma_1 of the unbiased estimator for even M, in 60 digits, from a binomial coefficient."""
    with decimal.localcontext() as context:
        context.prec = 60
        pi = decimal.Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
        half = num_samples // 2
        power = decimal.Decimal(4) ** (half - 1)
        ratio = power / math.comb(2 * half - 2, half - 1) / pi.sqrt()
        return ratio * (decimal.Decimal(2) / (num_samples - 1)).sqrt()


@pytest.mark.parametrize("num_samples", [2, 4, 50, 98, 100, 102, 1000, 20_000])
def test_small_losses_are_right_to_their_last_digits(num_samples):
    """1 - E sigma and E W2^2 are differences of numbers near one, and lose none of them."""
    loss = 1 - exact_mean_of_chi(num_samples)
    distance = float(decimal.Decimal(1) / num_samples + 2 * loss)
    found = gaussian.expected_wasserstein2_squared([num_samples], "unbiased")[0]
    assert found == pytest.approx(distance, rel=1e-10)
    expected = gaussian.expected_standard_deviation([num_samples], "unbiased")[0]
    assert expected == pytest.approx(float(1 - loss), rel=1e-14)


@pytest.mark.parametrize("num_samples", [10**5, 10**7, 10**8, 2**31 - 1])
@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_large_corpora_follow_the_expansion(num_samples, estimator):
    m = float(num_samples)
    loss = 1 / (4 * m) + 7 / (32 * m**2) + 19 / (128 * m**3)
    if estimator == "mle":  # times sqrt(1 - 1/M)
        root = -math.expm1(0.5 * math.log1p(-1 / m))
        loss = loss + root - loss * root
    distance = 2 * loss + (1 / m if estimator == "unbiased" else 0)
    found = gaussian.expected_wasserstein2_squared([num_samples], estimator)[0]
    assert found == pytest.approx(distance, rel=1e-10)
    log_variance = gaussian.expected_log_variance([num_samples], estimator)[0]
    divisor = -1 / m if estimator == "mle" else 0.0
    leading = -1 / (m - 1) - 1 / (3 * (m - 1) ** 2) + math.log1p(divisor)
    assert log_variance == pytest.approx(leading, rel=1e-9)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_moments_beyond_float64_are_infinite(estimator):
    sizes, bias = np.full(130, 10), 1e6
    closed = gaussian.expected_variance(sizes, estimator, bias)
    error = gaussian.mean_squared_error(sizes, estimator, bias)
    pooled = gaussian_accumulation.fresh_share_moments(sizes, 0.0, estimator, "fixed", bias)
    distance = gaussian.expected_wasserstein2_squared(sizes, estimator, bias)
    for values in (closed, error, distance, *pooled):
        assert np.all(np.isfinite(values[:50]))
        assert np.all(values[60:] == np.inf)
    np.testing.assert_allclose(pooled.variance, closed, rtol=1e-12)
    np.testing.assert_allclose(pooled.squared_error, error, rtol=1e-12)
    # A corpus of original rows alone ends what has gone before.
    shares = np.append(np.zeros(128), 1.0)
    last = gaussian_accumulation.fresh_share_moments(sizes, shares, estimator, "fixed", bias)
    np.testing.assert_allclose([part[-1] for part in last], [closed[0], error[0]], rtol=1e-12)

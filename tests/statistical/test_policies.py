"""Every regime, with the exact corpus and with drawn rows, against each other and closed forms.

False-fail rate of an assertion 1e-9, as in test_chains.py. What is compared are spreads,
means and their sums over generations: the identity E sigma^2 + E mu^2 = sigma_0^2 holds for
rows reused wrongly, too.
"""

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.config import config
from collapse_jax.testing import assert_mean, assert_same_law

CHAINS, M, G = 20_000, 10, 4
slow = pytest.mark.slow  # cases of a kind that others cover, left to `make verify`
thorough = pytest.mark.thorough


# The regimes written out in NumPy, row by row.


def numpy_subset(rng, rows, size):
    """A random subset of the rows of every chain, without replacement."""
    order = np.argsort(rng.random(rows.shape), axis=1)[:, :size]
    return np.take_along_axis(rows, order, axis=1)


def numpy_fit(rows):
    """Mean and standard deviation (divisor M) of every chain."""
    return rows.mean(axis=1, keepdims=True), rows.std(axis=1, keepdims=True)


def numpy_draw(rng, model, size):
    mean, std = model
    return mean + std * rng.standard_normal((len(mean), size))


def numpy_mixing(rng, chains, size, generations, previous=0, original=0, first=False):
    """Normal chains with fixed numbers of previous and of original rows (of D_0 if `first`)."""
    start = rows = rng.standard_normal((chains, size))
    models = [numpy_fit(rows)]
    for _ in range(generations):
        new = numpy_draw(rng, models[-1], size - previous - original)
        fresh = rng.standard_normal((chains, original))
        kept = numpy_subset(rng, start, original) if first else fresh
        rows = np.concatenate([new, numpy_subset(rng, rows, previous), kept], axis=1)
        models.append(numpy_fit(rows))
    return models


def numpy_pool(rng, chains, size, generations):
    pool = rows = rng.standard_normal((chains, size))
    models = [numpy_fit(rows)]
    for _ in range(generations):
        pool = np.concatenate([pool, numpy_draw(rng, models[-1], size)], axis=1)
        models.append(numpy_fit(numpy_subset(rng, pool, size)))
    return models


def logs(models):
    """ln sigma and the mean, [generation, chain] each."""
    stds = np.stack([np.log(std[:, 0]) for _, std in models])
    return stds, np.stack([mean[:, 0] for mean, _ in models])


def gaussian(policy, corpus="auto", key=0, dim=1, chains=CHAINS, estimator="mle", **options):
    family = cj.Gaussian(dim, estimator, corpus=corpus, **options)
    source = cj.Normal(np.zeros(dim), np.eye(dim))
    chain = cj.Chain(family, source, policy)
    return cj.simulate(chain, key=key, num_chains=chains, num_generations=G)


def assert_one_law(one, other):
    """One law of spread and location in each generation, and of their sums over generations."""
    for first, second in zip(one, other, strict=True):
        for g in range(1, G + 1):
            assert_same_law(first[g], second[g])
        assert_same_law(first.sum(axis=0), second.sum(axis=0))
        assert_same_law(first[-1] - first[1], second[-1] - second[1])


def spreads(records):
    name = "log_std" if "log_std" in records.variables else "log_det_covariance"
    return records[name].astype(np.float64), records["mean"][:, :, -1].astype(np.float64)


EXACT = {
    "mixing": cj.Mixing(M, gamma=0.3),
    "mixing, all new": cj.Mixing(M, gamma=0.0),
    "mixing, fixed": cj.Mixing(M, gamma=0.3, allocation="fixed"),
    "mixing, schedules": cj.Mixing([10, 6, 14, 9, 12], gamma=[0.0, 0.5, 0.2, 1.0]),
    "mixing, earlier laws": cj.Mixing(M, beta=0.4, gamma=0.1, previous="distribution"),
    "mixing, earlier laws, fixed": cj.Mixing(
        M, beta=0.4, gamma=0.1, previous="distribution", allocation="fixed"
    ),
    "fresh": cj.Fresh(6, 4),
    "fresh, schedules": cj.Fresh([4, 6, 8, 5, 7], [6, 4, 0, 1, 3]),
}


THOROUGH_EXACT = ("mixing, fixed", "mixing, schedules", "mixing, earlier laws", "fresh, schedules")


@pytest.mark.parametrize(
    ("name", "dim"),
    [
        pytest.param(name, dim, marks=thorough if dim == 1 and name in THOROUGH_EXACT else slow)
        for name in EXACT
        for dim in (1, 3)
    ],
)
def test_moments_and_rows_have_one_law(name, dim):
    exact = gaussian(EXACT[name], "moments", key=1, dim=dim)
    drawn = gaussian(EXACT[name], "samples", key=2, dim=dim)
    assert_one_law(spreads(exact), spreads(drawn))


TWINS = {
    "fresh rows": (
        cj.Mixing(M, gamma=0.3, allocation="fixed"),
        lambda rng: numpy_mixing(rng, CHAINS, M, G, original=3),
    ),
    "previous rows": (
        cj.Mixing(M, beta=0.4, allocation="fixed"),
        lambda rng: numpy_mixing(rng, CHAINS, M, G, previous=4),
    ),
    "rows of D_0": (
        cj.Mixing(M, gamma=0.3, original="data", allocation="fixed"),
        lambda rng: numpy_mixing(rng, CHAINS, M, G, original=3, first=True),
    ),
    "both": (
        cj.Mixing(M, beta=0.2, gamma=0.3, original="data", allocation="fixed"),
        lambda rng: numpy_mixing(rng, CHAINS, M, G, previous=2, original=3, first=True),
    ),
    "subsample of the pool": (
        cj.AccumulateSubsample(M),
        lambda rng: numpy_pool(rng, CHAINS, M, G),
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[thorough] * (name not in ("fresh rows", "rows of D_0")))
        for name in TWINS
    ],
)
def test_reused_rows_as_in_a_program_that_keeps_them(name):
    policy, twin = TWINS[name]
    models = twin(np.random.default_rng(3))
    assert_one_law(spreads(gaussian(policy, key=1)), logs(models))


def test_other_regimes_are_told_apart():
    """The comparison sees what it must: rows drawn anew in place of rows reused."""
    reused = spreads(gaussian(cj.Mixing(M, beta=0.4, allocation="fixed"), key=1))
    anew = logs(numpy_mixing(np.random.default_rng(3), CHAINS, M, G, original=4))
    with pytest.raises(AssertionError, match="distribution functions"):
        assert_one_law(reused, anew)
    shifted = logs(numpy_mixing(np.random.default_rng(3), 4 * CHAINS, M, G, previous=3))
    with pytest.raises(AssertionError, match="distribution functions"):
        assert_one_law(reused, shifted)


@config
class Stored(cj.Gaussian):
    """A family that cannot make earlier rows again: its pool is stored."""

    recalls_rows = False  # pyright: ignore


@pytest.mark.thorough
@pytest.mark.parametrize("policy", [cj.AccumulateSubsample([10, 6, 14, 9, 12])])
def test_a_stored_pool_and_rows_made_again_have_one_law(policy):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), policy)
    stored = cj.Chain(Stored(1), cj.Normal(0.0, 1.0), policy)
    runs = (
        cj.simulate(chain, key=key, num_chains=CHAINS, num_generations=G)
        for key, chain in ((1, chain), (2, stored))
    )
    assert_one_law(*(spreads(run) for run in runs))


LAW = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
SIZE = 25
DISCRETE = {
    "mixing": cj.Mixing(SIZE, gamma=0.2),
    "mixing, fixed": cj.Mixing(SIZE, gamma=0.2, allocation="fixed"),
    "previous rows": cj.Mixing(SIZE, beta=0.5),
    "previous rows, fixed": cj.Mixing(SIZE, beta=0.4, gamma=0.2, allocation="fixed"),
    "previous law": cj.Mixing(SIZE, beta=0.5, gamma=0.1, previous="distribution"),
    "previous law, fixed": cj.Mixing(
        SIZE, beta=0.5, gamma=0.1, previous="distribution", allocation="fixed"
    ),
    "rows of D_0": cj.Mixing(SIZE, gamma=0.2, original="data"),
    "schedules": cj.Mixing([25, 10, 40, 30, 20], beta=[0.2, 0.0, 0.3, 0.1], gamma=0.2),
    "subsample": cj.AccumulateSubsample(SIZE),
    "fresh": cj.Fresh(20, 5),
}


def discrete(policy, corpus, key=0, chains=CHAINS, source=None, **options):
    family = cj.Discrete(corpus=corpus, **options)
    chain = cj.Chain(family, source or cj.Categorical(LAW), policy)
    return cj.simulate(chain, key=key, num_chains=chains, num_generations=G)


THOROUGH_DISCRETE = ("mixing, fixed", "previous law", "rows of D_0", "subsample")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=thorough if name in THOROUGH_DISCRETE else slow)
        for name in DISCRETE
    ],
)
def test_counts_and_labels_have_one_law(name):
    runs = [
        discrete(DISCRETE[name], corpus, key) for key, corpus in ((1, "counts"), (2, "samples"))
    ]
    for variable in ("heterozygosity", "tail_mass"):
        assert_one_law(*([np.round(run[variable].astype(np.float64), 5)] for run in runs))


@pytest.mark.thorough
def test_a_previous_law_is_a_mixture_of_all_earlier_ones():
    """E p_g is p_0, and E F follows from drawing M rows of alpha theta + beta p + gamma p_0."""
    size, alpha, beta = 20, 0.3, 0.7
    policy = cj.Mixing(size, beta=beta, previous="distribution")
    records = discrete(policy, "counts", chains=40_000)
    # With x_g = frequencies of D_g, p_{g+1} = alpha x_g + beta p_g: second moments close.
    law_square = law_cross = first = np.sum(LAW**2)
    square = 1 / size + (1 - 1 / size) * law_square
    for g in range(G + 1):
        assert_mean(1 - records["heterozygosity"][g].astype(np.float64), square)
        law_cross = law_square  # E x_g . p_g = E p_g . p_g
        law_square = alpha**2 * square + 2 * alpha * beta * law_cross + beta**2 * law_square
        square = 1 / size + (1 - 1 / size) * law_square
    assert first < law_square


@pytest.mark.parametrize("size", [8, 40, 60])
def test_fresh_rows_of_finite_data(size):
    """Subsets without replacement below n rows, with replacement above: their variances differ."""
    data = np.random.default_rng(0).normal(size=50)
    chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Empirical(data), cj.Fresh(1, size))
    records = cj.simulate(chain, key=0, num_chains=CHAINS, num_generations=1)
    # mean_1 = (size * fresh mean + model's row) / (size + 1); given model 0 both are independent.
    start, spread = records["mean"][0, :, 0], np.exp(2 * records["log_std"][0])
    variance = data.var() / size if size > 50 else data.var(ddof=1) / size * (1 - size / 50)
    pull = records["mean"][1, :, 0].astype(np.float64) * (size + 1) - start - size * data.mean()
    assert_mean(pull, 0.0)
    assert_mean(pull**2 - spread - size**2 * variance, 0.0)


@pytest.mark.thorough
def test_a_schedule_of_sizes_with_finite_data():
    data = np.repeat(np.arange(4), [20, 15, 10, 5])
    policy = cj.Fresh(1, [10, 30, 50, 70, 20])
    runs = [
        discrete(policy, corpus, key, source=cj.Empirical(data))
        for key, corpus in ((1, "counts"), (2, "samples"))
    ]
    for run in runs:
        # All 50 rows and one from the model: the fresh part has no spread.
        fresh = run["heterozygosity"][2]
        assert len(np.unique(np.round(fresh, 5))) <= 4
    assert_one_law(*([np.round(run["heterozygosity"], 5)] for run in runs))


@pytest.mark.thorough
def test_a_verifier_restricts_the_law():
    def small(rows):
        return jnp.abs(rows[:, 0]) < 1.0

    chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), cj.Replace(50, verifier=small))
    records = cj.simulate(chain, key=0, num_chains=CHAINS, num_generations=1, metrics=["samples"])
    rows = records["samples"][1, :, :, 0]
    assert np.all(np.abs(rows) < 1)
    from scipy import stats

    mean, std = records["mean"][0, :, 0], np.exp(records["log_std"][0])
    low, high = ((edge - mean) / std for edge in (-1, 1))
    assert_mean(records["acceptance"][1] - (stats.norm.cdf(high) - stats.norm.cdf(low)), 0.0)
    # Truncated normals, made uniform by their own distribution function.
    uniform = (stats.norm.cdf((rows - mean[:, None]) / std[:, None]).T - stats.norm.cdf(low)) / (
        stats.norm.cdf(high) - stats.norm.cdf(low)
    )
    for row in (0, 25, 49):
        assert_same_law(uniform[row], (np.arange(CHAINS) + 0.5) / CHAINS)
    assert np.all(np.isnan(records["acceptance"][0]))


@slow
def test_a_verifier_of_states():
    runs = [
        discrete(cj.Mixing(SIZE, gamma=0.2, verifier=lambda states: states != 1), corpus, key)
        for key, corpus in ((1, "counts"), (2, "samples"))
    ]
    for name in ("heterozygosity", "acceptance"):
        last = [np.round(run[name][G].astype(np.float64), 5) for run in runs]
        assert_same_law(*last)
    policy = cj.Replace(SIZE, verifier=lambda states: states != 1)
    records = discrete(policy, "counts", chains=4000)
    assert_mean(records["acceptance"][1], 1 - LAW[1])
    assert np.all(records["acceptance"][2:] == 1)


@pytest.mark.thorough
def test_a_verifier_that_refuses_everything_ends_the_chain():
    policy = cj.Replace(SIZE, verifier=lambda states: states > 99)
    records = discrete(policy, "counts", chains=8)
    assert np.all(records["status"][0] == 0)
    assert np.all(records["status"][1:] == 2)
    chain = cj.Chain(
        cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10, verifier=lambda rows: rows[:, 0] > 1e9)
    )
    records = cj.simulate(chain, key=0, num_chains=8, num_generations=2)
    assert np.all(records["status"][1:] > 0)
    assert np.all(np.isnan(records["log_std"][1:]))

"""Check simulations against exact laws: full states, closed forms, innovations."""

from typing import Any

import numpy as np

import collapse_jax as cj
from collapse_jax.testing import frequency_evidence, law_evidence, mean_evidence
from collapse_jax.theory import ancestors, discrete, gaussian
from collapse_jax.theory.ancestor_chains import absorption_times
from collapse_jax.theory.enumeration import EnumeratedChain
from collapse_jax.verify.base import Claims, Draw, Registry

CHECKS = Registry()
THREE = np.array([0.5, 0.3, 0.2])


def _states(draw: Draw, family: cj.Discrete, policy: cj.AbstractPolicy, size: int) -> np.ndarray:
    """Simulate counts of generations 0 .. 3, [generation, chain, state]."""
    records = cj.simulate(
        cj.Chain(family, cj.Categorical(THREE), policy),
        key=draw.seed,
        num_chains=draw.chains(40_000, 1_000_000),
        num_generations=3,
        metrics=("probabilities",),
    )
    p = records["probabilities"].astype(np.float64)
    smoothing = float(family.smoothing)
    return np.rint(p * (size + 3 * smoothing) - smoothing).astype(int)


def _full_states(draw: Draw, family: cj.Discrete, gamma: float = 0.0) -> Claims:
    """Test the law of D_3, and the joint law of D_2 and D_3, over all vectors of counts."""
    size = 5
    policy = cj.Mixing(size, gamma=gamma) if gamma else cj.Replace(size)
    counts = _states(draw, family, policy, size)
    chain = EnumeratedChain(THREE, size, gamma, float(family.smoothing))
    number = len(chain.counts)
    index = np.zeros((size + 1, size + 1), int)
    index[chain.counts[:, 0], chain.counts[:, 1]] = np.arange(number)
    before, after = (index[counts[g, :, 0], counts[g, :, 1]] for g in (2, 3))
    laws = chain.laws(3)
    hits = np.bincount(after, minlength=number)
    yield "D_3", frequency_evidence(hits, laws[3], draw.false_alarm)
    pairs = np.bincount(before * number + after, minlength=number**2)
    joint = (laws[2][:, None] * chain.transition).ravel()
    yield "D_2 and D_3", frequency_evidence(pairs, joint, draw.false_alarm)


@CHECKS.add("monte carlo", claims=2)
def states_from_counts(draw: Draw) -> Claims:
    """Check that multinomial counts have the enumerated law (chi-square over all counts)."""
    yield from _full_states(draw, cj.Discrete(corpus="counts"))


@CHECKS.add("monte carlo", claims=2)
def states_from_labels(draw: Draw) -> Claims:
    """Check that resampled labels have the enumerated law (chi-square over all counts)."""
    yield from _full_states(draw, cj.Discrete(corpus="samples"))


@CHECKS.add("monte carlo", claims=2, lanes=("full",))
def smoothed_states(draw: Draw) -> Claims:
    """Check that counts with smoothing 0.5 have the enumerated law (chi-square)."""
    yield from _full_states(draw, cj.Discrete(smoothing=0.5))


@CHECKS.add("monte carlo", claims=2, lanes=("full",))
def states_with_a_fresh_share(draw: Draw) -> Claims:
    """Check that counts with a share 0.3 of fresh rows have the enumerated law (chi-square)."""
    yield from _full_states(draw, cj.Discrete(), gamma=0.3)


@CHECKS.add("monte carlo", claims=3)
def heterozygosity(draw: Draw) -> Claims:
    """Check that E H_n = H_0 (1-1/M)^n, M = 100, resolving 0.6 %."""
    law, size, last = np.full(20, 0.05), 100, 40
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(size))
    records = cj.simulate(
        chain,
        key=draw.seed,
        num_chains=draw.chains(60_000, 600_000),
        num_generations=last,
        every=20,
    )
    expected = discrete.expected_heterozygosity(law, np.full(last + 1, size))
    for index, g in enumerate(records["generation"]):
        values = records["heterozygosity"][index] / expected[g]
        yield f"generation {g}, relative", mean_evidence(values, 1.0, draw.false_alarm)


@CHECKS.add("monte carlo", claims=5)
def support_and_absorption(draw: Draw) -> Claims:
    """Check that E support and P(absorbed) are those of the ancestral dual."""
    law, size, last = np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01]), 30, 60
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(size))
    records = cj.simulate(
        chain,
        key=draw.seed,
        num_chains=draw.chains(20_000, 1_000_000),
        num_generations=last,
        every=20,
    )
    sizes = np.full(last + 1, size)
    support = ancestors.expected_support_size(law, sizes)
    absorbed = ancestors.absorption_probability(law, sizes)
    for index, g in enumerate(records["generation"]):
        values = records["support_size"][index]
        found = mean_evidence(values, float(support[g]), draw.false_alarm)
        yield f"support, generation {g}", found
    found = mean_evidence(records["is_absorbed"][-1], float(absorbed[last]), draw.false_alarm)
    yield f"absorbed by generation {last}", found


@CHECKS.add("monte carlo", claims=6)
def sizes_by_generation(draw: Draw) -> Claims:
    """Check that E H, E ln sigma^2 and E (mu - mu_0)^2 hold for sizes that vary by generation."""
    sizes = (12, 5, 40, 8)
    arguments: Any = {
        "key": draw.seed,
        "num_chains": draw.chains(100_000, 1_000_000),
        "num_generations": len(sizes) - 1,
    }
    expected = discrete.expected_heterozygosity(THREE, sizes)[-1]
    for corpus in ("counts", "samples"):
        chain = cj.Chain(cj.Discrete(corpus=corpus), cj.Categorical(THREE), cj.Replace(sizes))
        values = cj.simulate(chain, **arguments)["heterozygosity"][-1]
        yield f"{corpus}, E H", mean_evidence(values, expected, draw.false_alarm)
    logs = gaussian.expected_log_variance(sizes, "unbiased")[-1]
    error = gaussian.mean_squared_error(sizes, "unbiased")[-1]
    for corpus in ("moments", "samples"):
        chain = cj.Chain(cj.Gaussian(corpus=corpus), cj.Normal(0.0, 1.0), cj.Replace(sizes))
        records = cj.simulate(chain, **arguments)
        found = mean_evidence(2 * records["log_std"][-1].astype(float), logs, draw.false_alarm)
        yield f"{corpus}, E ln sigma^2", found
        squares = records["mean"][-1][:, 0].astype(float) ** 2
        yield f"{corpus}, E (mu - mu_0)^2", mean_evidence(squares, error, draw.false_alarm)


@CHECKS.add("monte carlo", claims=2)
def ancestral_dual(draw: Draw) -> Claims:
    """Check that the simulated dual has the exact law of absorption times."""
    law, size = np.array([0.6, 0.3, 0.1]), 25
    number = draw.chains(100_000, 2_000_000)
    times = absorption_times(law, size, key=draw.seed, num_chains=number)
    mean = ancestors.mean_absorption_time(law, size)
    yield "mean", mean_evidence(times, mean, draw.false_alarm)
    longest = 400
    exact = ancestors.absorption_probability(law, np.full(longest, size))
    chances = np.append(np.diff(exact, prepend=0.0), 1 - exact[-1])
    hits = np.bincount(np.minimum(times - 1, longest), minlength=longest + 1)
    yield "law", frequency_evidence(hits, chances, draw.false_alarm)


@CHECKS.add("monte carlo", claims=2)
def large_corpora(draw: Draw) -> Claims:
    """Check that counts of 10^8 rows have the mean and variance of the binomial."""
    size, p = 100_000_000, 0.3
    chain = cj.Chain(cj.Discrete(corpus="counts"), cj.Categorical([p, 1 - p]), cj.Replace(size))
    records = cj.simulate(
        chain,
        key=draw.seed,
        num_chains=draw.chains(200_000, 2_000_000),
        num_generations=0,
        metrics=("probabilities",),
    )
    counts = np.rint(records["probabilities"][0, :, 0].astype(np.float64) * size)
    scores = (counts - size * p) / np.sqrt(size * p * (1 - p))
    yield "mean", mean_evidence(scores, 0.0, draw.false_alarm)
    yield "variance", mean_evidence(scores**2, 1.0, draw.false_alarm)


def _innovations(draw: Draw, size: int, estimator: str, generations: int = 60) -> Claims:
    """Test that (M-1) s'^2 / sigma^2 is chi-square, sqrt(M) (mu' - mu) / sigma normal.

    With 24 million innovations in the full lane, a gap of 1e-3 between distribution functions
    is detected. sigma must stay well above the rounding error of mu.
    """
    from scipy import stats

    chain = cj.Chain(cj.Gaussian(1, estimator), cj.Normal(0.0, 1.0), cj.Replace(size))
    records = cj.simulate(
        chain,
        key=draw.seed,
        num_chains=draw.chains(1_200_000, 24_000_000) // generations,
        num_generations=generations,
    )
    divisor = size - 1 if estimator == "unbiased" else size
    log_std = records["log_std"].astype(np.float64)
    means = records["mean"][:, :, 0].astype(np.float64)
    chi_square = divisor * np.exp(2 * np.diff(log_std, axis=0))
    scores = np.sqrt(size) * np.diff(means, axis=0) * np.exp(-log_std[:-1])
    chi_law = stats.chi2(size - 1)
    yield (
        f"M={size}, variance",
        law_evidence(chi_square.ravel(), chi_law.cdf, draw.false_alarm),
    )
    yield f"M={size}, mean", law_evidence(scores.ravel(), stats.norm.cdf, draw.false_alarm)
    # Innovations are independent, so that these products have mean 0.
    standard = (np.log(chi_square) - np.mean(np.log(chi_square))) / np.std(np.log(chi_square))
    products = {
        "mean and variance": (scores**2 - 1) * standard,
        "variances of neighbours": standard[1:] * standard[:-1],
        "means of neighbours": scores[1:] * scores[:-1],
        "means of pairs of chains": scores[:, 0::2] * scores[:, 1::2],
    }
    for name, values in products.items():
        yield f"M={size}, {name}", mean_evidence(values.ravel(), 0.0, draw.false_alarm)


@CHECKS.add("monte carlo", claims=6)
def gaussian_innovations(draw: Draw) -> Claims:
    """Check that innovations of M = 100, unbiased, are independent chi-square and normal."""
    yield from _innovations(draw, 100, "unbiased")


@CHECKS.add("monte carlo", claims=6)
def gaussian_innovations_of_few_rows(draw: Draw) -> Claims:
    """Check that innovations of M = 3, MLE, are independent chi-square and normal."""
    yield from _innovations(draw, 3, "mle", generations=6)


@CHECKS.add("monte carlo", claims=6, lanes=("full",))
def gaussian_innovations_of_many_rows(draw: Draw) -> Claims:
    """Check that innovations of M = 10,000, unbiased, are independent chi-square and normal."""
    yield from _innovations(draw, 10_000, "unbiased")


@CHECKS.add("monte carlo", claims=8)
def gaussian_moments(draw: Draw) -> Claims:
    """Check that E ln sigma^2, Var ln sigma^2, E mu^2 and E W2^2 equal their closed forms."""
    size, last = 30, 20
    for estimator in ("unbiased", "mle"):
        chain = cj.Chain(cj.Gaussian(1, estimator), cj.Normal(0.0, 1.0), cj.Replace(size))
        records = cj.simulate(
            chain,
            key=draw.seed,
            num_chains=draw.chains(50_000, 1_000_000),
            num_generations=last,
            every=last,
        )
        sizes, rate = np.full(last + 1, size), draw.false_alarm
        logs = 2 * records["log_std"][-1].astype(np.float64)
        mean = gaussian.expected_log_variance(sizes, estimator)[last]
        spread = gaussian.variance_of_log_variance(sizes)[last]
        yield f"{estimator}, E ln sigma^2", mean_evidence(logs, mean, rate)
        yield f"{estimator}, Var ln sigma^2", mean_evidence((logs - mean) ** 2, spread, rate)
        error = gaussian.mean_squared_error(sizes, estimator)[last]
        squares = records["mean"][-1][:, 0].astype(np.float64) ** 2
        yield f"{estimator}, E (mu - mu_0)^2", mean_evidence(squares, error, rate)
        distance = gaussian.expected_wasserstein2_squared(sizes, estimator)[last]
        values = records["wasserstein2_squared"][-1]
        yield f"{estimator}, E W2^2", mean_evidence(values, distance, rate)


@CHECKS.add("monte carlo", claims=7)
def wishart(draw: Draw) -> Claims:
    """Check that Bartlett factors of Wishart innovations are chi and normal, dim 3, M = 8."""
    from scipy import stats

    dim, size = 3, 8
    covariance = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]])
    source = cj.Normal(np.zeros(dim), covariance)
    records = cj.simulate(
        cj.Chain(cj.Gaussian(dim), source, cj.Replace(size)),
        key=draw.seed,
        num_chains=draw.chains(20_000, 300_000),
        num_generations=3,
        metrics=("covariance",),
    )
    factors = np.linalg.cholesky(records["covariance"].astype(np.float64))
    steps = np.linalg.solve(factors[:-1], factors[1:]) * np.sqrt(size - 1)
    for j in range(dim):
        squares = steps[..., j, j].ravel() ** 2
        law = stats.chi2(size - 1 - j).cdf
        yield f"A_{j}{j}^2", law_evidence(squares, law, draw.false_alarm)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        below = steps[..., i, j].ravel()
        yield f"A_{i}{j}", law_evidence(below, stats.norm.cdf, draw.false_alarm)
    product = steps[..., 1, 0] * (steps[..., 0, 0] - np.mean(steps[..., 0, 0]))
    yield "A_00 and A_10", mean_evidence(product.ravel(), 0.0, draw.false_alarm)

"""Check identities without randomness: laws by enumeration, formulas by quadrature."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import collapse_jax as cj
from collapse_jax.theory import ancestors, discrete, gaussian
from collapse_jax.theory.enumeration import EnumeratedChain
from collapse_jax.verify import samplers
from collapse_jax.verify.base import Claims, Draw, Exact, Registry

CHECKS = Registry()
LAWS = {
    "K=2, M=300": ([0.9, 0.1], 300),
    "K=3, M=25": ([0.2, 0.3, 0.5], 25),
    "K=4, M=10": ([0.01, 0.04, 0.45, 0.5], 10),
}
G = 30


def _gap(one: object, other: object) -> float:
    return float(np.max(np.abs(np.asarray(one) - np.asarray(other))))


@CHECKS.add("deterministic")
def support_and_absorption(draw: Draw) -> Claims:
    """Check that the ancestral dual equals the enumerated Markov chain, gamma 0 and 0.1."""
    for name, (law, size) in LAWS.items():
        sizes = np.full(G + 1, size)
        for gamma in (0.0, 0.1):
            if gamma and size > 100:
                continue
            chain = EnumeratedChain(law, size, gamma)
            present = chain.expectation(lambda counts: np.sum(counts > 0, axis=1), G)
            alone = chain.expectation(lambda counts: np.sum(counts > 0, axis=1) == 1, G)
            error = max(
                _gap(ancestors.expected_support_size(law, sizes, gamma), present),
                _gap(ancestors.absorption_probability(law, sizes, gamma), alone),
            )
            yield f"{name}, gamma={gamma}", Exact(error, 1e-10)


@CHECKS.add("deterministic")
def absorption_time(draw: Draw) -> Claims:
    """Check that the dual's mean time equals enumeration; state i absorbs w.p. p_i."""
    for name, (law, size) in LAWS.items():
        chain = EnumeratedChain(law, size)
        time = ancestors.mean_absorption_time(law, size)
        yield f"{name}, mean", Exact(abs(time - chain.mean_absorption_time), 1e-10)
        yield f"{name}, ends", Exact(_gap(chain.absorption_probabilities, law), 1e-10)


@CHECKS.add("deterministic")
def heterozygosity_and_variance(draw: Draw) -> Claims:
    """Check that the closed forms of E H and Var p_i equal enumeration."""
    for name, (law, size) in LAWS.items():
        sizes, p_0 = np.full(G + 1, size), np.asarray(law)
        for gamma in (0.0, 0.2):
            chain = EnumeratedChain(law, size, gamma)
            found = chain.expectation(lambda n, m=size: 1 - np.sum((n / m) ** 2, axis=1), G)
            expected = discrete.expected_heterozygosity(law, sizes, gamma)
            yield f"{name}, H, gamma={gamma}", Exact(_gap(found, expected), 1e-10)
        chain = EnumeratedChain(law, size)
        second = chain.expectation(lambda n, m=size, p=p_0: (n / m - p) ** 2, G)
        variance = discrete.variance_of_probability(law, sizes)
        yield f"{name}, Var", Exact(_gap(second, variance), 1e-10)


@CHECKS.add("deterministic")
def eigenvalues(draw: Draw) -> Claims:
    """Check that lambda_j = M!/((M-j)! M^j) has multiplicity C(K+j-2, j)."""
    for law, size in (([0.4, 0.6], 9), ([0.2, 0.3, 0.5], 6)):
        chain = EnumeratedChain(law, size)
        many = discrete.eigenvalue_multiplicities(size, len(law))
        traces = [np.sum(many * discrete.eigenvalues(size) ** k) for k in (1, 2, 3, 4)]
        power, found = np.eye(len(chain.transition)), []
        for _ in traces:
            power = power @ chain.transition
            found.append(np.trace(power))
        yield f"K={len(law)}, M={size}: traces of powers", Exact(_gap(traces, found), 1e-10)


@CHECKS.add("deterministic")
def gaussian_moments(draw: Draw) -> Claims:
    """Check that E ln sigma^2, E sigma and E W2^2 equal quadrature over chi-square."""
    from scipy import integrate, stats

    for size in (3, 10, 100):
        for estimator, divisor in (("unbiased", size - 1), ("mle", size)):
            law: Any = stats.chi2(size - 1)
            sizes = np.array([size])
            ends = law.ppf(1e-18), law.isf(1e-18)

            def mean(function, law=law, ends=ends, divisor=divisor) -> float:
                def inside(t: float) -> float:
                    x = np.exp(t)
                    return float(function(x / divisor) * law.pdf(x) * x)

                return integrate.quad(inside, *np.log(ends), epsabs=1e-13, limit=400)[0]

            log = gaussian.expected_log_variance(sizes, estimator)[0]
            root = gaussian.expected_standard_deviation(sizes, estimator)[0]
            distance = gaussian.expected_wasserstein2_squared(sizes, estimator)[0]
            error = max(
                abs(mean(np.log) - log),
                abs(mean(np.sqrt) - root),
                abs(mean(lambda v: (1 - np.sqrt(v)) ** 2) + 1 / size - distance),
            )
            yield f"{estimator}, M={size}", Exact(error, 1e-10)


@CHECKS.add("deterministic")
def metrics(draw: Draw) -> Claims:
    """Check that the variables of a model equal NumPy in float64."""
    rng = np.random.default_rng(draw.seed)
    law = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
    chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(50))
    records = cj.simulate(
        chain, key=draw.seed, num_chains=64, num_generations=3, metrics=("probabilities",)
    )
    p = records["probabilities"].astype(np.float64)
    logs = np.log(np.where(p > 0, p, 1))
    expected = {
        "support_size": np.sum(p > 0, axis=-1),
        "entropy": -np.sum(p * logs, axis=-1),
        "heterozygosity": 1 - np.sum(p**2, axis=-1),
        "total_variation": np.sum(np.abs(p - law), axis=-1) / 2,
        "kl_divergence": np.sum(p * (logs - np.log(law)), axis=-1),
        "tail_mass": p[..., 4],
        "is_absorbed": np.sum(p > 0, axis=-1) == 1,
    }
    for name, values in expected.items():
        yield f"Discrete, {name}", Exact(_gap(records[name].astype(np.float64), values), 1e-6)
    rows = rng.normal(3.0, 2.0, 40)
    chain = cj.Chain(cj.Gaussian(1), cj.Empirical(rows), cj.Replace())
    records = cj.simulate(chain, key=draw.seed, num_chains=1, num_generations=0)
    error = abs(records["log_std"][0, 0] - np.log(np.std(rows, ddof=1)))
    yield "Gaussian, log_std of data", Exact(float(error), 1e-6)
    yield "Gaussian, mean of data", Exact(abs(float(records["mean"][0, 0, 0]) - rows.mean()), 1e-5)


@CHECKS.add("deterministic")
def laws_of_counts(draw: Draw) -> Claims:
    """Check that binomial and hypergeometric draws have scipy's laws, by quadrature."""
    cases = [(100, 0.5), (40, 0.2), (300, 0.04), (10**6, 0.3), (10**6, 1e-5), (10**6, 3e-6)]
    for n, p in cases:
        error = samplers.binomial_error(n, float(np.float32(p)))
        yield from _law(f"binomial({n}, {p})", error)
    for good, bad, sample in ((50, 50, 40), (30, 400, 100), (5_000, 15_000, 700), (40, 900, 60)):
        error = samplers.hypergeometric_error(good, bad, sample)
        yield from _law(f"hypergeometric({good}, {bad}, {sample})", error)


@CHECKS.add("deterministic")
def laws_of_spreads_and_scores(draw: Draw) -> Claims:
    """Check that chi-square and normal draws, as functions of their bits, have scipy's laws."""
    for dof in (1, 2, 3, 9, 63, 64, 99, 1000, 10**6):
        yield from _law(f"chi-square({dof})", samplers.chi_square_error(dof))
    words = np.random.default_rng(draw.seed).integers(0, 2**31, 100_000)
    yield "normal, relative to the tail", Exact(samplers.normal_error(words), 1e-5)


def _law(name: str, errors: tuple[float, ...]) -> Iterator[tuple[str, Exact]]:
    yield f"{name}, total variation", Exact(errors[0], 1e-5)
    yield f"{name}, mean", Exact(errors[1], 1e-6)
    for excess in errors[2:]:
        yield f"{name}, acceptance above 1", Exact(excess, 2e-6)

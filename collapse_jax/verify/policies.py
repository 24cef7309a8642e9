"""Check policies against closed forms, enumeration and NumPy twins that hold every row."""

import numpy as np

import collapse_jax as cj
from collapse_jax.testing import frequency_evidence, mean_evidence, same_law_evidence
from collapse_jax.theory import gaussian_accumulation
from collapse_jax.verify import reuse
from collapse_jax.verify.base import Claims, Draw, Registry

CHECKS = Registry()


@CHECKS.add("monte carlo", claims=4)
def accumulate(draw: Draw) -> Claims:
    """Check that E sigma^2 and E mu^2 of pooled fits are products over generations."""
    size, last = 10, 12
    for estimator in ("unbiased", "mle"):
        chain = cj.Chain(cj.Gaussian(1, estimator), cj.Normal(0.0, 1.0), cj.Accumulate(size))
        sizes = np.full(last + 1, size)
        variance = gaussian_accumulation.accumulate_expected_variance(sizes, estimator)[last]
        error = gaussian_accumulation.accumulate_mean_squared_error(sizes, estimator)[last]
        yield from _variance_and_error(draw, chain, last, estimator, variance, error)


def _variance_and_error(
    draw: Draw, chain: cj.Chain, last: int, name: str, variance: float, error: float
) -> Claims:
    records = cj.simulate(
        chain,
        key=draw.seed,
        num_chains=draw.chains(50_000, 1_000_000),
        num_generations=last,
        every=last,
    )
    values = np.exp(2 * records["log_std"][-1].astype(np.float64))
    squares = records["mean"][-1][:, 0].astype(np.float64) ** 2
    yield f"{name}, E sigma^2", mean_evidence(values, variance, draw.false_alarm)
    yield f"{name}, E (mu - mu_0)^2", mean_evidence(squares, error, draw.false_alarm)


def _fresh_rows(draw: Draw, allocation: str) -> Claims:
    size, last = 20, 10
    policy = cj.Mixing(size, gamma=0.25, allocation=allocation)
    family = cj.Gaussian(1, "mle", sampling_bias=1.1)
    chain = cj.Chain(family, cj.Normal(0.0, 1.0), policy)
    moments = gaussian_accumulation.fresh_share_moments(
        np.full(last + 1, size), 0.25, "mle", allocation, sampling_bias=1.1
    )
    variance, error = (float(values[last]) for values in moments)
    yield from _variance_and_error(draw, chain, last, allocation, variance, error)


@CHECKS.add("monte carlo", claims=2)
def fresh_rows(draw: Draw) -> Claims:
    """Check that E sigma^2 and E mu^2 with a fresh share 0.25 and sampling bias are exact."""
    yield from _fresh_rows(draw, "multinomial")


@CHECKS.add("monte carlo", claims=2, lanes=("full",))
def fresh_rows_of_a_fixed_number(draw: Draw) -> Claims:
    """Check that E sigma^2 and E mu^2 with exactly a quarter fresh rows and bias are exact."""
    yield from _fresh_rows(draw, "fixed")


@CHECKS.add("monte carlo", claims=2)
def subsets_of_all_rows(draw: Draw) -> Claims:
    """Check that subsets of the pool have the law enumerated together with the pool, two states."""
    size, last = 4, 3
    law = reuse.accumulate_subsample(0.3, size, last)
    yield from _two_states(draw, cj.AccumulateSubsample(size), law)


@CHECKS.add("monte carlo", claims=2)
def rows_of_the_last_corpus(draw: Draw) -> Claims:
    """Check that chains which reuse half of D_g have the enumerated law, two states."""
    policy = cj.Mixing(8, beta=0.5, allocation="fixed")
    yield from _two_states(draw, policy, reuse.mixing(0.3, 8, 3, beta=0.5))


@CHECKS.add("monte carlo", claims=2, lanes=("full",))
def rows_of_the_first_corpus(draw: Draw) -> Claims:
    """Check that rows taken from D_0 with chance 0.25 give the enumerated law, two states."""
    policy = cj.Mixing(8, gamma=0.25, original="data")
    yield from _two_states(draw, policy, reuse.mixing(0.3, 8, 3, gamma=0.25, is_fixed=False))


def _two_states(draw: Draw, policy: cj.AbstractPolicy, joint: np.ndarray) -> Claims:
    """Test the law of D_3, and the joint law of D_0 and D_3."""
    size = len(joint) - 1
    records = cj.simulate(
        cj.Chain(cj.Discrete(), cj.Categorical([0.3, 0.7]), policy),
        key=draw.seed,
        num_chains=draw.chains(40_000, 1_000_000),
        num_generations=3,
        every=3,
        metrics=("probabilities",),
    )
    counts = np.rint(records["probabilities"][..., 0].astype(np.float64) * size).astype(int)
    hits = np.bincount(counts[1], minlength=size + 1)
    yield "D_3", frequency_evidence(hits, joint.sum(axis=0), draw.false_alarm)
    pairs = np.bincount(counts[0] * (size + 1) + counts[1], minlength=(size + 1) ** 2)
    yield "D_0 and D_3", frequency_evidence(pairs, joint.ravel(), draw.false_alarm)


@CHECKS.add("monte carlo", claims=6)
def gaussian_rows_reused(draw: Draw) -> Claims:
    """Check that reused Gaussian rows give the law of a NumPy twin: last models and last step."""
    number, size, last = draw.chains(20_000, 200_000), 6, 4
    policies = {
        "AccumulateSubsample": cj.AccumulateSubsample(size),
        "Mixing": cj.Mixing(size, beta=0.5, allocation="fixed"),
    }
    for index, (name, policy) in enumerate(policies.items()):
        chain = cj.Chain(cj.Gaussian(1, "mle"), cj.Normal(0.0, 1.0), policy)
        records = cj.simulate(chain, key=draw.seed, num_chains=number, num_generations=last)
        rng = np.random.default_rng([draw.seed, index])
        twin = _ends_and_step(*reuse.gaussian_rows(name, number, size, last, rng))
        found = _ends_and_step(records["log_std"], records["mean"][..., 0])
        for variable, values in found.items():
            claim = same_law_evidence(values, twin[variable], draw.false_alarm)
            yield f"{name}, {variable}", claim


def _ends_and_step(log_std: np.ndarray, mean: np.ndarray) -> dict[str, np.ndarray]:
    """Compute variables that depend on how rows are reused, from [generation, chain]."""
    step = (mean[-1] - mean[-2]) * np.exp(-log_std[-2])
    return {"ln sigma": log_std[-1], "mean": mean[-1], "step of the mean": step}

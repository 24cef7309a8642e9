"""Check that results stay the same, or change in a known way, when the problem changes."""

from typing import Any

import numpy as np

import collapse_jax as cj
from collapse_jax.testing import frequency_evidence, law_evidence, same_law_evidence
from collapse_jax.theory.enumeration import EnumeratedChain
from collapse_jax.verify.base import Claims, Draw, Exact, Registry

CHECKS = Registry()
LAW = np.array([0.4, 0.25, 0.2, 0.1, 0.05])


def _different(one: np.ndarray, other: np.ndarray) -> Exact:
    """Count the elements that differ, NaN being equal to NaN; none may."""
    same = (one == other) | (np.isnan(one) & np.isnan(other) if one.dtype.kind == "f" else False)
    return Exact(float(np.sum(~same)), 0.0)


@CHECKS.add("metamorphic")
def scaling_by_powers_of_two(draw: Draw) -> Claims:
    """Check that data times 2^k have means times 2^k, to the bit."""
    rows = np.random.default_rng(draw.seed).normal(size=(30, 2)).astype(np.float32)

    def run(scale: float) -> cj.Records:
        family = cj.Gaussian(2, corpus="samples")
        chain = cj.Chain(family, cj.Empirical(rows * np.float32(scale)), cj.Replace())
        return cj.simulate(chain, key=draw.seed, num_chains=1, num_generations=0)

    one = run(1.0)
    for power in (-12, 3, 20):
        other = run(2.0**power)
        yield f"k={power}", _different(one["mean"] * np.float32(2.0**power), other["mean"])


@CHECKS.add("metamorphic")
def the_same_chain_however_it_is_run(draw: Draw) -> Claims:
    """Check that chains of a run equal those of a part, of chunks, of a resumed run, to the bit."""
    cases = {
        "Gaussian": (cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10)), "log_std"),
        "Discrete": (
            cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Replace(30)),
            "heterozygosity",
        ),
    }
    for name, (chain, variable) in cases.items():
        seed: Any = {"key": draw.seed, "num_generations": 12}
        whole = cj.simulate(chain, num_chains=300, **seed)
        part = cj.simulate(chain, num_chains=7, first_chain=290, **seed)
        yield f"{name}, part", _different(whole[variable][:, 290:297], part[variable])
        chunks = cj.simulate(chain, num_chains=300, generation_chunk=5, **seed)
        yield f"{name}, chunks", _different(whole[variable], chunks[variable])
        begun = cj.simulate(chain, key=draw.seed, num_chains=300, num_generations=4)
        ended = cj.simulate(chain, num_chains=300, state=begun.state, **seed)
        yield f"{name}, continued", _different(whole[variable][5:], ended[variable])


@CHECKS.add("metamorphic", claims=1)
def relabelled_states(draw: Draw) -> Claims:
    """Check that a permutation of the states leaves the law of H unchanged."""
    number = draw.chains(20_000, 200_000)

    def run(law: np.ndarray, key: int) -> np.ndarray:
        chain = cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(30))
        records = cj.simulate(chain, key=key, num_chains=number, num_generations=4, every=4)
        return np.round(records["heterozygosity"][-1].astype(np.float64), 5)

    one, other = run(LAW, 2 * draw.seed), run(LAW[::-1].copy(), 2 * draw.seed + 1)
    yield "generation 4", same_law_evidence(one, other, draw.false_alarm)


@CHECKS.add("metamorphic", claims=1)
def lumped_states(draw: Draw) -> Claims:
    """Check that two states together, against the rest, follow the enumerated chain of 2 states."""
    size, generation = 30, 4
    chain = cj.Chain(cj.Discrete(), cj.Categorical(LAW), cj.Replace(size))
    records = cj.simulate(
        chain,
        key=draw.seed,
        num_chains=draw.chains(20_000, 200_000),
        num_generations=generation,
        every=generation,
        metrics=("probabilities",),
    )
    lumped = records["probabilities"][-1][:, [0, 3]].sum(axis=1)
    counts = np.bincount(np.rint(lumped * size).astype(int), minlength=size + 1)
    exact = EnumeratedChain([0.5, 0.5], size)
    law = np.zeros(size + 1)
    law[exact.counts[:, 0]] = exact.laws(generation)[-1]
    yield "states 0 and 3", frequency_evidence(counts, law, draw.false_alarm)


@CHECKS.add("metamorphic", claims=2)
def marginals(draw: Draw) -> Claims:
    """Check that an axis of a chain in 3 dimensions is a chain in 1."""
    covariance = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]])
    source = cj.Normal(np.zeros(3), covariance)
    arguments: Any = {"num_chains": draw.chains(10_000, 100_000), "num_generations": 3, "every": 3}
    wide = cj.simulate(
        cj.Chain(cj.Gaussian(3), source, cj.Replace(8)),
        key=2 * draw.seed,
        metrics=("covariance",),
        **arguments,
    )
    thin = cj.simulate(
        cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 0.5), cj.Replace(8)),
        key=2 * draw.seed + 1,
        **arguments,
    )
    spread = np.log(wide["covariance"][-1][:, 2, 2]) / 2
    yield "ln sigma", same_law_evidence(spread, thin["log_std"][-1], draw.false_alarm)
    yield (
        "mean",
        same_law_evidence(wide["mean"][-1][:, 2], thin["mean"][-1][:, 0], draw.false_alarm),
    )


@CHECKS.add("metamorphic", claims=2)
def only_original_rows(draw: Draw) -> Claims:
    """Check that with gamma = 1 every generation has the law of model 0."""
    from scipy import stats

    size = 12
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(size, gamma=1.0))
    records = cj.simulate(
        chain, key=draw.seed, num_chains=draw.chains(50_000, 500_000), num_generations=9, every=9
    )
    chi_square = (size - 1) * np.exp(2 * records["log_std"][-1].astype(np.float64))
    yield "variance", law_evidence(chi_square, stats.chi2(size - 1).cdf, draw.false_alarm)
    scaled = records["mean"][-1][:, 0] * np.sqrt(size)
    yield "mean", law_evidence(scaled, stats.norm.cdf, draw.false_alarm)

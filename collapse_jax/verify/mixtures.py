"""Check Gaussian mixtures where their law is known: one component, or components far apart."""

from typing import Any

import numpy as np

import collapse_jax as cj
from collapse_jax.testing import frequency_evidence, law_evidence, same_law_evidence
from collapse_jax.theory.enumeration import EnumeratedChain
from collapse_jax.verify.base import Claims, Draw, Registry

CHECKS = Registry()
FAR = cj.NormalMixture([0.5, 0.5], [-50.0, 50.0], [1.0, 4.0])


@CHECKS.add("metamorphic", claims=5)
def one_component_is_a_normal_law(draw: Draw) -> Claims:
    """Check that GaussianMixture(1, dim) equals Gaussian(dim, "mle") in law."""
    for dim, size in ((1, 6), (2, 9)):
        source = cj.Normal(np.ones(dim), 0.5 + np.eye(dim))
        mixture = cj.Chain(cj.GaussianMixture(1, dim), source, cj.Replace(size))
        normal = cj.Chain(cj.Gaussian(dim, "mle"), source, cj.Replace(size))
        run: Any = {"num_generations": 3, "every": 3}
        run["num_chains"] = draw.chains(20_000, 200_000)
        one = cj.simulate(mixture, key=2 * draw.seed, **run)
        other = cj.simulate(normal, key=2 * draw.seed + 1, metrics=("covariance",), **run)
        covariances = {
            "mixture": one["covariances"][-1][:, 0].astype(float),
            "normal": other["covariance"][-1].astype(float),
        }
        quantities = {
            "mean": (one["means"][-1][:, 0, 0], other["mean"][-1][:, 0]),
            "ln det": tuple(np.linalg.slogdet(one)[1] for one in covariances.values()),
        }
        if dim > 1:
            quantities["regression"] = tuple(
                one[:, 0, 1] / one[:, 0, 0] for one in covariances.values()
            )
        for name, pair in quantities.items():
            yield f"dim={dim}, {name}", same_law_evidence(pair[0], pair[1], draw.false_alarm)


@CHECKS.add("monte carlo", claims=4)
def components_that_never_meet(draw: Draw) -> Claims:
    """Check that rows per component form a Wright-Fisher chain; given n of them, n var is
    sigma^2 chi^2(n - 1) and mean N(mu, sigma^2 / n)."""
    from scipy import stats

    size, generation = 60, 2
    family = cj.GaussianMixture(2, 1, init=FAR)
    records = cj.simulate(
        cj.Chain(family, FAR, cj.Replace(size)),
        key=draw.seed,
        num_chains=draw.chains(20_000, 200_000),
        num_generations=generation,
    )
    exact = EnumeratedChain(FAR.weights, size)
    for g in (0, generation):
        rows = np.rint(records["weights"][g, :, 0] * size).astype(int)
        law = np.zeros(size + 1)
        law[exact.counts[:, 0]] = exact.laws(generation)[g]
        counts = np.bincount(rows, minlength=size + 1)
        yield (
            f"weights of generation {g}",
            frequency_evidence(counts, law, draw.false_alarm),
        )
    n = np.rint(records["weights"][0, :, 1].astype(float) * size)
    scaled = n * records["covariances"][0, :, 1, 0, 0] / 4
    yield (
        "variance",
        law_evidence(stats.chi2(n - 1).cdf(scaled), stats.uniform.cdf, draw.false_alarm),
    )
    score = (records["means"][0, :, 1, 0] - 50) * np.sqrt(n / 4)
    yield "mean", law_evidence(score, stats.norm.cdf, draw.false_alarm)

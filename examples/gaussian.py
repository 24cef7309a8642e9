"""How fast does a Gaussian chain lose its variance? Simulated and exact."""

import sys

import numpy as np

import collapse_jax as cj
from collapse_jax.theory.gaussian import expected_log_variance

chain = cj.Chain(
    family=cj.Gaussian(dim=1, estimator="unbiased"),
    source=cj.Normal(mean=0.0, covariance=1.0),
    policy=cj.Replace(num_samples=100),
)
records = cj.simulate(chain, key=0, num_chains=4096, num_generations=200, every=50)
exact = expected_log_variance(np.full(201, 100), "unbiased")
for generation, log_std in zip(records["generation"], records["log_std"], strict=True):
    line = f"{generation:4d}  simulated {log_std.mean():+.4f}  exact {exact[generation] / 2:+.4f}\n"
    sys.stdout.write(line)

"""Measure how fast Gaussian chains lose their spread, by corpus size, and compare with theory.

Run: python examples/collapse_rate.py
"""

import numpy as np

import collapse_jax as cj
from collapse_jax.theory.gaussian import expected_log_variance


def main(sizes=(10, 30, 100, 300), num_chains=4096, num_generations=200):
    """Print ln sigma lost per generation.

    Args:
      sizes: numbers of rows M.
      num_chains: chains for each size.
      num_generations: last generation G.

    Returns:
      Simulated and exact loss per generation, by corpus size.
    """
    rates = {}
    for size in sizes:
        chain = cj.Chain(
            family=cj.Gaussian(dim=1, estimator="unbiased"),
            source=cj.Normal(mean=0.0, covariance=1.0),
            policy=cj.Replace(num_samples=size),
        )
        records = cj.simulate(
            chain,
            key=0,
            num_chains=num_chains,
            num_generations=num_generations,
            every=num_generations,
        )
        lost = (records["log_std"][0] - records["log_std"][-1]) / num_generations
        error = lost.std() / np.sqrt(num_chains)
        log_variance = expected_log_variance(np.full(num_generations + 1, size), "unbiased")
        exact = (log_variance[0] - log_variance[-1]) / 2 / num_generations
        rates[size] = float(lost.mean()), float(exact)
        print(f"M = {size:4d}: {lost.mean():.5f} ± {error:.5f}, exact {exact:.5f} per generation")
    return rates


if __name__ == "__main__":
    main()

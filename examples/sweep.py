"""Run a grid of settings: the spread that Gaussian chains retain, by size and original share.

Run: python examples/sweep.py
"""

import numpy as np

import collapse_jax as cj


def main(sizes=(10, 30, 100), shares=(0.0, 0.01, 0.1), num_chains=2000, num_generations=200):
    """Print a table of typical standard deviations.

    Args:
      sizes: numbers of rows M.
      shares: shares of original rows in every corpus, in [0, 1].
      num_chains: chains for each pair.
      num_generations: last generation G.

    Returns:
      The table, [size, share], in units of the truth's.
    """
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(sizes[0]))
    records = cj.sweep(
        chain,
        {"policy.num_samples": list(sizes), "policy.gamma": list(shares)},
        key=0,
        num_chains=num_chains,
        num_generations=num_generations,
        every=num_generations,
    )
    left = np.exp(records["log_std"][-1].mean(axis=0))  # over chains
    print("   M  " + "".join(f"{share:>9.0%}" for share in shares))
    for size, row in zip(sizes, left, strict=True):
        print(f"{size:5d} " + "".join(f"{value:9.3f}" for value in row))
    return left


if __name__ == "__main__":
    main()

"""The runs that are killed; ``python killed_runs.py NAME DIRECTORY`` makes one."""

import sys

import numpy as np

import collapse_jax as cj

WEIGHTS = 1 / np.arange(1, 31)
BLOB = cj.Normal(np.zeros(2), np.eye(2))
RUNS = {
    "discrete": (
        cj.Chain(cj.Discrete(), cj.Categorical(WEIGHTS / WEIGHTS.sum()), cj.Replace(60)),
        {"num_chains": 700, "num_generations": 300, "every": 3, "metrics": ("probabilities",)},
    ),
    "gaussian": (
        cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(20)),
        {"num_chains": 1000, "num_generations": 901, "every": 2, "chain_batch": 256},
    ),
    "gaussian-reduced": (
        cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(20)),
        {
            "num_chains": 1000,
            "num_generations": 901,
            "every": 2,
            "chain_batch": 256,
            "reduce": cj.Reduce(survival=True),
        },
    ),
    "gmm": (
        cj.Chain(cj.GaussianMixture(2, 2), BLOB, cj.Replace(30)),
        {"num_chains": 40, "num_generations": 40, "chain_batch": 16},
    ),
}


def run(name, **more):
    """One of the runs, whole or into a run directory."""
    chain, arguments = RUNS[name]
    return cj.simulate(chain, key=5, **{**arguments, **more})


if __name__ == "__main__":
    chunk = 10 if sys.argv[1] == "gmm" else 30
    run(sys.argv[1], store=cj.Store(sys.argv[2], seconds=0), generation_chunk=chunk)

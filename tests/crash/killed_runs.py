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
COSTLY = ("vae", "lm")  # killed on request only


def images():
    """Small images of one slanted line each."""
    places = np.arange(120)
    shapes = (np.add.outer(np.arange(8), np.arange(8)) + places[:, None, None]) % 8
    return cj.Images((shapes == 0)[:100] * 1.0, test=(shapes == 0)[100:] * 1.0)


def costly_run(name):
    """Chain and arguments of a run whose modules take their time to load."""
    if name == "vae":
        vae = cj.VAE(4, 8, 8, epochs=30, batch_size=32, num_evaluated=100)
        chain = cj.Chain(vae, images(), cj.Replace())
        return chain, {"num_chains": 2, "num_generations": 6, "metrics": ("images",)}
    from collapse_jax import lm

    rng = np.random.default_rng(0)
    blocks = 3 + (rng.integers(0, 37, (60, 1)) + np.arange(8) * rng.integers(1, 3, (60, 1))) % 37
    family = cj.LanguageModel(
        lm.OPTConfig(40, 16, 1, 32, 16, 2),
        lm.Training(1e-2, num_epochs=20),
        lm.Decoding(8, num_beams=2, min_new_tokens=8),
        batch_size=5,
        generation_batch=4,
    )
    source = cj.TokenBlocks(blocks[:40], blocks[40:50], blocks[50:], 40)
    return cj.Chain(family, source, cj.Replace()), {
        "num_chains": 2,
        "num_generations": 3,
        "metrics": ("corpus",),
    }


def run(name, **more):
    """One of the runs, whole or into a run directory."""
    chain, arguments = costly_run(name) if name in COSTLY else RUNS[name]
    return cj.simulate(chain, key=5, **{**arguments, **more})


if __name__ == "__main__":
    chunk = {"gmm": 10, "vae": 1, "lm": 1}.get(sys.argv[1], 30)
    run(sys.argv[1], store=cj.Store(sys.argv[2], seconds=0), generation_chunk=chunk)

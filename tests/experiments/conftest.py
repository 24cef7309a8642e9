"""Records without simulation: the variables of each family with random values, for rendering.

Experiments run as usual; only `simulate` is replaced. Configs and theory are the real ones.
"""

import importlib

import numpy as np
import pytest

from collapse_jax.engine.expected import expected_curves
from collapse_jax.results.provenance import describe
from collapse_jax.results.records import Records, dataset_of

MODULES = ("gaussian", "discrete", "gmm", "vae", "lm")
SCALARS = {
    "Gaussian": "log_std wasserstein2_squared status",
    "Discrete": "support_size entropy heterozygosity tail_mass is_absorbed status",
    "KernelDensity": "log_std status",
    "LinearRegression": "error status",
    "Poisson": "rate is_absorbed status",
    "GaussianMixture": "log_l2_squared num_iterations log_likelihood status",
    "VAE": "elbo latent_mean latent_std latent_mean_100 latent_std_100 pixel_variance precision "
    "recall status",
    "Models": "status",
    "LanguageModel": "test_perplexity zero_shot_perplexity distinct_1 distinct_2 distinct_3 "
    "repetition_rate unigram_entropy tail_share unique_share status",
}
ARRAYS = {
    "Gaussian": {},
    "Discrete": {},
    "KernelDensity": {},
    "LinearRegression": {},
    "Poisson": {},
    "Models": {},
    "GaussianMixture": {
        "weights": (("component",), (2,)),
        "means": (("component", "dim"), (2, 2)),
        "log_spreads": (("component",), (2,)),
    },
    "VAE": {
        "latent_histogram": (("bin",), (100,)),
        "class_shares": (("class",), (10,)),
        "images": (("image", "row", "column"), (12, 8, 8)),
    },
    "LanguageModel": {
        "corpus_perplexity": (("slot",), (24,)),
        "validation_loss": (("epoch",), (2,)),
        "corpus": (("slot", "token"), (24, 4)),
    },
}


def fake_simulate(
    chain,
    *,
    key,
    num_chains,
    num_generations,
    every=1,
    metrics=(),
    reduce=None,
    **more,
):
    """Return records of the right shape; `is_absorbed` and `status` are zero."""
    random = np.random.default_rng(key)
    generations = np.unique([*range(0, num_generations + 1, every), num_generations])
    shape, dims = (len(generations), num_chains), ("generation", "chain")
    kind = type(chain.family).__name__
    names = SCALARS[kind].split()
    lists = [one for one in metrics if getattr(one, "dims", ())]
    scalars = [one for one in metrics if callable(one) and one not in lists]
    names += [str(getattr(one, "name", None) or one.__name__) for one in scalars]
    names += [one for one in metrics if one == "effective_components"]
    values = {name: (dims, random.uniform(0.1, 1, shape)) for name in names}
    values["status"] = (dims, np.zeros(shape, np.int32))
    if kind == "Discrete":
        values["is_absorbed"] = (dims, np.zeros(shape, bool))
        law = random.uniform(0.1, 1, (*shape, chain.family.num_states))
        values["probabilities"] = ((*dims, "state"), law)
    arrays = dict(ARRAYS[kind])
    arrays |= {one.name: (one.dims, (len(one.function.sizes),)) for one in lists}
    if kind == "VAE":
        arrays["latent_histogram"] = (("bin",), (chain_bins(),))
    if kind == "GaussianMixture":
        arrays["samples"] = (("slot", "dim"), (10, 2))
    for name, (own, sizes) in arrays.items():
        values[name] = ((*dims, *own), random.uniform(0.1, 1, (*shape, *sizes)))
    if kind == "GaussianMixture":
        square = np.broadcast_to(np.eye(2), (*shape, 2, 2, 2))
        values["covariances"] = ((*dims, "component", "row", "column"), square)
    coordinates = {"generation": (("generation",), generations)}
    if reduce is None:
        coordinates["chain"] = (("chain",), np.arange(num_chains))
    else:
        values = reduced(values)
        coordinates["quantile"] = (("quantile",), np.array([0.05, 0.5, 0.95]))
    table = {name: (own, array, {}) for name, (own, array) in values.items()}
    known = {name: (own, array, {}) for name, (own, array) in coordinates.items()}
    config = {
        "chain": describe(chain),
        "num_chains": num_chains,
        "num_generations": num_generations,
        "every": every,
        "reduce": describe(reduce),
    }
    theory = expected_curves(chain, chain.family.quantities, generations)
    return Records(dataset_of(table, known), config, {}, None, theory)


def chain_bins():
    from collapse_jax.families.vae.family import LATENT_EDGES

    return len(LATENT_EDGES) - 1


def reduced(values):
    """Return means, stds and quantiles over chains."""
    found = {}
    for name, (dims, array) in values.items():
        if name == "status":
            counts = np.zeros((len(array), 4), np.int64)
            counts[:, 0] = array.shape[1]
            found["status_count"] = (("generation", "code"), counts)
            continue
        found[f"{name}_mean"] = ((dims[0], *dims[2:]), array.mean(axis=1))
        found[f"{name}_std"] = ((dims[0], *dims[2:]), array.std(axis=1))
        if len(dims) > 2 or array.dtype == bool:
            continue
        quantiles = np.quantile(array, (0.05, 0.5, 0.95), axis=1).T
        found[f"{name}_quantile"] = ((dims[0], "quantile"), quantiles)
    return found


@pytest.fixture
def stand_in():
    """Return the function that takes the place of `simulate`."""
    return fake_simulate


@pytest.fixture
def without_simulation(monkeypatch):
    """Let every experiment make records without simulation."""
    for name in MODULES:
        module = importlib.import_module(f"collapse_jax.experiments.{name}")
        monkeypatch.setattr(module, "simulate", fake_simulate)
    sweep = importlib.import_module("collapse_jax.engine.sweep")
    monkeypatch.setattr(sweep, "simulate", fake_simulate)
    vae = importlib.import_module("collapse_jax.experiments.vae")
    monkeypatch.setattr(vae.Classifier, "train", lambda *given: None)

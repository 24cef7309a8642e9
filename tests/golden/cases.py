"""Small runs of every family, policy and corpus, whose numbers must not change by accident.

    python tests/golden/cases.py --write    # renew numbers.json; the commit lists which and why

The file has a checksum of the bits of every variable, made on one kind of machine, and means
over chains for all others, where sums of floats may round differently.
"""

import argparse
import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import collapse_jax as cj
from collapse_jax import lm

NUMBERS = Path(__file__).with_name("numbers.json")
M, G = 24, 6
LAW = [0.4, 0.3, 0.15, 0.1, 0.04, 0.01]
COVARIANCE = [[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]]
SHARES = {"beta": 0.25, "gamma": 0.25}
LM_BLOCK, LM_VOCAB = 8, 40


def _near(rows: Any) -> Any:
    """Accept rows near zero."""
    return abs(rows[:, 0]) < 1.5


def _low(states: Any) -> Any:
    """Accept all states but the rarest two."""
    return states < 4


POLICIES: dict[str, Callable[..., cj.AbstractPolicy]] = {
    "replace": cj.Replace,
    "accumulate": cj.Accumulate,
    "subsample": cj.AccumulateSubsample,
    "fresh": lambda size, **more: cj.Fresh(size - size // 4, num_original=size // 4, **more),
    "mixing": lambda size, **more: cj.Mixing(size, gamma=0.25, **more),
    "mixing, fixed": lambda size, **more: cj.Mixing(size, gamma=0.25, allocation="fixed", **more),
    "mixing, previous data": lambda size, **more: cj.Mixing(size, **SHARES, **more),
    "mixing, previous law": lambda size: cj.Mixing(size, **SHARES, previous="distribution"),
    "mixing, kept data": lambda size, **more: cj.Mixing(
        size, gamma=0.25, original="data", allocation="fixed", **more
    ),
}
ONE_FOR_MODELS = ("replace", "accumulate", "mixing, kept data")


def cases() -> Iterator[tuple[str, Callable[[], cj.Chain], dict[str, Any]]]:
    """Yield the name, the chain and further arguments of `simulate` of every case."""
    for family, make, verifier in _families():
        for policy, make_policy in POLICIES.items():
            yield f"{family} | {policy}", _maker(make, make_policy, M), {}
        for policy in ("replace", "mixing", "accumulate"):
            name = f"{family} | {policy}, verified"
            yield name, _maker(make, POLICIES[policy], M, verifier=verifier), {}
        schedule = [M, *range(M, M + 2 * G, 2)]
        for policy in ("replace", "accumulate"):
            yield f"{family} | {policy}, growing", _maker(make, POLICIES[policy], schedule), {}
    for name, corpus in (("gaussian", "moments"), ("gaussian", "samples")):
        for policy in ("replace", "accumulate", "fresh", "mixing"):
            make = _gaussian_of(3, corpus)
            yield f"{name} 3-D {corpus} | {policy}", _maker(make, POLICIES[policy], M), {}
    rows = {"metrics": ("samples",)}
    yield "gaussian rows | replace", _maker(_gaussian_of(1, "samples"), cj.Replace, M), rows
    yield (
        "discrete law | replace",
        _maker(_discrete, cj.Replace, M),
        {"metrics": ("probabilities",)},
    )
    reduced = {"reduce": cj.Reduce(histograms={"log_std": [-1.0, 0.0, 1.0]}, survival=True)}
    yield "gaussian reduced | replace", _maker(_gaussian_of(1, "auto"), cj.Replace, M), reduced
    mixture = cj.NormalMixture([0.3, 0.7], [-1.0, 2.0], [0.5, 1.5])
    yield (
        "gaussian on a mixture | replace",
        lambda: cj.Chain(cj.Gaussian(1, "mle"), mixture, cj.Replace(M)),
        {},
    )
    data = np.linspace(-2, 3, M)
    yield (
        "gaussian on data | replace",
        lambda: cj.Chain(cj.Gaussian(1), cj.Empirical(data), cj.Replace(M)),
        {},
    )
    for policy in ("replace", "accumulate", "mixing", "mixing, previous law"):
        yield f"mixture | {policy}", _maker(_mixture, POLICIES[policy], 4 * M), {"num_chains": 4}
    for policy in ONE_FOR_MODELS:
        settings = {"num_chains": 2, "num_generations": 2, "metrics": ("images",)}
        yield f"vae | {policy}", _maker(_vae("samples"), POLICIES[policy], 96), settings
        settings = {"num_chains": 1, "num_generations": 2, "metrics": ("corpus",)}
        yield f"language model | {policy}", _maker(_language_model, POLICIES[policy], 12), settings
    settings = {"num_chains": 2, "num_generations": 2, "metrics": ("images",)}
    yield "vae stream | replace", _maker(_vae("stream"), cj.Replace, 96), settings


def _families() -> Iterator[tuple[str, Callable[[], tuple[Any, Any]], Any]]:
    yield "gaussian", _gaussian_of(1, "auto"), _near
    yield "gaussian mle", lambda: (cj.Gaussian(1, "mle"), cj.Normal(0.5, 2.0)), _near
    yield "gaussian samples", _gaussian_of(1, "samples"), _near
    yield "discrete", _discrete, _low
    yield "discrete counts", lambda: (cj.Discrete(corpus="counts"), cj.Categorical(LAW)), _low
    yield (
        "discrete changed",
        lambda: (cj.Discrete(smoothing=0.5, temperature=0.9, top_p=0.99), cj.Categorical(LAW)),
        _low,
    )


def _maker(make: Any, policy: Any, *arguments: Any, **named: Any) -> Callable[[], cj.Chain]:
    return lambda: cj.Chain(*make(), policy(*arguments, **named))


def _gaussian_of(dim: int, corpus: str) -> Callable[[], tuple[Any, Any]]:
    truth = cj.Normal(np.zeros(3), COVARIANCE) if dim == 3 else cj.Normal(0.5, 2.0)
    return lambda: (cj.Gaussian(dim, corpus=corpus), truth)


def _discrete() -> tuple[Any, Any]:
    return cj.Discrete(), cj.Categorical(LAW)


def _mixture() -> tuple[Any, Any]:
    truth = cj.NormalMixture([0.5, 0.5], [[-2.0, 0.0], [2.0, 1.0]], [np.eye(2), np.eye(2)])
    return cj.GaussianMixture(2, 2), truth


def _vae(corpus: str) -> Callable[[], tuple[Any, Any]]:
    small = {"latent_dim": 3, "width": 4, "image_size": 8, "epochs": 2, "batch_size": 32}
    source = cj.Images.load("digits", 8, 96)
    return lambda: (cj.VAE(**small, num_evaluated=100, corpus=corpus), source)


def _language_model() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    blocks = [rng.integers(3, LM_VOCAB, (number, LM_BLOCK)) for number in (12, 5, 5)]
    network = lm.OPTConfig(
        vocab_size=LM_VOCAB,
        hidden_size=16,
        num_hidden_layers=1,
        ffn_dim=32,
        num_attention_heads=2,
        max_position_embeddings=2 * LM_BLOCK,
    )
    family = cj.LanguageModel(
        network,
        training=lm.Training(1e-2, num_epochs=2),
        decoding=lm.Decoding(LM_BLOCK, num_beams=2, min_new_tokens=LM_BLOCK),
        batch_size=5,
        generation_batch=5,
        evaluation_batch=5,
    )
    return family, cj.TokenBlocks(*blocks, LM_VOCAB)


def machine() -> str:
    """Name what decides the bits of a sum: jax, the processor's maker, its vectors."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    makers = [one for one in ("AuthenticAMD", "GenuineIntel") if one in text]
    vectors = "avx512" if "avx512f" in text else "avx2" if "avx2" in text else ""
    parts = (jax.__version__, platform.machine(), *makers, vectors)
    return " ".join(part for part in parts if part)


def numbers_of(make: Callable[[], cj.Chain], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the checksum of every variable, and its mean in the last generation."""
    arguments = {"key": 20261129, "num_chains": 64, "num_generations": G} | settings
    records = cj.simulate(make(), **arguments)
    found = {}
    for name in sorted(map(str, records.variables)):
        values = np.ascontiguousarray(records[name])
        text = f"{values.dtype.str} {values.shape} ".encode() + values.tobytes()
        found[name] = [hashlib.sha256(text).hexdigest()[:16], _mean(values[-1])]
    found["first_event"] = [hashlib.sha256(events_of(records).tobytes()).hexdigest()[:16], None]
    for name, curve in sorted(records.theory.items()):
        found[f"theory: {name}"] = [None, _mean(curve.values[-1])]
    return found


def events_of(records: cj.Records) -> np.ndarray:
    """Return the first events of a run, none of a reduced one."""
    return records["first_event"] if "first_event" in records.coordinates else np.zeros(0)


def _mean(values: np.ndarray) -> float | None:
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    return float(f"{finite.mean():.9g}") if finite.size else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", required=True)
    parser.parse_args()
    table = {name: numbers_of(make, settings) for name, make, settings in cases()}
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in table.items()]
    body = ",\n".join(lines)
    NUMBERS.write_text(f'{{"machine": {json.dumps(machine())}, "cases": {{\n{body}\n}}}}\n')

"""Check and measure the library on a real accelerator, within ten minutes, and write what it finds.

    python benchmarks/accelerator.py [--out docs/benchmarks] [--only PART ...] [--tiny]

Parts, in this order: `bits` (the same run twice, and in batches of another width), `speed` (every
family against the CPU of the machine, and against the estimate of the compiler where there is one),
`training` and `beams` (at the size of OPT-125m), `vae`, and `laws` (`collapse verify`, lane quick).
OUT/accelerator.json is written after every part, so that a machine that is lost takes no result
with it; a part that would begin after the ninth minute is left out. The exit code is 1 if bits
differ, a law is not kept or a part fails. `--tiny` tries all parts at small sizes, on any machine.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.verify.suite import CHECKS, verify

LATEST = 540  # seconds after which no part begins
TOPOLOGIES = {
    "TPU v5 lite": "v5e:2x2",
    "TPU v5": "v5p:2x2x1",
    "TPU v6 lite": "v6e:2x2",
    "H100": "h100",
    "A100": "a100",
}
"""Topologies by what a device of theirs calls itself, or by a part of it."""


def families(tiny: bool) -> dict[str, tuple[cj.Chain, int, int]]:
    """Return a chain of every family with numbers of chains and generations."""
    many, long = (64, 4) if tiny else (65_536, 200)
    truth = cj.NormalMixture([0.5, 0.5], [[-2.0, 0.0], [2.0, 1.0]], [np.eye(2)] * 2)
    words = np.arange(1.0, 101) ** -1.1
    ten = cj.Normal(np.zeros(10), np.eye(10))
    linear, logistic = cj.LinearModel([1.0, -1.0], 0.5), cj.LogisticModel([1.0, -1.0])
    replace = cj.Replace(100)
    return {
        "Gaussian": (cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), replace), many, long),
        "Gaussian, dim 10": (cj.Chain(cj.Gaussian(10), ten, replace), many // 2, long),
        "Discrete": (
            cj.Chain(cj.Discrete(), cj.Categorical(words / words.sum()), replace),
            many,
            50,
        ),
        "Poisson": (cj.Chain(cj.Poisson(), cj.PoissonLaw(3.0), replace), many, 50),
        "Exponential": (cj.Chain(cj.Exponential(), cj.ExponentialLaw(1.0), replace), many, 50),
        "Bernoulli": (cj.Chain(cj.Bernoulli(), cj.Categorical([0.3, 0.7]), replace), many, 50),
        "GaussianMixture": (cj.Chain(cj.GaussianMixture(2, 2), truth, replace), many // 64, 4),
        "KernelDensity": (
            cj.Chain(cj.KernelDensity(1), cj.Normal(0.0, 1.0), replace),
            many // 16,
            10,
        ),
        "LinearRegression": (cj.Chain(cj.LinearRegression(2), linear, replace), many // 4, 10),
        "LogisticRegression": (
            cj.Chain(cj.LogisticRegression(2), logistic, replace),
            many // 64,
            4,
        ),
    }


def topology() -> str | None:
    """Return a topology of devices like the first one here; None for a CPU."""
    kind = jax.devices()[0].device_kind
    exact = TOPOLOGIES.get(kind)
    return exact or next((name for part, name in TOPOLOGIES.items() if part in kind), None)


def estimated(compile_program: Callable[[str], cj.CompileReport]) -> float | None:
    """Return the seconds that the compiler expects of a step, where it is installed."""
    if (name := topology()) is None:
        return None
    try:
        return compile_program(name).step_seconds
    except cj.ArgumentError:
        return None


def seconds_of(run: Callable[[], Any], repeats: int = 3) -> float:
    """Return the median time of a function that has been called once before."""
    run()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def bits(tiny: bool) -> dict[str, Any]:
    """Return, for every family, whether a run has the same bits again, and in smaller batches."""
    found = {}
    for name, (chain, _, _) in families(tiny).items():
        chains, whole = 64 if tiny else 512, {"key": 1, "num_generations": 5}
        first, again, parts = (
            cj.simulate(chain, num_chains=chains, chain_batch=batch, **whole)
            for batch in (None, None, chains // 4)
        )
        found[name] = {
            "between_runs": _are_equal(first, again),
            "between_batches": _are_equal(first, parts),
        }
    kept = all(one["between_runs"] for one in found.values())
    return {"passed": kept, "families": found}


def _are_equal(one: cj.Records, other: cj.Records) -> bool:
    """Tell whether two runs have the same bits."""
    return all(one[name].tobytes() == other[name].tobytes() for name in map(str, one.variables))


def speed(tiny: bool) -> dict[str, Any]:
    """Return nanoseconds per chain and generation, here, on the CPU and by the compiler."""
    rows, has_cpu = {}, jax.devices()[0].platform != "cpu" and _has_cpu()
    for name, (chain, chains, generations) in families(tiny).items():
        arguments = {"num_generations": generations, "every": generations, "reduce": cj.Reduce()}
        units = chains * generations

        def run(chain=chain, chains=chains, arguments=arguments, **more: Any) -> cj.Records:
            return cj.simulate(chain, key=0, num_chains=chains, **arguments, **more)

        def compiled(
            name: str, chain=chain, chains=chains, arguments=arguments
        ) -> cj.CompileReport:
            return cj.compile_for(chain, name, num_chains=chains, **arguments)

        row = {"chains": chains, "generations": generations}
        row["here"] = seconds_of(run) / units * 1e9
        step = estimated(compiled)
        row["estimate"] = None if step is None else step / chains * 1e9
        if has_cpu:
            few = max(1, chains // 16)
            taken = seconds_of(
                lambda run=run, few=few: run(chains=few, devices=jax.devices("cpu")), 1
            )
            row["cpu"] = taken / (few * generations) * 1e9
        rows[name] = row
    return {"passed": True, "nanoseconds_per_chain_and_generation": rows}


def _has_cpu() -> bool:
    """Tell whether jax may use the CPU beside an accelerator."""
    try:
        return bool(jax.devices("cpu"))
    except RuntimeError:
        return False


def network(tiny: bool) -> tuple[Any, int, int]:
    """Return the config of OPT-125m, texts of a batch and tokens of a text."""
    if tiny:
        small = lm.config_of_size(
            vocab_size=64, hidden_size=16, num_layers=1, num_heads=2, num_positions=16
        )
        return small, 8, 8
    return lm.OPTConfig(), 128, 64


def training(tiny: bool) -> dict[str, Any]:
    """Return time and tokens a second of a training step in bfloat16, on all devices."""
    config, batch, length = network(tiny)
    devices, model = lm.mesh(1, len(jax.devices())), lm.create(config, key=0)
    settings = lm.Training(1e-4, dtype="bfloat16")
    trainer = lm.Trainer(model, settings, devices)
    tokens = np.random.default_rng(0).integers(3, config.vocab_size, (batch, length))
    states, losses = [trainer.start(model)], []

    def run() -> None:
        state, loss = trainer.step(states.pop(), tokens, key=0)
        states.append(state)
        losses.append(float(loss))

    taken = seconds_of(run, 2 if tiny else 10)
    step = estimated(
        lambda name: lm.compile_for(config, name, batch=batch, length=length, training=settings)
    )
    is_falling = bool(np.isfinite(losses).all() and losses[-1] < losses[0])
    return {
        "passed": is_falling,
        "devices": devices.size,
        "tokens": batch * length,
        "seconds": taken,
        "tokens_per_second": batch * length / taken,
        "estimate_for": topology(),
        "estimate": step,
        "losses": losses,
    }


def beams(tiny: bool) -> dict[str, Any]:
    """Return time and new tokens a second of five beams, on all devices."""
    config, batch, length = network(tiny)
    batch, devices = batch // 4, lm.mesh(1, len(jax.devices()))
    model = lm.create(config, key=0, dtype="bfloat16")
    decoding = lm.Decoding(length, num_beams=5, min_new_tokens=length)
    tokens = np.random.default_rng(0).integers(3, config.vocab_size, (batch, length))
    found = []

    def run() -> None:
        found.append(np.asarray(decoding.run(model, tokens, mesh=devices)))

    taken = seconds_of(run, 1 if tiny else 3)
    return {
        "passed": all(np.array_equal(found[0], one) for one in found),
        "new_tokens": batch * length,
        "seconds": taken,
        "tokens_per_second": batch * length / taken,
    }


def vae(tiny: bool) -> dict[str, Any]:
    """Return the time of a generation of an autoencoder, and whether its bits repeat."""
    side = 8 if tiny else 28
    pixels = np.random.default_rng(0).random((96 if tiny else 2000, side, side), np.float32)
    settings = (
        {"latent_dim": 3, "width": 4, "epochs": 2, "batch_size": 32} if tiny else {"epochs": 5}
    )
    family = cj.VAE(image_size=side, **settings)
    chain = cj.Chain(family, cj.Images(pixels, test=pixels[:16]), cj.Replace(len(pixels)))
    found = []

    def run() -> None:
        found.append(cj.simulate(chain, key=0, num_chains=1, num_generations=1))

    taken = seconds_of(run, 1)
    return {"passed": _are_equal(found[0], found[1]), "seconds_of_two_generations": taken}


def laws(tiny: bool) -> dict[str, Any]:
    """Return the checks of `collapse verify --lane quick` that fail."""
    results = verify("quick", 0, checks=CHECKS[:2] if tiny else None)
    failed = {one.check.name: str(one.error) for one in results if not one.passed}
    return {"passed": not failed, "checks": len(results), "failed": failed}


PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "bits": bits,
    "speed": speed,
    "training": training,
    "beams": beams,
    "vae": vae,
    "laws": laws,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    began, first = time.monotonic(), jax.devices()[0]
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "device": {
            "kind": first.device_kind,
            "platform": first.platform,
            "number": len(jax.devices()),
        },
        "tiny": options.tiny,
        "parts": {},
    }
    for name in options.only:
        start = time.monotonic() - began
        if start > LATEST:
            found: dict[str, Any] = {"passed": None, "reason": "there was no time left"}
        else:
            try:
                found = PARTS[name](options.tiny)
            except Exception as error:  # the other parts may still tell something
                found = {"passed": False, "reason": f"{type(error).__name__}: {error}"[:300]}
        found["part_seconds"] = round(time.monotonic() - began - start, 1)
        report["parts"][name] = found
        report["seconds"] = round(time.monotonic() - began, 1)
        (options.out / "accelerator.json").write_text(json.dumps(report, indent=1) + "\n")
        verdict = {True: "ok", False: "FAILED", None: "left out"}[found["passed"]]
        sys.stdout.write(f"{name:<9} {verdict:<8} {found['part_seconds']:6.1f} s\n")
        sys.stdout.flush()
    return int(any(one["passed"] is False for one in report["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())

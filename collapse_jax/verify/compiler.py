"""Check that known faults of the compiler leave the programs of this library untouched.

Each check runs a small program that is known to fail with some versions of jax, notes the
outcome, and holds this library's own programs against NumPy, or against themselves.
"""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import collapse_jax as cj
from collapse_jax.random.keys import chain_key
from collapse_jax.utils.cpus import count_cpus
from collapse_jax.verify.base import Claims, Draw, Exact, Note, Registry

CHECKS = Registry()
_ROWS = 32_769  # the fewest rows of length 3 whose products jax 0.10.2 miscompiles in float32
_ROUNDING = 2e-6  # of moments of order one in float32; a wrong row of order one adds 3e-5
_CALLS = 200  # of one module; as many as in the report of the fault


def _note(fault: str, is_present: bool) -> tuple[str, Note]:
    """Return whether a fault of the compiler is present, as a claim that always passes."""
    version = metadata.version("jaxlib")
    outcome = "present; the claims below say whether results of this library are affected"
    return f"{fault} with jaxlib {version}", Note(outcome if is_present else "absent")


@CHECKS.add("deterministic")
def products_with_many_rows(draw: Draw) -> Claims:
    """Check that fits to 32,769 rows of length 3 equal NumPy's (jax-ml/jax#39103)."""
    yield _note("jax-ml/jax#39103", is_present=_miscompiles_products())
    rows = np.random.default_rng(draw.seed).normal(size=(_ROWS, 3)) @ _FACTOR + [1.0, 0.0, -2.0]
    rows = np.float32(rows).astype(np.float64)
    families = {
        "Gaussian": cj.Gaussian(3, corpus="samples"),
        "GaussianMixture": cj.GaussianMixture(1, 3),
    }
    for name, family in families.items():
        chain = cj.Chain(family, cj.Empirical(rows), cj.Replace())
        mean, covariance = _first_fit(chain, draw.seed)
        divisor = 1 if name == "Gaussian" else 0
        yield f"{name}, mean", Exact(_gap(mean, rows.mean(axis=0)), _ROUNDING)
        expected = np.cov(rows.T, ddof=divisor)
        yield f"{name}, covariance", Exact(_gap(covariance, expected), _ROUNDING)
    chain = cj.Chain(cj.Gaussian(3, corpus="samples"), _NORMAL, cj.Replace(_ROWS))
    arguments: dict[str, Any] = {"key": draw.seed, "num_chains": 1, "num_generations": 2}
    names = ("samples", "covariance")
    records = cj.simulate(chain, metrics=names, **arguments)
    for generation in range(3):
        drawn = records["samples"][generation, 0].astype(np.float64)
        error = max(
            _gap(records["mean"][generation, 0], drawn.mean(axis=0)),
            _gap(records["covariance"][generation, 0], np.cov(drawn.T)),
        )
        yield f"Gaussian, rows drawn for generation {generation}", Exact(error, _ROUNDING)


_FACTOR = np.array([[1.0, 0.4, 0.0], [0.0, 0.7, -0.3], [0.0, 0.0, 1.2]])
_NORMAL = cj.Normal([1.0, 0.0, -2.0], _FACTOR.T @ _FACTOR)


def _gap(one: object, other: object) -> float:
    return float(np.max(np.abs(np.asarray(one, np.float64) - np.asarray(other))))


def _first_fit(chain: cj.Chain, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of model 0."""
    is_mixture = isinstance(chain.family, cj.GaussianMixture)
    metrics = () if is_mixture else ("covariance",)
    records = cj.simulate(chain, key=seed, num_chains=1, num_generations=0, metrics=metrics)
    if is_mixture:
        return records["means"][0, 0, 0], records["covariances"][0, 0, 0]
    return records["mean"][0, 0], records["covariance"][0, 0]


def _miscompiles_products() -> bool:
    """Tell whether a matrix times each of many rows, squared and summed, is wrong."""
    rows = np.zeros((_ROWS, 3), np.float32)
    rows[:, 0] = np.arange(_ROWS) % 1024  # whose squares are exact
    matrix = jnp.eye(3, dtype=jnp.float32)
    found = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    return not np.array_equal(found, rows[:, 0] ** 2)


@CHECKS.add("deterministic")
def repeated_calls(draw: Draw) -> Claims:
    """Check that one program called 200 times on the same arrays returns the same bits.

    On several CPUs of some machines a compiled module may not (jax-ml/jax#39741).
    """
    fault = f"jax-ml/jax#39741 on {count_cpus()} CPUs"
    yield _note(fault, is_present=_differing_calls(_products_and_sums(draw.seed)) > 0)
    mixture = cj.NormalMixture([0.5, 0.5], [[0.0] * 3, [3.0] * 3], [np.eye(3)] * 2)
    law = np.full(500, 1 / 500)
    chains = {
        "Gaussian": cj.Chain(
            cj.Gaussian(3, corpus="samples"),
            _NORMAL,
            cj.Mixing(2000, gamma=0.2, original="data", allocation="fixed"),
        ),
        "GaussianMixture": cj.Chain(
            cj.GaussianMixture(2, 3, max_iterations=10), mixture, cj.Replace(500)
        ),
        "Discrete": cj.Chain(cj.Discrete(), cj.Categorical(law), cj.Replace(5000)),
    }
    for name, chain in chains.items():
        yield f"{name}, calls that differ", Exact(_differing_calls(_step(chain, draw.seed)), 0)


def _differing_calls(program: Callable[[], Any]) -> int:
    """Count the calls of a program whose result has other bits than that of the first."""
    first = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(program())]
    return sum(
        first != [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(program())]
        for _ in range(_CALLS - 1)
    )


def _step(chain: cj.Chain, seed: int, num_chains: int = 8) -> Callable[[], Any]:
    """Return a compiled step of some chains, with its arguments."""
    ids = jnp.arange(num_chains, dtype=jnp.uint32)
    keys = jax.vmap(lambda index: chain_key(jax.random.key(seed), index))(ids)
    state = jax.jit(jax.vmap(lambda key: chain.init(key, 1)))(keys)
    arguments = (keys, jnp.int32(1), state)
    compiled = jax.jit(jax.vmap(chain.step, (0, None, 0))).lower(*arguments).compile()
    return lambda: compiled(*arguments)


def _products_and_sums(seed: int) -> Callable[[], Any]:
    """Return a compiled module of products and sums that several threads share."""
    rows, weights = np.random.default_rng(seed).normal(size=(2, 768, 768)).astype(np.float32)

    def module(rows: Any, weights: Any) -> Any:
        hidden = jnp.tanh(rows @ weights / 28)
        scatter = jnp.zeros(64).at[jnp.arange(768) % 64].add(jnp.sum(hidden, axis=1))
        return hidden.T @ hidden, jnp.sum(hidden**2, axis=0), scatter

    arguments = jax.device_put((rows, weights))
    compiled = jax.jit(module).lower(*arguments).compile()
    return lambda: compiled(*arguments)

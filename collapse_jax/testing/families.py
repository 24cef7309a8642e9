"""Check that a user-defined family follows the rules that chains rely on."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.core.family import AbstractFamily
from collapse_jax.core.samples import Samples
from collapse_jax.core.source import AbstractSource
from collapse_jax.core.state import InitialGeneration
from collapse_jax.engine.simulate import simulate
from collapse_jax.policies import Replace
from collapse_jax.random.keys import Keys
from collapse_jax.testing.rules import (
    BrokenRuleError,
    keys_of,
    require_deterministic,
    require_random,
    require_same_shapes,
    require_size,
    same_bits,
    shapes,
    single_key,
)
from collapse_jax.utils.counted import counted
from collapse_jax.utils.jax_settings import own_settings

_MANY = 64  # rows of a refit, as a multiple of num_samples
_CHAINS = 256  # number of refits; their mean has a noise of 1/16 standard deviation
_SHARE = 0.25  # allowed mean error of a refit, in standard deviations: four times that noise


@own_settings()
def check_family(
    family: AbstractFamily,
    source: AbstractSource,
    *,
    num_samples: int = 50,
    consistent: bool = True,
    exchangeable: bool = True,
    key: int = 0,
) -> list[str]:
    """Check that a family follows the rules, on a source whose rows it models.

    "traceable"      jax can trace every method.
    "shapes"         params, corpus and status preserve structure, shapes and dtypes.
    "deterministic"  the same keys give the same bits: all randomness comes from `keys`.
    "size"           `draw` returns as many rows as requested, by a static or traced size.
    "randomness"     another chain or generation gets other rows.
    "weights"        slots of weight 0 have no influence (families whose corpus is `Samples`).
    "order"          the order of rows has no influence, to 1 % of a variable's spread.
    "variables"      `measure` returns arrays with names for their axes.
    "status"         the status is 0, 1, 2 or 3; with status 0 no variable is NaN, also in a fit
                     to equal rows.
    "chains"         a chain is the same to the bit in a smaller run.
    "consistency"    a model refitted to very many of its own rows stays the same: on average
                     over 256 chains each finite float variable moves by less than a quarter of
                     its standard deviation at `num_samples` rows.

    Args:
      family: the family.
      source: of original rows for the family.
      num_samples: rows of a corpus.
      consistent: whether "consistency" applies; False for smoothing, shrinkage, biased sampling.
      exchangeable: whether "order" applies; False for fits that process the rows sequentially.
      key: seed of all random numbers.

    Returns:
      Names of the rules that were checked.

    Raises:
      BrokenRuleError: naming the first broken rule.
    """
    chain = Chain(family, source, Replace(num_samples))
    checker = _Checker(chain, num_samples, key)
    checker.shapes()
    rules = ["traceable", "shapes"]
    applies = {
        "deterministic": True,
        "size": True,
        "randomness": True,
        "weights": checker.has_rows,
        "order": checker.has_rows and exchangeable,
        "variables": True,
        "status": True,
        "chains": True,
        "consistency": consistent,
    }
    for rule in (name for name, wanted in applies.items() if wanted):
        getattr(checker, rule)()
        rules.append(rule)
    return rules


class _Checker:
    """The checks, one method per rule."""

    def __init__(self, chain: Chain, size: int, key: int) -> None:
        self._chain = chain
        self._family: Any = chain.family
        self._size = size
        self._key = key

    @property
    def has_rows(self) -> bool:
        return isinstance(self._corpus, Samples)

    def shapes(self) -> None:
        chain_key = single_key(self._key, 0)
        state = shapes(lambda key: self._chain.init(key, 2), chain_key)
        require_same_shapes("shapes", state.params, self._refit_shapes(), "a second fit")
        shapes(self._chain.step, chain_key, jnp.int32(1), state)
        shapes(lambda key, now: self._chain.measure(key, jnp.int32(0), now), chain_key, state)
        self._corpus = self._original(keys_of(self._key, 0))
        self._params = self._family.fit(keys_of(self._key, 0), self._corpus, None, None).params

    def _refit_shapes(self) -> Any:
        """Return the shapes of the params of a fit that follows another."""

        def refit(chain_key: Any) -> Any:
            keys = Keys(chain_key, jnp.int32(0))
            corpus = self._original(keys)
            params = self._family.fit(keys, corpus, None, None).params
            first = self._first_of(params, corpus)
            return self._family.fit(keys, corpus, params, first).params

        return shapes(refit, single_key(self._key, 0))

    def _original(self, keys: Any) -> Any:
        return self._family.original(keys, self._chain.source, self._size, self._size)

    def _first(self) -> Any:
        return self._first_of(self._params, self._corpus)

    def _first_of(self, params: Any, corpus: Any) -> Any:
        """Return generation 0 as a chain retains it for this family."""
        needs = self._family.needs
        if not (needs.generation0 or needs.generation0_corpus):
            return None
        return InitialGeneration(params, corpus if needs.generation0_corpus else None)

    def _draw(self, keys: Any, size: Any, capacity: int) -> Any:
        return self._family.draw(keys, self._params, size, capacity, self._first())

    def _measures(self, params: Any, corpus: Any) -> dict[str, Any]:
        return self._family.measure(params, corpus, self._chain.source, self._first())

    def _fitted(self, corpus: Any) -> dict[str, np.ndarray]:
        """Return the variables of a fit to a corpus."""

        def run(given: Any) -> Any:
            fit = self._family.fit(keys_of(self._key, 0), given, None, None)
            return self._measures(fit.params, given)

        return {name: np.asarray(value) for name, value in jax.jit(run)(corpus).items()}

    def deterministic(self) -> None:
        chain_key = single_key(self._key, 0)
        state = require_deterministic(lambda key: self._chain.init(key, 2), chain_key)
        require_deterministic(
            lambda key, now: self._chain.step(key, jnp.int32(1), now), chain_key, state
        )

    def size(self) -> None:
        require_size(lambda n, most: self._draw(keys_of(self._key, 0, 1), n, most), self._size)

    def randomness(self) -> None:
        require_random(lambda keys: self._draw(keys, self._size, self._size), self._key, "a draw")

    def weights(self) -> None:
        padded = self._corpus.with_capacity(self._size + 4)
        empty = padded.full_weights() == 0
        found = []
        for garbage in (1, 7):
            shape = (-1,) + (1,) * (padded.rows.ndim - 1)
            junk = jnp.asarray(garbage, padded.rows.dtype)
            rows = jnp.where(empty.reshape(shape), junk, padded.rows)
            found.append(self._fitted(dataclasses.replace(padded, rows=rows)))
        if not same_bits(*found):
            detail = "rows in slots of weight 0 changed the fit; use corpus.weights"
            raise BrokenRuleError("weights", detail)

    def order(self) -> None:
        turned = dataclasses.replace(self._corpus, rows=self._corpus.rows[::-1])
        if self._corpus.weights is not None:
            turned = dataclasses.replace(turned, weights=self._corpus.weights[::-1])
        one, other = self._fitted(self._corpus), self._fitted(turned)
        spread = self._spread()
        for name, value in one.items():
            pair = value.astype(np.float64), other[name].astype(np.float64)
            gap = np.abs(np.subtract(*pair, out=np.zeros(value.shape), where=pair[0] != pair[1]))
            if np.any(gap > 0.01 * spread.get(name, 0) + 1e-4 * (1 + np.abs(value))):
                detail = f"{name} changed when the order of rows was reversed"
                raise BrokenRuleError("order", detail)

    def variables(self) -> None:
        found = self._measures(self._params, self._corpus)
        if not isinstance(found, dict) or not found:
            raise BrokenRuleError(
                "variables", "measure must return a dict of arrays that is not empty"
            )
        for name, value in found.items():
            quantity = self._family.quantities.get(name)
            axes = () if quantity is None else quantity.dims
            if name == "status":
                raise BrokenRuleError(
                    "variables", "'status' is reserved for the engine; use another name"
                )
            if not hasattr(value, "ndim") or value.ndim != len(axes):
                shown = getattr(value, "shape", type(value).__name__)
                named = counted(len(axes), "axis", "axes")
                detail = f"{name} is {shown} and `axes` names {named}; name every axis"
                raise BrokenRuleError("variables", detail)

    def status(self) -> None:
        corpora = {"original rows": self._corpus}
        if self.has_rows:
            zeros = jnp.zeros_like(self._corpus.rows)
            corpora["equal rows"] = dataclasses.replace(self._corpus, rows=zeros)
        for name, corpus in corpora.items():
            fit = self._family.fit(keys_of(self._key, 0), corpus, None, None)
            code = int(fit.status)
            if code not in (0, 1, 2, 3):
                raise BrokenRuleError(
                    "status", f"{name}: {code} is not a status; it must be 0, 1, 2 or 3"
                )
            values = self._measures(fit.params, corpus)
            bad = [name for name, value in values.items() if np.any(_is_nan(value))]
            if code == 0 and bad:
                detail = f"{name}: {bad[0]} is NaN although the status is 0 (ok); return 1 or 2"
                raise BrokenRuleError("status", detail)

    def chains(self) -> None:
        run: Any = {"key": self._key, "num_generations": 2}
        whole = simulate(self._chain, num_chains=5, **run)
        part = simulate(self._chain, num_chains=2, first_chain=3, **run)
        for name, variable in whole.variables.items():
            if not same_bits(variable.values[:, 3:], part[name]):
                raise BrokenRuleError("chains", f"{name} depends on how many chains are run")

    def _spread(self) -> dict[str, np.ndarray]:
        values = self._refits()[0]
        return {name: np.std(value, axis=0) for name, value in values.items()}

    def _refits(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return float variables of fits to `num_samples` rows, and of refits to many rows of each.

        Infinite variables are left out, such as the log of model 0's distance from itself.
        """
        family, many = self._family, _MANY * self._size

        def one(chain_key: Any) -> Any:
            keys = [Keys(chain_key, jnp.int32(g)) for g in (0, 1)]
            corpus = self._original(keys[0])
            params = family.fit(keys[0], corpus, None, None).params
            first = self._first_of(params, corpus)
            rows = family.draw(keys[1], params, many, many, first)
            again = family.fit(keys[1], rows, params, first).params
            measure = family.measure
            source = self._chain.source
            return measure(params, corpus, source, first), measure(again, rows, source, first)

        chain_keys = jax.vmap(lambda c: single_key(self._key, c))(jnp.arange(_CHAINS))
        before, after = jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(chain_keys))
        names = [
            name
            for name, value in before.items()
            if jnp.issubdtype(value.dtype, jnp.floating) and not np.any(np.isinf(value))
        ]

        def chosen(values: dict) -> dict[str, np.ndarray]:
            return {name: values[name].astype(np.float64) for name in names}

        return chosen(before), chosen(after)

    def consistency(self) -> None:
        before, after = self._refits()
        for name, value in before.items():
            spread = np.std(value, axis=0)
            drift = np.mean(after[name] - value, axis=0)
            if not np.all(np.abs(drift) <= _SHARE * spread + 1e-5 * (1 + np.abs(value[0]))):
                detail = (
                    f"refitted to {_MANY * self._size:,} rows of the model, {name} moves by "
                    f"{np.max(np.abs(drift)):.3g} on average, its standard deviation being "
                    f"{np.max(spread):.3g}; fit and draw must describe the same law"
                )
                raise BrokenRuleError("consistency", detail)


def _is_nan(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)

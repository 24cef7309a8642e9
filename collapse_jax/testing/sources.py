"""Check that a user-defined source follows the rules that chains rely on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.core.samples import Samples, moments_of
from collapse_jax.core.source import AbstractSource, CountsSource, MomentsSource
from collapse_jax.random.keys import Keys
from collapse_jax.testing.rules import (
    BrokenRuleError,
    keys_of,
    require_deterministic,
    require_random,
    require_size,
    shapes,
    single_key,
)
from collapse_jax.testing.statistics import FALSE_FAIL, frequency_evidence, same_law_evidence
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings

_CHAINS = 4000  # draws per statistical test


@own_settings()
def check_source(source: AbstractSource, *, num_rows: int = 50, key: int = 0) -> list[str]:
    """Check that a source follows the rules.

    "traceable"      jax can trace `draw`.
    "deterministic"  the same keys give the same bits.
    "size"           `draw` returns as many rows as requested, by a static or traced size.
    "kind"           rows are finite vectors of `row_dim`, or labels below `num_states`.
    "randomness"     another chain or generation gets other rows (except all of finite data).
    "law"            counts, labels and `law` agree, or moments and drawn rows: tests with
                     false-fail rate 1e-9 at 4,000 chains.

    Args:
      source: the source.
      num_rows: rows of a draw.
      key: seed of all random numbers.

    Returns:
      Names of the rules that were checked.

    Raises:
      BrokenRuleError: naming the first broken rule.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> from collapse_jax.testing import check_source
    >>> try:
    ...     check_source(cj.Sampler(lambda key, n: jnp.zeros((n, 1)), dim=1))
    ... except AssertionError as error:
    ...     print(error)
    rule 'randomness' is broken: a draw is the same in another chain; use all of `keys`
    """
    remedy = "pass an object of your class"
    check.instance("source", source, AbstractSource, "it must be a source", remedy)

    def draw(keys: Keys, size: Any = num_rows, capacity: int = num_rows) -> Any:
        return source.draw(keys, size, capacity)

    shapes(lambda chain_key: draw(Keys(chain_key, jnp.int32(0))), single_key(key, 0))
    rows = require_deterministic(
        lambda chain_key: draw(Keys(chain_key, jnp.int32(0))), single_key(key, 0)
    )
    if not isinstance(rows, Samples):
        raise BrokenRuleError("kind", f"draw must return Samples, not {type(rows).__name__}")
    require_size(lambda size, capacity: draw(keys_of(key, 0), size, capacity), num_rows)
    _check_kind(source, rows)
    rules = ["traceable", "deterministic", "size", "kind"]
    if source.num_rows != num_rows:
        require_random(draw, key, "a draw")
        rules.append("randomness")
    if isinstance(source, CountsSource):
        _check_counts(source, num_rows, key)
        rules.append("law")
    if isinstance(source, MomentsSource):
        _check_moments(source, num_rows, key)
        rules.append("law")
    return rules


def _check_kind(source: AbstractSource, samples: Samples) -> None:
    rows = np.asarray(samples.absolute_rows)
    if (source.num_states is None) == (source.row_dim is None):
        raise BrokenRuleError(
            "kind", "set exactly one of num_states (labels) and row_dim (vectors)"
        )
    if source.num_states is not None:
        labels = rows.dtype.kind == "i" and rows.ndim == 1
        if not labels or np.any((rows < 0) | (rows >= source.num_states)):
            detail = f"rows must be int labels in [0, {source.num_states}), one axis"
            raise BrokenRuleError("kind", detail)
        return
    if rows.dtype.kind != "f" or rows.shape[1:] != (source.row_dim,):
        detail = f"rows are {rows.dtype}{list(rows.shape)}, not floats [row, {source.row_dim}]"
        raise BrokenRuleError("kind", detail)
    if not np.all(np.isfinite(rows)):
        raise BrokenRuleError("kind", "a row is not finite")


def _over_chains(function: Any, key: int, first: int = 0) -> Any:
    """Evaluate a function of keys for many chains."""
    chains = first + jnp.arange(_CHAINS)
    return jax.jit(jax.vmap(lambda c: function(keys_of(key, c))))(chains)


def _check_counts(source: CountsSource, num_rows: int, key: int) -> None:
    law = np.asarray(source.law, np.float64)
    if law.shape != (source.num_states,) or np.any(law < 0) or abs(law.sum() - 1) > 1e-4:
        raise BrokenRuleError("law", f"`law` must be {source.num_states} probabilities with sum 1")
    drawn = {
        "draw_counts": _over_chains(lambda keys: source.draw_counts(keys, num_rows).counts, key),
        "draw": _over_chains(
            lambda keys: jnp.bincount(source.draw(keys, num_rows, num_rows).rows, length=len(law)),
            key,
            _CHAINS,
        ),
    }
    if source.num_rows is not None:
        _require_same(drawn["draw_counts"], drawn["draw"], law)
        return  # subsets of finite data vary less than independent rows
    for name, counts in drawn.items():
        hits = np.asarray(counts, np.float64)
        evidence = frequency_evidence(hits.sum(axis=0), law)
        if evidence.p_value < FALSE_FAIL:
            raise BrokenRuleError("law", f"{name} does not follow `law`: {evidence.message}")
    _require_same(drawn["draw_counts"], drawn["draw"], law)


def _require_same(one: Any, other: Any, law: np.ndarray) -> None:
    state = int(np.argmin(np.abs(law - 0.5)))
    evidence = same_law_evidence(one[:, state], other[:, state])
    if evidence.p_value < FALSE_FAIL:
        detail = f"draw and draw_counts differ in law: {evidence.message}"
        raise BrokenRuleError("law", detail)


def _check_moments(source: MomentsSource, num_rows: int, key: int) -> None:
    def values(moments: Any) -> Any:
        return moments.mean, jnp.sum(moments.log_scale)

    exact = _over_chains(lambda keys: values(source.draw_moments(keys, num_rows, num_rows)), key)
    drawn = _over_chains(
        lambda keys: values(moments_of(source.draw(keys, num_rows, num_rows))), key, _CHAINS
    )
    pairs = {f"mean of axis {d}": (exact[0][:, d], drawn[0][:, d]) for d in range(_dim(source))}
    pairs["log determinant"] = (exact[1], drawn[1])
    for name, (one, other) in pairs.items():
        both = [np.asarray(value, np.float64) for value in (one, other)]
        if not all(np.all(np.isfinite(value)) for value in both):
            continue  # with fewer rows than axes the determinant is 0
        if np.ptp(np.concatenate(both)) < 1e-4 * (1 + np.max(np.abs(both[0]))):
            continue  # all of finite data, without randomness
        evidence = same_law_evidence(both[0], both[1])
        if evidence.p_value < FALSE_FAIL:
            detail = f"draw and draw_moments differ in {name}: {evidence.message}"
            raise BrokenRuleError("law", detail)


def _dim(source: AbstractSource) -> int:
    assert source.row_dim is not None
    return source.row_dim

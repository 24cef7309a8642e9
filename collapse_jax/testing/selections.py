"""Check that a user-defined selection follows the rules that chains rely on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.core.samples import Labels, Rows, Samples
from collapse_jax.core.selection import UNDEFINED, AbstractSelection
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.testing.rules import (
    BrokenRuleError,
    keys_of,
    require_deterministic,
    shapes,
)
from collapse_jax.testing.statistics import FALSE_FAIL, same_law_evidence
from collapse_jax.utils import check
from collapse_jax.utils.counted import counted
from collapse_jax.utils.jax_settings import own_settings

_ROWS = 6  # asked for, or fewer where there are fewer candidates
_DRAWS = 40_000  # a shift of 0.05 standard deviations is seen with probability 0.99


@own_settings()
def check_selection(
    selection: AbstractSelection,
    *,
    dim: int | None = None,
    num_states: int | None = None,
    key: int = 0,
) -> list[str]:
    """Check that a selection follows the rules, for real rows, for states, or for both.

    "traceable"      jax can trace `rows` and `counts`.
    "deterministic"  the same keys give the same bits.
    "sizes"          as many rows as were asked for (fewer only if it `can_refuse`).
    "variables"      the facts about a draw are scalars with the names in `variables`.
    "moved"          a `translated` selection selects the moved rows.
    "laws"           counts and rows of states have one law.

    Args:
      selection: an instance.
      dim: length of real rows, drawn from N(0, 1); None for no real rows.
      num_states: number of equally likely states; None for no states.
      key: seed of the draws.

    Returns:
      The names of the rules that were checked.

    Raises:
      BrokenRuleError: naming the first rule that is broken, and how.
      ArgumentError: for anything but a selection, or neither rows nor states.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> from collapse_jax.testing import check_selection
    >>> check_selection(cj.Edit(jnp.abs), dim=1)
    ['traceable', 'deterministic', 'sizes', 'variables', 'moved']
    """
    allowed, remedy = "it must be a selection", "pass one, such as cj.Top(20, score)"
    check.instance("selection", selection, AbstractSelection, allowed, remedy)
    if dim is None and num_states is None:
        remedy = "pass dim=1 or num_states=3, whichever the functions take"
        raise check.fail("dim", None, "rows or states must be selected", remedy)
    rules = ["traceable", "deterministic", "sizes", "variables"]
    size = min(_ROWS, selection.most_rows or _ROWS)
    if dim is not None:
        check.integer("dim", dim, 1)
        _check_rows(selection, size, lambda keys, n: _normal_rows(keys, n, dim), key)
        _check_moved(selection, size, dim, key)
        rules.append("moved")
    if num_states is not None:
        check.integer("num_states", num_states, 1)
        _check_rows(selection, size, lambda keys, n: _labels(keys, n, num_states), key)
        _check_counts(selection, size, num_states, key)
        rules.append("laws")
    return rules


def _normal_rows(keys: Keys, number: int, dim: int) -> Samples:
    rows = jax.random.normal(keys.key(Purpose.DRAW), (number, dim))
    return Rows.of_rows(rows, number)


def _labels(keys: Keys, number: int, num_states: int) -> Samples:
    labels = jax.random.randint(keys.key(Purpose.DRAW), (number,), 0, num_states)
    return Labels(labels.astype(jnp.int32))


def _check_rows(selection: AbstractSelection, size: int, draw: Any, key: int) -> None:
    def select(chain: Any) -> Any:
        return selection.rows(keys_of(key, chain, 1), draw, size, size + 1)

    shapes(select, jnp.int32(0))
    corpus = require_deterministic(select, jnp.int32(0))
    _check_size(selection, int(corpus.size), size)
    _check_variables(selection, corpus.info)


def _check_counts(selection: AbstractSelection, size: int, num_states: int, key: int) -> None:
    law = jnp.full(num_states, 1 / num_states)

    def counted_once(chain: Any) -> Any:
        return selection.counts(keys_of(key, chain, 1), law, size)

    shapes(counted_once, jnp.int32(0))
    counts, info = require_deterministic(counted_once, jnp.int32(0))
    _check_size(selection, int(np.sum(counts)), size)
    _check_variables(selection, info)

    def by_rows(chain: Any) -> Any:
        def draw(keys: Keys, number: int) -> Samples:
            return _labels(keys, number, num_states)

        corpus = selection.rows(keys_of(key + 1, chain, 1), draw, size, size)
        used = jnp.where(corpus.full_weights() > 0, corpus.rows, num_states)
        return jnp.zeros(num_states, jnp.int32).at[used].add(1, mode="drop")

    chains = jnp.arange(_DRAWS, dtype=jnp.int32)
    drawn = [
        np.asarray(jax.jit(jax.vmap(one))(chains))
        for one in (lambda chain: counted_once(chain).counts, by_rows)
    ]
    for state in range(num_states):
        evidence = same_law_evidence(drawn[0][:, state], drawn[1][:, state])
        if evidence.p_value < FALSE_FAIL:
            detail = f"counts and rows differ in state {state} ({evidence.message})"
            raise BrokenRuleError("laws", detail)


def _check_moved(selection: AbstractSelection, size: int, dim: int, key: int) -> None:
    shift = jnp.full(dim, 4.0)  # powers of two: sums with normal scores lose few bits

    def moved(keys: Keys, number: int) -> Samples:
        rows = _normal_rows(keys, number, dim).rows
        return Rows.of_rows(jnp.round(rows * 2**12) / 2**12 + shift, number)

    def plain(keys: Keys, number: int) -> Samples:
        rows = _normal_rows(keys, number, dim).rows
        return Rows.of_rows(jnp.round(rows * 2**12) / 2**12, number)

    keys = keys_of(key, 0, 1)
    one = selection.rows(keys, plain, size, size)
    other = selection.translated(shift).rows(keys, moved, size, size)
    before, after = np.asarray(one.absolute_rows + shift), np.asarray(other.absolute_rows)
    if not np.allclose(before, after, rtol=1e-5, atol=1e-5):
        detail = "`translated` selects other rows; user functions must get rows without the shift"
        raise BrokenRuleError("moved", detail)


def _check_size(selection: AbstractSelection, found: int, size: int) -> None:
    if found > size or (found < size and not selection.can_refuse):
        raise BrokenRuleError("sizes", f"{counted(size, 'row')} were asked for, {found} came")


def _check_variables(selection: AbstractSelection, info: Any) -> None:
    names = set(info) - {UNDEFINED}
    if names != set(selection.variables):
        detail = f"info has {sorted(names)}, `variables` {sorted(selection.variables)}"
        raise BrokenRuleError("variables", detail)
    for name in names:
        if np.shape(info[name]) != ():
            detail = f"{name} has shape {np.shape(info[name])}; it must be a scalar"
            raise BrokenRuleError("variables", detail)

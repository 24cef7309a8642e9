"""Change the newest model's rows before they are trained on."""

import dataclasses
from collections.abc import Callable
from typing import Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Rows, Samples, prefix_weights
from collapse_jax.core.selection import (
    UNDEFINED,
    AbstractSelection,
    DrawRows,
    SelectedCounts,
    check_function,
    on_states,
)
from collapse_jax.random.keys import Keys, Purpose
from collapse_jax.random.multinomial import multinomial
from collapse_jax.random.once import once
from collapse_jax.utils import check
from collapse_jax.utils.row_sums import largest_size

_SHARE = "edited_share"


@config
class Edit(AbstractSelection):
    """Train on the newest model's rows after a function changed them.

    Zhu et al., arXiv 2412.14689, edit tokens of human text instead of training on generated
    text; an edit of generated rows that keeps them near the truth is the opposite case. Rows that
    the function returns unchanged keep their bits.

    Recorded: `edited_share`, the share of the rows that were changed.

    Args:
      function: function(rows), rows [n, dim] in data units, or function(states), int32 [n] for
        `Discrete`, returns an array of the same shape: states are integers 0 .. K - 1.

    Raises:
      ValueError: for anything that is no function, and before a run for results of another
        shape or states that do not exist. A chain of rows ends with status NON_FINITE if a
        coordinate is NaN.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> clipped = cj.Edit(lambda rows: jnp.clip(rows, -1.0, 1.0))
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(100, selection=clipped))
    >>> records = cj.simulate(chain, key=0, num_chains=1000, num_generations=1)
    >>> round(float(records["edited_share"][1].mean()), 2)  # P(|x| > 1)
    0.32
    """

    function: Callable[[Array], Array] = static()

    def __post_init__(self) -> None:
        check_function("Edit.function", self.function, "a changed row")

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the share of changed rows."""
        return (_SHARE,)

    def translated(self, shift: Float[Array, " dim"]) -> Self:
        """Return the selection whose function gets, and gives, rows without a shift."""

        def edit(rows: Array) -> Array:
            before = rows - shift
            after = _edited(self.function, before)
            return jnp.where(after == before, rows, after + shift)

        return replace_fields(self, function=edit)

    def rows(self, keys: Keys, draw: DrawRows, size: Size, capacity: int) -> Samples:
        """Draw rows, and return them changed."""
        drawn = draw(keys, capacity)
        before = drawn.absolute_rows
        after = once(keys, lambda: _edited(self.function, drawn.absolute_rows))
        weights = prefix_weights(size, capacity)
        is_used = jnp.ones(capacity, bool) if weights is None else weights > 0
        is_used = is_used.reshape(-1, *[1] * (before.ndim - 1))
        is_changed = (after != before) & is_used
        of_rows = jnp.any(is_changed, axis=tuple(range(1, before.ndim)))
        number = jnp.sum(of_rows)
        if isinstance(drawn, Rows):
            moved = jnp.where(is_changed, after - drawn.location, 0)
            widest = largest_size(moved)
            changed = _in_wider_frame(drawn, moved, widest, is_changed, number > 0)
            undefined = jnp.isnan(widest)
        else:
            changed = drawn.with_rows(after, None)
            undefined = jnp.any(jnp.isnan(after.astype(float)) & is_used)
        share = number / jnp.asarray(size, jnp.result_type(float))
        kept = jnp.where(is_used, changed.rows, 0)
        corpus = changed.with_rows(kept, weights)
        return corpus.with_info(**{_SHARE: share, UNDEFINED: undefined})

    def counts(self, keys: Keys, law: Float[Array, " state"], size: Size) -> SelectedCounts:
        """Draw multinomial counts, and move them to the states that the function names."""
        number = len(law)
        target = on_states(lambda states: _edited(self.function, states), number)
        if np.any((target < 0) | (target >= number)):
            state = int(np.argmax((target < 0) | (target >= number)))
            allowed, remedy = f"states are 0 .. {number - 1}", "return one of them"
            name = f"result of Edit.function for state {state}"
            raise check.fail(name, int(target[state]), allowed, remedy)
        counts = multinomial(keys, Purpose.DRAW, size, law)
        is_changed = target != np.arange(number)
        share = jnp.sum(jnp.where(is_changed, counts, 0)) / jnp.asarray(size, law.dtype)
        moved = jnp.zeros_like(counts).at[target].add(counts)
        return SelectedCounts(moved, {_SHARE: share})


def _edited(function: Callable[[Array], Array], rows: Array) -> Array:
    """Return what a user's function made of rows or states."""
    is_real = jnp.issubdtype(rows.dtype, jnp.floating)
    what = "real numbers" if is_real else "integers"
    allowed = f"it must be an array of {what} of the rows' shape {rows.shape}"
    found = check.convertible("result of Edit.function", function(rows), allowed)
    kinds = (jnp.floating, jnp.integer) if is_real else (jnp.integer,)
    if found.shape != rows.shape or not any(jnp.issubdtype(found.dtype, kind) for kind in kinds):
        shown = check.Shown(f"{found.dtype} array of shape {found.shape}")
        remedy = "return one changed row for each row, in the same order"
        raise check.fail("result of Edit.function", shown, allowed, remedy)
    return found.astype(rows.dtype)


def _in_wider_frame(
    drawn: Rows, moved: Array, widest: Array, is_changed: Array, is_any: Array
) -> Rows:
    """Return rows with their new values, in a frame that changed rows fit in.

    Unchanged rows stay as precise as they were drawn; changed ones are as precise as float32 is at
    their values.
    """
    log_scale = jnp.maximum(drawn.log_scale, jnp.log(widest))  # -inf where nothing moved
    plain = drawn.in_frame(drawn.location, log_scale)
    rows = jnp.where(is_changed, moved * jnp.exp(-log_scale), plain.rows)
    return dataclasses.replace(
        drawn,
        rows=jnp.where(is_any, rows, drawn.rows),
        log_scale=jnp.where(is_any, log_scale, drawn.log_scale),
        factor=None
        if drawn.factor is None
        else jnp.where(is_any, jnp.eye(len(drawn.factor)), drawn.factor),
    )

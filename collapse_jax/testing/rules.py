"""Rules that classes of a user's own must keep, and what is common to checking them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from collapse_jax.core.corpus import AbstractCorpus, Samples
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.threefry import as_key


class BrokenRuleError(AssertionError):
    """A rule that a class does not keep, by name.

    >>> import jax.numpy as jnp
    >>> import collapse_jax as cj
    >>> from collapse_jax.testing import BrokenRuleError, check_source
    >>> try:
    ...     check_source(cj.Sampler(lambda key, n: jnp.zeros((n, 1)), dim=1))
    ... except BrokenRuleError as error:
    ...     error.rule
    'randomness'
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"rule {rule!r} is broken: {detail}")
        self.rule = rule


def keys_of(key: int, chain: int, generation: int = 0) -> Keys:
    """The random numbers of a chain in a generation."""
    return Keys(single_key(key, chain), jnp.int32(generation))


def single_key(key: int, chain: int) -> Key[Array, ""]:
    """The key of a chain."""
    return chain_key(as_key(key), jnp.int32(chain))


def shapes(function: Callable[..., Any], *arguments: Any) -> Any:
    """Shapes of what a function returns; it must be traceable by jax."""
    try:
        return jax.eval_shape(function, *arguments)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise BrokenRuleError("traceable", f"jax cannot trace it ({reason})") from error


def require_same_shapes(rule: str, one: Any, other: Any, what: str) -> None:
    """Two pytrees of shapes must have one structure, and leaves of one shape and dtype."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        raise BrokenRuleError(rule, f"{what} changes its structure")
    for before, after in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            change = f"{before.dtype}{list(before.shape)} to {after.dtype}{list(after.shape)}"
            raise BrokenRuleError(rule, f"{what} changes a leaf from {change}")


def require_deterministic(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, the same bits whenever it is traced."""

    def trace() -> Any:
        return jax.jit(lambda *given: function(*given))(*arguments)  # a new function each time

    one, other = trace(), trace()
    if not same_bits(one, other):
        raise BrokenRuleError(
            "deterministic", "equal arguments gave different results; take all chance from keys"
        )
    return one


def same_bits(one: Any, other: Any) -> bool:
    """Whether all leaves are equal, NaN to NaN."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(_bits(first), _bits(second)) for first, second in pairs)


def _bits(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    array = np.ascontiguousarray(leaf)
    return array.reshape(-1).view(np.uint8)


def require_size(draw: Callable[[Any, int], AbstractCorpus], number: int) -> None:
    """draw(size, capacity) must hold `size` rows, whether that is static or traced."""
    few = max(number - 3, 1)
    for size in (number, few):
        for name, made in (
            ("an int", jax.jit(lambda n=size: draw(n, number))()),
            ("traced", jax.jit(lambda n: draw(n, number))(jnp.int32(size))),
        ):
            if int(made.size) != size:
                detail = f"{size} rows were asked for (size {name}), {int(made.size)} came"
                raise BrokenRuleError("size", detail)
            if isinstance(made, Samples) and made.capacity > number:
                detail = f"capacity {number} was allowed, {made.capacity} slots came"
                raise BrokenRuleError("size", detail)


def require_random(draw: Callable[[Keys], Any], key: int, what: str) -> None:
    """Other chains and other generations must get other numbers."""
    program = jax.jit(draw)
    base = program(keys_of(key, 0, 1))
    for name, keys in (("chain", keys_of(key, 1, 1)), ("generation", keys_of(key, 0, 2))):
        if same_bits(base, program(keys)):
            detail = f"{what} is the same in another {name}; use all of `keys`"
            raise BrokenRuleError("randomness", detail)

"""Provide the checks that `check_family`, `check_policy` and `check_source` share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from collapse_jax.core.checks import ChangedShapeError
from collapse_jax.core.corpus import AbstractCorpus
from collapse_jax.core.samples import Samples
from collapse_jax.random.keys import Keys, chain_key
from collapse_jax.random.threefry import as_key
from collapse_jax.utils.check import ArgumentError
from collapse_jax.utils.counted import counted


class BrokenRuleError(AssertionError):
    """The error for a class that breaks a rule.

    Args:
      rule: name of the rule, also the attribute `rule`.
      detail: how the class breaks the rule.

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
    """Return the random numbers of a chain in a generation.

    Args:
      key: seed of the run.
      chain: index of the chain.
      generation: index of the generation.

    Returns:
      The keys that a chain passes to families, policies and sources.
    """
    return Keys(single_key(key, chain), jnp.int32(generation))


def single_key(key: int, chain: int) -> Key[Array, ""]:
    """Return the key of a chain.

    Args:
      key: seed of the run.
      chain: index of the chain.

    Returns:
      A typed jax key.
    """
    return chain_key(as_key(key), jnp.int32(chain))


def shapes(function: Callable[..., Any], *arguments: Any) -> Any:
    """Trace a function and return the shapes of its result.

    Args:
      function: to trace.
      arguments: of the function.

    Returns:
      The result as a pytree of shapes and dtypes.

    Raises:
      BrokenRuleError: for rule "shapes", if a chain changes its shapes; for rule "traceable", if
        jax cannot trace the function.
    """
    try:
        return jax.eval_shape(function, *arguments)
    except ChangedShapeError as error:
        raise BrokenRuleError("shapes", str(error)) from error
    except ArgumentError as error:
        raise BrokenRuleError("traceable", str(error)) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise BrokenRuleError("traceable", f"jax cannot trace it ({reason})") from error


def require_same_shapes(rule: str, one: Any, other: Any, what: str) -> None:
    """Check that two pytrees have equal structure, and leaves of equal shapes and dtypes.

    Args:
      rule: name of the rule.
      one: pytree of shapes, before.
      other: pytree of shapes, after.
      what: cause of the change, for the message.

    Raises:
      BrokenRuleError: if they differ.
    """
    if jax.tree.structure(one) != jax.tree.structure(other):
        raise BrokenRuleError(rule, f"{what} changes its structure")
    for before, after in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            change = f"{before.dtype}{list(before.shape)} to {after.dtype}{list(after.shape)}"
            raise BrokenRuleError(rule, f"{what} changes a leaf from {change}")


def require_deterministic(function: Callable[..., Any], *arguments: Any) -> Any:
    """Trace and run a function twice, and check that both results have the same bits.

    Args:
      function: to run.
      arguments: of the function.

    Returns:
      The result.

    Raises:
      BrokenRuleError: for rule "deterministic", if the results differ.
    """

    def trace() -> Any:
        # A new function each time, since jit would reuse the trace of an old one.
        return jax.jit(lambda *given: function(*given))(*arguments)

    one, other = trace(), trace()
    if not same_bits(one, other):
        raise BrokenRuleError(
            "deterministic", "equal arguments gave different results; use only `keys`"
        )
    return one


def same_bits(one: Any, other: Any) -> bool:
    """Tell whether all leaves of two pytrees have the same bits.

    Args:
      one: pytree of arrays.
      other: pytree of the same structure.

    Returns:
      True if they have.
    """
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(_bits(first), _bits(second)) for first, second in pairs)


def _bits(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    array = np.ascontiguousarray(leaf)
    return array.reshape(-1).view(np.uint8)


def require_size(draw: Callable[[Any, int], AbstractCorpus], number: int) -> None:
    """Check that `draw(size, capacity)` returns `size` rows, for a static and a traced size.

    Args:
      draw: function to check.
      number: largest size, rows.

    Raises:
      BrokenRuleError: for rule "size", if there are other rows or too many slots.
    """
    few = max(number - 3, 1)
    for size in (number, few):
        for name, made in (
            ("an int", jax.jit(lambda n=size: draw(n, number))()),
            ("traced", jax.jit(lambda n: draw(n, number))(jnp.int32(size))),
        ):
            if int(made.size) != size:
                detail = (
                    f"{counted(size, 'row')} requested (size {name}), {int(made.size)} returned"
                )
                raise BrokenRuleError("size", detail)
            if isinstance(made, Samples) and made.capacity > number:
                detail = f"capacity {number} was requested, {made.capacity} slots returned"
                raise BrokenRuleError("size", detail)


def require_random(draw: Callable[[Keys], Any], key: int, what: str) -> None:
    """Check that other chains and generations get other random numbers.

    Args:
      draw: function of `Keys`.
      key: seed of the run.
      what: name of the result, for the message.

    Raises:
      BrokenRuleError: for rule "randomness", if two results are equal.
    """
    program = jax.jit(draw)
    base = program(keys_of(key, 0, 1))
    for name, keys in (("chain", keys_of(key, 1, 1)), ("generation", keys_of(key, 0, 2))):
        if same_bits(base, program(keys)):
            detail = f"{what} is the same in another {name}; use all of `keys`"
            raise BrokenRuleError("randomness", detail)

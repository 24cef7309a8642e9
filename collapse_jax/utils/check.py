"""Checks of arguments: one line that names argument, value, what is allowed and what to do."""

import math
import operator
import re
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

MAX_SIZE = 2**31 - 1


class ArgumentError(ValueError):
    """A bad argument: one line that names argument, value, what is allowed and the remedy.

    >>> import collapse_jax as cj
    >>> try:
    ...     cj.Reduce(mean="yes")
    ... except cj.ArgumentError as error:
    ...     print(error)
    Reduce.mean='yes' is not allowed: it must be True or False; pass a bool
    """

    __module__ = "collapse_jax"  # the public place, in tracebacks


class Shown(str):
    """A description of a value, printed without quotes."""

    def __repr__(self) -> str:
        """Return the text."""
        return str(self)


def fail(name: str, value: Any, allowed: str, remedy: str) -> ArgumentError:
    """Return the error for a bad argument, to be raised by the caller.

    Args:
      name: of the argument, with its class.
      value: as given.
      allowed: a clause that says what is allowed.
      remedy: a clause that says what to do.
    """
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"<{type(value).__name__} {shown[:40]}...>"
    message = f"{name}={shown} is not allowed: {allowed}; {remedy}"
    return ArgumentError(" ".join(message.split()))  # names of files may have line breaks


def integer(name: str, value: Any, low: int, high: int = MAX_SIZE, remedy: str = "") -> int:
    """Return `value` as an int in [low, high]; bools and floats are refused."""
    remedy = remedy or f"pass an int such as {name.rsplit('.', maxsplit=1)[-1]}={max(low, 1)}"
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise fail(name, value, f"it must be an integer >= {low}", remedy) from None
    if not low <= number <= high:
        raise fail(name, number, f"it must lie in [{low}, {high}]", remedy)
    return number


def number(name: str, value: Any, low: float, high: float, remedy: str, *, open_low=False) -> float:
    """Return `value` as a finite float in [low, high], or (low, high] if `open_low`."""
    bracket = "(" if open_low else "["
    limits = "" if low == -math.inf and high == math.inf else f" in {bracket}{low:g}, {high:g}]"
    allowed = f"it must be a finite number{limits}"
    try:
        if isinstance(value, (bool, str, bytes)):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise fail(name, value, allowed, remedy) from None
    inside = low < result <= high if open_low else low <= result <= high
    if not (math.isfinite(result) and inside):
        raise fail(name, result, allowed, remedy)
    return result


def share(name: str, value: Any, remedy: str, *, open_low: bool = False) -> float:
    """Return `value` as a share in [0, 1], or (0, 1]; percent are refused with their share.

    Args:
      name: of the argument.
      value: as given.
      remedy: a clause that says what to do.
      open_low: whether 0 is refused.

    Raises:
      ArgumentError: for another value.

    >>> share("gamma", 0.1, "pass a share")
    0.1
    """
    return number(name, value, 0, 1, of_percent(name, value, remedy), open_low=open_low)


def of_percent(name: str, value: Any, remedy: str) -> str:
    """Return the remedy for a bad share: for a number of percent, the share that it stands for.

    Args:
      name: of the argument.
      value: as given.
      remedy: a clause that says what else to do.

    >>> of_percent("Mixing.gamma", 10, "pass a share")
    'for 10 % pass gamma=0.1, otherwise pass a share'
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (is_number and 1 < value <= 100):
        return remedy
    argument = re.sub(r"\[\d+\]$", "", name.rsplit(".", maxsplit=1)[-1])
    return f"for {value:g} % pass {argument}={value / 100:g}, otherwise {remedy}"


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return `value` if it is one of `options`."""
    if not isinstance(value, str) or value not in options:
        listed = ", ".join(repr(option) for option in options)
        raise fail(name, value, f"it must be one of {listed}", "pass one of these")
    return value


def not_empty(name: str, values: Sequence[Any]) -> None:
    """Refuse a sequence without values."""
    if not values:
        raise fail(name, values, "it needs at least one value", "pass one or more")


def distinct(name: str, values: Sequence[Any]) -> None:
    """Refuse a number or a text that is given twice: its run would be made twice."""
    seen = set()
    for value in values:
        if isinstance(value, (int, float, str, np.number)):
            if value in seen:
                allowed = f"{value} is given twice"
                shown = values if isinstance(values, tuple) else list(values)
                raise fail(name, shown, allowed, "pass each value once")
            seen.add(value)


def each_number(
    name: str, values: Sequence[Any], low: float, high: float, remedy: str, *, open_low=False
) -> None:
    """Refuse a sequence that is empty, names a number twice, or has one outside [low, high]."""
    not_empty(name, values)
    distinct(name, values)
    for index, value in enumerate(values):
        number(f"{name}[{index}]", value, low, high, remedy, open_low=open_low)


def array(name: str, value: Any, ndim: int | tuple[int, ...], remedy: str) -> np.ndarray:
    """Return `value` as a finite float64 array with `ndim` axes and at least one element."""
    axes = (ndim,) if isinstance(ndim, int) else ndim
    try:
        result = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise fail(name, value, "it must be an array of numbers", remedy) from None
    except OverflowError:  # of an integer of Python
        raise fail(name, value, "it exceeds the range of float64", remedy) from None
    if result.ndim not in axes or result.size == 0:
        wanted = " or ".join(f"{axis}-D" for axis in axes)
        raise fail(
            name, Shown(f"array of shape {result.shape}"), f"it must be {wanted}, not empty", remedy
        )
    bad = np.flatnonzero(~np.isfinite(result))
    if bad.size:
        index = [int(axis) for axis in np.unravel_index(bad[0], result.shape)]
        shown = float(result.flat[bad[0]])
        raise fail(f"{name}{index if index else ''}", shown, "values must be finite", remedy)
    result.setflags(write=False)
    return result


def instance(
    name: str, value: Any, kind: type | tuple[type, ...], allowed: str, remedy: str
) -> Any:
    """Return `value` if it is an instance of `kind`; a class is refused with the remedy for it."""
    if isinstance(value, type) and issubclass(value, kind):
        shown, call = Shown(f"the class {value.__name__}"), f"{value.__name__}(...)"
        raise fail(name, shown, allowed, f"pass an instance, {call}")
    if not isinstance(value, kind):
        raise fail(name, value, allowed, remedy)
    return value


def one_chain(name: str, value: Any) -> None:
    """Refuse all but a typed key, and a batch of chain keys: library code handles one chain."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        raise fail(name, value, "it must be a typed key", "pass jax.random.key(0), for example")
    if value.shape != ():
        raise fail(
            name,
            Shown(f"array of shape {value.shape}"),
            "this method handles one chain",
            "use simulate(chain, num_chains=...) for many",
        )


def convertible(name: str, value: Any, allowed: str) -> jax.Array:
    """Return what a user's code made as an array of jax; refuse what jax has no array for.

    A number that the type of its array reads as 0 is worth a warning; the values of traced
    arrays are not known.

    Args:
      name: of the value.
      value: a number or an array, traced or not.
      allowed: a clause that says what is allowed.

    Raises:
      ArgumentError: for keys and other values that are no numbers, and for a number that the
        type of its array cannot hold; jax would record infinity, or cut integers.
    """
    in_range(name, value)
    if _underflows(value):
        warnings.warn(
            f"{name} has a number other than 0 that is recorded as 0, being too small for float32; "
            "return its logarithm, or set JAX_ENABLE_X64=1",
            RuntimeWarning,
            stacklevel=2,
        )
    try:
        found = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        shown = value if value is None else Shown(type(value).__name__)
        raise fail(name, shown, allowed, "return one") from error
    if jnp.issubdtype(found.dtype, jax.dtypes.extended):
        raise fail(name, Shown(f"array of type {found.dtype}"), allowed, "return one")
    return found


def in_range(name: str, value: Any) -> None:
    """Refuse a number of Python or NumPy that the type of jax's array for it cannot hold.

    Args:
      name: of the value.
      value: any value; what is no number, or no number yet, passes.

    Raises:
      ArgumentError: naming the first such number.
    """
    numbers = _numbers(value)
    if numbers is None:
        return
    if numbers.dtype == object and all(isinstance(one, (int, float)) for one in numbers.flat):
        kind = jnp.int64  # NumPy has no type for integers beyond 64 bits
    elif numbers.dtype.kind in "iuf":
        kind = numbers.dtype
    else:
        return
    dtype = jax.dtypes.canonicalize_dtype(kind)
    limits = jnp.finfo(dtype) if numbers.dtype.kind == "f" else jnp.iinfo(dtype)
    low, high = (np.array(end).item() for end in (limits.min, limits.max))
    is_beyond = (numbers < low) | (numbers > high)
    if numbers.dtype.kind == "f":
        is_beyond &= np.isfinite(numbers)
    if not np.any(is_beyond):
        return
    remedy = "rescale the value"
    if dtype != numbers.dtype and numbers.dtype != object:
        remedy = "set JAX_ENABLE_X64=1, or rescale the value"
    raise fail(name, numbers[is_beyond].tolist()[0], f"it exceeds the range of {dtype}", remedy)


def _numbers(value: Any) -> np.ndarray | None:
    """Return the numbers of Python or NumPy in a value; None if it has its type, or is traced."""
    leaves = jax.tree.leaves(value)
    if isinstance(value, jax.Array) or any(isinstance(leaf, jax.Array) for leaf in leaves):
        return None
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        return None


def _underflows(value: Any) -> bool:
    """Tell whether a known number is 0 in the type of jax's array for it, and not 0 before."""
    numbers = _numbers(value)
    if numbers is None or numbers.dtype.kind != "f":
        return False
    dtype = jax.dtypes.canonicalize_dtype(numbers.dtype)
    return bool(np.any((numbers != 0) & (numbers.astype(dtype) == 0)))

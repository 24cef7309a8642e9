"""Count the operations of matrix products and convolutions of a program, with all repetitions."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def matmul_flops(jaxpr: Any, trips: int = 1) -> float:
    """Return the operations of products, two for each multiplication with its addition.

    Within `jax.shard_map` these are the operations of one device. Of the branches of a condition,
    the longest counts.

    Args:
      jaxpr: the program.
      trips: how often loops run that end on a condition, those of the program itself.

    >>> import jax, jax.numpy as jnp
    >>> product = jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y @ x, x))
    >>> matmul_flops(product(jnp.ones((4, 4))))  # 3 times 2 x 4^3
    384.0
    """
    total = 0.0
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += 2.0 * _size(equation) * np.prod([left[axis] for axis in contracted])
        elif name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out = parameters["dimension_numbers"].rhs_spec[0]
            total += 2.0 * _size(equation) * np.prod(kernel) / kernel[out]
        elif name == "scan":
            total += parameters["length"] * matmul_flops(parameters["jaxpr"])
        elif name == "while":
            total += trips * matmul_flops(parameters["body_jaxpr"])
        elif name == "cond":
            total += max(matmul_flops(branch) for branch in parameters["branches"])
        else:
            total += sum(matmul_flops(inner, trips) for inner in _inner(parameters))
    return float(total)


def _size(equation: Any) -> float:
    """Return the number of elements of the result."""
    return float(np.prod(equation.outvars[0].aval.shape))


def _inner(parameters: dict[str, Any]) -> Iterator[Any]:
    """Yield the programs within an equation, except the derivatives of custom rules."""
    for value in parameters.values():
        if hasattr(getattr(value, "jaxpr", value), "eqns"):
            yield value

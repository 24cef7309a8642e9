"""Tell from its program whether a function of a chain adds nothing along an axis.

Sums along an axis round as their array's shape decides. A function without them gives the same
bits in a batch of any number of whole vectors.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

_SUMS = frozenset({"reduce_sum", "reduce_prod", "cumsum", "cumprod", "cumlogsumexp"})
"""Primitives that add or multiply along the axes in their parameters."""

_ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type
    broadcast_in_dim cbrt ceil clamp complex concatenate conj convert_element_type copy cos cosh
    digamma div dynamic_slice dynamic_update_slice eq erf erf_inv erfc exp exp2 expm1 floor gather
    ge gt igamma igammac imag integer_pow iota is_finite le lgamma log log1p logistic lt max min mul
    ne neg nextafter not or pad polygamma population_count pow random_bits random_fold_in
    random_unwrap random_wrap real reduce_and reduce_max reduce_min reduce_or rem reshape rev round
    rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh slice split
    sqrt square squeeze stack stop_gradient sub tan tanh threefry2x32 tile transpose unstack xor
    """.split()
)
"""Primitives whose results are exact, or made from one entry of each argument."""

_CALLS = frozenset("jit pjit closed_call core_call custom_jvp_call custom_vjp_call".split())


def is_elementwise(function: Callable[..., Any], *arguments: Any) -> bool:
    """Tell whether every number of a function's result is made without a sum along an axis.

    Args:
      function: can be traced.
      arguments: pytrees of arrays or their shapes.

    Returns:
      False also for operations that are not known, and for loops and conditionals.
    """
    return all(_is_local(one) for one in _equations(jax.make_jaxpr(function)(*arguments).jaxpr))


def _equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """Yield the equations of a program, and those of the functions it calls instead of calls."""
    for equation in jaxpr.eqns:
        if equation.primitive.name not in _CALLS:
            yield equation
            continue
        for inner in equation.params.values():
            if isinstance(inner, ClosedJaxpr):
                yield from _equations(inner.jaxpr)


def _is_local(equation: JaxprEqn) -> bool:
    name = equation.primitive.name
    if name not in _SUMS:
        return name in _ELEMENTWISE
    argument: Any = equation.invars[0].aval
    shape, parameters = argument.shape, equation.params
    axes = np.atleast_1d(parameters["axes"] if "axes" in parameters else parameters["axis"])
    return all(shape[axis] == 1 for axis in axes.astype(int))

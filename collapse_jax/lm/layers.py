"""Compute the layers that architectures share: projections, norms, dropout, random weights."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from collapse_jax.random.threefry import random_halves


@jax.custom_vjp
def relu(x: Array) -> Array:
    """Return the positive part.

    The gradient is computed from the result, which the next layer stores in any case.

    Args:
      x: activations [...], dimensionless.
    """
    return jnp.maximum(x, 0)


def _relu_gradient(result: Array, error: Array) -> tuple[Array]:
    """Return the gradient by x.

    The compiler for TPU would store the truth values of a condition in addition to the result.
    """
    return (error * jnp.sign(result),)


relu.defvjp(lambda x: (relu(x),) * 2, _relu_gradient)
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": relu,
    "gelu": functools.partial(nnx.gelu, approximate=False),
    "gelu_new": nnx.gelu,
    "gelu_pytorch_tanh": nnx.gelu,
    "silu": nnx.silu,
}
"""Activation functions by their names in transformers."""
_EPSILON = 1e-5  # added to a variance, as in PyTorch's LayerNorm


class Linear(nnx.Module):
    """Affine map x W^T + b, with W [out, in] as in PyTorch."""

    fan_in_fan_out: ClassVar[bool] = False  # PEFT's name for W [in, out]

    def __init__(self, size_in: int, size_out: int, bias: bool, init: "Init") -> None:
        self.weight = nnx.Param(init.normal(size_out, size_in))
        self.bias = nnx.Param(init.zeros(size_out)) if bias else None

    def __call__(self, x: Array) -> Array:
        """Apply the map to the last axis.

        Args:
          x: activations [..., in], dimensionless.

        Returns:
          Activations [..., out], dimensionless.
        """
        linear = mapped(x, self.weight[...])
        return linear if self.bias is None else shifted(linear, self.bias[...])


def mapped(x: Array, weight: Array) -> Array:
    """Multiply the last axis by the transposed weights.

    Args:
      x: activations [..., in], dimensionless.
      weight: matrix [out, in], dimensionless.

    Returns:
      x W^T, [..., out].
    """
    return product(x.reshape(-1, x.shape[-1]), weight).reshape(*x.shape[:-1], -1)


@jax.custom_vjp
def shifted(x: Array, bias: Array) -> Array:
    """Add a bias to the last axis.

    Args:
      x: activations [..., out], dimensionless.
      bias: vector [out], dimensionless.

    Returns:
      x + b, [..., out].
    """
    return x + bias


def _shift_gradients(_: None, error: Array) -> tuple[Array, Array]:
    """Return the gradients by both operands.

    On accelerators rows are summed as a matrix product, which TPU does in half the time, of two
    equal rows of ones, as its compiler makes a sum of a product with a vector.
    """

    def as_product(error: Array) -> Array:
        rows = error.reshape(-1, error.shape[-1])
        return jnp.matmul(jnp.ones((2, len(rows)), error.dtype), rows, precision="highest")[0]

    def on_cpu(error: Array) -> Array:
        return jax.lax.reduce_sum(error, range(error.ndim - 1))

    return error, jax.lax.platform_dependent(error, cpu=on_cpu, default=as_product)


shifted.defvjp(lambda x, bias: (shifted(x, bias), None), _shift_gradients)


@jax.custom_vjp
def product(x: Array, weight: Array) -> Array:
    """Multiply by the transposed weights.

    Args:
      x: activations [row, in], dimensionless.
      weight: matrix [out, in], dimensionless.

    Returns:
      x W^T, [row, out].
    """
    return x @ weight.T


def _product_gradients(saved: tuple[Array, Array], error: Array) -> tuple[Array, Array]:
    """Return the gradients by both operands.

    Without the barrier XLA on CPU would compute an operand again within the transposition
    of the other, which costs a seventh of a training step. On TPU the barrier would keep the
    gradients of activation functions out of the products.
    """
    x, weight = saved
    x, error = jax.lax.platform_dependent(
        x,
        error,
        cpu=lambda *both: jax.lax.optimization_barrier(both),
        default=lambda *both: both,
    )
    return error @ weight, error.T @ x


product.defvjp(lambda x, weight: (product(x, weight), (x, weight)), _product_gradients)


@jax.custom_vjp
def stored_once(x: Array) -> Array:
    """Return x; on accelerators its gradient is written to memory once, for all who read it.

    The gradients of queries, keys and values are divided by heads. TPU's compiler would copy them
    to another layout for each of their readers.

    Args:
      x: activations [...], dimensionless.
    """
    return x


def _stored_gradient(_: None, error: Array) -> tuple[Array]:
    """Return the gradient itself."""
    return (
        jax.lax.platform_dependent(
            error, cpu=lambda error: error, default=jax.lax.optimization_barrier
        ),
    )


stored_once.defvjp(lambda x: (x, None), _stored_gradient)


class LayerNorm(nnx.Module):
    """Layer normalisation over the last axis, computed in float32."""

    def __init__(self, size: int, affine: bool, init: "Init", epsilon: float = _EPSILON) -> None:
        self.epsilon = epsilon
        self.weight = nnx.Param(init.ones(size)) if affine else None
        self.bias = nnx.Param(init.zeros(size)) if affine else None

    def __call__(self, x: Array) -> Array:
        """Normalise, then scale and shift.

        Args:
          x: activations [..., size], dimensionless.

        Returns:
          Activations [..., size] in the type of x, dimensionless.
        """
        normed: Any = _normalised(x.astype(jnp.float32), self.epsilon)
        if self.weight is not None and self.bias is not None:
            normed = normed * self.weight[...] + self.bias[...]
        return normed.astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _normalised(x: Array, epsilon: float) -> Array:
    """Return x with mean 0 and variance 1 over the last axis."""
    return _normalise(x, epsilon)[0]


def _normalise(x: Array, epsilon: float) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return the normalised x, and residuals for the gradient.

    The residuals are x, which the residual path retains anyway, and two columns.
    """
    mean = jnp.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    scale = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + epsilon)
    return centred * scale, (x, scale, -mean * scale)


def _normalise_gradient(
    epsilon: float, saved: tuple[Array, Array, Array], error: Array
) -> tuple[Array]:
    """Return the gradient by x."""
    x, scale, shift = saved
    normed = x * scale + shift
    along = jnp.mean(error * normed, axis=-1, keepdims=True)
    return (scale * (error - jnp.mean(error, axis=-1, keepdims=True) - normed * along),)


_normalised.defvjp(_normalise, _normalise_gradient)


class RMSNorm(nnx.Module):
    """Division by the root mean square over the last axis (Zhang and Sennrich 2019).

    Sums are computed in float32.

    Args:
      size: length of the last axis.
      epsilon: number that is added to the mean square, in squared units of the activations.
      init: maker of the initial scales.
    """

    def __init__(self, size: int, epsilon: float, init: "Init") -> None:
        self.weight, self.epsilon = nnx.Param(init.ones(size)), epsilon

    def __call__(self, x: Array) -> Array:
        """Normalise, then scale.

        Args:
          x: activations [..., size], dimensionless.

        Returns:
          Activations [..., size] in the type of x, dimensionless.
        """
        normed: Any = _unit_rms(x.astype(jnp.float32), self.epsilon)
        return normed.astype(x.dtype) * self.weight[...]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _unit_rms(x: Array, epsilon: float) -> Array:
    """Return x with mean square 1 over the last axis."""
    return _divide_by_rms(x, epsilon)[0]


def _divide_by_rms(x: Array, epsilon: float) -> tuple[Array, tuple[Array, Array]]:
    """Return the normalised x, and x and a column as residuals for the gradient."""
    scale = jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon)
    return x * scale, (x, scale)


def _unit_rms_gradient(epsilon: float, saved: tuple[Array, Array], error: Array) -> tuple[Array]:
    """Return the gradient by x."""
    x, scale = saved
    normed = x * scale
    along = jnp.mean(error * normed, axis=-1, keepdims=True)
    return (scale * (error - normed * along),)


_unit_rms.defvjp(_divide_by_rms, _unit_rms_gradient)


def head_logits(hidden: Float[Array, "... embedding"], head: Array) -> Float[Array, "... vocab"]:
    """Compute logits.

    Args:
      hidden: activations [..., embedding], dimensionless.
      head: matrix [vocab, embedding].

    Returns:
      Logits [..., vocab] in float32, whatever the type of the activations.
    """
    return jnp.matmul(hidden, head.T, preferred_element_type=jnp.float32)


def dropout(key: Any, x: Array, rate: float) -> Array:
    """Set random entries of x to zero and divide the others by 1 - rate.

    Args:
      key: one key per row [batch], so that a text does not depend on the others of its
        batch; None to leave x unchanged.
      x: activations [batch, ...], dimensionless.
      rate: probability of a zero, in [0, 1).

    Returns:
      Activations [batch, ...] with the same expectation as x.
    """
    if key is None or rate == 0:
        return x
    is_retained = jax.vmap(lambda key: _retained(key, 1 - rate, x.shape[1:]))(key)
    return jnp.where(is_retained, x / (1 - rate), 0)


def _retained(key: Any, share: float, shape: tuple[int, ...]) -> Array:
    """Return random truth values, True with probability `share`.

    On accelerators, where random bits took a fifth of a training step, an element has 16 of them,
    and the probability is exact to 2^-17.
    """

    def from_halves(words: Array) -> Array:
        return random_halves(words, shape) < np.uint32(round(share * 2**16))

    def on_cpu(words: Array) -> Array:
        key_of = functools.partial(jax.random.wrap_key_data, impl=jax.random.key_impl(key))
        return jax.random.bernoulli(key_of(words), share, shape)

    words = jax.random.key_data(key)
    return jax.lax.platform_dependent(words, cpu=on_cpu, default=from_halves)


def embedded(
    table: Float[Array, "vocab embedding"], input_ids: Array, padding: int | None
) -> Array:
    """Look up embeddings; as in PyTorch the row of the padding token gets no gradient.

    Args:
      table: matrix [vocab, embedding], dimensionless.
      input_ids: tokens [batch, position].
      padding: the padding token; None for no such row.

    Returns:
      Embeddings [batch, position, embedding], dimensionless.
    """
    rows = table[input_ids]
    if padding is None:
        return rows
    is_padding = (input_ids == padding)[..., None]
    return jnp.where(is_padding, jax.lax.stop_gradient(rows), rows)


def another_key(key: Any, number: int) -> Any:
    """Make another key for every text.

    Args:
      key: one key per text [batch].
      number: number of the stream, >= 0.

    Returns:
      Keys [batch].
    """
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(key)


class Init:
    """Maker of initial parameters, each from its own key; all zeros without a key.

    Args:
      key: key of `jax.random`, or None.
      std: standard deviation of normal numbers, dimensionless.
      dtype: type of the parameters.
    """

    def __init__(self, key: Any, std: float, dtype: Any) -> None:
        self.key, self.std, self.dtype, self.number = key, std, dtype, 0

    def normal(self, *shape: int, zero: int | None = None) -> Array:
        """Draw normal numbers of mean 0.

        Args:
          shape: sizes of the axes.
          zero: row to set to zero; None for no row.

        Returns:
          Array of this shape, dimensionless; zeros if there is no key.
        """
        if self.key is None:
            return self.zeros(*shape)
        self.number += 1
        key = jax.random.fold_in(self.key, self.number)
        values = self.std * jax.random.normal(key, shape, jnp.float32)
        values = values if zero is None else values.at[zero].set(0)
        return values.astype(self.dtype)

    def zeros(self, *shape: int) -> Array:
        """Make zeros.

        Args:
          shape: sizes of the axes.

        Returns:
          Array of this shape, dimensionless.
        """
        return jnp.zeros(shape, self.dtype)

    def ones(self, *shape: int) -> Array:
        """Make ones.

        Args:
          shape: sizes of the axes.

        Returns:
          Array of this shape, dimensionless.
        """
        return jnp.ones(shape, self.dtype)

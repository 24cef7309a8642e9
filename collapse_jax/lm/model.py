"""Compute OPT networks (Zhang et al. 2022, arXiv 2205.01068) in Flax, from tokens to logits.

The network leaves attention to its caller, who passes `attend`, a function of (number of the
block, queries, keys, values). Training passes `causal_attention`; generation passes a function
that also writes the keys and values into a cache.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from collapse_jax.lm.config import OPTConfig
from collapse_jax.utils.jax_settings import own_settings

Heads = Float[Array, "batch position head dim"]
Attend = Callable[[int, Heads, Heads, Heads], Heads]
Hidden = Float[Array, "batch position hidden"]

POSITION_OFFSET = 2
"""Row of the position table for the first token of a text; padding, at -1, reads row 1."""
MASKED = -1e30
"""Score of an invisible key, nats: finite, so that a query that sees no key yields no NaN."""
_ATTENTION = 3  # stream of attention dropout; 0 and 1 are the two layers', 2 is layerdrop's
_EPSILON = 1e-5  # added to a variance, as in PyTorch's LayerNorm


class Linear(nnx.Module):
    """Affine map x W^T + b, with W [out, in] as in PyTorch."""

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
        rows = x.reshape(-1, x.shape[-1])
        product = _product(rows, self.weight[...]).reshape(*x.shape[:-1], -1)
        return product if self.bias is None else product + self.bias[...]


@jax.custom_vjp
def _product(x: Array, weight: Array) -> Array:
    """Return x W^T."""
    return x @ weight.T


def _product_gradients(saved: tuple[Array, Array], error: Array) -> tuple[Array, Array]:
    """Return the gradients by both operands.

    Without the barrier XLA on CPU would compute an operand again within the transposition
    of the other, which costs a seventh of a training step.
    """
    x, weight = saved
    x, error = jax.lax.optimization_barrier((x, error))
    return error @ weight, error.T @ x


_product.defvjp(lambda x, weight: (_product(x, weight), (x, weight)), _product_gradients)


class LayerNorm(nnx.Module):
    """Layer normalisation over the last axis, computed in float32."""

    def __init__(self, size: int, affine: bool, init: "Init") -> None:
        self.weight = nnx.Param(init.ones(size)) if affine else None
        self.bias = nnx.Param(init.zeros(size)) if affine else None

    def __call__(self, x: Array) -> Array:
        """Normalise, then scale and shift.

        Args:
          x: activations [..., size], dimensionless.

        Returns:
          Activations [..., size] in the type of x, dimensionless.
        """
        normed = _normalised(x.astype(jnp.float32))
        if self.weight is not None and self.bias is not None:
            normed = normed * self.weight[...] + self.bias[...]
        return normed.astype(x.dtype)


@jax.custom_vjp
def _normalised(x: Array) -> Array:
    """Return x with mean 0 and variance 1 over the last axis."""
    return _normalise(x)[0]


def _normalise(x: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return the normalised x, and residuals for the gradient.

    The residuals are x, which the residual path retains anyway, and two columns.
    """
    mean = jnp.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    scale = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + _EPSILON)
    return centred * scale, (x, scale, -mean * scale)


def _normalise_gradient(saved: tuple[Array, Array, Array], error: Array) -> tuple[Array]:
    """Return the gradient by x."""
    x, scale, shift = saved
    normed = x * scale + shift
    along = jnp.mean(error * normed, axis=-1, keepdims=True)
    return (scale * (error - jnp.mean(error, axis=-1, keepdims=True) - normed * along),)


_normalised.defvjp(_normalise, _normalise_gradient)


class Attention(nnx.Module):
    """Projections of an attention layer, with a caller's `attend` between them."""

    def __init__(self, config: OPTConfig, init: "Init") -> None:
        size, bias = config.hidden_size, config.enable_bias
        self.num_heads, self.head_dim = config.num_attention_heads, config.head_dim
        self.k_proj = Linear(size, size, bias, init)
        self.v_proj = Linear(size, size, bias, init)
        self.q_proj = Linear(size, size, bias, init)
        self.out_proj = Linear(size, size, bias, init)

    def __call__(self, x: Hidden, attend: Callable[[Heads, Heads, Heads], Heads]) -> Hidden:
        """Project to queries, keys and values, attend, and project back.

        Args:
          x: activations [batch, position, hidden], dimensionless.
          attend: function of queries (scaled by head_dim^-1/2), keys and values, each
            [batch, position, head, dim].

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        heads = (*x.shape[:-1], self.num_heads, self.head_dim)
        queries = (self.q_proj(x) * self.head_dim**-0.5).reshape(heads)
        keys, values = self.k_proj(x).reshape(heads), self.v_proj(x).reshape(heads)
        return self.out_proj(attend(queries, keys, values).reshape(x.shape))


class Block(nnx.Module):
    """Attention layer and feed-forward layer, each with a residual path."""

    def __init__(self, config: OPTConfig, init: "Init") -> None:
        size, bias, affine = (
            config.hidden_size,
            config.enable_bias,
            config.layer_norm_elementwise_affine,
        )
        self.config = config
        self.self_attn = Attention(config, init)
        self.self_attn_layer_norm = LayerNorm(size, affine, init)
        self.fc1 = Linear(size, config.ffn_dim, bias, init)
        self.fc2 = Linear(config.ffn_dim, size, bias, init)
        self.final_layer_norm = LayerNorm(size, affine, init)

    def __call__(
        self, x: Hidden, attend: Callable[[Heads, Heads, Heads], Heads], key: Any = None
    ) -> Hidden:
        """Apply both layers.

        Args:
          x: activations [batch, position, hidden], dimensionless.
          attend: see `Attention`.
          key: one key per text [batch], for dropout and layerdrop; None for neither.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        keys = [None] * 3 if key is None else [_fold(key, part) for part in range(3)]
        drop = functools.partial(dropout, rate=self.config.dropout)
        activation = getattr(nnx, self.config.activation_function.removesuffix("_new"))
        if self.config.activation_function == "gelu":
            activation = functools.partial(activation, approximate=False)
        is_pre_norm = self.config.do_layer_norm_before

        def attention(x: Hidden) -> Hidden:
            return self.self_attn(x, attend)

        def feed_forward(x: Hidden) -> Hidden:
            return self.fc2(activation(self.fc1(x)))

        given = x
        layers = ((attention, self.self_attn_layer_norm), (feed_forward, self.final_layer_norm))
        for (layer, norm), layer_key in zip(layers, keys[:2], strict=True):
            if is_pre_norm:
                x = x + drop(layer_key, layer(norm(x)))
            else:
                x = norm(x + drop(layer_key, layer(x)))
        if keys[2] is None or self.config.layerdrop == 0:
            return x
        is_skipped = jax.vmap(lambda key: jax.random.bernoulli(key, self.config.layerdrop))(keys[2])
        return jnp.where(is_skipped[:, None, None], given, x)


class OPT(nnx.Module):
    """OPT network with the parameter names and shapes of transformers' `OPTForCausalLM`.

    Args:
      config: an `OPTConfig`, of this package or of transformers.
      key: key of `jax.random` for normal random weights with standard deviation
        config.init_std, as in transformers; None for zeros (see `load`).
      dtype: float32 or bfloat16, of parameters and computation. Logits and losses are
        float32.
      remat: compute each block a second time in the backward pass instead of storing its
        activations: a third more work, much less memory.

    Raises:
      ValueError: if `config` does not describe an OPT model.

    >>> import jax
    >>> from flax import nnx
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.OPT(config, key=jax.random.key(0))
    >>> model.embed_tokens.shape, len(model.layers)
    ((64, 16), 1)
    >>> sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model)))
    3824
    """

    @own_settings()
    def __init__(
        self, config: Any, *, key: Any = None, dtype: Any = jnp.float32, remat: bool = False
    ) -> None:
        config = OPTConfig.of(config)
        init = Init(key, config.init_std, jnp.dtype(dtype))
        self.config, self.remat = config, remat
        size, narrow = config.hidden_size, config.embedding_dim
        self.embed_tokens = nnx.Param(
            init.normal(config.vocab_size, narrow, zero=config.pad_token_id)
        )
        positions = config.max_position_embeddings + POSITION_OFFSET
        self.embed_positions = nnx.Param(init.normal(positions, size))
        is_projected = narrow != size
        self.project_in = Linear(narrow, size, False, init) if is_projected else None
        self.project_out = Linear(size, narrow, False, init) if is_projected else None
        self.layers = nnx.List([Block(config, init) for _ in range(config.num_hidden_layers)])
        affine = config.layer_norm_elementwise_affine
        self.final_layer_norm = (
            LayerNorm(size, affine, init) if config.has_final_layer_norm else None
        )
        is_tied = config.tie_word_embeddings
        self.lm_head = None if is_tied else nnx.Param(init.normal(config.vocab_size, narrow))

    @own_settings()
    def __call__(
        self,
        input_ids: Int[Array, "batch position"],
        positions: Int[Array, "batch position"],
        attend: Attend,
        key: Key[Array, " batch"] | None = None,
    ) -> Hidden:
        """Compute the activations that the head multiplies.

        Args:
          input_ids: tokens [batch, position].
          positions: index of each token in its text, [batch, position]; -1 for padding.
          attend: function of (number of the block, queries, keys, values), with arrays
            [batch, position, head, dim], that mixes the values of visible positions.
          key: one key per text [batch], for dropout in training; None for no dropout.

        Returns:
          Activations [batch, position, embedding], dimensionless.
        """
        x = self._embed(input_ids)
        if self.project_in is not None:
            x = self.project_in(x)
        x = x + self.embed_positions[...][positions + POSITION_OFFSET]
        for number, block in enumerate(self.layers):
            block_key = None if key is None else _fold(key, number)
            call = _block_call(functools.partial(attend, number))
            x = (nnx.remat(call) if self.remat else call)(block, x, block_key)
        if self.final_layer_norm is not None:
            x = self.final_layer_norm(x)
        return x if self.project_out is None else self.project_out(x)

    def _embed(self, input_ids: Array) -> Array:
        """Return the tokens' embeddings; as in PyTorch the padding's row gets no gradient."""
        rows = self.embed_tokens[...][input_ids]
        if self.config.pad_token_id is None:
            return rows
        is_padding = (input_ids == self.config.pad_token_id)[..., None]
        return jnp.where(is_padding, jax.lax.stop_gradient(rows), rows)

    @property
    def head(self) -> Float[Array, "vocab embedding"]:
        """Return the matrix [vocab, embedding] that maps activations to logits."""
        return (self.embed_tokens if self.lm_head is None else self.lm_head)[...]


def _block_call(attend: Callable[[Heads, Heads, Heads], Heads]) -> Callable[..., Hidden]:
    """Return the call of a block as a function of block, activations and key, for `remat`."""

    def call(block: Block, x: Hidden, key: Any) -> Hidden:
        return block(x, attend, key)

    return call


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
    is_retained = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:]))(key)
    return jnp.where(is_retained, x / (1 - rate), 0)


def _fold(key: Any, number: int) -> Any:
    """Return another key for every text."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(key)


def text_positions(mask: Bool[Array, "batch position"]) -> Int[Array, "batch position"]:
    """Count the tokens of a text before each position.

    Args:
      mask: truth values [batch, position], False for padding.

    Returns:
      Index of each token in its text, int32 [batch, position] in tokens; -1 for padding.
    """
    return jnp.where(mask, jnp.cumsum(mask, axis=1, dtype=jnp.int32) - 1, -1)


def causal_attention(
    mask: Bool[Array, "batch position"], rate: float = 0.0, key: Any = None
) -> Attend:
    """Make the `attend` with which a token sees its own and earlier positions except padding.

    A position without a visible key, which is padding before a text, gets zeros, as in
    PyTorch.

    Args:
      mask: truth values [batch, position], False for padding.
      rate: probability of dropping an attention weight, in [0, 1).
      key: one key per text [batch], for dropout; None for no dropout.

    Returns:
      Function of (number of the block, queries, keys, values), each array
      [batch, position, head, dim], to an array of the same shape; softmax is in float32.
    """
    length = mask.shape[1]
    earlier = jnp.tri(length, dtype=bool)
    visible = (earlier & mask[:, None, :])[:, None]  # batch, head, query, key
    sees = (jnp.cumsum(mask, axis=1) > 0)[:, :, None, None]

    def attend(number: int, queries: Heads, keys: Heads, values: Heads) -> Heads:
        queries, keys, values = (each.swapaxes(1, 2) for each in (queries, keys, values))
        scores = jnp.einsum("bhqd,bhkd->bhqk", queries, keys, preferred_element_type=jnp.float32)
        weights = jax.nn.softmax(jnp.where(visible, scores, MASKED), axis=-1)
        if key is not None:
            weights = dropout(_fold(_fold(key, number), _ATTENTION), weights, rate)
        found = jnp.einsum("bhqk,bhkd->bhqd", weights.astype(values.dtype), values)
        return jnp.where(sees, found.swapaxes(1, 2), 0)

    return attend


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

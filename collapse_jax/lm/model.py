"""OPT (Zhang et al. 2022, arXiv 2205.01068) in Flax, from tokens to logits.

The network does not know how a token looks back: whoever calls it passes `attend`, a function
of (number of the block, queries, keys, values). In training that is `causal_attention`; in
generation it also keeps the keys and values.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from collapse_jax.lm.config import Config

Heads = Float[Array, "batch position head dim"]
Attend = Callable[[int, Heads, Heads, Heads], Heads]
Hidden = Float[Array, "batch position hidden"]

POSITION_OFFSET = 2
"""Row of the table of positions that the first token of a text has."""
MASKED = -1e30
_ATTENTION = 3  # a block's keys: two layers, the block itself, attention weights


class Linear(nnx.Module):
    """x W^T + b, with W [out, in] as PyTorch has it."""

    def __init__(self, size_in: int, size_out: int, bias: bool, init: "Init") -> None:
        self.weight = nnx.Param(init.normal(size_out, size_in))
        self.bias = nnx.Param(init.zeros(size_out)) if bias else None

    def __call__(self, x: Array) -> Array:
        """[..., in] -> [..., out]."""
        rows = x.reshape(-1, x.shape[-1])
        product = _product(rows, self.weight[...]).reshape(*x.shape[:-1], -1)
        return product if self.bias is None else product + self.bias[...]


@jax.custom_vjp
def _product(x: Array, weight: Array) -> Array:
    """x W^T."""
    return x @ weight.T


def _product_gradients(saved: tuple[Array, Array], error: Array) -> tuple[Array, Array]:
    """Both operands are kept from being computed again within the transposition of one of them."""
    x, weight = saved
    x, error = jax.lax.optimization_barrier((x, error))
    return error @ weight, error.T @ x


_product.defvjp(lambda x, weight: (_product(x, weight), (x, weight)), _product_gradients)


class LayerNorm(nnx.Module):
    """Normalised over the last axis in float32."""

    def __init__(self, size: int, affine: bool, init: "Init") -> None:
        self.weight = nnx.Param(init.ones(size)) if affine else None
        self.bias = nnx.Param(init.zeros(size)) if affine else None

    def __call__(self, x: Array) -> Array:
        """Of the type of x."""
        normed = _normalised(x.astype(jnp.float32))
        if self.weight is not None and self.bias is not None:
            normed = normed * self.weight[...] + self.bias[...]
        return normed.astype(x.dtype)


@jax.custom_vjp
def _normalised(x: Array) -> Array:
    """Mean 0 and variance 1 over the last axis."""
    return _normalise(x)[0]


def _normalise(x: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Also what the gradient needs: x, which the residual path keeps anyway, and two columns."""
    mean = jnp.mean(x, axis=-1, keepdims=True)
    centred = x - mean
    scale = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)
    return centred * scale, (x, scale, -mean * scale)


def _normalise_gradient(saved: tuple[Array, Array, Array], error: Array) -> tuple[Array]:
    x, scale, shift = saved
    normed = x * scale + shift
    along = jnp.mean(error * normed, axis=-1, keepdims=True)
    return (scale * (error - jnp.mean(error, axis=-1, keepdims=True) - normed * along),)


_normalised.defvjp(_normalise, _normalise_gradient)


class Attention(nnx.Module):
    """Projections of an attention layer; `attend` is between them."""

    def __init__(self, config: Config, init: "Init") -> None:
        size, bias = config.hidden_size, config.enable_bias
        self.num_heads, self.head_dim = config.num_attention_heads, config.head_dim
        self.k_proj = Linear(size, size, bias, init)
        self.v_proj = Linear(size, size, bias, init)
        self.q_proj = Linear(size, size, bias, init)
        self.out_proj = Linear(size, size, bias, init)

    def __call__(self, x: Hidden, attend: Callable[[Heads, Heads, Heads], Heads]) -> Hidden:
        """As wide as x."""
        heads = (*x.shape[:-1], self.num_heads, self.head_dim)
        queries = (self.q_proj(x) * self.head_dim**-0.5).reshape(heads)
        keys, values = self.k_proj(x).reshape(heads), self.v_proj(x).reshape(heads)
        return self.out_proj(attend(queries, keys, values).reshape(x.shape))


class Block(nnx.Module):
    """Attention and feed-forward layer, each beside a residual path."""

    def __init__(self, config: Config, init: "Init") -> None:
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
        """As wide as x; with keys of the texts, outputs are dropped and so may the block be."""
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
    """The network. Its parameters have the names and shapes of transformers' `OPTForCausalLM`.

    Args:
      config: a `Config`, or transformers' `OPTConfig`.
      key: for normal random weights of standard deviation config.init_std, as transformers
        makes them; None for none (see `load`).
      dtype: float32 or bfloat16, of parameters and computation. Logits and losses are
        float32.
      remat: compute blocks a second time in the backward pass instead of keeping what is
        within them: a third more work, much less memory.

    >>> import jax
    >>> from flax import nnx
    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.OPT(config, key=jax.random.key(0))
    >>> model.embed_tokens.shape, len(model.layers)
    ((64, 16), 1)
    >>> sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model)))
    3824
    """

    def __init__(
        self, config: Any, *, key: Any = None, dtype: Any = jnp.float32, remat: bool = False
    ) -> None:
        config = Config.of(config)
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

    def __call__(
        self,
        input_ids: Int[Array, "batch position"],
        positions: Int[Array, "batch position"],
        attend: Attend,
        key: Key[Array, " batch"] | None = None,
    ) -> Hidden:
        """What the head reads, [batch, position, embedding].

        Args:
          input_ids: tokens.
          positions: place of each token in its text; -1 for padding.
          attend: how tokens look back.
          key: of every text, for dropout, in training.
        """
        x = self._embed(input_ids)
        if self.project_in is not None:
            x = self.project_in(x)
        x = x + self.embed_positions[...][positions + POSITION_OFFSET]
        for number, block in enumerate(self.layers):
            block_key = None if key is None else _fold(key, number)
            call = _looking(functools.partial(attend, number))
            x = (nnx.remat(call) if self.remat else call)(block, x, block_key)
        if self.final_layer_norm is not None:
            x = self.final_layer_norm(x)
        return x if self.project_out is None else self.project_out(x)

    def _embed(self, input_ids: Array) -> Array:
        """Rows of the table; as in PyTorch none of their gradients reach the padding's row."""
        rows = self.embed_tokens[...][input_ids]
        if self.config.pad_token_id is None:
            return rows
        is_padding = (input_ids == self.config.pad_token_id)[..., None]
        return jnp.where(is_padding, jax.lax.stop_gradient(rows), rows)

    @property
    def head(self) -> Float[Array, "vocab embedding"]:
        """The matrix that makes logits."""
        return (self.embed_tokens if self.lm_head is None else self.lm_head)[...]


def _looking(attend: Callable[[Heads, Heads, Heads], Heads]) -> Callable[..., Hidden]:
    """A block's call as a function of what has gradients, and keys."""

    def call(block: Block, x: Hidden, key: Any) -> Hidden:
        return block(x, attend, key)

    return call


def head_logits(hidden: Float[Array, "... embedding"], head: Array) -> Float[Array, "... vocab"]:
    """Logits in float32."""
    return jnp.matmul(hidden, head.T, preferred_element_type=jnp.float32)


def dropout(key: Any, x: Array, rate: float) -> Array:
    """x with a share of its numbers zero and the others larger; x itself without keys.

    Args:
      key: of every row of x, so that a text's numbers do not depend on its batch.
      x: [batch, ...].
      rate: the share.
    """
    if key is None or rate == 0:
        return x
    is_kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:]))(key)
    return jnp.where(is_kept, x / (1 - rate), 0)


def _fold(key: Any, number: int) -> Any:
    """Another key of every text."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(key)


def text_positions(mask: Bool[Array, "batch position"]) -> Int[Array, "batch position"]:
    """Place of each token in its text, -1 for padding."""
    return jnp.where(mask, jnp.cumsum(mask, axis=1, dtype=jnp.int32) - 1, -1)


def causal_attention(
    mask: Bool[Array, "batch position"], rate: float = 0.0, key: Any = None
) -> Attend:
    """Every token looks at itself and those before it, but never at padding.

    Padding before a text sees nothing and gets zeros, as PyTorch has it.

    Args:
      mask: False for padding.
      rate: of dropout of attention weights.
      key: of every text, for dropout.
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
    """Makes initial values, from one key after another; shapes alone where there is no key."""

    def __init__(self, key: Any, std: float, dtype: Any) -> None:
        self.key, self.std, self.dtype, self.number = key, std, dtype, 0

    def normal(self, *shape: int, zero: int | None = None) -> Array:
        """Normal numbers, but zeros in one row."""
        if self.key is None:
            return self.zeros(*shape)
        self.number += 1
        key = jax.random.fold_in(self.key, self.number)
        values = self.std * jax.random.normal(key, shape, jnp.float32)
        values = values if zero is None else values.at[zero].set(0)
        return values.astype(self.dtype)

    def zeros(self, *shape: int) -> Array:
        """Zeros."""
        return jnp.zeros(shape, self.dtype)

    def ones(self, *shape: int) -> Array:
        """Ones."""
        return jnp.ones(shape, self.dtype)

"""Compute GPT-2 networks (Radford et al. 2019): config, network, names in files."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from collapse_jax.lm.causal_lm import Attend, BaseConfig, Heads, Hidden, as_config, register
from collapse_jax.lm.checks import check_divides, check_flags, check_sizes
from collapse_jax.lm.layer_stack import run_layers
from collapse_jax.lm.layers import (
    ACTIVATIONS,
    Init,
    LayerNorm,
    another_key,
    dropout,
    mapped,
)
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings

_EMBEDDED = 0x7FFFFFFF  # stream of dropout after the embeddings; the others are numbers of blocks
_COMMON = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}


@dataclasses.dataclass(frozen=True)
class GPT2Config(BaseConfig):
    """Sizes and switches of a GPT-2 network, under the names of transformers' `GPT2Config`.

    The defaults describe the smallest of the four published networks. Configs are immutable,
    hashable and equal if all their values are.

    Args:
      vocab_size: number of tokens V, >= 1; ids lie in [0, V).
      n_positions: tokens of the longest sequence, >= 1.
      n_embd: numbers per position in the residual stream, >= 1.
      n_layer: number of blocks, >= 1.
      n_head: number of heads, a divisor of n_embd.
      n_inner: numbers per position within a feed-forward layer; None for 4 n_embd.
      activation_function: "gelu_new" or another activation of transformers.
      resid_pdrop: probability in [0, 1] of dropping an output of a layer in training.
      embd_pdrop: probability in [0, 1] of dropping an embedding in training.
      attn_pdrop: probability in [0, 1] of dropping an attention weight in training.
      layer_norm_epsilon: number that is added to a variance, in (0, 1].
      initializer_range: standard deviation of random weights, dimensionless.
      scale_attn_weights: whether queries are multiplied by head_dim^-1/2.
      scale_attn_by_inverse_layer_idx: whether those of block k, counted from 1, are divided by k.
      tie_word_embeddings: whether the head shares the embedding matrix.
      pad_token_id: token that fills a generated text after its end; None for the first of
        eos_token_id. 0 is a valid id.
      bos_token_id: token that begins a text.
      eos_token_id: token or tokens that end a text; None for no end.

    Raises:
      ValueError: if a size or a probability is out of range, if n_head does not divide n_embd, or
        if the activation is unknown.

    >>> from collapse_jax import lm
    >>> config = lm.GPT2Config()
    >>> config.num_hidden_layers, config.hidden_size, config.vocab_size
    (12, 768, 50257)
    """

    model_type: ClassVar[str] = "gpt2"
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    tie_word_embeddings: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = 50256
    eos_token_id: int | tuple[int, ...] | None = 50256

    def __post_init__(self) -> None:
        check_sizes(self, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
        if self.n_inner is not None:
            check_sizes(self, "n_inner")
        check_divides(self, "n_head", "n_embd")
        check.choice("GPT2Config.activation_function", self.activation_function, tuple(ACTIVATIONS))
        for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            check.number(f"GPT2Config.{name}", getattr(self, name), 0, 1, f"pass {name}=0.1")
        remedy = "pass layer_norm_epsilon=1e-5"
        epsilon = check.number(
            "GPT2Config.layer_norm_epsilon", self.layer_norm_epsilon, 0, 1, remedy, open_low=True
        )
        object.__setattr__(self, "layer_norm_epsilon", epsilon)
        remedy = "pass initializer_range=0.02"
        check.number("GPT2Config.initializer_range", self.initializer_range, 0, 1e3, remedy)
        check_flags(
            self, "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "tie_word_embeddings"
        )
        self.check_tokens()

    @property
    def hidden_size(self) -> int:
        """Return the numbers per position in the residual stream."""
        return self.n_embd

    @property
    def num_hidden_layers(self) -> int:
        """Return the number of blocks."""
        return self.n_layer

    @property
    def num_attention_heads(self) -> int:
        """Return the number of heads."""
        return self.n_head

    @property
    def num_key_value_heads(self) -> int:
        """Return the number of heads of keys: one for every head of queries."""
        return self.n_head

    @property
    def head_dim(self) -> int:
        """Return the number of components of an attention head."""
        return self.n_embd // self.n_head

    @property
    def max_position_embeddings(self) -> int:
        """Return the number of tokens of the longest sequence."""
        return self.n_positions

    @property
    def attention_dropout(self) -> float:
        """Return the probability of dropping an attention weight in training."""
        return self.attn_pdrop

    def query_scale(self, number: Any) -> Any:
        """Return the factor of the queries of a block, dimensionless.

        Args:
          number: number of the block, from 0; an integer array in a scan.
        """
        scale = self.head_dim**-0.5 if self.scale_attn_weights else 1.0
        return scale / (number + 1) if self.scale_attn_by_inverse_layer_idx else scale

    @classmethod
    def of_size(cls, model_type: str, **settings: Any) -> "GPT2Config":
        """Make the config of a small network.

        Args:
          model_type: "gpt2".
          settings: sizes by their common names, numbers >= 1, and ids of tokens.

        Returns:
          The config.
        """
        return cls(**{_COMMON.get(name, name): value for name, value in settings.items()})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "GPT2Config":
        """Make a config from the mapping in a config.json.

        Args:
          values: settings by name, also by the common names such as hidden_size.

        Returns:
          The config, with default numbers for keys that are missing.

        Raises:
          ValueError: if a value is out of range, or the network has cross-attention.
        """
        if values.get("add_cross_attention"):
            allowed, remedy = "a causal language model reads one text", "pass another model"
            raise check.fail("add_cross_attention", True, allowed, remedy)
        return super().from_json({_COMMON.get(name, name): one for name, one in values.items()})

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that transformers' `GPT2Config.from_pretrained` reads.

        Returns:
          Strings, numbers, truth values and None by their names in config.json.
        """
        return {"architectures": ["GPT2LMHeadModel"], **super().as_json()}


class Projection(nnx.Module):
    """Affine map x W + b, with W [in, out] as in the files of GPT-2."""

    fan_in_fan_out: ClassVar[bool] = True

    def __init__(self, size_in: int, size_out: int, init: Init) -> None:
        self.weight = nnx.Param(init.normal(size_in, size_out))
        self.bias = nnx.Param(init.zeros(size_out))

    def __call__(self, x: Array) -> Array:
        """Apply the map to the last axis.

        Args:
          x: activations [..., in], dimensionless.

        Returns:
          Activations [..., out], dimensionless.
        """
        return mapped(x, self.weight[...].T) + self.bias[...]


class Attention(nnx.Module):
    """Fused projection to queries, keys and values, a caller's `attend`, and a projection."""

    def __init__(self, config: GPT2Config, init: Init) -> None:
        self.c_attn = Projection(config.n_embd, 3 * config.n_embd, init)
        self.c_proj = Projection(config.n_embd, config.n_embd, init)
        self.head_dim = config.head_dim

    def __call__(self, x: Hidden, attend: Callable[[Heads, Heads, Heads], Heads]) -> Hidden:
        """Project to queries, keys and values, attend, and project back.

        Args:
          x: activations [batch, position, hidden], dimensionless.
          attend: function of queries, keys and values, each [batch, position, head, dim], that
            scales and mixes them.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        parts = jnp.split(self.c_attn(x), 3, axis=-1)
        heads = (part.reshape(*x.shape[:-1], -1, self.head_dim) for part in parts)
        return self.c_proj(attend(*heads).reshape(x.shape))


class FeedForward(nnx.Module):
    """Feed-forward layer."""

    def __init__(self, config: GPT2Config, init: Init) -> None:
        inner = 4 * config.n_embd if config.n_inner is None else config.n_inner
        self.c_fc = Projection(config.n_embd, inner, init)
        self.c_proj = Projection(inner, config.n_embd, init)
        self.activation = config.activation_function

    def __call__(self, x: Hidden) -> Hidden:
        """Compute c_proj(activation(c_fc(x))).

        Args:
          x: activations [batch, position, hidden], dimensionless.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        return self.c_proj(ACTIVATIONS[self.activation](self.c_fc(x)))


class Block(nnx.Module):
    """Attention layer and feed-forward layer, each after a norm and with a residual path."""

    def __init__(self, config: GPT2Config, init: Init) -> None:
        self.ln_1 = LayerNorm(config.n_embd, True, init, config.layer_norm_epsilon)
        self.attn = Attention(config, init)
        self.ln_2 = LayerNorm(config.n_embd, True, init, config.layer_norm_epsilon)
        self.mlp = FeedForward(config, init)
        self.rate = config.resid_pdrop

    def __call__(
        self, x: Hidden, attend: Callable[[Heads, Heads, Heads], Heads], key: Any = None
    ) -> Hidden:
        """Apply both layers.

        Args:
          x: activations [batch, position, hidden], dimensionless.
          attend: see `Attention`.
          key: one key per text [batch], for dropout; None for none.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        keys = [None] * 2 if key is None else [another_key(key, part) for part in range(2)]
        x = x + dropout(keys[0], self.attn(self.ln_1(x), attend), self.rate)
        return x + dropout(keys[1], self.mlp(self.ln_2(x)), self.rate)


class GPT2(nnx.Module):
    """GPT-2 network with the parameter names and shapes of transformers' `GPT2LMHeadModel`.

    Args:
      config: a `GPT2Config`, of this package or of transformers.
      key: key of `jax.random` for normal random weights; None for zeros (see `load`).
      dtype: float32 or bfloat16, of parameters and computation.
      remat: compute each block a second time in the backward pass instead of storing its
        activations.

    Raises:
      ValueError: if `config` does not describe a GPT-2 network.
    """

    @own_settings()
    def __init__(
        self, config: Any, *, key: Any = None, dtype: Any = jnp.float32, remat: bool = False
    ) -> None:
        allowed, remedy = "it must be the config of a GPT-2 network", "pass a lm.GPT2Config"
        config = check.instance("config", as_config(config), GPT2Config, allowed, remedy)
        init = Init(key, config.initializer_range, jnp.dtype(dtype))
        self.config, self.remat = config, remat
        self.wte = nnx.Param(init.normal(config.vocab_size, config.n_embd))
        self.wpe = nnx.Param(init.normal(config.n_positions, config.n_embd))
        self.h = nnx.List([Block(config, init) for _ in range(config.n_layer)])
        self.ln_f = LayerNorm(config.n_embd, True, init, config.layer_norm_epsilon)
        shape, is_tied = (config.vocab_size, config.n_embd), config.tie_word_embeddings
        self.lm_head = None if is_tied else nnx.Param(init.normal(*shape))

    @own_settings()
    def __call__(
        self,
        input_ids: Int[Array, "batch position"],
        positions: Int[Array, "batch position"],
        attend: Attend,
        key: Key[Array, " batch"] | None = None,
    ) -> Hidden:
        """Compute the activations that the head multiplies, see `CausalLM`.

        Args:
          input_ids: tokens [batch, position].
          positions: index of each token in its text, [batch, position]; -1 for padding, which
            reads row 0 of the position table.
          attend: function of (number of the block, queries, keys, values).
          key: one key per text [batch], for dropout in training; None for no dropout.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        config = self.config
        x = self.wte[...][input_ids] + self.wpe[...][jnp.maximum(positions, 0)]
        x = dropout(None if key is None else another_key(key, _EMBEDDED), x, config.embd_pdrop)

        def scaled(number: Any, queries: Heads, keys: Heads, values: Heads) -> tuple:
            return queries * config.query_scale(number), keys, values

        x = run_layers(self.h, attend, x, key, remat=self.remat, prepare=scaled)
        return self.ln_f(x)

    @property
    def head(self) -> Float[Array, "vocab embedding"]:
        """Return the matrix [vocab, embedding] that maps activations to logits."""
        return (self.wte if self.lm_head is None else self.lm_head)[...]


register(
    "gpt2",
    config=GPT2Config,
    network=GPT2,
    prefix="transformer",
    embedding="wte",
    ignored=r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",  # causal masks in files
)

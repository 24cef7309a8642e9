"""Compute OPT networks (Zhang et al. 2022, arXiv 2205.01068): config, network, names in files."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
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
    Linear,
    another_key,
    dropout,
    embedded,
    stored_once,
)
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings

POSITION_OFFSET = 2
"""Row of the position table for the first token of a text; padding, at -1, reads row 1."""
_ACTIVATIONS = ("relu", "gelu", "gelu_new")
_FLAGS = (
    "do_layer_norm_before",
    "enable_bias",
    "layer_norm_elementwise_affine",
    "remove_final_layer_norm",
    "tie_word_embeddings",
)


@dataclasses.dataclass(frozen=True)
class OPTConfig(BaseConfig):
    """Sizes and switches of an OPT network, under the names of transformers' `OPTConfig`.

    OPT (Zhang et al. 2022, arXiv 2205.01068) is a decoder-only transformer with learned
    positions. The defaults describe OPT-125m. Configs are immutable, hashable and equal if
    all their values are. Their JSON form is that of transformers; keys of a config.json that
    are not listed here are ignored.

    Args:
      vocab_size: number of tokens V, >= 1; ids lie in [0, V).
      hidden_size: numbers per position in the residual stream, >= 1.
      num_hidden_layers: number of blocks, >= 1.
      ffn_dim: numbers per position within a feed-forward layer, >= 1.
      max_position_embeddings: tokens of the longest sequence, >= 1.
      num_attention_heads: number of heads, a divisor of hidden_size.
      do_layer_norm_before: True for pre-norm, False for post-norm as in OPT-350m.
      word_embed_proj_dim: numbers per embedding, >= 1, projected to hidden_size if the two
        differ; None stands for hidden_size.
      activation_function: "relu", "gelu" or "gelu_new".
      dropout: probability in [0, 1] of dropping an output of a layer in training.
      attention_dropout: probability in [0, 1] of dropping an attention weight in training.
      layerdrop: probability in [0, 1] of skipping a block in training.
      enable_bias: whether projections have biases.
      layer_norm_elementwise_affine: whether layer norms have scales and biases.
      remove_final_layer_norm: `_remove_final_layer_norm` of old checkpoints.
      tie_word_embeddings: whether the head shares the embedding matrix.
      init_std: standard deviation of random weights, dimensionless.
      pad_token_id: token that fills a generated text after its end; None for the first of
        eos_token_id. 0 is a valid id.
      bos_token_id: token that begins a text.
      eos_token_id: token or tokens that end a text; None for no end.

    Raises:
      ValueError: if a size or a probability is out of range, if num_attention_heads does
        not divide hidden_size, or if the activation is unknown.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig()  # the sizes of OPT-125m
    >>> config.num_hidden_layers, config.hidden_size, config.vocab_size
    (12, 768, 50272)
    """

    model_type: ClassVar[str] = "opt"
    vocab_size: int = 50272
    hidden_size: int = 768
    num_hidden_layers: int = 12
    ffn_dim: int = 3072
    max_position_embeddings: int = 2048
    num_attention_heads: int = 12
    do_layer_norm_before: bool = True
    word_embed_proj_dim: int | None = None
    activation_function: str = "relu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    layerdrop: float = 0.0
    enable_bias: bool = True
    layer_norm_elementwise_affine: bool = True
    remove_final_layer_norm: bool = False
    tie_word_embeddings: bool = True
    init_std: float = 0.02
    pad_token_id: int | None = 1
    bos_token_id: int | None = 2
    eos_token_id: int | tuple[int, ...] | None = 2

    def __post_init__(self) -> None:
        check_sizes(
            self,
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "ffn_dim",
            "max_position_embeddings",
            "num_attention_heads",
        )
        if self.word_embed_proj_dim is None:
            object.__setattr__(self, "word_embed_proj_dim", self.hidden_size)
        check_sizes(self, "word_embed_proj_dim")
        check_divides(self, "num_attention_heads", "hidden_size")
        check.choice("OPTConfig.activation_function", self.activation_function, _ACTIVATIONS)
        for name in ("dropout", "attention_dropout", "layerdrop"):
            remedy = f"pass for example {name}=0.1"
            check.number(f"OPTConfig.{name}", getattr(self, name), 0, 1, remedy)
        check_flags(self, *_FLAGS)
        check.number("OPTConfig.init_std", self.init_std, 0, 1e3, "pass init_std=0.02")
        self.check_tokens()

    @property
    def head_dim(self) -> int:
        """Return the number of components of an attention head, hidden_size / heads."""
        return self.hidden_size // self.num_attention_heads

    @property
    def num_key_value_heads(self) -> int:
        """Return the number of heads of keys: one for every head of queries."""
        return self.num_attention_heads

    @property
    def embedding_dim(self) -> int:
        """Return the number of components of an embedding."""
        assert self.word_embed_proj_dim is not None
        return self.word_embed_proj_dim

    @property
    def has_final_layer_norm(self) -> bool:
        """Tell whether a layer norm follows the last of the blocks."""
        return self.do_layer_norm_before and not self.remove_final_layer_norm

    @classmethod
    def of_size(cls, model_type: str, **settings: Any) -> "OPTConfig":
        """Make the config of a small network, with four times as many numbers in feed-forward.

        Args:
          model_type: "opt".
          settings: sizes by their names in this class, numbers >= 1, and ids of tokens.

        Returns:
          The config.
        """
        return cls(ffn_dim=4 * settings["hidden_size"], **settings)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "OPTConfig":
        """Make a config from the mapping in a config.json.

        Args:
          values: settings by name, with `_remove_final_layer_norm` of old checkpoints.

        Returns:
          The config, with default numbers for keys that are missing.

        Raises:
          ValueError: if a value is out of range.
        """
        removed = values.get("_remove_final_layer_norm", False)
        return super().from_json({**values, "remove_final_layer_norm": removed})

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that transformers' `OPTConfig.from_pretrained` reads.

        Returns:
          Strings, numbers, truth values and None by their names in config.json.
        """
        values = super().as_json()
        values["_remove_final_layer_norm"] = values.pop("remove_final_layer_norm")
        return {"architectures": ["OPTForCausalLM"], **values}


class Attention(nnx.Module):
    """Projections of an attention layer, with a caller's `attend` between them."""

    def __init__(self, config: OPTConfig, init: Init) -> None:
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
        queries = (stored_once(self.q_proj(x)) * self.head_dim**-0.5).reshape(heads)
        keys = stored_once(self.k_proj(x)).reshape(heads)
        values = stored_once(self.v_proj(x)).reshape(heads)
        return self.out_proj(attend(queries, keys, values).reshape(x.shape))


class Block(nnx.Module):
    """Attention layer and feed-forward layer, each with a residual path."""

    def __init__(self, config: OPTConfig, init: Init) -> None:
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
        keys = [None] * 3 if key is None else [another_key(key, part) for part in range(3)]
        drop = functools.partial(dropout, rate=self.config.dropout)
        activation = ACTIVATIONS[self.config.activation_function]
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
        allowed, remedy = "it must be the config of an OPT network", "pass a lm.OPTConfig"
        config = check.instance("config", as_config(config), OPTConfig, allowed, remedy)
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
        x = embedded(self.embed_tokens[...], input_ids, self.config.pad_token_id)
        if self.project_in is not None:
            x = self.project_in(x)
        x = x + self.embed_positions[...][positions + POSITION_OFFSET]
        x = run_layers(self.layers, attend, x, key, remat=self.remat)
        if self.final_layer_norm is not None:
            x = self.final_layer_norm(x)
        return x if self.project_out is None else self.project_out(x)

    @property
    def head(self) -> Float[Array, "vocab embedding"]:
        """Return the matrix [vocab, embedding] that maps activations to logits."""
        return (self.embed_tokens if self.lm_head is None else self.lm_head)[...]


register("opt", config=OPTConfig, network=OPT, prefix="model.decoder")

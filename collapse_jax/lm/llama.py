"""Compute Llama networks (Touvron et al. 2023, arXiv 2302.13971) and their relatives.

Mistral (arXiv 2310.06825) adds a sliding window, Qwen2 (arXiv 2407.10671) biases of queries, keys
and values, Qwen3 (arXiv 2505.09388) norms of queries and keys.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from collapse_jax.lm.causal_lm import Attend, BaseConfig, Heads, Hidden, as_config, register
from collapse_jax.lm.checks import check_divides, check_flags, check_sizes
from collapse_jax.lm.layer_stack import run_layers
from collapse_jax.lm.layers import ACTIVATIONS, Init, Linear, RMSNorm, embedded
from collapse_jax.lm.rotary import RotaryScaling, frequencies, read_rotary, rotate, rotation
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
"""Types that one network computes."""
_CLASSES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}
_KINDS = ("full_attention", "sliding_attention")  # of transformers' `layer_types`


@dataclasses.dataclass(frozen=True)
class LlamaConfig(BaseConfig):
    """Sizes and switches of a Llama network, under the names of transformers' `LlamaConfig`.

    The defaults describe Llama-7B, without its weights' limits on licences. Configs are immutable,
    hashable and equal if all their values are. From a config.json `lm.load` also reads
    rope_parameters of transformers 5, and Qwen's use_sliding_window.

    Args:
      model_type: "llama" (also SmolLM2 and TinyLlama), "mistral", "qwen2" or "qwen3".
      vocab_size: number of tokens V, >= 1; ids lie in [0, V).
      hidden_size: numbers per position in the residual stream, >= 1.
      intermediate_size: numbers per position within a feed-forward layer, >= 1.
      num_hidden_layers: number of blocks, >= 1.
      num_attention_heads: number of query heads, >= 1.
      num_key_value_heads: number of heads of keys and values, a divisor of the query heads;
        None for as many.
      head_dim: numbers per head, even; None for hidden_size / num_attention_heads.
      hidden_act: activation function, for example "silu".
      max_position_embeddings: tokens of the longest sequence, >= 1.
      rms_norm_eps: number that is added to a mean square, in (0, 1].
      rope_theta: base of the rotary frequencies, dimensionless, in (0, 1e12].
      rope_scaling: None, or a mapping with rope_type "linear" or "llama3" and its numbers.
      attention_bias: whether projections of attention have biases: all of Llama's and Qwen3's,
        those of queries, keys and values of Qwen2, which has them always; none of Mistral's.
      mlp_bias: whether projections of the feed-forward layer have biases; only of Llama.
      sliding_window: positions that a token sees, its own included; None for all. Not of Llama.
      layer_types: "full_attention" or "sliding_attention" for every block of a Qwen network with
        a window; None for the window in all.
      attention_dropout: probability in [0, 1] of dropping an attention weight in training.
      tie_word_embeddings: whether the head shares the embedding matrix.
      initializer_range: standard deviation of random weights, dimensionless.
      pad_token_id: token that fills a generated text after its end; None for the first of
        eos_token_id. 0 is a valid id.
      bos_token_id: token that begins a text.
      eos_token_id: token or tokens that end a text; None for no end.

    Raises:
      ValueError: if a size or a probability is out of range, heads do not divide each other, or a
        type of model, of rotation or of activation is unknown.

    >>> from collapse_jax import lm
    >>> config = lm.LlamaConfig(hidden_size=576, num_attention_heads=9, num_key_value_heads=3)
    >>> config.head_dim, lm.LlamaConfig(model_type="qwen2").attention_bias
    (64, True)
    """

    model_type: str = "llama"
    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = None  # type: ignore[assignment]  # resolved below
    head_dim: int = None  # type: ignore[assignment]  # resolved below
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    rope_scaling: Any = None
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    layer_types: tuple[str, ...] | None = None
    attention_dropout: float = 0.0
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02
    pad_token_id: int | None = None
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        check.choice("LlamaConfig.model_type", self.model_type, MODEL_TYPES)
        if self.num_key_value_heads is None:
            put("num_key_value_heads", self.num_attention_heads)
        check_sizes(
            self,
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "max_position_embeddings",
        )
        if self.head_dim is None:
            check_divides(self, "num_attention_heads", "hidden_size")
            put("head_dim", self.hidden_size // self.num_attention_heads)
        check_divides(self, "num_key_value_heads", "num_attention_heads")
        check.integer("LlamaConfig.head_dim", self.head_dim, 2)
        if self.head_dim % 2:
            allowed = "components of a head are rotated in pairs"
            raise check.fail("LlamaConfig.head_dim", self.head_dim, allowed, "pass an even number")
        check.choice("LlamaConfig.hidden_act", self.hidden_act, tuple(ACTIVATIONS))
        remedy = "use the number of the model's config.json"
        for name, high in (("rms_norm_eps", 1), ("rope_theta", 1e12)):
            given = getattr(self, name)
            put(name, check.number(f"LlamaConfig.{name}", given, 0, high, remedy, open_low=True))
        for name, high in (("attention_dropout", 1), ("initializer_range", 1e3)):
            check.number(f"LlamaConfig.{name}", getattr(self, name), 0, high, f"pass {name}=0.0")
        check_flags(self, "attention_bias", "mlp_bias", "tie_word_embeddings")
        put("rope_scaling", RotaryScaling.of(self.rope_scaling))
        if self.model_type == "qwen2":
            put("attention_bias", True)
        for name, types in (
            ("attention_bias", ("llama", "qwen2", "qwen3")),
            ("mlp_bias", ("llama",)),
        ):
            if getattr(self, name) and self.model_type not in types:
                allowed = f"networks of type {self.model_type} have no such biases"
                raise check.fail(f"LlamaConfig.{name}", True, allowed, f"pass {name}=False")
        self._check_windows()
        self.check_tokens()

    def _check_windows(self) -> None:
        """Refuse windows of a network without any, and types of a wrong number of blocks."""
        if self.sliding_window is not None:
            check.integer("LlamaConfig.sliding_window", self.sliding_window, 1)
            if self.model_type == "llama":
                allowed = "networks of type llama have no window"
                remedy = "pass sliding_window=None, or model_type='mistral'"
                raise check.fail("LlamaConfig.sliding_window", self.sliding_window, allowed, remedy)
        kinds = None if self.layer_types is None else tuple(self.layer_types)
        if kinds is None and self.sliding_window is not None and self.is_qwen:
            kinds = (_KINDS[1],) * self.num_hidden_layers
        object.__setattr__(self, "layer_types", kinds)
        if kinds is None:
            return
        if self.sliding_window is None or not self.is_qwen:
            allowed = "only networks of type qwen2 or qwen3 with a window choose blocks for it"
            raise check.fail("LlamaConfig.layer_types", kinds, allowed, "pass None")
        if len(kinds) != self.num_hidden_layers or not set(kinds) <= set(_KINDS):
            allowed = f"it must have {self.num_hidden_layers} entries among {', '.join(_KINDS)}"
            raise check.fail("LlamaConfig.layer_types", kinds, allowed, "pass None")

    def window(self, number: int) -> int | None:
        """Return how many positions a token of a block sees.

        Args:
          number: number of the block, from 0.

        Returns:
          Number of positions, the token's own included; None for all earlier ones.
        """
        if self.layer_types is not None and self.layer_types[number] == _KINDS[0]:
            return None
        return self.sliding_window

    @property
    def is_qwen(self) -> bool:
        """Tell whether the type is one of Qwen's."""
        return self.model_type.startswith("qwen")

    @property
    def biases(self) -> tuple[bool, bool]:
        """Tell whether queries, keys and values have biases, and whether the output has one."""
        return self.attention_bias, self.attention_bias and self.model_type != "qwen2"

    @classmethod
    def of_size(cls, model_type: str, **settings: Any) -> "LlamaConfig":
        """Make the config of a small network, with 8/3 as many numbers in feed-forward.

        Args:
          model_type: one of `MODEL_TYPES`.
          settings: sizes by their names in this class, numbers >= 1, and ids of tokens.

        Returns:
          The config.
        """
        inner = -(-8 * settings["hidden_size"] // 3)
        return cls(model_type, intermediate_size=inner, **settings)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "LlamaConfig":
        """Make a config from the mapping in a config.json.

        Args:
          values: settings by name; those of Qwen and of transformers 4 and 5 are translated.

        Returns:
          The config, with default numbers for keys that are missing.

        Raises:
          ValueError: if a value is out of range, or a type of rotation is unknown.
        """
        kind = values.get("model_type", "llama")
        known = {**_defaults(kind), **values, **read_rotary(values)}
        depth, window = known.get("num_hidden_layers", 32), known.pop("sliding_window", None)
        if kind.startswith("qwen"):
            window = window if known.get("use_sliding_window") else None
            full = known.get("max_window_layers", 28)  # transformers' default
            types = tuple(_KINDS[number >= full] for number in range(depth))
            known["layer_types"] = known.get("layer_types") or types
        if kind == "llama" or window is None:
            window = known["layer_types"] = None
        if kind == "mistral":
            known["layer_types"] = None  # transformers ignores them
        return super().from_json({**known, "sliding_window": window})

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that transformers reads, of versions 4 and 5.

        Returns:
          Strings, numbers, truth values, lists and None by their names in config.json.
        """
        values = super().as_json()
        values["architectures"] = [f"{_CLASSES[self.model_type]}ForCausalLM"]
        scaling, kinds = self.rope_scaling, values.pop("layer_types")
        values["rope_scaling"] = None if scaling is None else scaling.as_json()
        if self.is_qwen:
            values["use_sliding_window"] = self.sliding_window is not None
            values["layer_types"] = list(kinds or _KINDS[:1] * self.num_hidden_layers)
        return values


def _defaults(kind: str) -> dict[str, Any]:
    """Return the defaults of transformers that differ from those of llama."""
    if not kind.startswith("qwen"):
        return {"sliding_window": 4096, "num_key_value_heads": 8} if kind == "mistral" else {}
    heads = {"num_key_value_heads": 32} | ({"head_dim": 128} if kind == "qwen3" else {})
    return {"vocab_size": 151936, "bos_token_id": None, "eos_token_id": None} | heads


class Attention(nnx.Module):
    """Projections of an attention layer, with a caller's `attend` between them."""

    def __init__(self, config: LlamaConfig, init: Init) -> None:
        size, dim = config.hidden_size, config.head_dim
        heads, key_heads = config.num_attention_heads, config.num_key_value_heads
        bias, bias_out = config.biases
        self.head_dim = dim
        self.q_proj = Linear(size, heads * dim, bias, init)
        self.k_proj = Linear(size, key_heads * dim, bias, init)
        self.v_proj = Linear(size, key_heads * dim, bias, init)
        self.o_proj = Linear(heads * dim, size, bias_out, init)
        is_normed = config.model_type == "qwen3"
        self.q_norm = RMSNorm(dim, config.rms_norm_eps, init) if is_normed else None
        self.k_norm = RMSNorm(dim, config.rms_norm_eps, init) if is_normed else None

    def __call__(self, x: Hidden, attend: Callable[[Heads, Heads, Heads], Heads]) -> Hidden:
        """Project to queries, keys and values, attend, and project back.

        Args:
          x: activations [batch, position, hidden], dimensionless.
          attend: function of queries [batch, position, head, dim], keys and values
            [batch, position, key head, dim] that rotates, scales and mixes them.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        queries, keys, values = (
            layer(x).reshape(*x.shape[:-1], -1, self.head_dim)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.q_norm is not None and self.k_norm is not None:
            queries, keys = self.q_norm(queries), self.k_norm(keys)
        return self.o_proj(attend(queries, keys, values).reshape(*x.shape[:-1], -1))


class FeedForward(nnx.Module):
    """Feed-forward layer with a gate (SwiGLU, Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, config: LlamaConfig, init: Init) -> None:
        size, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = Linear(size, inner, bias, init)
        self.up_proj = Linear(size, inner, bias, init)
        self.down_proj = Linear(inner, size, bias, init)
        self.activation = config.hidden_act

    def __call__(self, x: Hidden) -> Hidden:
        """Compute down(activation(gate(x)) up(x)).

        Args:
          x: activations [batch, position, hidden], dimensionless.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        return self.down_proj(ACTIVATIONS[self.activation](self.gate_proj(x)) * self.up_proj(x))


class Block(nnx.Module):
    """Attention layer and feed-forward layer, each after a norm and with a residual path."""

    def __init__(self, config: LlamaConfig, init: Init) -> None:
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, init)
        self.self_attn = Attention(config, init)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps, init)
        self.mlp = FeedForward(config, init)

    def __call__(
        self, x: Hidden, attend: Callable[[Heads, Heads, Heads], Heads], key: Any = None
    ) -> Hidden:
        """Apply both layers.

        Args:
          x: activations [batch, position, hidden], dimensionless.
          attend: see `Attention`.
          key: ignored, a block drops nothing.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        x = x + self.self_attn(self.input_layernorm(x), attend)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nnx.Module):
    """Llama network with the parameter names and shapes of transformers' `LlamaForCausalLM`.

    Args:
      config: a `LlamaConfig`, of this package or of transformers.
      key: key of `jax.random` for normal random weights; None for zeros (see `load`).
      dtype: float32 or bfloat16, of parameters and computation.
      remat: compute each block a second time in the backward pass instead of storing its
        activations.

    Raises:
      ValueError: if `config` does not describe a Llama network.
    """

    @own_settings()
    def __init__(
        self, config: Any, *, key: Any = None, dtype: Any = jnp.float32, remat: bool = False
    ) -> None:
        allowed, remedy = "it must be the config of a Llama network", "pass a lm.LlamaConfig"
        config = check.instance("config", as_config(config), LlamaConfig, allowed, remedy)
        init = Init(key, config.initializer_range, jnp.dtype(dtype))
        self.config, self.remat = config, remat
        self.embed_tokens = nnx.Param(
            init.normal(config.vocab_size, config.hidden_size, zero=config.pad_token_id)
        )
        self.layers = nnx.List([Block(config, init) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps, init)
        shape = config.vocab_size, config.hidden_size
        self.lm_head = None if config.tie_word_embeddings else nnx.Param(init.normal(*shape))

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
          positions: index of each token in its text, [batch, position]; -1 for padding.
          attend: function of (number of the block, queries, keys, values).
          key: ignored, the network has no dropout next to that of attention.

        Returns:
          Activations [batch, position, hidden], dimensionless.
        """
        config = self.config
        x = embedded(self.embed_tokens[...], input_ids, config.pad_token_id)
        radians = frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
        turn, scale = rotation(positions, radians, x.dtype), config.head_dim**-0.5

        def rotated(number: Any, queries: Heads, keys: Heads, values: Heads) -> tuple:
            return rotate(queries, turn) * scale, rotate(keys, turn), values

        return self.norm(run_layers(self.layers, attend, x, remat=self.remat, prepare=rotated))

    @property
    def head(self) -> Float[Array, "vocab embedding"]:
        """Return the matrix [vocab, embedding] that maps activations to logits."""
        return (self.embed_tokens if self.lm_head is None else self.lm_head)[...]


for _type in MODEL_TYPES:
    register(
        _type,
        config=LlamaConfig,
        network=Llama,
        ignored=r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",  # files of 2023
    )

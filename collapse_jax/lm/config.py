"""Describe the sizes of an OPT model and convert them from and to transformers' config.json."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from collapse_jax.utils import check

ACTIVATIONS = ("relu", "gelu", "gelu_new")
_FLAGS = (
    "do_layer_norm_before",
    "enable_bias",
    "layer_norm_elementwise_affine",
    "remove_final_layer_norm",
    "tie_word_embeddings",
)


@dataclasses.dataclass(frozen=True)
class OPTConfig:
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
        sizes = (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "ffn_dim",
            "max_position_embeddings",
            "num_attention_heads",
        )
        for name in sizes:
            check.integer(f"OPTConfig.{name}", getattr(self, name), 1)
        if self.word_embed_proj_dim is None:
            object.__setattr__(self, "word_embed_proj_dim", self.hidden_size)
        check.integer("OPTConfig.word_embed_proj_dim", self.word_embed_proj_dim, 1)
        if self.hidden_size % self.num_attention_heads:
            allowed = f"it must divide hidden_size={self.hidden_size}"
            remedy = "change one of the two"
            raise check.fail(
                "OPTConfig.num_attention_heads", self.num_attention_heads, allowed, remedy
            )
        check.choice("OPTConfig.activation_function", self.activation_function, ACTIVATIONS)
        for name in ("dropout", "attention_dropout", "layerdrop"):
            remedy = f"pass for example {name}=0.1"
            check.number(f"OPTConfig.{name}", getattr(self, name), 0, 1, remedy)
        for name in _FLAGS:
            allowed, remedy = "it must be True or False", f"pass {name}=True or False"
            check.instance(f"OPTConfig.{name}", getattr(self, name), bool, allowed, remedy)
        check.number("OPTConfig.init_std", self.init_std, 0, 1e3, "pass init_std=0.02")
        self._check_tokens()

    def _check_tokens(self) -> None:
        """Refuse ids of special tokens that are no tokens; 0 is one, and None is none."""
        if isinstance(self.eos_token_id, list):
            object.__setattr__(self, "eos_token_id", tuple(self.eos_token_id))
        if self.pad_token_id is not None:
            remedy = f"pass a token below vocab_size={self.vocab_size}, or None"
            most = self.vocab_size - 1
            check.integer("OPTConfig.pad_token_id", self.pad_token_id, 0, most, remedy)
        ids = self.eos_token_ids if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)
        for name, values in (("bos_token_id", (self.bos_token_id,)), ("eos_token_id", ids)):
            for value in values:
                if value is not None:
                    remedy = "pass a token, or None"
                    check.integer(f"OPTConfig.{name}", value, 0, 2**31 - 1, remedy)

    @property
    def head_dim(self) -> int:
        """Return the number of components of an attention head, hidden_size / heads."""
        return self.hidden_size // self.num_attention_heads

    @property
    def embedding_dim(self) -> int:
        """Return the number of components of an embedding."""
        assert self.word_embed_proj_dim is not None
        return self.word_embed_proj_dim

    @property
    def has_final_layer_norm(self) -> bool:
        """Tell whether a layer norm follows the last of the blocks."""
        return self.do_layer_norm_before and not self.remove_final_layer_norm

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """Return all tokens that end a text, () if none does."""
        ids = self.eos_token_id
        return () if ids is None else (ids,) if isinstance(ids, int) else ids

    @classmethod
    def of(cls, given: Any) -> "OPTConfig":
        """Convert a config of another kind.

        Args:
          given: an `OPTConfig` of this module, which is returned as it is; one of
            transformers; or the mapping in a config.json.

        Returns:
          The config, with default numbers for keys that `given` lacks.

        Raises:
          ValueError: if the model type is not "opt" or a value is out of range.
        """
        if isinstance(given, cls):
            return given
        values = given if isinstance(given, Mapping) else getattr(given, "to_dict", dict)()
        if values.get("model_type") != "opt":
            shown = values.get("model_type", type(given).__name__)
            allowed = "only OPT models are supported"
            raise check.fail("model_type", shown, allowed, "pass the config of an OPT model")
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        removed = values.get("_remove_final_layer_norm", False)
        return cls(**{**known, "remove_final_layer_norm": removed})

    def as_json(self) -> dict[str, Any]:
        """Return the mapping that transformers' `OPTConfig.from_pretrained` reads.

        Returns:
          Strings, numbers, truth values and None by their names in config.json.
        """
        values = dataclasses.asdict(self)
        values["_remove_final_layer_norm"] = values.pop("remove_final_layer_norm")
        return {"architectures": ["OPTForCausalLM"], "model_type": "opt", **values}

"""The sizes of an OPT model, read from and written as transformers' config.json."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from collapse_jax.utils import check

ACTIVATIONS = ("relu", "gelu", "gelu_new")


@dataclasses.dataclass(frozen=True)
class Config:
    """What transformers' `OPTConfig` says of the network, under its names; compares by value.

    Attributes:
      vocab_size: number of tokens.
      hidden_size: width of the network.
      num_hidden_layers: number of blocks.
      ffn_dim: width within a feed-forward layer.
      max_position_embeddings: longest sequence.
      num_attention_heads: a divisor of hidden_size.
      do_layer_norm_before: pre-norm; False is post-norm, as in OPT-350m.
      word_embed_proj_dim: width of the embeddings, projected to hidden_size if it differs;
        None is hidden_size.
      activation_function: "relu", "gelu" or "gelu_new".
      dropout: rate after embeddings' blocks in training.
      attention_dropout: rate of attention weights in training.
      layerdrop: rate at which blocks are skipped in training.
      enable_bias: whether projections have biases.
      layer_norm_elementwise_affine: whether layer norms have scales and biases.
      remove_final_layer_norm: `_remove_final_layer_norm` of old checkpoints.
      tie_word_embeddings: whether the head is the embedding.
      init_std: of random weights.
      pad_token_id: fills what follows the end of a generated text.
      bos_token_id: begins a text.
      eos_token_id: one or several that end a text; None if nothing does.

    Raises:
      ValueError: for sizes that make no network.

    >>> from collapse_jax.families import language_model as lm
    >>> config = lm.Config()  # OPT-125m's
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
            check.integer(f"Config.{name}", getattr(self, name), 1)
        if self.word_embed_proj_dim is None:
            object.__setattr__(self, "word_embed_proj_dim", self.hidden_size)
        check.integer("Config.word_embed_proj_dim", self.word_embed_proj_dim, 1)
        if self.hidden_size % self.num_attention_heads:
            allowed = f"it must divide hidden_size={self.hidden_size}"
            remedy = "change one of the two"
            raise check.fail(
                "Config.num_attention_heads", self.num_attention_heads, allowed, remedy
            )
        check.choice("Config.activation_function", self.activation_function, ACTIVATIONS)
        for name in ("dropout", "attention_dropout", "layerdrop"):
            check.number(f"Config.{name}", getattr(self, name), 0, 1, f"pass {name}=0.1, say")
        if isinstance(self.eos_token_id, list):
            object.__setattr__(self, "eos_token_id", tuple(self.eos_token_id))

    @property
    def head_dim(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def embedding_dim(self) -> int:
        """Width of the embeddings."""
        assert self.word_embed_proj_dim is not None
        return self.word_embed_proj_dim

    @property
    def has_final_layer_norm(self) -> bool:
        """Whether a layer norm follows the last block."""
        return self.do_layer_norm_before and not self.remove_final_layer_norm

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """All tokens that end a text."""
        ids = self.eos_token_id
        return () if ids is None else (ids,) if isinstance(ids, int) else ids

    @classmethod
    def of(cls, given: Any) -> "Config":
        """From a Config, a transformers `OPTConfig`, or the mapping in a config.json.

        Raises:
          ValueError: if that is no OPT model.
        """
        if isinstance(given, cls):
            return given
        values = given if isinstance(given, Mapping) else getattr(given, "to_dict", dict)()
        if values.get("model_type") != "opt":
            shown = values.get("model_type", type(given).__name__)
            allowed = "only OPT models are known"
            raise check.fail("model_type", shown, allowed, "pass the config of an OPT model")
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        removed = values.get("_remove_final_layer_norm", False)
        return cls(**{**known, "remove_final_layer_norm": removed})

    def as_json(self) -> dict[str, Any]:
        """What transformers' `OPTConfig.from_pretrained` reads."""
        values = dataclasses.asdict(self)
        values["_remove_final_layer_norm"] = values.pop("remove_final_layer_norm")
        return {"architectures": ["OPTForCausalLM"], "model_type": "opt", **values}

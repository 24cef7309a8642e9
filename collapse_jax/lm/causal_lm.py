"""Define what a causal language model is, and find the architecture of a model by its type.

Everything else in `lm` is written for `CausalLM` and `CausalLMConfig` and knows no architecture:
the cache, searches, losses, training and devices. What they may assume, and an architecture must
therefore hold to:

- **Attention is the caller's.** A network calls `attend(number, queries, keys, values)` once for
  every block, in the order number = 0, 1, ..., and mixes positions nowhere else. Queries are
  [batch, position, head, dim] and scaled, so that attention is softmax(queries keys^T) values. Keys
  and values may have fewer heads, a divisor of the number of query heads; query head h then reads
  head h // (heads / key heads), and nothing is repeated. Keys contain everything that depends on
  their position, such as a rotation. A network that runs its list of blocks by
  `layer_stack.run_layers` can also have them scanned; number is then an integer array.
- **The cache** stores the keys and values of a call and attends to them in later ones, in which the
  network gets only the newest tokens. So keys and values of a token depend on this token, on its
  position and on what `attend` has returned.
- **Beams** of a prompt are passed along the position axis, one token per beam, all with the same
  position. So nothing but `attend` may look along that axis: no convolution, no mean.
- **Positions** count the tokens of a text from 0. They are -1 at padding, where any finite result
  will do. `CausalLMConfig.window` limits how far back a block sees.
- **The loss** multiplies the returned activations with `head`, without a bias: logits are
  activations head^T. The head may be the embedding matrix.
- **Training** changes every `nnx.Param` and there is no other state: no running means. Dropout
  draws from `key`, one key per text, and is absent where `key` is None. Parameters may arrive in
  bfloat16 and are then computed with; sums that need it (norms, softmax, logits) are in float32.
- **Devices** share the rows of a batch. So a row never depends on the other rows.
- **Programs** are compiled once for each config, which is frozen, hashable and compared by value.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from collapse_jax.lm.layer_stack import stacked
from collapse_jax.random.threefry import as_key
from collapse_jax.utils import check
from collapse_jax.utils.jax_settings import own_settings

Heads = Float[Array, "batch position head dim"]
Attend = Callable[[int, Heads, Heads, Heads], Heads]
Hidden = Float[Array, "batch position hidden"]


@runtime_checkable
class CausalLMConfig(Protocol):
    """Sizes and tokens of a network that cache, searches, losses and training read.

    A frozen dataclass with these fields or properties is one; `BaseConfig` adds methods that read
    and write a config.json. Each architecture has more settings of its own.

    Attributes:
      model_type: name of the architecture in a config.json, see `register`.
      vocab_size: number of tokens V; ids lie in [0, V).
      max_position_embeddings: tokens of the longest sequence.
      num_hidden_layers: number of blocks, each of which calls `attend` once.
      num_attention_heads: number of query heads.
      num_key_value_heads: number of heads of keys and values, a divisor of the query heads.
      head_dim: numbers per position and head.
      attention_dropout: probability in [0, 1] of dropping an attention weight in training.
      pad_token_id: token that fills a generated text after its end; None for the first of
        eos_token_id. 0 is an id.
      eos_token_id: token or tokens that end a text; None for no end. 0 is an id.
      window: function of the number of a block: positions that a token sees there, itself
        included; None for all earlier ones.

    >>> from collapse_jax import lm
    >>> isinstance(lm.OPTConfig(), lm.CausalLMConfig), isinstance({}, lm.CausalLMConfig)
    (True, False)
    """

    @property
    def model_type(self) -> str: ...  # noqa: D102
    @property
    def vocab_size(self) -> int: ...  # noqa: D102
    @property
    def max_position_embeddings(self) -> int: ...  # noqa: D102
    @property
    def num_hidden_layers(self) -> int: ...  # noqa: D102
    @property
    def num_attention_heads(self) -> int: ...  # noqa: D102
    @property
    def num_key_value_heads(self) -> int: ...  # noqa: D102
    @property
    def head_dim(self) -> int: ...  # noqa: D102
    @property
    def attention_dropout(self) -> float: ...  # noqa: D102
    @property
    def pad_token_id(self) -> int | None: ...  # noqa: D102
    @property
    def eos_token_id(self) -> int | tuple[int, ...] | None: ...  # noqa: D102

    def window(self, number: int) -> int | None:
        """Return how many positions a token of a block sees.

        Args:
          number: number of the block, from 0.

        Returns:
          Number of positions, the token's own included; None for all earlier ones.
        """
        ...


class CausalLM(Protocol):
    """A network from tokens to the activations that its head multiplies, an `nnx.Module`.

    The assumptions about `attend` and positions are those of this file's docstring. Networks are
    made by `create` and `load`.

    Attributes:
      config: see `CausalLMConfig`.
      head: matrix [vocab, embedding] that maps activations to logits.

    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model: lm.CausalLM = lm.create(config, key=0)
    >>> model.head.shape
    (64, 16)
    """

    @property
    def config(self) -> CausalLMConfig: ...  # noqa: D102
    @property
    def head(self) -> Float[Array, "vocab embedding"]: ...  # noqa: D102

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
        ...


class BaseConfig:
    """Base of a config: tokens that end a text, and the form of a config.json.

    Subclasses are frozen dataclasses with the attributes of `CausalLMConfig`. Where the keys of a
    config.json are not the fields, they override `from_json` and `as_json`.

    >>> from collapse_jax import lm
    >>> issubclass(lm.OPTConfig, lm.BaseConfig)
    True
    """

    @property
    def eos_token_ids(self: Any) -> tuple[int, ...]:
        """Return all tokens that end a text, () if none does."""
        return end_tokens(self)

    def window(self, number: int) -> int | None:
        """Return how many positions a token of a block sees: all earlier ones.

        Args:
          number: number of the block, from 0.

        Returns:
          None: no limit.
        """
        return None

    def check_tokens(self: Any) -> None:
        """Refuse ids of special tokens that are no tokens; 0 is one, and None is none.

        A list in eos_token_id becomes a tuple, so that the config stays hashable.

        Raises:
          ValueError: for an id that is no integer >= 0, and a padding id beyond the vocabulary,
            whose embedding would be read.
        """
        name = type(self).__name__
        if isinstance(self.eos_token_id, list):
            object.__setattr__(self, "eos_token_id", tuple(self.eos_token_id))
        if self.pad_token_id is not None:
            remedy = f"pass a token below vocab_size={self.vocab_size}, or None"
            most = self.vocab_size - 1
            check.integer(f"{name}.pad_token_id", self.pad_token_id, 0, most, remedy)
        ends = self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)
        for field, values in (("bos_token_id", (self.bos_token_id,)), ("eos_token_id", ends)):
            for value in values:
                if value is not None:
                    remedy = "pass a token, or None"
                    check.integer(f"{name}.{field}", value, 0, 2**31 - 1, remedy)

    @classmethod
    def of_size(cls: Any, model_type: str, **settings: int) -> Any:
        """Make the config of a small network, see `config_of_size`.

        Args:
          model_type: the registered type that is asked for.
          settings: vocab_size, hidden_size, num_hidden_layers, num_attention_heads and
            max_position_embeddings, numbers >= 1, and ids of special tokens.

        Returns:
          The config; subclasses with other names of settings translate them.
        """
        return cls(**settings)

    @classmethod
    def from_json(cls: Any, values: Mapping[str, Any]) -> Any:
        """Make a config from the mapping in a config.json.

        Args:
          values: settings by name; names that the config lacks are ignored.

        Returns:
          The config, with default numbers for keys that are missing.

        Raises:
          ValueError: if a value is out of range.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})

    def as_json(self: Any) -> dict[str, Any]:
        """Return the mapping that is written to a config.json.

        Returns:
          Strings, numbers, truth values and None by name.
        """
        return {"model_type": self.model_type, **dataclasses.asdict(self)}


class Architecture(NamedTuple):
    """Everything that `create`, `load` and `save` know about one model type.

    Attributes:
      config: class of the config, a `BaseConfig`.
      network: function of (config, key, dtype, remat) to a network; key None gives zeros.
      prefix: start of the names of all parameters in files except the head, with parts
        separated by points.
      embedding: name of the embedding matrix below the prefix, without ".weight".
      ignored: regular expression of names in files that are no parameters; "" for none.
    """

    config: Any
    network: Callable[..., Any]
    prefix: str
    embedding: str
    ignored: str


_ARCHITECTURES: dict[str, Architecture] = {}


def register(
    model_type: str,
    *,
    config: Any,
    network: Callable[..., Any],
    prefix: str = "model",
    embedding: str = "embed_tokens",
    ignored: str = "",
) -> None:
    """Register an architecture, so that `create`, `load` and a `LanguageModel` know it.

    A parameter at the path a.b of the network is called prefix.a.b in files, with ".weight"
    appended unless it ends in "weight" or "bias"; a parameter `lm_head` is "lm_head.weight".
    Shapes are those in the files.

    Args:
      model_type: name of the architecture in a config.json.
      config: class of the config, a frozen dataclass that subclasses `BaseConfig`.
      network: class of the network, a `CausalLM`; it is called as
        network(config, key=..., dtype=..., remat=...), where key None asks for zeros.
      prefix: start of the names of parameters in files, with parts separated by points.
      embedding: path of the embedding matrix, which a tied head is read from.
      ignored: regular expression of names in files that are no parameters, such as masks.

    Raises:
      ValueError: if the type is registered with other classes.

    >>> from collapse_jax import lm
    >>> lm.register("opt", config=lm.BaseConfig, network=lm.OPT)
    Traceback (most recent call last):
        ...
    collapse_jax.ArgumentError: model_type='opt' is not allowed: it is registered; pass another name
    """
    given = Architecture(config, network, prefix, embedding, ignored)
    if _ARCHITECTURES.get(model_type, given) != given:
        raise check.fail("model_type", model_type, "it is registered", "pass another name")
    _ARCHITECTURES[model_type] = given


def architectures() -> tuple[str, ...]:
    """Return the names of all registered model types, in alphabetical order.

    >>> from collapse_jax import lm
    >>> "opt" in lm.architectures()
    True
    """
    return tuple(sorted(_ARCHITECTURES))


def architecture_of(config: CausalLMConfig) -> Architecture:
    """Return the architecture of a config.

    Args:
      config: config of any registered class.

    Returns:
      Its classes, and the names of its parameters.

    Raises:
      ValueError: if the model type is not registered.
    """
    return _ARCHITECTURES[_known(config.model_type)]


def _known(model_type: Any) -> str:
    """Return a model type if it is registered."""
    if not isinstance(model_type, str) or model_type not in _ARCHITECTURES:
        allowed = f"known types are {', '.join(architectures())}"
        remedy = "pass a model of one of these, or add its type by lm.register"
        raise check.fail("model_type", model_type, allowed, remedy)
    return model_type


def config_of_size(
    architecture: str | None = None,
    *,
    vocab_size: int,
    hidden_size: int,
    num_layers: int,
    num_heads: int,
    num_positions: int,
) -> Any:
    """Make the config of a small network, for texts whose tokenizer is trained on them.

    Args:
      architecture: a registered model type; None for OPT, as in Shumailov et al. (2024).
      vocab_size: number of tokens; padding is token 1, and token 2 begins and ends a text, as
        in `collapse_jax.text.load_texts`.
      hidden_size: numbers per position, >= 1.
      num_layers: number of blocks, >= 1.
      num_heads: number of heads, a divisor of hidden_size.
      num_positions: tokens of the longest sequence, >= 1.

    Returns:
      Config of the class that is registered for the type.

    Raises:
      ValueError: if the type is unknown or a size is out of range.

    >>> from collapse_jax import lm
    >>> sizes = {"vocab_size": 64, "hidden_size": 16, "num_layers": 1, "num_heads": 2}
    >>> lm.config_of_size("opt", **sizes, num_positions=32).ffn_dim
    64
    """
    name = check.choice("architecture", architecture or "opt", architectures())
    return _ARCHITECTURES[name].config.of_size(
        name,
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        max_position_embeddings=num_positions,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=2,
    )


def is_config(value: Any) -> bool:
    """Tell whether a value is the config of a registered architecture.

    Args:
      value: any value; a class is none.

    Returns:
      True for an instance of a registered class of configs.

    >>> from collapse_jax import lm
    >>> lm.is_config(lm.OPTConfig()), lm.is_config("facebook/opt-125m")
    (True, False)
    """
    return any(isinstance(value, each.config) for each in _ARCHITECTURES.values())


def as_config(given: Any) -> Any:
    """Convert a config of another kind.

    Args:
      given: a config of a registered class, which is returned as it is; a config object of
        transformers; or the mapping in a config.json.

    Returns:
      The config, with default numbers for keys that `given` lacks.

    Raises:
      ValueError: if the model type is not registered, weights are quantised, or a value is out
        of range.
    """
    if is_config(given):
        return given
    values = given if isinstance(given, Mapping) else getattr(given, "to_dict", dict)()
    architecture = _ARCHITECTURES[_known(values.get("model_type", type(given).__name__))]
    quantised = values.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, Mapping) else quantised
        allowed, remedy = "quantised weights cannot be read", "pass the weights in floating point"
        raise check.fail("quantization_config", check.Shown(method), allowed, remedy)
    return architecture.config.from_json(values)


@own_settings()
def create(
    config: Any,
    *,
    key: Any,
    dtype: Any = jnp.float32,
    remat: bool = False,
    scan_layers: bool = False,
) -> Any:
    """Make a network with random weights.

    Args:
      config: config of any architecture, for example an `OPTConfig`; or a config object of
        transformers.
      key: seed or key of `jax.random`; weights are normal with the standard deviation of the
        config, as in transformers.
      dtype: float32 or bfloat16, of parameters and computation. Logits and losses are
        float32.
      remat: compute each block a second time in the backward pass instead of storing its
        activations: a third more work, much less memory.
      scan_layers: compile one block and repeat it, so that the time to compile does not grow
        with depth; parameters of blocks are stacked, [block, ...]. Files are the same.

    Returns:
      The network, a `CausalLM`.

    Raises:
      ValueError: if `config` describes no known architecture, a value is out of range, or a
        network whose blocks are to be scanned does not run them by `run_layers`.

    >>> import jax
    >>> from collapse_jax import lm
    >>> config = lm.OPTConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, ffn_dim=32,
    ...                    num_attention_heads=2, max_position_embeddings=32)
    >>> model = lm.create(config, key=0)
    >>> model.embed_tokens.shape, len(model.layers)
    ((64, 16), 1)
    """
    config = as_config(config)
    key = key if isinstance(key, jax.Array) else as_key(key)
    dtype = jnp.dtype(dtype)
    network = architecture_of(config).network(config, key=key, dtype=dtype, remat=remat)
    return stacked(network) if scan_layers else network


def end_tokens(config: CausalLMConfig) -> tuple[int, ...]:
    """Return the tokens that end a text.

    Args:
      config: config of the model.

    Returns:
      Ids, () if none ends a text.
    """
    ids = config.eos_token_id
    return () if ids is None else (ids,) if isinstance(ids, int) else tuple(ids)


def fill_token(config: CausalLMConfig) -> int:
    """Return the token that fills a text after its end.

    Args:
      config: config of the model.

    Returns:
      The padding id, else the first id that ends a text, else -1.
    """
    pad = config.pad_token_id
    return next(iter(end_tokens(config)), -1) if pad is None else pad

"""Causal language models in Flax: read and write weights, train, score and generate text.

>>> from collapse_jax import lm
>>> model = lm.load("facebook/opt-125m")  # doctest: +SKIP
>>> lm.generate(model, [[2, 133, 812]], num_beams=5, max_new_tokens=64)  # doctest: +SKIP
"""

from typing import NoReturn

from collapse_jax.lm.causal_lm import (
    BaseConfig,
    CausalLM,
    CausalLMConfig,
    architectures,
    config_of_size,
    create,
    is_config,
    register,
)
from collapse_jax.lm.compile_for import compile_for
from collapse_jax.lm.generation import Decoding, generate, stream
from collapse_jax.lm.gpt2 import GPT2Config
from collapse_jax.lm.llama import LlamaConfig
from collapse_jax.lm.lora import add_adapters
from collapse_jax.lm.opt import OPT, OPTConfig
from collapse_jax.lm.scoring import logits, loss, losses, perplexities
from collapse_jax.lm.sharding import data_mesh, mesh
from collapse_jax.lm.training import Trainer, Training, TrainingState
from collapse_jax.lm.weights import load, read_config, save

__all__ = [
    "OPT",
    "BaseConfig",
    "CausalLM",
    "CausalLMConfig",
    "Decoding",
    "GPT2Config",
    "LlamaConfig",
    "OPTConfig",
    "Trainer",
    "Training",
    "TrainingState",
    "add_adapters",
    "architectures",
    "compile_for",
    "config_of_size",
    "create",
    "data_mesh",
    "generate",
    "is_config",
    "load",
    "logits",
    "loss",
    "losses",
    "mesh",
    "perplexities",
    "read_config",
    "register",
    "save",
    "stream",
]


def __getattr__(name: str) -> NoReturn:
    """Name the new class where the former name `Config` is used."""
    if name == "Config":
        raise AttributeError("lm.Config is now lm.OPTConfig")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

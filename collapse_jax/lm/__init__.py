"""OPT language models in Flax: read and write weights, train, score and generate text.

>>> from collapse_jax import lm
>>> model = lm.load("facebook/opt-125m")  # doctest: +SKIP
>>> lm.generate(model, [[2, 133, 812]], num_beams=5, max_new_tokens=64)  # doctest: +SKIP
"""

from typing import NoReturn

from collapse_jax.lm.config import OPTConfig
from collapse_jax.lm.generation import Decoding, generate, stream
from collapse_jax.lm.model import OPT
from collapse_jax.lm.scoring import logits, loss, losses, perplexities
from collapse_jax.lm.sharding import data_mesh
from collapse_jax.lm.training import Trainer, Training, TrainingState
from collapse_jax.lm.weights import load, read_config, save

__all__ = [
    "OPT",
    "Decoding",
    "OPTConfig",
    "Trainer",
    "Training",
    "TrainingState",
    "data_mesh",
    "generate",
    "load",
    "logits",
    "loss",
    "losses",
    "perplexities",
    "read_config",
    "save",
    "stream",
]


def __getattr__(name: str) -> NoReturn:
    """Name the new class where the former name `Config` is used."""
    if name == "Config":
        raise AttributeError("lm.Config is now lm.OPTConfig")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

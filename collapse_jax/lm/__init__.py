"""OPT language models in Flax: weights in, tokens out, and training.

>>> from collapse_jax.families import language_model as lm
>>> model = lm.load("facebook/opt-125m")  # doctest: +SKIP
>>> lm.generate(model, [[2, 133, 812]], num_beams=5, max_new_tokens=64)  # doctest: +SKIP
"""

from collapse_jax.lm.config import Config
from collapse_jax.lm.generation import Decoding, generate, stream
from collapse_jax.lm.model import OPT
from collapse_jax.lm.scoring import logits, loss, losses, perplexities
from collapse_jax.lm.sharding import data_mesh
from collapse_jax.lm.training import Trainer, Training, TrainingState
from collapse_jax.lm.weights import load, read_config, save

__all__ = [
    "OPT",
    "Config",
    "Decoding",
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

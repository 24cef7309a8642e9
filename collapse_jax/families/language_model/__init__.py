"""Define chains of language models, each fine-tuned on the text of its predecessor."""

from typing import Any

from collapse_jax.families.language_model.family import LanguageModel

__all__ = ["LanguageModel"]

_FORMER = (
    "Config Decoding OPT Trainer Training TrainingState data_mesh generate load logits loss losses "
    "perplexities read_config save stream"
).split()


def __getattr__(name: str) -> Any:
    """Refuse the names of version 0.1 with a message that has their new module."""
    if name in _FORMER:
        raise ImportError(f"collapse_jax.families.language_model.{name} is now in collapse_jax.lm")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

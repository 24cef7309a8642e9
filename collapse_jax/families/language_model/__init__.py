"""Define chains of language models, each fine-tuned on the text of its predecessor."""

from typing import Any

from collapse_jax.families.language_model.family import LanguageModel

__all__ = ["LanguageModel"]


def __getattr__(name: str) -> Any:
    """Name the successor of what lay here in version 0.1."""
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"collapse_jax.families.language_model.{name} is now collapse_jax.lm.{name}")

"""Chains of language models, each fine-tuned on what its predecessor wrote."""

from collapse_jax.families.language_model.family import LanguageModel

__all__ = ["LanguageModel"]

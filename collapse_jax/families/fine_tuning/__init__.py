"""Chains of language models, each fine-tuned on what its predecessor wrote."""

from collapse_jax.families.fine_tuning.family import LanguageModel

__all__ = ["LanguageModel"]

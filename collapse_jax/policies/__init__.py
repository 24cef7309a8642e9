"""The policies: which data the next model is trained on."""

from collapse_jax.policies.accumulate import Accumulate
from collapse_jax.policies.replace import Replace

__all__ = ["Accumulate", "Replace"]

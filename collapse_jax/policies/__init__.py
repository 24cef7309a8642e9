"""The policies: which data the next model is trained on."""

from collapse_jax.policies.accumulate import Accumulate
from collapse_jax.policies.accumulate_subsample import AccumulateSubsample
from collapse_jax.policies.fresh import Fresh
from collapse_jax.policies.mixing import Mixing
from collapse_jax.policies.replace import Replace

__all__ = ["Accumulate", "AccumulateSubsample", "Fresh", "Mixing", "Replace"]

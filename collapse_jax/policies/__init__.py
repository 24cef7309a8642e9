"""The policies: what the next model is trained on."""

from collapse_jax.core.policy import register_policy
from collapse_jax.policies.accumulate import Accumulate
from collapse_jax.policies.accumulate_subsample import AccumulateSubsample
from collapse_jax.policies.detector import Detector
from collapse_jax.policies.fresh import Fresh
from collapse_jax.policies.mixing import Mixing
from collapse_jax.policies.replace import Replace

__all__ = ["Accumulate", "AccumulateSubsample", "Detector", "Fresh", "Mixing", "Replace"]

for _policy in (Replace, Accumulate, AccumulateSubsample, Mixing, Fresh):
    register_policy(_policy)

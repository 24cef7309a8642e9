"""Compute exact expectations and laws of generation chains, each with its source.

gaussian  Replace in any dimension, with sampling bias; first-order expansions
gaussian_accumulation  Gaussian chains that accumulate data or draw fresh data
rates  Poisson and exponential chains
kernel_density  moments and characteristic functions of kernel density chains
bayesian  learners that take the mean or a sample of their posterior
pools  models fitted to pools of synthetic and of new original rows
detection  shares of original rows behind a detector
series_density  coefficients of series density chains on the circle
regression  errors of chains of least-squares regressions
discrete  closed forms of chains of frequencies
ecosystem  similarity of models that train on each other's rows
selected  two states whose rows raters choose: Wright-Fisher with selection
ancestors  the ancestral dual: support, absorption and surviving mass for every p_0
ancestor_chains  simulation of the dual, hundreds of times faster than the chain
enumeration  all states of a small chain as one matrix
occupancy  the law of the number of distinct parents, row by row
bounds  published bounds
"""

from typing import Any

from collapse_jax.theory.detection import effective_share

__all__ = ["effective_share"]

_FORMER = {"keeping": "gaussian_accumulation", "parents": "occupancy"}


def __getattr__(name: str) -> Any:
    """Name the successor of a module of version 0.1."""
    if name in _FORMER:
        raise ImportError(f"collapse_jax.theory.{name} is now collapse_jax.theory.{_FORMER[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

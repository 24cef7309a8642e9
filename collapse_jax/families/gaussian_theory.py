"""Compute exact expectations of Gaussian chains, by source and policy."""

import math
from typing import Any

import numpy as np

from collapse_jax.core.metric import Curve
from collapse_jax.policies import Accumulate, Fresh
from collapse_jax.sources import Normal
from collapse_jax.theory import bayesian, gaussian, gaussian_accumulation, pools

Curves = dict[str, Curve]

_POSITIVE = (0.0, math.inf)


@np.errstate(over="ignore", invalid="ignore")  # inf is beyond float64, NaN is unknown
def gaussian_curves(chain: Any, sizes: np.ndarray) -> Curves:
    """Return the known expectations of a Gaussian chain, see `collapse_jax.theory.gaussian`.

    They are known for a `Normal` truth without selection, under Replace, Accumulate, Fresh, and
    Mixing with new original rows.

    Args:
      chain: a chain with a `Gaussian` family.
      sizes: M_0 .. M_G in rows, [G + 1].

    Returns:
      Curves by variable, [G + 1, ...]; empty where none is known.
    """
    family, source, policy = chain.family, chain.source, chain.policy
    if policy.selected_by is not None or type(source) is not Normal:
        return {}
    estimator, bias = family.estimator, float(family.sampling_bias)
    fresh = policy.fresh_share(len(sizes) - 1)
    if family.prior is not None:
        is_replacing = fresh is not None and not np.any(fresh.shares > 0)
        return _with_prior(family, source, sizes) if is_replacing and bias == 1 else {}
    if estimator == "ledoit_wolf":
        return {}
    if type(policy) is Accumulate and np.any(policy.num_original):
        made = sizes - np.broadcast_to(policy.num_original, len(sizes))
        variance, error = pools.pooled_moments(made, policy.num_original, estimator, bias)
    elif type(policy) is Fresh and policy.weight is not None:
        made = sizes - np.broadcast_to(policy.num_original, len(sizes))
        variance, error = gaussian_accumulation.weighted_fresh_moments(
            made, policy.num_original, float(policy.weight), estimator, bias
        )
    elif type(policy) is Accumulate and bias == 1:
        variance = gaussian_accumulation.accumulate_expected_variance(sizes, estimator)
        error = gaussian_accumulation.accumulate_mean_squared_error(sizes, estimator)
    elif fresh is not None:
        variance, error = gaussian_accumulation.fresh_share_moments(
            sizes, fresh.shares, estimator, fresh.allocation, bias
        )
    else:
        return {}
    covariance = np.asarray(source.covariance, np.float64).reshape(family.dim, family.dim)
    ones = np.ones((len(sizes), 1))
    curves: Curves = {
        "mean": Curve(ones * np.asarray(source.mean), ("dim",)),
        "mean_variance": Curve(error[:, None] * np.diagonal(covariance), ("dim",)),
    }
    if family.dim == 1:
        curves["variance"] = Curve(variance * covariance[0, 0], bounds=_POSITIVE)
    else:
        curves["trace_covariance"] = Curve(variance * np.trace(covariance), bounds=_POSITIVE)
    is_replacing = fresh is not None and not np.any(fresh.shares > 0)
    log_scale = np.asarray(source.moments.log_scale, np.float64)
    if is_replacing and np.all(log_scale > -np.inf):
        curves |= _logarithms(sizes, estimator, log_scale, bias)
    return curves


def _with_prior(family: Any, source: Normal, sizes: np.ndarray) -> Curves:
    """Return expectations of a Bayesian learner under Replace."""
    prior = family.prior
    given = (np.asarray(prior.mean), float(prior.kappa), np.asarray(prior.scale), prior.dof)
    is_sample = family.learner == "posterior_sample"
    law = np.asarray(source.mean), np.asarray(source.covariance)
    found = bayesian.normal_moments(*law, given, sizes, is_sample=is_sample)
    curves: Curves = {"mean": Curve(found.mean, ("dim",))}
    if prior.dof <= family.dim + 1:  # then a sample has no expected covariance
        return curves
    trace = np.trace(found.covariance, axis1=1, axis2=2)
    name = "variance" if family.dim == 1 else "trace_covariance"
    return curves | {name: Curve(trace, bounds=_POSITIVE)}


def _logarithms(sizes: np.ndarray, estimator: str, log_scale: np.ndarray, bias: float) -> Curves:
    """Return expectations of log spreads; in one dimension also of the distance."""
    dim = len(log_scale)
    mean = 2 * np.sum(log_scale) + gaussian.expected_log_determinant(sizes, estimator, dim, bias)
    if dim > 1:
        curves: Curves = {"log_det_covariance": Curve(mean)}
        if np.min(sizes) > dim:
            spread = gaussian.variance_of_log_determinant(sizes, dim)
            curves["log_det_covariance_variance"] = Curve(spread)
        return curves
    distance = gaussian.expected_wasserstein2_squared(sizes, estimator, bias)
    return {
        "log_std": Curve(mean / 2),
        "log_std_variance": Curve(gaussian.variance_of_log_variance(sizes) / 4),
        "wasserstein2_squared": Curve(distance * np.exp(2 * log_scale[0]), bounds=_POSITIVE),
    }

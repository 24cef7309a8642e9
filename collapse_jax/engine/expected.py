"""The exact expectations of a chain's variables, where theory knows them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from collapse_jax.core.chain import Chain
from collapse_jax.families import Discrete, Gaussian
from collapse_jax.metrics.discrete import tail_on_host
from collapse_jax.policies import Accumulate, Fresh, Mixing, Replace
from collapse_jax.results.records import Variable
from collapse_jax.sources import Categorical, Normal
from collapse_jax.sources.empirical import EmpiricalLabels
from collapse_jax.theory import ancestors, discrete, gaussian, gaussian_accumulation

Curves = dict[str, tuple[np.ndarray, tuple[str, ...]]]  # values [G + 1, ...], names of the rest

_SLOW = 200_000  # lineages times sweeps: some seconds
_SLOW_FRESH = 10**8  # with fresh rows: lineages times states times generations


def expected_curves(chain: Chain, generations: np.ndarray) -> Callable[[], dict[str, Variable]]:
    """What `Records.theory` shows: expectations of variables, and NAME_variance, by name.

    Gaussian chains on a `Normal` truth under Replace, Accumulate, Fresh, and Mixing with
    new original rows; discrete chains on a `Categorical` truth, or on data that D_0 is,
    under the same policies, without smoothing, bias of sampling or verifier. Empty for
    anything else; support and absorption are left out where they would take long.
    """

    def compute() -> dict[str, Variable]:
        curves: Curves = {}
        if chain.policy.verifier is None and type(chain.family) is Gaussian:
            curves = _gaussian(chain, int(generations[-1]))
        if chain.policy.verifier is None and type(chain.family) is Discrete:
            curves = _discrete(chain, int(generations[-1]))
        return {
            name: Variable(("generation", *dims), values[generations])
            for name, (values, dims) in curves.items()
        }

    return compute


def _fresh_share(policy: Any, num_generations: int) -> tuple[np.ndarray, str] | None:
    """Shares of new original rows in D_1 .. D_G and their allocation, for policies with no other.

    None where rows are reused, or drawn from the law of an earlier corpus.
    """
    if type(policy) is Replace:
        return np.zeros(num_generations), "multinomial"
    sizes = policy.sizes(num_generations)
    if type(policy) is Fresh:
        original = np.broadcast_to(policy.num_original, num_generations + 1)
        return original[1:] / sizes[1:], "fixed"
    if type(policy) is not Mixing or policy.uses_previous or policy.uses_first:
        return None
    if policy.allocation == "fixed":
        original = np.atleast_2d(policy.fixed_counts)[:, 1]
        return np.broadcast_to(original, num_generations) / sizes[1:], "fixed"
    return np.broadcast_to(policy.gamma, num_generations), "multinomial"


def _gaussian(chain: Chain, num_generations: int) -> Curves:
    family, source, policy = chain.family, chain.source, chain.policy
    assert isinstance(family, Gaussian)
    if not isinstance(source, Normal):
        return {}
    sizes, estimator = policy.sizes(num_generations), family.estimator
    bias, shares = float(family.sampling_bias), _fresh_share(policy, num_generations)
    if type(policy) is Accumulate and bias == 1:
        variance = gaussian_accumulation.accumulate_expected_variance(sizes, estimator)
        error = gaussian_accumulation.accumulate_mean_squared_error(sizes, estimator)
    elif shares is not None:
        variance, error = gaussian_accumulation.fresh_share_moments(
            sizes, shares[0], estimator, shares[1], bias
        )
    else:
        return {}
    covariance = np.asarray(source.covariance, np.float64).reshape(family.dim, family.dim)
    axes, ones = ("dim",), np.ones((len(sizes), 1))
    curves: Curves = {
        "mean": (ones * np.asarray(source.mean), axes),
        "mean_variance": (error[:, None] * np.diagonal(covariance), axes),
    }
    if family.dim == 1:
        curves["variance"] = (variance * covariance[0, 0], ())
    else:
        curves["trace_covariance"] = (variance * np.trace(covariance), ())
    if type(policy) is Replace and np.all(np.linalg.eigvalsh(covariance) > 0):
        curves |= _logarithms(sizes, estimator, covariance, bias)
    return curves


def _logarithms(sizes: np.ndarray, estimator: str, covariance: np.ndarray, bias: float) -> Curves:
    dim = len(covariance)
    _, start = np.linalg.slogdet(covariance)
    mean = start + gaussian.expected_log_determinant(sizes, estimator, dim, bias)
    if dim > 1:
        curves: Curves = {"log_det_covariance": (mean, ())}
        if np.min(sizes) > dim:
            spread = gaussian.variance_of_log_determinant(sizes, dim)
            curves["log_det_covariance_variance"] = (spread, ())
        return curves
    distance = gaussian.expected_wasserstein2_squared(sizes, estimator, bias)
    return {
        "log_std": (mean / 2, ()),
        "log_std_variance": (gaussian.variance_of_log_variance(sizes) / 4, ()),
        "wasserstein2_squared": (distance * covariance[0, 0], ()),
    }


def _discrete(chain: Chain, num_generations: int) -> Curves:
    family, source, policy = chain.family, chain.source, chain.policy
    assert isinstance(family, Discrete)
    if family.is_smoothed or family.is_tempered:
        return {}
    if not isinstance(source, Categorical | EmpiricalLabels):
        return {}
    law = np.asarray(source.law, np.float64)
    law = law / law.sum()
    sizes = policy.sizes(num_generations)
    shares = _fresh_share(policy, num_generations)
    is_data = False
    if isinstance(source, EmpiricalLabels):
        is_data = sizes[0] == source.num_rows
        if sizes[0] < source.num_rows or type(policy) is Fresh:
            return {}  # subsets without replacement
    if type(policy) is Accumulate:
        curves: Curves = {
            "heterozygosity": (discrete.accumulate_expected_heterozygosity(law, sizes), ())
        }
        if is_data:
            curves["heterozygosity"] = (curves["heterozygosity"][0] / (1 - 1 / sizes[0]), ())
    elif shares is None:
        return {}
    elif is_data:
        curves = _after_data(law, sizes[1:], shares[0][1:], shares[1])
    else:
        curves = _diversity(law, sizes, *shares)
    # The models' law keeps its expectation in all of these regimes.
    curves["tail_mass"] = (np.full(len(sizes), law @ tail_on_host(law)), ())
    return curves


def _diversity(law: np.ndarray, sizes: np.ndarray, shares: np.ndarray, allocation: str) -> Curves:
    curves: Curves = {
        "heterozygosity": (discrete.expected_heterozygosity(law, sizes, shares, allocation), ())
    }
    largest, is_fresh = int(np.max(sizes)), bool(np.any(shares > 0))
    if allocation == "fixed" and is_fresh:
        return curves
    if is_fresh:
        states = len(np.unique(law))
        is_slow = largest > 5000 or largest * states * len(sizes) > _SLOW_FRESH
    else:
        sweeps = 1 + len(sizes) / 128 + np.count_nonzero(np.diff(sizes))
        is_slow = largest * sweeps > _SLOW
    if not is_slow:
        curves["support_size"] = (ancestors.expected_support_size(law, sizes, shares), ())
        curves["is_absorbed"] = (ancestors.absorption_probability(law, sizes, shares), ())
    return curves


def _after_data(law: np.ndarray, sizes: np.ndarray, shares: np.ndarray, allocation: str) -> Curves:
    """D_0 is the data, so that D_1 is the first draw and model 0 is the truth."""
    states = np.count_nonzero(law)
    truth = {
        "heterozygosity": float(law @ (1 - law)),
        "support_size": float(states),
        "is_absorbed": float(states == 1),
    }
    if len(sizes) == 0:
        return {name: (np.array([value]), ()) for name, value in truth.items()}
    later = _diversity(law, sizes, shares, allocation)
    return {
        name: (np.concatenate([[truth[name]], values]), dims)
        for name, (values, dims) in later.items()
    }

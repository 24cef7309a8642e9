"""Arguments that closed forms refuse in one line, with the name of the argument."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.theory import (
    ancestor_chains,
    ancestors,
    bounds,
    detection,
    discrete,
    gaussian,
    occupancy,
    pools,
)
from collapse_jax.theory import gaussian_accumulation as pooled
from collapse_jax.theory.enumeration import EnumeratedChain

EVEN, SIZES = [0.5, 0.5], [3, 3]
CALLS = {
    "sizes of one corpus": (lambda: discrete.missing_probability(0.1, [0, 1]), "num_samples"),
    "no rows": (lambda: discrete.missing_probability(0.1, 0), "num_samples"),
    "probability above 1": (lambda: discrete.missing_probability([0.1, 1.5], 3), "probability"),
    "probability as a text": (lambda: discrete.missing_probability("a", 3), "probability"),
    "sizes of a diffusion": (
        lambda: discrete.diffusion_absorption_time(EVEN, SIZES),
        "num_samples",
    ),
    "sizes of eigenvalues": (lambda: discrete.eigenvalues(SIZES), "num_samples"),
    "allocation": (lambda: discrete.expected_heterozygosity(EVEN, SIZES, 0.1, "x"), "allocation"),
    "texts as sizes": (lambda: discrete.variance_of_probability(EVEN, "mle"), "sizes"),
    "unequal sizes": (lambda: discrete.variance_of_probability(EVEN, [[1], [2, 3]]), "sizes"),
    "a law of texts": (lambda: discrete.variance_of_probability("even", SIZES), "probabilities"),
    "a share of text": (lambda: ancestors.expected_support_size(EVEN, SIZES, "x"), "gamma"),
    "sizes of ancestors": (lambda: ancestors.mean_absorption_time(EVEN, SIZES), "num_samples"),
    "swapped": (lambda: gaussian.expected_log_determinant(SIZES, 3, "mle"), "estimator"),
    "swapped sizes": (lambda: gaussian.expected_log_determinant("mle", SIZES, 3), "sizes"),
    "dim as a text": (lambda: gaussian.expected_log_determinant(SIZES, "mle", "3"), "dim"),
    "dim of a variance": (lambda: gaussian.variance_of_log_determinant(SIZES, "mle"), "dim"),
    "list as estimator": (lambda: gaussian.expected_variance(SIZES, ["mle"]), "estimator"),
    "swapped variance": (lambda: gaussian.expected_variance("mle", SIZES), "sizes"),
    "bias as a text": (lambda: gaussian.mean_squared_error(SIZES, "mle", "mle"), "sampling_bias"),
    "bias of 0": (lambda: gaussian.expected_log_variance(SIZES, "mle", 0), "sampling_bias"),
    "swapped distance": (
        lambda: gaussian.expected_wasserstein2_squared(SIZES, 1.0, "mle"),
        "estimator",
    ),
    "sizes of a kernel": (
        lambda: gaussian.kernel_density_expected_variance(0.1, SIZES, 3),
        "num_samples",
    ),
    "generations of a kernel": (
        lambda: gaussian.kernel_density_expected_variance(0.1, 3, SIZES),
        "num_generations",
    ),
    "bandwidths": (
        lambda: gaussian.kernel_density_expected_variance(EVEN, 3, 3),
        "bandwidth",
    ),
    "pooled estimator": (lambda: pooled.accumulate_expected_variance(SIZES, SIZES), "estimator"),
    "swapped share": (lambda: pooled.fresh_share_moments(SIZES, "mle", 0.1), "gamma"),
    "allocation of a share": (
        lambda: pooled.fresh_share_moments(SIZES, 0.1, "mle", "x"),
        "allocation",
    ),
    "bias of a share": (
        lambda: pooled.fresh_share_moments(SIZES, 0.1, "mle", "fixed", "x"),
        "sampling_bias",
    ),
    "no rows of a pool": (lambda: pools.pooled_error([]), "num_samples"),
    "original rows below zero": (lambda: pools.pooled_error(SIZES, -1), "num_original"),
    "original rows of other generations": (
        lambda: pools.worth_in_original_rows(SIZES, [1, 2, 3]),
        "num_original",
    ),
    "estimator of a pool": (lambda: pools.pooled_moments(SIZES, 1, "x"), "estimator"),
    "a pool of one row": (lambda: pools.pooled_moments([1], 0, "mle"), "sizes"),
    "bias of a pool": (lambda: pools.pooled_moments(SIZES, 1, "mle", 0), "sampling_bias"),
    "share of an exponent": (lambda: pools.error_exponent(1.5), "original_share"),
    "share before a detector": (lambda: detection.effective_share(1.5, 0.9, 0.1), "gamma"),
    "false passes": (lambda: detection.effective_share(0.5, 0.9, [0.1, -1]), "false_pass"),
    "no row passes": (lambda: detection.effective_share(0.0, 0.9, 0.0), "false_pass"),
    "passes of two lengths": (
        lambda: detection.effective_share([0.1, 0.2], [0.1, 0.2, 0.3], 0.1),
        "gamma",
    ),
    "share behind a detector": (lambda: detection.largest_false_pass(0.1, 0.9, "x"), "target"),
    "sizes of weighted rows": (
        lambda: pooled.weighted_fresh_error(0.5, SIZES, 3, refit=True),
        "num_samples",
    ),
    "weight of no rows": (
        lambda: pooled.weighted_fresh_moments(SIZES, 0, 0.5, "mle"),
        "num_original",
    ),
    "weight in moments": (
        lambda: pooled.weighted_fresh_moments(SIZES, 1, 0.0, "mle"),
        "weight",
    ),
    "weight of 0": (lambda: pooled.weighted_fresh_error(0.0, 3, 3, refit=True), "weight"),
    "sizes for a weight": (lambda: pooled.best_fresh_weight(3, SIZES), "num_original"),
    "list of fits": (lambda: bounds.suresh_survival_bounds(0.1, 3, SIZES), "num_fits"),
    "list of generations": (lambda: EnumeratedChain(EVEN, 3).laws(SIZES), "num_generations"),
    "one generation": (
        lambda: ancestor_chains.support_sizes(EVEN, 3, 4, key=0, num_chains=2),
        "generations",
    ),
    "list of parents": (lambda: occupancy.rows_of(SIZES, 3), "num_parents"),
    "list of trials": (lambda: occupancy.binomial_rows(0.5, SIZES), "num_trials"),
    "list of chances": (lambda: occupancy.binomial_rows(EVEN, 3), "probability"),
}


@pytest.mark.parametrize("name", CALLS)
def test_bad_arguments_are_refused_in_one_line(name):
    call, argument = CALLS[name]
    with pytest.raises(cj.ArgumentError, match=f"^{argument}=.*is not allowed: .*; ") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_numbers_of_any_shape_are_taken():
    found = discrete.missing_probability(np.array([[0.0, 1.0]]), np.int64(3))
    assert found.tolist() == [[1.0, 0.0]]
    assert gaussian.divisor_of([10, 20], "unbiased").tolist() == [9.0, 19.0]

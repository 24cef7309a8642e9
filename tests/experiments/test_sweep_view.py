"""The view of any sweep: means of the last generation, whatever the variables are called."""

import numpy as np

import collapse_jax as cj
from collapse_jax.experiments.sweep import final_means

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
AXES = {"policy.num_samples": [10, 20], "family.sampling_bias": [0.9, 1.0, 1.1]}


def sweep(**changes):
    spread = cj.Metric(lambda *given: given[2].log_scale[0], name="spread_std")
    centre = cj.Metric(lambda *given: given[2].mean[0], name="centre_mean")
    run = {"key": 0, "num_chains": 8, "num_generations": 2, "metrics": [spread, centre]}
    return cj.sweep(CHAIN, AXES, **(run | changes))


def test_variables_that_end_in_std_or_mean_keep_their_names():
    means = final_means(sweep())
    assert {"spread_std", "centre_mean", "log_std"} <= means.keys()
    assert "status" not in means
    assert means["spread_std"].shape == (2, 3)
    np.testing.assert_allclose(means["spread_std"], means["log_std"])


def test_of_reduced_records_the_means_are_shown_under_the_variable_s_name():
    plain, reduced = final_means(sweep()), final_means(sweep(reduce=cj.Reduce(quantiles=())))
    assert {"spread_std", "centre_mean", "log_std"} <= reduced.keys()
    np.testing.assert_allclose(reduced["spread_std"], plain["spread_std"], rtol=1e-5)
    assert not any(name.endswith("_std_std") for name in reduced)

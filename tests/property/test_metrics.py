"""Measures of laws: bounds, zero at equality, symmetry, and what relabelling leaves alone."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collapse_jax.core.source import Truth
from collapse_jax.metrics import discrete as metrics
from collapse_jax.metrics import gaussian as gaussian_metrics
from collapse_jax.testing import strategies

ERROR = 1e-5


def pairs(positive=False):
    """Two laws on as many states, the second without zeros if asked for."""
    return st.sampled_from(strategies.STATES).flatmap(
        lambda k: st.tuples(strategies.laws(k), strategies.laws(k, positive=positive))
    )


def floats(*arrays):
    return [jnp.asarray(array, float) for array in arrays]


@given(strategies.laws())
def test_entropy_is_between_zero_and_that_of_the_uniform_law(law):
    entropy = float(metrics.entropy(*floats(law)))
    assert -ERROR <= entropy <= np.log(np.sum(law > 0)) + ERROR


@given(strategies.laws())
def test_heterozygosity_is_between_zero_and_that_of_the_uniform_law(law):
    value = float(metrics.heterozygosity(*floats(law)))
    assert -ERROR <= value <= 1 - 1 / np.sum(law > 0) + ERROR


@given(strategies.laws())
def test_diversity_is_zero_for_one_state_only(law):
    alone = int(metrics.support_size(*floats(law))) == 1
    assert alone == (float(metrics.heterozygosity(*floats(law))) < ERROR)
    assert alone == (float(metrics.entropy(*floats(law))) < ERROR)


@given(strategies.laws(), st.randoms(use_true_random=False))
def test_diversity_does_not_know_the_labels(law, random):
    order = list(range(len(law)))
    random.shuffle(order)
    for measure in (metrics.entropy, metrics.heterozygosity, metrics.support_size):
        one, other = (float(measure(*floats(x))) for x in (law, law[order]))
        assert abs(one - other) <= ERROR


@given(strategies.laws(5))
def test_taking_states_together_never_adds_diversity(law):
    lumped = np.append(law[:3], law[3:].sum())
    for measure in (metrics.entropy, metrics.heterozygosity, metrics.support_size):
        assert float(measure(*floats(lumped))) <= float(measure(*floats(law))) + ERROR


@given(pairs())
def test_total_variation_is_a_distance_of_at_most_one(laws):
    one, other = floats(*laws)
    distance = float(metrics.total_variation(one, other))
    assert 0 <= distance <= 1 + ERROR
    assert distance == float(metrics.total_variation(other, one))
    assert float(metrics.total_variation(one, one)) == 0


@given(st.tuples(*[strategies.laws(3)] * 3))
def test_total_variation_keeps_the_triangle_inequality(laws):
    one, two, three = floats(*laws)
    ways = [metrics.total_variation(*pair) for pair in ((one, two), (two, three), (one, three))]
    assert float(ways[2]) <= float(ways[0] + ways[1]) + ERROR


@given(pairs(positive=True))
def test_divergence_is_above_pinskers_bound(laws):
    one, other = floats(*laws)
    divergence = float(metrics.kl_divergence(one, other))
    assert divergence >= 2 * float(metrics.total_variation(one, other)) ** 2 - ERROR
    assert abs(float(metrics.kl_divergence(other, other))) <= ERROR


@given(pairs())
def test_divergence_is_infinite_for_mass_where_the_other_has_none(laws):
    one, other = laws
    infinite = bool(np.any((one > 0) & (other == 0)))
    assert np.isinf(float(metrics.kl_divergence(*floats(one, other)))) == infinite


@given(strategies.laws())
def test_the_tail_holds_at_most_a_tenth_and_never_more_likely_states(law):
    tail = np.asarray(metrics.tail(*floats(law)))
    assert law[tail].sum() <= metrics.TAIL + ERROR
    if tail.any():
        assert law[tail].max() <= law[~tail].min()
    assert np.array_equal(tail, metrics.tail_on_host(law))


def truth_of(mean, std):
    return Truth(*floats([mean], [np.log(std)], [[1.0]], std))


STDS = st.integers(1, 512).map(lambda n: n / 64)
NORMALS = st.tuples(strategies.numbers(), STDS)


def distance_between(one, other):
    given = floats([one[0]], [np.log(one[1])], [[1.0]])
    return float(gaussian_metrics.wasserstein2_squared(*given, truth_of(*other)))


@given(NORMALS, NORMALS)
def test_wasserstein_distance_is_symmetric_and_zero_at_equality(one, other):
    distance = distance_between(one, other)
    exact = (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2
    assert abs(distance - exact) <= 1e-4 * (1 + exact)
    assert abs(distance - distance_between(other, one)) <= 1e-4 * (1 + exact)
    assert distance_between(one, one) <= ERROR


@given(NORMALS, NORMALS, NORMALS)
def test_wasserstein_distance_keeps_the_triangle_inequality(one, two, three):
    ways = [distance_between(*pair) ** 0.5 for pair in ((one, two), (two, three), (one, three))]
    assert ways[2] <= ways[0] + ways[1] + 1e-2


@given(strategies.normals(2))
def test_determinant_is_below_the_trace_s_bound(source):
    """ln det <= dim ln(trace / dim): geometric and arithmetic mean of the eigenvalues."""
    truth = source.truth
    logarithm = float(gaussian_metrics.log_det_covariance(truth.log_scale))
    trace = float(gaussian_metrics.trace_covariance(truth.log_scale, truth.factor))
    assert trace >= 0
    assert np.exp(logarithm / 2) <= trace / 2 + ERROR * (1 + trace)


@given(strategies.normals(2))
def test_a_law_is_at_no_distance_from_itself(source):
    truth = source.truth
    distance = gaussian_metrics.wasserstein2_squared(
        truth.mean, truth.log_scale, truth.factor, truth
    )
    assert abs(float(distance)) <= 1e-4 * (1 + float(np.trace(source.covariance)))

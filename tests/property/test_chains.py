"""Whole chains for drawn laws and keys: what can only fall, and runs that are cut and resumed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import collapse_jax as cj
from collapse_jax.results.provenance import describe
from collapse_jax.testing import strategies

GENERATIONS = 6
LABELS = functools.partial(cj.Chain, cj.Discrete(corpus="samples"), policy=cj.Replace(7))
COUNTS = functools.partial(cj.Chain, cj.Discrete(corpus="counts"), policy=cj.Replace(7))
POOLED = functools.partial(cj.Chain, cj.Discrete(), policy=cj.Accumulate(7))
SUBSETS = functools.partial(cj.Chain, cj.Discrete(), policy=cj.AccumulateSubsample(7))
NORMAL = functools.partial(cj.Chain, cj.Gaussian(), policy=cj.Replace(7))
MIXED = functools.partial(cj.Chain, cj.Gaussian(1, "mle"), policy=cj.Mixing(7, gamma=0.25))
DISCRETE = st.sampled_from((LABELS, COUNTS, POOLED, SUBSETS))
SOURCES = strategies.categoricals(3)


def run(chain, seed, generations=GENERATIONS, chains=9, **arguments):
    return cj.simulate(chain, key=seed, num_chains=chains, num_generations=generations, **arguments)


@pytest.mark.thorough
@given(st.sampled_from((LABELS, COUNTS)), SOURCES, strategies.seeds())
def test_replacing_never_brings_a_state_back(chain, source, seed):
    records = run(chain(source=source), seed, metrics=("probabilities",))
    present = records["probabilities"] > 0
    assert not np.any(present[1:] & ~present[:-1])
    assert np.all(np.diff(records["support_size"], axis=0) <= 0)


@pytest.mark.thorough
@given(SOURCES, strategies.seeds())
def test_accumulating_never_loses_a_state(source, seed):
    records = run(POOLED(source=source), seed, metrics=("probabilities",))
    present = records["probabilities"] > 0
    assert not np.any(present[:-1] & ~present[1:])


@pytest.mark.thorough
@given(DISCRETE, SOURCES, strategies.seeds())
def test_models_are_laws_on_the_states_of_the_truth(chain, source, seed):
    law = run(chain(source=source), seed, metrics=("probabilities",))["probabilities"]
    np.testing.assert_allclose(law.sum(axis=-1), 1, rtol=1e-5)
    assert np.all(law[..., source.probabilities == 0] == 0)


@given(st.sampled_from((LABELS, COUNTS)), SOURCES, strategies.seeds())
def test_models_are_counts_of_rows(chain, source, seed):
    law = run(chain(source=source), seed, metrics=("probabilities",))["probabilities"]
    np.testing.assert_allclose(7 * law, np.rint(7 * law), atol=1e-5)


@pytest.mark.thorough
@given(st.sampled_from((LABELS, COUNTS)), SOURCES, strategies.seeds())
def test_what_is_absorbed_stays_so_from_its_first_event_on(chain, source, seed):
    records = run(chain(source=source), seed)
    absorbed, first = records["is_absorbed"], records["first_event"]
    never = first < 0
    assert np.array_equal(absorbed.any(axis=0), ~never)
    assert np.array_equal(np.argmax(absorbed, axis=0)[~never], first[~never])
    assert np.all(absorbed[1:] >= absorbed[:-1])


CONTINUED = st.sampled_from(
    (
        (LABELS, SOURCES),
        (COUNTS, SOURCES),
        (NORMAL, strategies.normals(1)),
        (MIXED, strategies.normals(1)),
    )
).flatmap(lambda pair: st.builds(lambda source: pair[0](source=source), pair[1]))


@pytest.mark.thorough
@given(CONTINUED, strategies.seeds(), st.integers(0, GENERATIONS - 1))
def test_a_run_continued_is_the_run(chain, seed, stop):
    whole, begun = run(chain, seed), run(chain, seed, stop)
    resumed = run(chain, seed, state=begun.state)
    joined = cj.Records.concatenate([begun, resumed])
    for name in whole.variables:
        np.testing.assert_array_equal(joined[name], whole[name])
    np.testing.assert_array_equal(joined["first_event"], whole["first_event"])


@given(CONTINUED, strategies.seeds(), st.integers(0, 1000))
def test_a_chain_is_the_same_in_any_run(chain, seed, first):
    whole = run(chain, seed, first_chain=first)
    part = run(chain, seed, chains=2, first_chain=first + 5)
    for name in whole.variables:
        np.testing.assert_array_equal(part[name], whole[name][:, 5:7])


@given(strategies.seeds(), strategies.numbers(), st.integers(-30, 30))
def test_a_chain_moves_with_its_source(seed, shift, power):
    one = run(NORMAL(source=cj.Normal(0.0, 1.0)), seed)
    other = run(NORMAL(source=cj.Normal(shift, 4.0**power)), seed)
    scale = 2.0**power
    expected = one["log_std"] + power * np.log(2)
    np.testing.assert_allclose(other["log_std"], expected, atol=2e-4)
    np.testing.assert_allclose(
        other["mean"], shift + scale * one["mean"], atol=1e-4 * (abs(shift) + scale)
    )


@pytest.mark.thorough
@given(SOURCES, strategies.seeds())
def test_a_constant_schedule_is_one_size(source, seed):
    one = run(COUNTS(source=source), seed, 3)
    other = run(COUNTS(source=source, policy=cj.Replace((7,) * 4)), seed, 3)
    for name in one.variables:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.thorough
@settings(max_examples=settings().max_examples // 2)
@given(strategies.chains())
def test_every_chain_can_be_described_and_traced(chain):
    chain.validate(3)
    assert describe(chain)["type"] == "Chain"
    key = jax.eval_shape(lambda: jax.random.key(0))
    before = jax.eval_shape(lambda k: chain.init(k, 3), key)
    after = jax.eval_shape(lambda k, s: chain.step(k, jnp.int32(1), s), key, before)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


@given(strategies.policies(3))
def test_a_policy_has_room_for_every_corpus(policy):
    policy.validate(3)
    assert policy.capacity(3) >= max(policy.sizes(3)) == policy.largest_size
    assert policy.initial_size == policy.sizes(3)[0]


@given(
    strategies.schedules(3), st.sampled_from((cj.Replace, cj.Accumulate, cj.AccumulateSubsample))
)
def test_a_schedule_of_another_length_is_refused(schedule, kind):
    assume(not isinstance(schedule, int))
    with pytest.raises(ValueError, match=f"len\\({kind.__name__}.num_samples\\)=4"):
        kind(schedule).validate(4)


@given(strategies.shares(3), st.integers(1, 1000))
def test_fixed_parts_are_the_shares_to_within_a_row(shares, size):
    alpha, beta, gamma = shares
    previous, original = cj.Mixing(size, alpha, beta, gamma, allocation="fixed").fixed_counts
    assert abs(previous - beta * size) < 1
    assert abs(original - gamma * size) < 1
    assert abs(size - previous - original - alpha * size) < 1


@given(strategies.mixings())
def test_shares_are_a_law_of_every_generation(policy):
    values = [float(share) for share in policy.shares(jnp.int32(2))]
    assert abs(sum(values) - 1) < 1e-6
    assert min(values) >= 0


@given(st.integers(1, 50), st.integers(0, 50))
def test_fresh_rows_add_to_the_size(synthetic, original):
    assert cj.Fresh(synthetic, original).initial_size == synthetic + original

"""Original data, settings compared by value, statistics of blocks, files that come back."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import collapse_jax as cj
from collapse_jax.results.provenance import describe
from collapse_jax.results.reduce import Blocks, merge_blocks
from collapse_jax.testing import strategies
from collapse_jax.testing.rules import keys_of

COUNTS = jax.jit(lambda source, keys, size: source.draw_counts(keys, size).counts)
ROWS = jax.jit(lambda source, keys, size: source.draw(keys, size, 7))
ANY = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(strategies.empirical_labels(), strategies.seeds())
def test_as_many_labels_as_there_are_are_the_data(source, seed):
    drawn = source.draw_counts(keys_of(seed, 0), source.num_rows)
    np.testing.assert_array_equal(drawn.counts, source.counts)


@pytest.mark.thorough
@given(strategies.empirical_labels(), strategies.seeds(), st.integers(0, 6))
def test_fewer_labels_are_a_subset_of_the_data(source, seed, size):
    drawn = np.asarray(COUNTS(source, keys_of(seed, 0), jnp.int32(size)))
    assert drawn.sum() == size
    assert np.all(drawn <= source.counts)


@given(strategies.empirical_labels())
def test_the_law_of_labels_is_their_frequencies(source):
    np.testing.assert_allclose(source.law, source.counts / source.counts.sum(), rtol=1e-6)


@given(strategies.empirical_rows((7, 2)))
def test_the_truth_of_rows_is_numpy_s(source):
    rows = source.rows * np.exp(source.top) + source.location
    truth = source.truth
    root = np.asarray(truth.factor, float) * np.exp(np.asarray(truth.log_scale, float))
    scale = 1 + np.max(np.abs(rows)) ** 2
    np.testing.assert_allclose(truth.mean, rows.mean(axis=0), atol=1e-5 * scale)
    np.testing.assert_allclose(root @ root.T, np.cov(rows.T, ddof=0), atol=1e-4 * scale)


@given(strategies.empirical_rows((7, 1)), strategies.seeds(), st.sampled_from((1, 3, 7)))
def test_rows_of_a_table_are_rows_of_the_table(source, seed, size):
    drawn = np.asarray(ROWS(source, keys_of(seed, 0), jnp.int32(size)).absolute_rows)[:size]
    table = source.rows * np.exp(source.top) + source.location
    gaps = np.abs(drawn[:, None, 0] - table[None, :, 0]).min(axis=1)
    assert np.all(gaps <= 1e-5 * (1 + np.abs(table).max()))


@given(st.lists(st.sampled_from(("to", "be", "or", "not", "that")), min_size=1, max_size=30))
def test_words_are_counted_most_frequent_first(words):
    source = cj.Empirical.words(" ".join(words).upper())
    assert sorted(source.names) == sorted(set(words))
    assert dict(zip(source.names, source.counts.tolist(), strict=True)) == {
        word: words.count(word) for word in set(words)
    }
    assert np.all(np.diff(source.counts) <= 0)


@given(strategies.shares(2), st.tuples(strategies.numbers(), strategies.numbers()))
def test_a_mixture_has_the_moments_of_its_parts(weights, means):
    source = cj.NormalMixture(list(weights), list(means), [1.0, 0.25])
    mean = np.dot(weights, means)
    variance = np.dot(weights, [means[0] ** 2 + 1, means[1] ** 2 + 0.25]) - mean**2
    truth = source.truth
    np.testing.assert_allclose(truth.mean[0], mean, atol=1e-5)
    np.testing.assert_allclose(2 * truth.log_scale[0], np.log(variance), atol=1e-4)


@given(strategies.laws().map(lambda law: law * 1.5))
def test_probabilities_must_sum_to_one(law):
    with pytest.raises(ValueError, match=r"sum\(Categorical.probabilities\)="):
        cj.Categorical(law)


@given(st.sampled_from(("smoothing", "temperature", "top_p", "min_probability")), st.data())
def test_settings_that_are_no_numbers_are_named(name, data):
    value = data.draw(st.sampled_from((np.nan, -0.5, "a lot", None, [1.0])))
    with pytest.raises(ValueError, match=f"Discrete.{name}="):
        cj.Discrete(**{name: value})


@given(strategies.families(), strategies.families())
def test_settings_are_compared_by_value(one, other):
    same = describe(one) == describe(other)
    assert (one == other) == same
    assert not same or hash(one) == hash(other)


@given(st.one_of(strategies.families(), strategies.policies(), strategies.sources()))
def test_settings_are_written_as_json(config):
    written = json.dumps(describe(config), allow_nan=False)
    assert json.loads(written)["type"] == type(config).__name__


@given(st.lists(st.lists(strategies.numbers(), min_size=1, max_size=6), min_size=1, max_size=5))
def test_statistics_of_blocks_are_those_of_their_union(parts):
    blocks = Blocks(*np.array([(len(p), np.mean(p), np.std(p)) for p in parts]).T)
    merged, union = merge_blocks(blocks, axis=0), np.concatenate(parts)
    assert merged.count == len(union)
    np.testing.assert_allclose(merged.mean, union.mean(), atol=1e-12)
    np.testing.assert_allclose(merged.std, union.std(), atol=1e-9)


@given(st.lists(strategies.numbers(), min_size=1, max_size=6))
def test_empty_blocks_count_for_nothing(values):
    block = (len(values), np.mean(values), np.std(values))
    blocks = Blocks(*np.array([block, (0, np.nan, np.nan)]).T)
    merged = merge_blocks(blocks, axis=0)
    np.testing.assert_allclose(tuple(merged), block)


VALUES = arrays.arrays(np.float32, (3, 2), elements=ANY)


def records_of(values, first_chain=0):
    chains = np.arange(first_chain, first_chain + values.shape[1])
    events = ("chain", np.full(len(chains), -1, np.int32))
    coordinates = {"generation": np.arange(3), "chain": chains, "first_event": events}
    dataset = xarray.Dataset({"value": (("generation", "chain"), values)}, coordinates)
    config = {"chain": {}, "num_chains": len(chains), "first_chain": first_chain}
    return cj.Records(dataset, config, {"key": [0, 0]})


@given(VALUES)
def test_records_come_back_from_a_file_to_the_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("records") / "run"
    records = records_of(values)
    records.save(path)
    loaded = cj.Records.load(path)
    assert loaded["value"].tobytes() == values.tobytes()
    assert loaded.config == records.config
    assert loaded.provenance == records.provenance


@given(VALUES, VALUES)
def test_records_of_chains_are_joined_side_by_side(one, other):
    joined = cj.Records.concatenate([records_of(one), records_of(other, first_chain=2)])
    np.testing.assert_array_equal(joined["value"], np.concatenate([one, other], axis=1))
    np.testing.assert_array_equal(joined["chain"], np.arange(4))

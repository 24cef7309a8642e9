"""Records: what a run directory holds, reads back, and refuses."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import collapse_jax as cj
from collapse_jax.results.reduce import Reduce, merge_blocks, reduce_blocks, reduced

CHAIN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))


def run(**changes):
    return cj.simulate(CHAIN, **({"key": 0, "num_chains": 6, "num_generations": 4} | changes))


def assert_equal(left, right):
    for table in ("variables", "coordinates", "theory"):
        ours, theirs = getattr(left, table), getattr(right, table)
        assert ours.keys() == theirs.keys()
        for name, variable in ours.items():
            assert variable.dims == theirs[name].dims
            np.testing.assert_array_equal(variable.values, theirs[name].values)


EVERYTHING = cj.Reduce(histograms={"log_std": [-1, 0]}, survival=True)


@pytest.mark.parametrize("reduce", [None, EVERYTHING])
def test_what_is_saved_is_loaded(tmp_path, reduce):
    records = run(reduce=reduce)
    records.theory["log_std"] = (("generation",), np.arange(5.0))
    loaded = cj.Records.load(records.save(tmp_path / "a" / "run"))
    assert_equal(records, loaded)
    assert loaded.config == json.loads(json.dumps(records.config))
    assert loaded.state is not None
    continued = cj.simulate(
        CHAIN, key=0, num_chains=6, num_generations=9, state=loaded.state, reduce=reduce
    )
    whole = run(num_generations=9, reduce=reduce)
    for name, variable in continued.variables.items():
        np.testing.assert_array_equal(variable.values, whole[name][5:])


def test_plain_xarray_reads_the_records(tmp_path):
    records = run()
    path = records.save(tmp_path / "run") / "records.zarr"
    with xarray.open_zarr(path) as dataset:
        assert dataset["log_std"].dims == ("generation", "chain")
        assert dataset["first_event"].dtype == np.int32
        np.testing.assert_array_equal(dataset["log_std"], records["log_std"])
        assert json.loads(dataset.attrs["config"]) == records.config


def test_an_unwritten_chunk_never_reads_as_data(tmp_path):
    path = run().save(tmp_path / "run") / "records.zarr"
    for name, value in {"status": -1, "first_event": -1, "log_std": "NaN"}.items():
        assert json.loads((path / name / "zarr.json").read_text())["fill_value"] == value


def test_text_coordinates_survive(tmp_path):
    source = cj.Empirical.words("to be or not to be")
    chain = cj.Chain(cj.Discrete(), source, cj.Replace())
    records = cj.simulate(chain, key=0, num_chains=2, num_generations=1, metrics=["probabilities"])
    loaded = cj.Records.load(records.save(tmp_path / "run"))
    assert [str(name) for name in loaded["state"]] == ["be", "to", "not", "or"]


def test_dataset_has_the_contract_s_shape():
    dataset = run(every=3).dataset
    assert dataset["mean"].dims == ("generation", "chain", "dim")
    assert dataset["generation"].values.tolist() == [0, 3, 4]
    assert "first_event" in dataset.coords


@pytest.mark.thorough
def test_reduced_records_agree_with_the_chains():
    source = cj.Normal(np.zeros(2), np.eye(2))
    chain = cj.Chain(cj.Gaussian(2), source, cj.Replace(10))
    arguments = {"key": 1, "num_chains": 700, "num_generations": 5}
    whole = cj.simulate(chain, **arguments)
    reduced = cj.simulate(chain, reduce=cj.Reduce(quantiles=(0.1, 0.5)), **arguments)
    for name in ("mean", "log_det_covariance", "trace_covariance"):
        values = whole[name].astype(np.float64)
        np.testing.assert_allclose(reduced[f"{name}_mean"], values.mean(1), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(reduced[f"{name}_std"], values.std(1), rtol=1e-6)
        expected = np.moveaxis(np.quantile(values, (0.1, 0.5), axis=1), 0, 1)
        np.testing.assert_allclose(reduced[f"{name}_quantile"], expected)
    assert reduced["status_count"].tolist() == [[700, 0, 0, 0]] * 6
    assert reduced.variables["mean_quantile"].dims == ("generation", "quantile", "dim")


def test_histograms_count_every_chain_in_any_batch():
    source = cj.Normal(np.zeros(2), np.eye(2))
    chain = cj.Chain(cj.Gaussian(2), source, cj.Replace(10))
    arguments = {"key": 1, "num_chains": 700, "num_generations": 5}
    whole = cj.simulate(chain, **arguments)
    edges = {"mean": [-0.5, 0.0, 0.25], "log_det_covariance": np.linspace(-3, 1, 9)}
    reduce = cj.Reduce(quantiles=(), histograms=edges)
    assert reduce == cj.Reduce(quantiles=(), histograms=edges), "compared by value"
    reduced = [
        cj.simulate(chain, reduce=reduce, chain_batch=batch, **arguments) for batch in (None, 200)
    ]
    for name, given in edges.items():
        bins = np.array([-np.inf, *given, np.inf])
        for records in reduced:
            values = np.moveaxis(whole[name], 1, -1)
            counts = np.apply_along_axis(lambda x, bins=bins: np.histogram(x, bins)[0], -1, values)
            found = records[f"{name}_histogram"]
            np.testing.assert_array_equal(found, np.moveaxis(counts, -1, 1))
            np.testing.assert_array_equal(records[f"{name}_bin"], bins[:-1])
    dims = reduced[0].variables["mean_histogram"].dims
    assert dims == ("generation", "mean_bin", "dim")


@pytest.mark.thorough
def test_survival_is_the_share_of_chains_without_an_event():
    chain = cj.Chain(cj.Discrete(), cj.Categorical([0.5, 0.3, 0.2]), cj.Replace(4))
    arguments = {"key": 2, "num_chains": 300, "num_generations": 12, "every": 5}
    whole = cj.simulate(chain, **arguments)
    records = cj.simulate(chain, reduce=cj.Reduce(survival=True), **arguments)
    assert records.variables["survival"].dims == ("generation",)
    np.testing.assert_allclose(records["survival"], 1 - whole["is_absorbed"].mean(axis=1))
    assert 0 < records["survival"][1] < records["survival"][0]


def test_a_frozen_chain_is_left_out_of_reductions():
    constant = cj.Empirical(np.ones(20))
    chain = cj.Chain(cj.Gaussian(1), constant, cj.Replace(20))
    records = cj.simulate(chain, key=0, num_chains=5, num_generations=3)
    assert np.all(records["status"] == 2)
    assert np.all(np.isnan(records["log_std"]))
    assert records["first_event"].tolist() == [0] * 5
    reduce = cj.Reduce(survival=True, histograms={"log_std": [0]})
    reduced = cj.simulate(chain, key=0, num_chains=5, num_generations=3, reduce=reduce)
    assert reduced["status_count"].tolist() == [[0, 0, 5, 0]] * 4
    assert np.all(np.isnan(reduced["log_std_mean"]))
    assert reduced["log_std_count"].tolist() == [0] * 4
    assert np.all(reduced["log_std_histogram"] == 0)
    assert np.all(reduced["survival"] == 0)


def test_a_directory_of_another_kind_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="it exists"):
        run().save(tmp_path)
    with pytest.raises(ValueError, match="will not be replaced"):
        run().save(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    records = run()
    monkeypatch.setattr(cj.RunState, "contents", lambda *_: (_ for _ in ()).throw(OSError(28, "")))
    with pytest.raises(ValueError, match="No space left on device; free some space"):
        records.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_directory_is_named(tmp_path):
    path = run().save(tmp_path / "run")
    (path / "provenance.json").write_text("{")
    with pytest.raises(ValueError, match="damaged: it was changed"):
        cj.Records.load(path)


def test_concatenation_along_chains_and_generations():
    whole = run(num_generations=8)
    halves = [
        run(num_generations=8, num_chains=4),
        run(num_generations=8, num_chains=2, first_chain=4),
    ]
    assert_equal(cj.Records.concatenate(halves), whole)
    begin = run(num_generations=3)
    rest = run(num_generations=8, state=begin.state)
    assert_equal(cj.Records.concatenate([begin, rest]), whole)


def test_provenance_names_what_matters():
    found = run().provenance
    assert found["versions"]["jax"]
    assert found["dtype"] == "float32"
    assert found["key"] == [0, 0]
    assert found["num_devices"] == 1


def test_a_user_s_metric_is_a_variable():
    def doubled_mean(key, family, params, corpus, source, first):
        return params.mean * 2

    records = run(metrics=[doubled_mean])
    np.testing.assert_array_equal(records["doubled_mean"], 2 * records["mean"])
    assert records.variables["doubled_mean"].dims == ("generation", "chain", "doubled_mean_axis_0")


def large_integer(key, family, params, corpus, source, generation0):
    return jnp.int64(2**40) + jnp.int64(source.mean[0])


def unsigned(key, family, params, corpus, source, generation0):
    return jnp.uint32(2**31 + 5)


def too_large(key, family, params, corpus, source, generation0):
    return jnp.int64(2**60 + 1)


def test_integers_that_netcdf_3_lacks(tmp_path, monkeypatch):
    arguments = {"key": 0, "num_chains": 3, "num_generations": 2, "first_chain": 2**31 + 5}
    monkeypatch.setattr(xarray.backends, "list_engines", lambda: {"scipy": None})
    with jax.enable_x64(True):
        records = cj.simulate(CHAIN, metrics=(large_integer, unsigned), **arguments)
        refused = cj.simulate(CHAIN, metrics=(too_large,), **arguments)
    records.to_netcdf(tmp_path / "records.nc")
    with xarray.open_dataset(tmp_path / "records.nc") as read:
        for name in ("large_integer", "unsigned", "chain", "status", "log_std"):
            np.testing.assert_array_equal(read[name].values, records[name])
    with pytest.raises(
        cj.ArgumentError, match=r"'too_large' .* beyond 2\^53.*install netCDF4"
    ) as no:
        refused.to_netcdf(tmp_path / "refused.nc")
    assert "\n" not in str(no.value)
    assert not (tmp_path / "refused.nc").exists()


def test_generations_that_are_left_out_are_not_joined():
    def run(last, **more):
        return cj.simulate(CHAIN, key=0, num_chains=3, num_generations=last, **more)

    first = run(4, every=2)
    second = run(9, every=2, state=first.state)
    third = run(12, every=2, state=second.state)
    joined = cj.Records.concatenate([first, second, third])
    assert joined["generation"].tolist() == [0, 2, 4, 6, 8, 9, 11, 12]
    with pytest.raises(cj.ArgumentError, match="leave out generations 5 to 10: one ends") as no:
        cj.Records.concatenate([first, third])
    assert "\n" not in str(no.value)
    other = cj.simulate(CHAIN, key=1, num_chains=3, num_generations=4, every=2)
    with pytest.raises(cj.ArgumentError, match=r"their key: \[0, 1\] and \[0, 0\]"):
        cj.Records.concatenate([other, second])


def test_reduced_records_count_their_chains():
    def narrow(key, family, params, corpus, source, generation0):
        value = family.measure(params, corpus, source, generation0)["log_std"]
        return jnp.where(value > -0.1, jnp.nan, value)

    arguments = {"key": 0, "num_chains": 300, "num_generations": 2, "metrics": (narrow,)}
    whole = cj.simulate(CHAIN, **arguments)
    reduced = cj.simulate(CHAIN, reduce=cj.Reduce(quantiles=(0, 1)), **arguments)
    assert reduced["log_std_count"].tolist() == [300] * 3
    there = np.sum(~np.isnan(whole["narrow"]), axis=1)
    np.testing.assert_array_equal(reduced["narrow_count"], there)
    assert 0 < there.min() < there.max() < 300
    assert reduced.variables["narrow_count"].attrs["units"] == "chains"


def test_integers_of_frozen_chains_are_left_out_of_reductions():
    values = {"status": jnp.arange(256) % 4, "number": jnp.arange(256) % 4 * 100}
    found = reduce_blocks(values, jnp.ones(256, bool), (("number", (50.0, 150.0)),))
    # Codes 1 and 2 are frozen, with values 100 and 200.
    assert found["number"].count.tolist() == [128]
    assert found["number"].mean.tolist() == [150.0]
    assert found["number_histogram"].tolist() == [[64, 0, 64]]
    assert found["status"].tolist() == [[64] * 4]
    raw = {name: np.asarray(value)[None] for name, value in values.items()}
    statistics = reduced(Reduce(quantiles=(0.2, 0.8)), [{"raw": raw, "blocks": _merged(found)}])
    assert statistics["number_quantile"].values.tolist() == [[0.0, 300.0]]


def _merged(blocks):
    """Return the statistics of a batch, [record, ...], as `to_host` does."""
    return {
        "number": merge_blocks(
            jax.tree.map(lambda leaf: np.asarray(leaf)[None], blocks["number"]), 1
        ),
        "status": np.sum(blocks["status"], axis=0)[None],
    }


def test_records_are_iterated_over_like_their_dataset():
    records = run()
    assert list(records) == list(records.dataset)
    assert len(records) == len(records.dataset) == len(list(records))
    assert all(name in records for name in records)
    assert "chain" in records
    assert "none" not in records
    assert {name: records[name].shape for name in records}["log_std"] == (5, 6)
    assert records

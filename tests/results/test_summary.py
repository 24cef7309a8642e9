"""Records print, draw and export themselves: summaries, units, figures, NetCDF."""

import copy
import pickle

import matplotlib as mpl
import numpy as np
import pytest
import xarray

import collapse_jax as cj

mpl.use("Agg")
NORMAL = cj.Normal(0.0, 1.0)
COVARIANCE = np.eye(3)
CHAINS = {
    "gaussian": cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace(10)),
    "gaussian 3-D": cj.Chain(cj.Gaussian(3), cj.Normal(np.zeros(3), COVARIANCE), cj.Replace(10)),
    "verified": cj.Chain(
        cj.Gaussian(1), NORMAL, cj.Replace(10, verifier=lambda rows: rows[:, 0] < 3)
    ),
    "discrete": cj.Chain(
        cj.Discrete(), cj.Empirical.words("a b c d a b a"), cj.Mixing(30, gamma=0.1)
    ),
    "long schedule": cj.Chain(cj.Gaussian(1), NORMAL, cj.Replace(list(range(10, 13)))),
}
REDUCED = cj.Reduce(histograms={"log_std": [-1.0, 0.0]}, survival=True)


def run(name, **changes):
    arguments = {"key": 0, "num_chains": 6, "num_generations": 2} | changes
    return cj.simulate(CHAINS[name], **arguments)


@pytest.fixture(scope="module", params=CHAINS)
def records(request):
    return run(request.param)


def everything():
    """A chain with many variables."""
    metrics = [cj.Metric(lambda *given: given[2].mean[0], name=f"copy_{k}") for k in range(30)]
    return run("gaussian", metrics=metrics)


@pytest.mark.parametrize(
    "make", [everything, lambda: run("gaussian", reduce=REDUCED), lambda: run("discrete")]
)
def test_a_summary_is_short_and_names_units(make):
    records = make()
    text = repr(records)
    assert len(text) < 1500
    assert len(text.splitlines()) <= 12
    assert "array(" not in text
    family = records.config["chain"]["family"]["type"]
    assert text.startswith(f"Records of {family} on ")
    assert "[nats]" in text or "[data units]" in text or "[1]" in text
    page = records._repr_html_()
    assert page.startswith("<p><b>Records of")
    assert page.count("<tr>") == page.count("</table>") + min(8, len(records.variables))


def test_every_variable_has_a_unit_and_a_long_name(records):
    for table in (records.variables, records.coordinates, records.theory.data_vars):
        for name, one in table.items():
            assert one.attrs.get("units"), name
            assert one.attrs.get("long_name"), name


def test_reduced_variables_have_units():
    records = run("gaussian", reduce=REDUCED)
    attributes = records.dataset["wasserstein2_squared_quantile"].attrs
    assert attributes["units"] == "data units squared"
    assert attributes["long_name"].startswith("quantile over chains of the squared Wasserstein")
    assert records.dataset["status_count"].attrs["units"] == "chains"
    assert all(one.attrs["long_name"] for one in records.variables.values())


def test_units_survive_a_run_directory(records, tmp_path):
    loaded = cj.Records.load(records.save(tmp_path / "run"))
    for name, one in records.variables.items():
        assert loaded.dataset[name].attrs == one.attrs


def test_the_dataset_is_the_object_itself(records):
    assert records.dataset is records.dataset
    name = next(iter(records.variables))
    assert np.shares_memory(records[name], records.dataset[name].values)


def test_records_become_a_netcdf_file(records, tmp_path):
    path = records.to_netcdf(tmp_path / "run.nc")
    with xarray.open_dataset(path, decode_times=False) as found:
        for name in records.variables:
            np.testing.assert_array_equal(found[name].values, records[name])


def test_a_run_draws_its_family_s_figure(records):
    axes = records.plot()
    assert len(axes) >= 1
    assert all(axis.get_ylabel() and axis.get_xlabel() == "generation" for axis in axes)
    axes[0].figure.canvas.draw()


def test_bands_and_lines(records):
    name = next(name for name, one in records.variables.items() if one.ndim == 2)
    assert len(records.plot.line(name).lines) == 6
    axis = records.plot.band(name)
    assert records.plot.band(name, axis) is axis
    with pytest.raises(ValueError, match="name='colour' is not allowed: it must be one of"):
        records.plot.line("colour")
    for most in (0, -1, 1.5):
        with pytest.raises(cj.ArgumentError, match=f"most={most} is not allowed.*"):
            records.plot.line(name, most=most)


def test_reduced_records_draw_their_quantiles():
    axis = run("gaussian", reduce=cj.Reduce()).plot.band("log_std")
    assert len(axis.collections) == 1
    assert run("gaussian", reduce=REDUCED).plot().size >= 2


def test_the_former_variable_class_names_its_successor():
    with pytest.raises(AttributeError, match=r"records\.dataset holds xarray\.DataArray"):
        _ = cj.Variable


def test_records_are_pickled_and_copied(records):
    for again in (pickle.loads(pickle.dumps(records)), copy.deepcopy(records)):
        assert repr(again) == repr(records)
        for name in records.variables:
            np.testing.assert_array_equal(again[name], records[name])
        assert again.theory.equals(records.theory)


def test_a_sweep_names_its_axes_and_is_not_drawn_by_generation():
    axes = {"source.mean": [0.0, 1.0]}
    records = cj.sweep(CHAINS["gaussian"], axes, key=0, num_chains=3, num_generations=1)
    assert "sweep over source.mean" in repr(records)
    assert records.dataset["mean"].dims == ("generation", "chain", "dim", "source.mean")
    with pytest.raises(ValueError, match="draw one point of a sweep"):
        records.plot()


def test_of_reduced_records_variables_are_drawn_and_no_statistics():
    axes = run("discrete", reduce=cj.Reduce()).plot()
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == ["support_size", "entropy", "tail_mass"]
    own = run("gaussian", reduce=cj.Reduce()).plot()
    assert [one.get_title(loc="left") for one in own] == ["log_std", "wasserstein2_squared"]


@pytest.mark.parametrize("reduce", [None, cj.Reduce()])
def test_frozen_chains_are_in_the_summary(reduce):
    constant = cj.Chain(cj.Gaussian(1), cj.Empirical(np.ones(20)), cj.Replace(20))
    records = cj.simulate(constant, key=0, num_chains=5, num_generations=1, reduce=reduce)
    assert "\n  frozen: 5 chains, which no mean over chains includes\n" in repr(records)
    assert "frozen" not in repr(run("gaussian", reduce=reduce))

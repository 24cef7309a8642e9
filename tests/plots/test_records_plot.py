"""Figures of records by name, and the tables that notebooks show."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import collapse_jax as cj

mpl.use("Agg")
RUN = {"key": 0, "num_chains": 6, "num_generations": 3}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def swept():
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(10))
    axes = {"policy.num_samples": [10, 20], "policy.gamma": [0.0, 0.1, 0.5]}
    return cj.sweep(chain, axes, **RUN)


def test_a_heat_map_has_the_medians_and_a_colour_bar(swept):
    axis = swept.plot.heatmap("log_std")
    medians = np.median(swept["log_std"][-1].astype(float), axis=0)
    np.testing.assert_allclose(axis.images[0].get_array(), medians)
    assert axis.get_xlabel() == "gamma"
    assert axis.get_title("left") == "log_std, generation 3"
    (bar,) = [one for one in axis.figure.axes if one is not axis]
    assert bar.get_ylabel() == "dimensionless, median over chains"
    mine = plt.subplots()[1]
    assert swept.plot.heatmap("log_std", ax=mine, generation=0) is mine


@pytest.mark.parametrize("name", ["log_st", "mean"])
def test_a_heat_map_needs_two_axes(swept, name):
    with pytest.raises(cj.ArgumentError, match="must vary along two axes, as log_std"):
        swept.plot.heatmap(name)
    with pytest.raises(cj.ArgumentError, match="generation=4"):
        swept.plot.heatmap("log_std", generation=4)


def test_survival_is_drawn_from_probabilities():
    chain = cj.Chain(cj.Discrete(), cj.Empirical(list("abacab")), cj.Replace(20))
    records = cj.simulate(chain, metrics=["probabilities"], **RUN)
    axis = records.plot.survival(noun="letter")
    assert "which letters survive" in axis.get_title("left")
    with pytest.raises(cj.ArgumentError, match=r"pass metrics=\["):
        cj.simulate(chain, **RUN).plot.survival()


@pytest.mark.parametrize("dim", [1, 2])
def test_samples_are_drawn_by_generation(dim):
    truth = cj.Normal(np.zeros(dim), np.eye(dim))
    chain = cj.Chain(cj.Gaussian(dim, corpus="samples"), truth, cj.Replace(30))
    records = cj.simulate(chain, metrics=["samples"], **RUN)
    axes = records.plot.samples(chain=5)
    assert [axis.get_title("left") for axis in axes] == [f"generation {k}" for k in range(4)]
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in axes)
    mine = plt.subplots(1, 2)[1]
    assert records.plot.samples(mine)[1].get_title("left") == "generation 3"
    with pytest.raises(cj.ArgumentError, match="chain=6"):
        records.plot.samples(chain=6)
    with pytest.raises(cj.ArgumentError, match=r"pass metrics=\["):
        cj.simulate(chain, **RUN).plot.samples()


def test_notebooks_show_rows_as_they_were_given():
    rows = np.array([[1e9, 2.0], [1e9 + 8, 4.0], [1e9 + 4, 9.0]])
    page = cj.Empirical(rows)._repr_html_()
    assert "3 rows of 2 numbers" in page
    assert '<td style="text-align:left">9</td>' in page
    assert "more rows" not in page
    words = cj.Empirical.words("a < b and a > c " * 3 + "d e f g h i j k")._repr_html_()
    assert "23 labels" in words
    assert "more states" in words
    assert "<script" not in cj.Empirical(["<script>", "b"])._repr_html_()


def test_notebooks_show_comparisons():
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
    comparison = cj.compare_with_theory(cj.simulate(chain, **RUN))
    page = comparison._repr_html_()
    assert page.count("<tr>") == len(comparison) + 1
    assert "log_std" in page
    assert comparison[0].note in page

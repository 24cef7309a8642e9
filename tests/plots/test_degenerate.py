"""Figures and summaries of data without spread, of one state, one chain and one generation."""

import warnings

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.experiments import EXPERIMENTS
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.plots.style import new_figure, scale_logarithmically, show_range


def axes_of(values):
    axes = new_figure(3, 3, 1, 1)[1][0, 0]
    axes.plot(np.arange(1, 1 + len(values)), values)
    return axes


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.0, 1.0], "log"),
        ([1.0], "log"),
        ([0.0, 0.0], "linear"),
        ([-1.0, -2.0], "linear"),
        ([np.nan, np.nan], "linear"),
        ([], "linear"),
    ],
)
def test_only_positive_data_have_a_logarithmic_axis(values, scale):
    axes = axes_of(values)
    scale_logarithmically(axes, "y")
    assert axes.get_yscale() == scale
    axes.figure.draw_without_rendering()


def test_only_a_range_with_a_length_limits_an_axis():
    axes = axes_of([1.0, 2.0, 3.0])
    before = axes.get_xlim()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        show_range(axes, 2, 2)
    assert axes.get_xlim() == before
    show_range(axes, 1, 3)
    assert axes.get_xlim() == (1, 3)


@pytest.mark.parametrize("points", [0, 1, 2])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, 1.0])
def test_panels_of_any_values_are_drawn(points, value):
    x, values = np.arange(points), np.full(points, value)
    lines = [Line("a", values, exact=values, band=(values, values))]
    panels = [Panel("a", "x", x, lines, xscale=scale, yscale=scale) for scale in ("log", "linear")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure_panels(panels).draw_without_rendering()


CASES = {
    "gaussian, constant column": ("gaussian", {"source": "constant.npy", "num_generations": 2}),
    "gaussian, zeros, generation 0": ("gaussian", {"source": "zeros.npy", "num_generations": 0}),
    "gaussian, every > generations": ("gaussian", {"num_generations": 1, "every": 50}),
    "discrete, one state": ("discrete", {"source": "text:same.txt", "num_generations": 0}),
    "discrete, absorbed at once": ("discrete", {"source": "zipf:2", "num_generations": 3}),
    "regimes, generation 0": ("regimes", {"num_generations": 0}),
}
FEWEST = {"gaussian": cj.Replace(2), "discrete": cj.Replace(1)}


SLOW = ("discrete, absorbed at once", "regimes, generation 0")  # to compile


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.thorough if case in SLOW else ()) for case in CASES],
)
def test_a_study_of_degenerate_data_has_figures_and_findings(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("constant.npy", np.full(9, 3.0))
    np.save("zeros.npy", np.zeros(9))
    (tmp_path / "same.txt").write_text("same " * 9)
    name, settings = CASES[case]
    policy = {"policy": FEWEST[name]} if name in FEWEST else {}
    experiment = EXPERIMENTS[name](num_chains=1, **policy, **settings)
    records = experiment.run(0, progress=False)
    records.config["experiment"] = {"name": name, **settings}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _, figure in experiment.figures(records).values():
            figure.draw_without_rendering()
        assert experiment.summarize(records).sentences

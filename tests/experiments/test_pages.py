"""The head of a page: finding, settings and command, true for every study and policy."""

import csv
import dataclasses
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.cli.show import draw, write_page
from collapse_jax.experiments import EXPERIMENTS
from collapse_jax.plots.data import write_figure_data
from collapse_jax.results.settings_words import settings_of

mpl.use("Agg")
SIZE = 60
ORIGINALS = {
    "replace": (cj.Replace(SIZE), "given probabilities of states, in D_0 alone"),
    "redrawn": (
        cj.Mixing(SIZE, gamma=0.2),
        "given probabilities of states, redrawn for every corpus",
    ),
    "kept": (
        cj.Mixing(SIZE, gamma=0.2, original="data"),
        "given probabilities of states, kept: every corpus has some",
    ),
    "fresh": (cj.Fresh(SIZE, 20), "given probabilities of states, redrawn for every corpus"),
    "accumulate": (
        cj.Accumulate(SIZE),
        "given probabilities of states, kept: every corpus has all of D_0",
    ),
    "subsample": (cj.AccumulateSubsample(SIZE), "given probabilities of states, kept in the pool"),
    "previous": (cj.Mixing(SIZE, beta=0.3), "given probabilities of states"),
}
SMALL = {
    "gaussian": {"policy": cj.Replace(30)},
    "discrete": {"policy": cj.Replace(30), "source": "zipf:12"},
    "keep-words": {"source": "zipf:12"},
}


@pytest.mark.usefixtures("without_simulation")
@pytest.mark.parametrize("case", ORIGINALS)
def test_settings_say_where_original_rows_are(case):
    policy, words = ORIGINALS[case]
    kind = EXPERIMENTS["discrete"]
    run = kind(policy=policy, source="zipf:12", num_chains=4, num_generations=3)
    settings = dict(settings_of(run.run(0, False)))
    assert settings["original rows"].startswith(words)
    assert settings["policy"].split(",")[0] in ("replace", "mixing", "fresh", "accumulate") or (
        settings["policy"].split(",")[0] == "accumulate-subsample"
    )
    assert settings["rows M of a corpus"] == "60"
    assert (settings["chains"], settings["generations"]) == ("4", "3")


@pytest.mark.parametrize("original", ["kept", "redrawn"])
@pytest.mark.usefixtures("without_simulation")
def test_settings_of_shares_say_what_was_varied(original):
    run = EXPERIMENTS["keep-gaussian"](original=original, num_samples=(9,), num_generations=2)
    settings = dict(settings_of(run.run(0, False)))
    assert original in settings["original rows"]
    assert settings["policy"].endswith("varied num_samples and gamma")
    assert settings["varied: policy.num_samples"] == "9"


@pytest.mark.usefixtures("without_simulation")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_page_answers_first(name, tmp_path):
    """Finding, settings, figures with links, table, literature: in this order, in every study."""
    experiment = EXPERIMENTS[name].at_scale("smoke")
    experiment = dataclasses.replace(experiment, **SMALL.get(name, {}), num_chains=10)
    records = experiment.run(0, False)
    records.config["experiment"] = {"name": name, "source": "mine", "number": 0.25}
    records.config["seed"] = 3
    draw(records, tmp_path)
    page = write_page(records, tmp_path).read_text()
    finding = EXPERIMENTS[name].summarize(records).finding
    assert finding.endswith(".")
    assert "nan" not in finding
    tab = re.search("<title>(.*)</title>", page)
    assert tab is not None
    places = [
        page.index(words)
        for words in (
            '<p class="finding">',
            '<dl class="settings">',
            "<figure>",
            "<table>",
            "Configuration and",
        )
    ]
    assert places == sorted(places)
    assert "<dt>seed</dt><dd>3</dd>" in page
    assert "<dt>--number</dt><dd>0.25</dd>" in page
    assert "<dt>original rows</dt><dd>mine" in page or name == "mad"
    for kind in ("pdf", "csv"):
        for link in re.findall(f'href="(figures/[^"]*[.]{kind})"', page):
            assert (tmp_path / link).stat().st_size > 0
    assert page.count('.csv">') == page.count("<figure>")
    assert len(page) < 3_000_000
    for figure_name, (_, figure) in EXPERIMENTS[name].figures(records).items():
        check_readable(figure, figure_name)


def check_readable(figure, name):
    """Texts have at least 8 pt on a page of the report, and all axes have labels."""
    pixels_of_page = 62 * 16 - 2 * 1.2 * 16
    shown = min(
        1.0, pixels_of_page / (104 * figure.get_size_inches()[0])
    )  # 104: an inch of figures
    for text in figure.findobj(mpl.text.Text):
        if text.get_visible() and text.get_text().strip():
            assert text.get_fontsize() / 72 * 104 * shown >= 8 * 96 / 72, (name, text.get_text())
    for axis in figure.axes:
        if not (axis.get_visible() and axis.axison and axis.lines):
            continue
        for which in "xy":
            siblings = getattr(axis, f"get_shared_{which}_axes")().get_siblings(axis)
            labels = [getattr(one, f"get_{which}label")() for one in (axis, *siblings)]
            assert any(labels), (name, which, axis.get_title())
            assert getattr(axis, f"get_{which}scale")() in ("linear", "log")


def test_too_small_a_text_would_be_found():
    figure, axes = plt.subplots(figsize=(12, 3))
    axes.plot([1, 2], [1, 2])
    axes.set(xlabel="x", ylabel="y")
    axes.xaxis.label.set_fontsize(7)
    with pytest.raises(AssertionError, match="wide"):
        check_readable(figure, "wide")
    plt.close(figure)


def test_the_numbers_of_a_figure_are_those_that_it_shows(tmp_path):
    figure, axes = plt.subplots(1, 3)
    axes[0].plot([1.0, 2.0], [3.0, 4.5], label="a, b")
    axes[0].set_title("left")
    axes[1].imshow(np.array([[1.0, 2.0], [3.0, np.nan]]))
    axes[1].set_xticks([0, 1], ["x0", "x1"])
    axes[1].set_yticks([0, 1], ["y0", "y1"])
    mesh = axes[2].pcolormesh([0, 1, 2], [0, 1], np.array([[5.0, 6.0]]))
    figure.colorbar(mesh)
    with write_figure_data(figure, tmp_path / "a.csv").open() as file:
        rows = [tuple(row) for row in csv.reader(file)]
    plt.close(figure)
    assert rows[0] == ("panel", "curve", "x", "y", "value")
    assert ("left", "a, b", "2", "4.5", "") in rows
    assert ("panel 2", "cells", "x1", "y0", "2") in rows
    assert ("panel 2", "cells", "x1", "y1", "nan") in rows
    assert ("panel 3", "cells", "1.5", "0.5", "6") in rows
    assert len(rows) == 1 + 2 + 4 + 2

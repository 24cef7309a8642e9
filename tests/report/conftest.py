"""A report with every kind of interactive figure, made without a simulation."""

import numpy as np
import pytest

from collapse_jax.plots.data import save_with_numbers
from collapse_jax.plots.lines import Line, Panel, figure_panels
from collapse_jax.plots.views import grid_view, words_view
from collapse_jax.report import write_report
from collapse_jax.results.records import dataset_of

X = np.arange(21)


def figure():
    band = (np.exp(-X / 9), np.exp(-X / 11))
    line = Line("M = 100", np.exp(-X / 10), exact=np.exp(-X / 10), band=band)
    return figure_panels([Panel(r"$\hat\sigma$", "generation", X, [line], "data units")])


def words():
    chances = np.random.default_rng(0).random((6, 8, 300)) ** np.arange(6)[:, None, None]
    alive = chances / (1 + np.arange(300)) * (chances > 0.3)
    names = np.array([f"word{k}" for k in range(299)] + ["gift"])
    dims = ("generation", "chain", "state")
    coordinates = {"generation": np.arange(6) * 5, "state": names}
    return words_view(dataset_of({"probabilities": (dims, alive)}, coordinates), "word")


@pytest.fixture
def report(tmp_path):
    """Write the report; its path."""
    folder, caption = tmp_path, "Spread falls by half in 7 generations."
    views = {
        "curves": None,
        "shares": grid_view(
            {"words left": np.linspace(0, 1, 3 * 2 * 4).reshape(3, 2, 4)},
            ("rows M", [100, 1000]),
            ("share of kept originals", [0.0, 0.01, 0.1, 0.5]),
            [0, 5, 10],
            target=0.5,
            is_share=True,
        ),
        "words": words(),
    }
    pictures = {
        name: save_with_numbers(figure(), folder / "figures", name, view)
        for name, view in views.items()
    }
    captions = {caption: pictures["curves"], "A target can be set.": pictures["shares"]}
    captions["Words can be searched."] = pictures["words"]
    return write_report(
        folder / "report.html", title="A run", sentences=["A sentence."],
        table=[[f"column {k}" for k in range(30)], [f"{k / 7:.9f}" for k in range(30)]],
        figures=captions, config={"text": "</script><b>"}, provenance={}, finding="It collapses.",
        settings=[("M", "100")], command="collapse run gaussian",
    )  # fmt: skip

"""Figures of language-model chains, and the page of their texts."""

import html.parser

import numpy as np
import pytest
import xarray
from scipy import stats

from collapse_jax.plots import language_model as plots
from collapse_jax.report.continuations import Example, continuations_page

SINGLE = (
    "test_perplexity zero_shot_perplexity distinct_1 distinct_2 distinct_3 repetition_rate "
    "unigram_entropy tail_share unique_share"
).split()
FIGURES = (
    plots.perplexity_histograms,
    plots.perplexity_by_generation,
    plots.diversity,
    plots.validation_curves,
)


def make_records(generations=4, chains=3, slots=30, epochs=5, seed=0):
    random = np.random.default_rng(seed)
    shape, dims = (generations, chains), ("generation", "chain")
    variables = {name: (dims, random.uniform(0.1, 1, shape)) for name in SINGLE}
    perplexity = np.exp(random.normal(3, 1, (*shape, slots)))
    perplexity[..., slots // 2 :: 7] = np.nan
    variables["corpus_perplexity"] = ((*dims, "slot"), perplexity)
    losses = random.uniform(3, 4, (*shape, epochs))
    variables["validation_loss"] = ((*dims, "epoch"), losses)
    coordinates = {"generation": np.arange(generations), "chain": np.arange(chains)}
    return xarray.Dataset(variables, coordinates)


def spoil(records, place):
    """NaN in place of what is measured there."""
    for variable in records.data_vars.values():
        variable.values[place] = np.nan
    return records


def draw(figure):
    figure.canvas.draw()
    return figure.axes


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def by_label(axis, start):
    (line,) = [one for one in axis.lines if str(one.get_label()).startswith(start)]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


@pytest.mark.parametrize("figure", FIGURES, ids=lambda one: one.__name__)
def test_axes_are_named_and_there_is_a_legend(figure):
    axes = draw(figure({"replace": make_records(), "kept": make_records(seed=1)}))
    shown = [axis for axis in axes if axis.axison]
    assert any(axis.get_legend() for axis in axes)
    assert all(axis.get_title("left") for axis in shown)
    assert shown[-1].get_xlabel()
    assert shown[0].get_ylabel()


@pytest.mark.parametrize(
    ("records", "has_band"),
    [
        (make_records(), True),
        (make_records(chains=1), False),
        (spoil(make_records(), np.s_[:, 1:]), False),
        (spoil(make_records(), np.s_[:]), False),
    ],
)
def test_an_interval_is_named_where_one_is_drawn(records, has_band):
    figure = plots.perplexity_by_generation({"replace": records})
    assert ("interval" in figure.get_suptitle()) == has_band


@pytest.mark.parametrize("figure", FIGURES, ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    "records",
    [
        make_records(chains=1),
        make_records(generations=1),
        make_records(generations=1, chains=1, slots=1, epochs=1),
        make_records(generations=30),
        spoil(make_records(), np.s_[2]),
        spoil(make_records(), np.s_[1:, 1]),
        spoil(make_records(), np.s_[:]),
    ],
    ids="run generation number many lost-generation lost-run nothing".split(),
)
def test_extremes_do_not_warn(figure, records):
    draw(figure({"": records}))
    draw(figure({"": records}))


def test_histograms_are_densities_and_tails_count_every_block():
    records = make_records(slots=400)
    values = records["corpus_perplexity"].values[2]
    values[0, 0] = 1e6
    density, tail = draw(plots.perplexity_histograms({"": records}))
    assert (len(density.lines), labels(tail)) == (4, ["0 (real data)", "1", "2", "3"])
    middles, heights = by_label(density, "2")
    mass = np.sum(heights) * np.log10(middles[1] / middles[0])
    found = np.sort(values[~np.isnan(values)])
    assert 0.99 < mass < 1  # the largest is beyond the bins
    places, shares = by_label(tail, "2")
    expected = [np.mean(found >= place) for place in places]
    np.testing.assert_allclose(shares, expected)
    assert (places.max(), places.min()) == (1e6, found[0])


def test_runs_mean_and_interval():
    records = make_records(chains=5)
    values = records["test_perplexity"].values
    values[1, 2] = np.nan
    (axis,) = draw(plots.perplexity_by_generation({"a": records, "b": make_records(seed=1)}))
    assert len(axis.lines) == 5 + 1 + 3 + 1 + 1
    assert labels(axis)[:2] == ["a, mean of 5 runs", "b, mean of 3 runs"]
    np.testing.assert_allclose(by_label(axis, "a")[1], np.exp(np.nanmean(np.log(values), axis=1)))
    band = axis.collections[0].get_paths()[0].vertices
    for place, row in enumerate(values):
        row = np.log(row[~np.isnan(row)])
        expected = stats.t.interval(0.95, len(row) - 1, np.mean(row), stats.sem(row))
        ends = band[band[:, 0] == place, 1]
        np.testing.assert_allclose([ends.min(), ends.max()], np.exp(expected))
    assert axis.get_yscale() == "linear"
    values[2] *= 100
    (axis,) = draw(plots.perplexity_by_generation({"a": records}))
    assert axis.get_yscale() == "log"
    ticks = [text.get_text() for text in axis.get_xticklabels()]
    assert "0\n(real data)" in ticks


@pytest.mark.parametrize(
    ("level", "told", "is_drawn"), [(1.5, "1.5", True), (9000.0, "9,000, not drawn", False)]
)
def test_zero_shot_is_drawn_unless_it_would_flatten_the_rest(level, told, is_drawn):
    records = make_records()
    records["zero_shot_perplexity"][0] = level
    (axis,) = draw(plots.perplexity_by_generation({"": records}))
    assert labels(axis) == ["mean of 3 runs", f"before training: {told}"]
    assert (by_label(axis, "before")[1].size > 0) == is_drawn
    assert axis.get_ylim()[1] < 20
    del records["zero_shot_perplexity"]
    (axis,) = draw(plots.perplexity_by_generation({"": records}))
    assert labels(axis) == ["mean of 3 runs"]


def test_diversity_has_a_panel_each():
    records = make_records()
    *panels, legend = draw(plots.diversity({"a": records, "b": make_records(seed=1)}))
    assert [len(axis.lines) for axis in panels] == [2 * (3 + 1)] * 7
    assert labels(legend) == ["a, mean of 3 runs", "b, mean of 3 runs"]
    for axis, name in zip(panels, SINGLE[2:], strict=True):
        np.testing.assert_allclose(by_label(axis, "a")[1], records[name].mean(axis=1))


def test_validation_curves_mark_the_best_epoch_of_every_run():
    records = make_records()
    losses = records["validation_loss"]
    losses[3, 1] = np.nan
    (axis,) = draw(plots.validation_curves({"": records}))
    assert len(axis.lines) == 4 * (3 + 1)
    np.testing.assert_allclose(by_label(axis, "0")[1], losses[0].mean(axis=0))
    dots = [np.asarray(one.get_offsets()) for one in axis.collections]
    assert [len(one) for one in dots] == [3, 3, 3, 2]
    np.testing.assert_allclose(dots[0], np.c_[losses[0].argmin(axis=1) + 1, losses[0].min(axis=1)])


class Page(html.parser.HTMLParser):
    """Texts by tag, and whether tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.append((self.open[-1], data))

    def of(self, tag):
        return [text for name, text in self.texts if name == tag]


def test_texts_are_escaped_and_in_order_of_generations():
    bad = "<script>alert('1 & 2')</script> $title"
    texts = [(10, "ten", 1234.5), (0, bad, 1.25), (2, "two", 7.0)]
    text = continuations_page([Example(bad, texts), Example("b", [])], bad)
    page = Page(text)
    assert "<script" not in text
    assert page.of("dd") == [bad, "two", "ten"]
    assert page.of("blockquote") == [bad, "b"]
    assert page.of("h1") == page.of("title") == [bad]
    assert [name.strip() for name in page.of("dt")] == ["model 0", "model 2", "model 10"]
    assert page.of("small")[1] == "perplexity 7.0"
    assert "http" not in text

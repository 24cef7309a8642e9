"""Figures are saved with one warning for all characters that the font lacks."""

import warnings

import pytest

from collapse_jax.plots.style import new_figure, save_figure


def figure_of(title):
    figure, axes = new_figure(2, 1, 1, 1)
    axes[0, 0].set_title(title)
    return figure


def test_characters_without_a_glyph_get_one_warning(tmp_path):
    with pytest.warns(UserWarning, match="characters are boxes") as caught:
        save_figure(figure_of("हिन्दी ภาษา 我爱你"), tmp_path, "words")
    assert len(caught) == 1
    assert "rcParams['font.family']" in str(caught[0].message)


def test_other_warnings_of_a_figure_are_repeated(tmp_path, monkeypatch):
    figure = figure_of("naïve")
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: warnings.warn("odd", stacklevel=1))
    with pytest.warns(UserWarning, match="odd") as caught:
        save_figure(figure, tmp_path, "words")
    assert len(caught) == 2
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, tmp_path, "words")
    assert (tmp_path / "words.png").stat().st_size > 0

"""`~` in paths, wherever they are given."""

from pathlib import Path

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.experiments.sources import make_labels, make_rows
from collapse_jax.plots.style import save_figure
from collapse_jax.utils.paths import user_path


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return home


@pytest.mark.parametrize(
    ("given", "found"),
    [("~", ""), ("~/a", "a"), (Path("~/a/b"), "a/b"), ("~/a~b", "a~b")],
)
def test_a_leading_tilde_is_the_home_directory(given, found, home):
    assert user_path(given) == home / found


@pytest.mark.parametrize("given", ["a", "a/~", "./~/a", "/tmp/a~", Path("a b")])
def test_other_paths_stay(given, home):
    assert user_path(given) == Path(given)


@pytest.mark.parametrize("given", ["", "a\0b", "~nobody-/a", "~nobody-"])
def test_what_is_no_path_is_refused(given, home):
    with pytest.raises(cj.ArgumentError, match=r"RUN=.*is not allowed"):
        user_path(given, "RUN")


def test_every_path_may_begin_with_a_tilde(home):
    np.save(home / "rows.npy", np.arange(9.0))
    (home / "text.txt").write_text("a rose is a rose")
    np.savez(home / "grey.npz", x=np.full((30, 8, 8), 0.5))
    assert make_rows("~/rows.npy", {}, 1).num_rows == 9
    assert cj.Empirical("~/rows.npy").num_rows == 9
    assert make_labels("text:~/text.txt").num_states == 3
    assert cj.Empirical.words(Path("~/text.txt")).num_states == 3
    assert cj.Images.load("~/grey.npz", side=8).side == 8
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(9))
    cj.simulate(chain, key=0, num_chains=2, num_generations=1, store="~/stored")
    records = cj.Records.load("~/stored")
    assert records.save("~/saved") == home / "saved"
    assert cj.Records.load("~/saved")["log_std"].shape == (2, 2)
    figure = records.plot()[0].figure
    assert save_figure(figure, "~/figures", "a")[0] == home / "figures" / "a.png"
    assert not list(Path().iterdir())

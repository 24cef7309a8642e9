"""The number of files of a run directory, told before the run begins."""

import pytest

import collapse_jax as cj
from collapse_jax.engine.request import Request
from collapse_jax.engine.run_directory import count_files
from collapse_jax.engine.run_spec import make_run_spec

GAUSSIAN = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(10))
WORDS = cj.Chain(cj.Discrete(), cj.Empirical(["a", "b", "a"]), cj.Mixing(20, gamma=0.5))
SETTINGS = {"key": 1, "num_chains": 300, "num_generations": 57, "every": 5, "chain_batch": 128}
CASES = {
    "gaussian": (GAUSSIAN, {}),
    "many files": (GAUSSIAN, {"chain_batch": 16}),
    "names": (WORDS, {"metrics": ("probabilities",)}),
    "reduced": (GAUSSIAN, {"reduce": cj.Reduce(survival=True, histograms={"log_std": [-1, 0]})}),
}


def files_below(path):
    return sum(one.is_file() for one in path.rglob("*"))


@pytest.mark.parametrize("name", CASES)
def test_the_files_that_are_announced_are_written(name, tmp_path, capsys):
    chain, more = CASES[name]
    settings = SETTINGS | more
    request = Request(chain, store=tmp_path / "run", **settings)
    expected = count_files(make_run_spec(request))
    assert not (tmp_path / "run").exists()
    cj.simulate(chain, store=tmp_path / "run", progress=True, **settings)
    assert files_below(tmp_path / "run") == expected
    shown = f"{tmp_path / 'run'}: about {expected:,} files when complete"
    assert shown in capsys.readouterr().err.replace("\n", " ")
    assert expected == count_files(
        make_run_spec(Request(chain, store=tmp_path / "run", **settings))
    )


def test_files_of_several_processes(tmp_path):
    settings = SETTINGS | {"chain_batch": 16}
    stores = [cj.Store(tmp_path / "run", process=(index, 2)) for index in range(2)]
    spec = make_run_spec(Request(GAUSSIAN, store=stores[0], **settings))
    with pytest.warns(RuntimeWarning, match="lacks chains"):
        cj.simulate(GAUSSIAN, store=stores[0], **settings)
    cj.simulate(GAUSSIAN, store=stores[1], **settings)
    assert files_below(tmp_path / "run") == count_files(spec)


def test_without_progress_nothing_is_told(tmp_path, capsys):
    cj.simulate(GAUSSIAN, store=tmp_path / "run", **SETTINGS)
    assert capsys.readouterr().err == ""

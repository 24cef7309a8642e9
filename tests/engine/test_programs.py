"""A process that has compiled many programs must not run into the limit of its mappings."""

import jax
import numpy as np

import collapse_jax as cj
from collapse_jax.engine import program
from collapse_jax.utils import memory


def _run(size):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(size))
    return cj.simulate(chain, key=0, num_chains=2, num_generations=2)["log_std"]


def test_programs_are_dropped_when_the_process_is_full(monkeypatch):
    first = _run(31)
    monkeypatch.setattr(memory, "is_full_of_programs", lambda: True)
    _run(31)
    assert program.drop_programs() > 0, "the second run compiled anew, or nothing was"
    _run(32)
    assert program.drop_programs() == 0
    np.testing.assert_array_equal(_run(31), first)


def test_a_second_run_compiles_nothing(caplog):
    _run(33)
    with jax.log_compiles():
        _run(33)
        assert "advance" not in caplog.text
        _run(34)
        assert caplog.text.count("Finished XLA compilation of jit(advance)") == 1


def test_mappings_are_counted_against_the_limit_of_the_system(tmp_path, monkeypatch):
    assert not memory.is_full_of_programs()
    limit = tmp_path / "max_map_count"
    limit.write_text("10\n")
    monkeypatch.setattr(
        memory, "Path", lambda path: limit if path.endswith("count") else type(limit)(path)
    )
    assert memory.is_full_of_programs()

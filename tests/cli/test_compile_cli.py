"""`collapse compile` tells what compilers tell, as words or JSON, and refuses in one line."""

import importlib
import json

import pytest

from collapse_jax.cli import main
from collapse_jax.engine import compile_for
from collapse_jax.utils import accelerators
from collapse_jax.utils.compiled import CompileReport


def report(step="generation", fits=True, batch=64):
    return CompileReport(
        "v5e:2x2", 4, step, "chains", batch, 1.0, 2**20, 2**34, fits, 1e6, 2e6, 1e-5, 0.5
    )


@pytest.fixture
def compilers(monkeypatch):
    """Compilers that answer at once, and the requests that they were given."""
    asked = []

    def compiled(request, target):
        asked.append(request)
        return report(fits=request.num_chains < 1000, batch=request.num_chains)

    def step(config, target, *, step, batch, length, training, decoding):
        asked.append((config, length))
        return report(step, batch=batch)

    monkeypatch.setattr(accelerators, "describe", lambda topology, argument: topology)
    monkeypatch.setattr(compile_for, "compile_request", compiled)
    module = importlib.import_module("collapse_jax.lm.compile_for")
    monkeypatch.setattr(module, "compile_step", step)
    return asked


def test_every_program_of_a_study_is_compiled(compilers, capsys):
    arguments = ["compile", "gaussian", "--topology", "v5e:2x2", "--num-chains", "64"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("replace, 100 rows\n  v5e:2x2: fits\n  devices ")
    assert printed.out.count("v5e:2x2: fits") == 4
    assert [one.chain.policy.num_samples for one in compilers] == [100, 500, 1000, 10_000]


def test_of_a_sweep_the_first_point_is_compiled(compilers, capsys):
    arguments = ["compile", "mad", "--topology", "v5e:2x2", "--num-chains", "64", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["experiment"], found["topology"], found["fits"]) == ("mad", "v5e:2x2", True)
    (one,) = found["programs"]
    assert (one["batch"], one["peak_bytes"], one["step_seconds"]) == (64, 2**20, 1e-5)


def test_a_program_that_does_not_fit_has_exit_code_1(compilers, capsys):
    arguments = ["compile", "gaussian", "--topology", "v5e:2x2", "--num-chains", "10_000_000"]
    assert main([*arguments, "--policy.num-samples", "100"]) == 1
    assert "v5e:2x2: DOES NOT FIT" in capsys.readouterr().out


def test_language_models_have_three_programs(compilers, capsys):
    arguments = ["compile", "lm", "--topology", "v5e:2x2", "--preset", "micro", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["programs"]] == ["train", "score", "generate"]
    assert [one["batch"] for one in found["programs"]] == [8, 32, 64]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--topology='' is not allowed: the kinds are v5e, v5p, v6e, h100, a100"),
        (["--topology", "v5e"], "a TPU has a shape such as 2x2"),
        (["--topology", "h100", "--num-chains", "few"], "--num-chains"),
        (["--topologie", "v5e:2x2"], "did you mean --topology?"),
    ],
)
def test_bad_input_is_one_line(arguments, expected, capsys):
    assert main(["compile", "gaussian", *arguments]) == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_a_missing_compiler_is_named_in_one_line(monkeypatch, capsys):
    from jax.experimental import topologies

    def missing(*arguments, **named):
        raise NotImplementedError

    monkeypatch.setattr(topologies, "get_topology_desc", missing)
    assert main(["compile", "gaussian", "--topology", "v5e:2x2"]) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        "collapse: --topology='v5e:2x2' is not allowed: jax finds no compiler for TPU; "
        "pip install 'collapse-jax[accelerators]'\n"
    )


def test_the_command_lists_experiments(capsys):
    assert main(["compile", "--help"]) == 0
    assert "collapse compile EXPERIMENT --topology" in capsys.readouterr().out
    assert main(["compile", "gaussian", "--help"]) == 0
    assert "--topology" in capsys.readouterr().out

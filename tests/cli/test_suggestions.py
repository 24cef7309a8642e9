"""Suggestions for unknown words of a command line: only names that are near, or other forms."""

import pytest

from collapse_jax.cli import main

NEAR = {
    "part of an option": (["gaussian", "--chains=3"], "did you mean --num-chains?"),
    "option without its policy": (["gaussian", "--gamma", "0"], "did you mean --policy.gamma?"),
    "start of a policy": (["gaussian", "policy:mix"], "did you mean policy:mixing?"),
    "option of another form": (["one-shot", "--sizes", "2"], "did you mean --most?"),
    "option of another name": (["mad", "--sampling-bias", "1"], "did you mean --biases?"),
    "option of another experiment": (
        ["gaussian", "--sizes", "2", "3"],
        "it is an option of gmm and gmm-pair; see `collapse run gaussian --help`",
    ),
}
FAR = (["--sizes", "2"], ["--epochs", "3"], ["--steps", "3"], ["-n", "3"], ["extra"], ["policy:x"])


@pytest.mark.parametrize("name", NEAR)
def test_a_near_name_is_suggested(name, capsys):
    arguments, words = NEAR[name]
    assert main(["run", *arguments]) == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("words", FAR, ids=" ".join)
def test_only_a_near_name_is_suggested(words, capsys):
    assert main(["run", "gaussian", *words]) == 2
    assert "did you mean" not in capsys.readouterr().err

"""Names of version 0.1 raise an error that names their successor."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.cli import main
from collapse_jax.experiments import EXPERIMENTS
from collapse_jax.plots import original_shares as figures


@pytest.mark.parametrize(
    ("use", "kind", "successor"),
    [
        (lambda: cj.Replace(10, keep=abs), TypeError, r"is now Replace\(verifier=\.\.\.\)"),
        (lambda: cj.Mixing(10, keep=abs), TypeError, r"is now Mixing\(verifier=\.\.\.\)"),
        (
            lambda: cj.Images(np.zeros((4, 8, 8)), held_out=np.zeros((4, 8, 8))),
            TypeError,
            r"is now Images\(test=\.\.\.\)",
        ),
        (
            lambda: cj.Records({}, {}, {}).save("run", keep=("figures",)),
            TypeError,
            r"Records\.save\(keep=\.\.\.\) is now Records\.save\(preserve=",
        ),
        (
            lambda: EXPERIMENTS["lm"](kept=()),
            TypeError,
            r"is now LmExperiment\(original_shares=\.\.\.\)",
        ),
        (
            lambda: EXPERIMENTS["keep-words"](shares=(0.1,)),
            TypeError,
            r"is now KeepWordsExperiment\(original_shares=\.\.\.\)",
        ),
        (lambda: figures.figure_keep, AttributeError, "is now figure_original_shares"),
        (lambda: cj.Variable, AttributeError, r"records\.dataset holds xarray\.DataArray"),
        (lambda: lm.Config, AttributeError, "lm.OPTConfig"),
        (lambda: object.__new__(lm.Trainer).go_on, AttributeError, "is now Trainer.resume"),
        (
            lambda: cj.Samples(np.zeros(3)),
            ValueError,
            r"or Rows\.of_rows\(rows, size\)",
        ),
    ],
)
def test_a_former_name_names_its_successor(use, kind, successor):
    with pytest.raises(kind, match=successor):
        use()


@pytest.mark.parametrize("given", ["--policy.keep", "--policy.keep=x"])
def test_a_former_option_names_its_successor(given, capsys):
    assert main(["run", "regimes", given, "x"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--policy.keep is now --policy.verifier; functions are given in Python" in line


def test_former_modules_name_their_successors():
    with pytest.raises(ImportError, match=r"collapse_jax\.theory\.gaussian_accumulation"):
        from collapse_jax.theory import keeping  # noqa: F401
    with pytest.raises(ImportError, match=r"Decoding is now in collapse_jax\.lm"):
        from collapse_jax.families.language_model import Decoding  # noqa: F401

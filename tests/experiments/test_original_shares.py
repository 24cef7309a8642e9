"""How much original data is needed: what a run says, and when it cannot say."""

import numpy as np
import pytest

from collapse_jax.experiments import EXPERIMENTS

pytestmark = pytest.mark.usefixtures("without_simulation")


@pytest.mark.parametrize(
    ("surviving", "words"),
    [
        ([0.80, 0.91, 0.85, 0.95, 0.99], "gamma = 0.1 is the smallest tried share"),
        ([0.91, 0.92, 0.93, 0.95, 0.99], "gamma = 0 is the smallest tried share"),
        ([0.80, 0.91, 0.85, 0.95, 0.89], "no tried share"),
    ],
)
def test_every_larger_share_preserves_enough_too(surviving, words):
    shares = (0.0, 0.001, 0.01, 0.1, 1.0)
    kind = EXPERIMENTS["keep-gaussian"]
    settings = {"original_shares": shares, "num_samples": (30,), "num_generations": 10}
    records = kind(**settings, num_chains=10).run(0, False)
    records.variables["surviving"][-1, 0] = np.array(surviving)
    assert f"M = 30: {words} of redrawn originals" in kind.summarize(records).sentences[-1]
    records = kind(**settings, num_chains=7).run(0, False)
    records.variables["surviving"][-1, 0] = np.array(surviving)
    text = " ".join(kind.summarize(records).sentences)
    assert "is not known: 7 chains are too few for a standard error." in text
    assert "tried share" not in text


def test_no_limit_is_claimed_of_shares_that_had_no_time():
    kind = EXPERIMENTS["keep-gaussian"]
    settings = {"original_shares": (0.05, 0.1), "num_samples": (30,), "num_chains": 10}
    (found,) = kind.summarize(kind(**settings, num_generations=9).run(0, False)).statements
    assert found.words == "not tested (too few generations: 9, needs 10)"
    (found,) = kind.summarize(kind(**settings, num_generations=10).run(0, False)).statements
    assert "gamma = 0.1" in found.found
    assert "gamma = 0.05" not in found.found

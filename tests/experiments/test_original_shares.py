"""How much original data is needed: what a run says, and when it cannot say."""

import re

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
    records.variables["log_std"].values[:] = 0.0
    assert f"M = 30: {words} of redrawn originals" in kind.summarize(records).sentences[-1]
    records = kind(**settings, num_chains=7).run(0, False)
    records.variables["surviving"][-1, 0] = np.array(surviving)
    text = " ".join(kind.summarize(records).sentences)
    assert "is not known: 7 chains are too few for a standard error." in text
    assert "tried share" not in text


CHANCE = {  # what is left at gamma = 0.1 and 1, and words about chance; the error is 2 % of it
    "none in doubt": ([0.80, 0.95], "smallest .*; it leaves 0.950 ± 0.02\\.$"),
    "the larger in doubt": ([0.80, 0.91], "0.910 ± 0.02; within 2 .* gamma = 1, or none\\.$"),
    "the smaller in doubt": ([0.91, 0.99], "0.910 ± 0.02; within 2 .* gamma = 0.1 to 1\\.$"),
    "all in doubt": ([0.91, 0.92], "0.910 ± 0.02; within 2 .* gamma = 0.1, or none\\.$"),
    "none suffices": ([0.60, 0.70], "no tried share .*; gamma = 1 leaves 0.700 ± 0.01\\.$"),
    "one may suffice": ([0.60, 0.89], "no tried .* 0.890 ± 0.02; within 2 .* = 1, or none\\.$"),
}


@pytest.mark.parametrize("name", ["keep-gaussian", "keep-words"])
@pytest.mark.parametrize("case", CHANCE)
def test_a_share_is_named_with_what_chance_allows(case, name):
    left, words = CHANCE[case]
    kind = EXPERIMENTS[name]
    settings = {"original_shares": (0.1, 1.0), "num_samples": (30,), "num_generations": 10}
    if name == "keep-words":
        settings["source"] = "zipf:9"
    records = kind(**settings, num_chains=16).run(0, False)
    records.variables["surviving"][-1, 0] = np.array(left)
    # Standard errors of 2 %: half of 16 chains lie above, half below.
    chains = 0.02 * np.sqrt(15) * np.tile([1.0, -1.0], 8)[:, None, None]
    if name == "keep-gaussian":
        records.variables["log_std"].values[0] = 0.0
        records.variables["log_std"].values[-1] = chains
    else:
        records.variables["support_size"].values[-1] = 7 * (1 + chains)
    sentence = kind.summarize(records).sentences[-1]
    assert re.search(words, sentence), sentence


def test_errors_of_rare_words_are_those_of_what_is_counted():
    kind = EXPERIMENTS["keep-words"]
    settings = {"original_shares": (1.0,), "num_samples": (30,), "num_generations": 10}
    records = kind(**settings, source="zipf:9", rare=0.3, num_chains=16).run(0, False)
    records.variables["surviving"][-1, 0] = 1.0
    records.variables["rare_words"].values[-1] = np.tile([2.0, 4.0], 8)[:, None, None]
    (sentence,) = kind.summarize(records).sentences[-1:]
    assert f"it leaves 1.00 ± {1 / 3 / np.sqrt(15):.1g}" in sentence


def test_no_limit_is_claimed_of_shares_that_had_no_time():
    kind = EXPERIMENTS["keep-gaussian"]
    settings = {"original_shares": (0.05, 0.1), "num_samples": (30,), "num_chains": 10}
    (found,) = kind.summarize(kind(**settings, num_generations=9).run(0, False)).statements
    assert found.words == "not tested (too few generations: 9, needs 10)"
    (found,) = kind.summarize(kind(**settings, num_generations=10).run(0, False)).statements
    assert "gamma = 0.1" in found.found
    assert "gamma = 0.05" not in found.found


def test_no_share_is_named_where_a_value_is_unknown():
    """NaN is no share that was lost: a point failed, or no chain is left."""
    kind = EXPERIMENTS["keep-gaussian"]
    settings = {"original_shares": (0.1, 1.0), "num_samples": (30,), "num_generations": 10}
    records = kind(**settings, num_chains=16).run(0, False)
    records.variables["surviving"][-1, 0] = np.array([0.95, np.nan])
    (sentence,) = kind.summarize(records).sentences[-1:]
    assert sentence.startswith("M = 30: the share of redrawn originals that preserves 90 % of the")
    assert sentence.endswith(" is not known: there is no value for gamma = 1.")


def test_small_shares_keep_their_digits():
    kind = EXPERIMENTS["keep-gaussian"]
    settings = {"original_shares": (0.0,), "num_samples": (30,), "num_generations": 10}
    records = kind(**settings, num_chains=16).run(0, False)
    records.variables["surviving"][-1, 0] = 1.234e-5
    assert kind.summarize(records).table[1] == ["30", "1.23e-05"]


def test_a_title_has_one_pair_of_brackets():
    kind = EXPERIMENTS["keep-words"]
    settings = {"original_shares": (1.0,), "num_samples": (30,), "num_generations": 2}
    records = kind(**settings, source="zipf:9", rare=0.3, num_chains=8).run(0, False)
    title = kind.summarize(records).title
    assert title.count("(") == title.count(")") == 1
    assert "((" not in title

"""Sentences and verdicts at the edges: schedules, no later model, divergence, no effect."""

import dataclasses
import sys

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.experiments import EXPERIMENTS
from collapse_jax.results.policy_words import policy_sentence
from collapse_jax.results.records import IncompleteError, check_complete

pytestmark = pytest.mark.usefixtures("without_simulation")
SMALL = {
    "gaussian": {"policy": cj.Replace(30)},
    "discrete": {"policy": cj.Replace(30), "source": "zipf:12"},
    "keep-words": {"source": "zipf:12"},
}


def smoke(name, **settings):
    """Return a study of the smoke scale, with a small source."""
    return dataclasses.replace(
        EXPERIMENTS[name].at_scale("smoke"), **SMALL.get(name, {}), **settings
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_study_reports_chains_that_other_processes_make(name, stand_in, monkeypatch):
    def half(*given, **settings):
        return dataclasses.replace(stand_in(*given, **settings), missing=((1, 2),))

    for module in [one for one in sys.modules if one.startswith("collapse_jax.")]:
        if getattr(sys.modules[module], "simulate", None) is stand_in:
            monkeypatch.setattr(sys.modules[module], "simulate", half)
    with pytest.raises(IncompleteError, match="chains 1 to 2 are missing; run `collapse resume`"):
        smoke(name, num_chains=3).run(0, False)


def test_a_single_missing_chain_is_singular(stand_in):
    chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Replace(9))
    records = stand_in(chain, key=0, num_chains=2, num_generations=1)
    with pytest.raises(IncompleteError, match=r"^chain 0 is missing; run"):
        check_complete([dataclasses.replace(records, missing=((0, 0),))])


FROM = "images drawn from its predecessor"
POOL = "the original images in D_0 and all that earlier models made"
SIZES = "D_0 has 20 original images and M_1, M_2 = 50, 30."
SCHEDULES = {
    "replace": ({"type": "Replace"}, f"on M_g {FROM}. {SIZES}"),
    "mixing": ({"type": "Mixing", "gamma": 0.5}, f"is drawn). {SIZES}"),
    "accumulate": (
        {"type": "Accumulate"},
        f"on {POOL}: each D_g after D_0 adds M_g images of the newest model. {SIZES}",
    ),
    "subsample": (
        {"type": "AccumulateSubsample"},
        f"on M_g images chosen at random, without replacement, among {POOL}; before that the "
        f"newest model adds M_g images. {SIZES}",
    ),
    "accumulate, originals": (
        {"type": "Accumulate", "num_original": [1, 2, 3]},
        f"on {POOL}: each D_g after D_0 adds M_g images of the newest model, and N_g new original "
        "ones are added. D_0 has 21 original images, M_1, M_2 = 50, 30 and N_1, N_2 = 2, 3.",
    ),
    "subsample, originals": (
        {"type": "AccumulateSubsample", "num_original": 10},
        f"on as many images as a generation adds, chosen at random, without replacement, among "
        f"{POOL}; before that the newest model adds M_g images, and 10 new original ones are "
        "added. D_0 has 30 original images and M_1, M_2 = 50, 30.",
    ),
    "fresh": (
        {"type": "Fresh", "num_original": 10},
        f"on M_g {FROM} and on 10 original images, redrawn for each corpus. D_0 has 30 original "
        "images and M_1, M_2 = 50, 30.",
    ),
    "fresh, two schedules": (
        {"type": "Fresh", "num_original": [1, 2, 3]},
        f"on M_g {FROM} and on N_g original images, redrawn for each corpus. D_0 has 21 original "
        "images, M_1, M_2 = 50, 30 and N_1, N_2 = 2, 3.",
    ),
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_a_schedule_begins_with_the_originals_of_the_first_corpus(case):
    policy, words = SCHEDULES[case]
    sentence = policy_sentence(policy | {"num_samples": [20, 50, 30]}, noun="images")
    assert sentence.startswith("Every model g after model 0 is trained on ")
    assert sentence.endswith(words)
    constant = policy_sentence(policy | {"num_samples": [5, 5, 5]}, noun="images")
    assert "M_g" not in constant
    assert "M_1" not in constant


def test_a_schedule_of_original_rows_next_to_one_size():
    policy = {"type": "Fresh", "num_samples": 30, "num_original": [4, 5]}
    assert policy_sentence(policy).endswith("D_0 has 34 original rows and N_1 = 5.")
    assert policy_sentence(policy, "M").endswith("D_0 has M + 4 original rows and N_1 = 5.")
    shares = {"type": "Mixing", "num_samples": 30, "gamma": [0.5, 0.5]}
    assert "30 rows: 50 % original rows" in policy_sentence(shares)


@pytest.mark.parametrize("kind", ["Fresh", "WeightedFresh"])
def test_original_rows_of_the_first_corpus_are_counted_without_a_schedule(kind):
    policy = {"type": kind, "num_samples": 1200, "num_original": 30, "weight": 0.5}
    assert policy_sentence(policy).endswith(". D_0 has 1,230 original rows.")
    assert policy_sentence(policy, "M").endswith(". D_0 has M + 30 original rows.")
    assert "Every model after model 0" in policy_sentence(policy)
    assert "D_0" not in policy_sentence(policy | {"num_original": 0})
    assert "D_0" not in policy_sentence(policy | {"num_original": "varied"})


FRESH = {  # original rows, the divisor in the claim, and the corpus in what was found
    "one number": (3, "s/(M + 3)", "M + 3 = 8, model 1: "),
    "constant schedule": ([3, 3, 3], "s/(M + 3)", "M + 3 = 8, model 1: "),
    "schedule": ([4, 3, 2], "s/(M + N_g)", "M + N_1 = 8, model 1: "),
}


@pytest.mark.parametrize("case", FRESH)
def test_the_error_of_fresh_data_is_that_of_all_rows_of_a_corpus(case):
    original, divisor, corpus = FRESH[case]
    settings = {"num_chains": 40, "num_generations": 2}
    kind = EXPERIMENTS["gaussian"]
    records = kind(policy=cj.Fresh(5, original), **settings).run(0, False)
    (statement,) = kind.summarize(records).statements
    assert f"c V + {divisor} with" in statement.claim
    assert statement.found.startswith(corpus)
    mixed = kind(policy=cj.Mixing(8, gamma=0.5), **settings).run(0, False)
    (statement,) = kind.summarize(mixed).statements
    assert "c V + s/M with" in statement.claim
    assert statement.found.startswith("M = 8, model 2: ")


@pytest.mark.parametrize("name", [one for one in EXPERIMENTS if one != "one-shot"])
def test_a_run_of_one_model_trains_none_on_another(name):
    records = smoke(name, num_generations=0, num_chains=10).run(0, False)
    text = " ".join(EXPERIMENTS[name].summarize(records).sentences)
    assert "No model is trained on another: the run ends with model 0." in text
    assert "after model 0" not in text
    assert "models 0 to 0" not in text


NETWORKS = {"vae": {"corpus": "samples"}, "lm": {"penalties": ()}}
DIVERGED = {"vae": ("elbo", np.nan), "lm": ("test_perplexity", np.inf)}


def shown(name, records):
    """Return the summary of a run, and its text; all figures are drawn."""
    summary = EXPERIMENTS[name].summarize(records)
    EXPERIMENTS[name].figures(records)
    cells = [cell for row in summary.table for cell in row]
    found = [words for one in summary.statements for words in (one.found, one.words)]
    return summary, " ".join([*summary.sentences, *cells, *found])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_training_that_diverged_is_named_as_the_reason(name, number):
    records = smoke(name, num_chains=3, **NETWORKS[name]).run(0, False)
    before = [one.claim for one in EXPERIMENTS[name].summarize(records).statements]
    variable, value = DIVERGED[name]
    records.variables[variable][:, :number] = value
    if number == 3 and name == "vae":  # what is recorded of frozen chains
        records.variables["status"][:] = int(cj.Status.NON_FINITE)
        for one in records.variables.values():
            if one.dtype.kind == "f" and "chain" in one.dims:
                one[:] = np.nan
    if number == 3 and name == "lm":
        records.variables["corpus_perplexity"][:] = np.inf
    summary, text = shown(name, records)
    assert [one.claim for one in summary.statements] == before != []
    words = f"not tested (training diverged in {number} of 3 runs)"
    assert {one.words for one in summary.statements} == {words}
    assert f"Training diverged in {number} of 3 runs: a loss was not finite" in text
    assert ("leave these runs out" in text) == (number == 1)
    assert ("95 % t intervals" in text) == (number == 1 and name == "lm")
    if number == 3:
        text = text.replace(" nan", "")  # cells that the page shows as none
    assert "nan" not in text
    assert "in 0 of" not in text
    assert "rarest class" not in text or number == 1


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("change", "verdict"), [(1.002, "not tested"), (1.2, "agrees")])
def test_a_change_that_cannot_be_told_from_none_is_no_effect(name, change, verdict):
    records = smoke(name, num_chains=3, **NETWORKS[name]).run(0, False)
    falling = {"vae": ("elbo", "recall", "latent_std"), "lm": ("corpus_perplexity",)}[name]
    for one in falling:
        values = records.variables[one]
        values[-1] = values[0].values / change
        if one == "elbo":
            values[:] = -values[::-1].values
    if name == "lm":
        records.variables["test_perplexity"][-1] = (
            records.variables["test_perplexity"][0].values * change
        )
    summary = EXPERIMENTS[name].summarize(records)
    use = [one for one in summary.statements if "kept" not in one.claim]
    assert {one.verdict for one in use} == {verdict}
    if verdict == "not tested":
        assert {one.why for one in use} == {"no run changes by more than 1 %"}


def test_images_that_are_learned_better_gain():
    records = smoke("vae", num_chains=2).run(0, False)
    records.variables["elbo"][0], records.variables["elbo"][-1] = -100.0, -90.0
    found = EXPERIMENTS["vae"].summarize(records).statements[1].found
    assert found.startswith("original test images gain 10 (10 to 10) nats per image")


@pytest.mark.parametrize(("rate", "last"), [(0.0, 0.0), (1e-7, 1e-7), (2e-5, 1e-6)])
def test_the_learning_rate_never_rises(rate, last):
    training = smoke("lm", learning_rate=rate, num_epochs=4)._family(300).training
    rates = [float(training.rate(epoch)) for epoch in range(6)]
    assert rates[0] == pytest.approx(rate)
    assert rates[-1] == pytest.approx(last)
    assert np.all(np.diff(rates) <= 0)

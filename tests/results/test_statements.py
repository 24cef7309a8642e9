"""Statements of the literature: verdicts follow the numbers, and pages show them."""

import html

import numpy as np
import pytest
import xarray

from collapse_jax.experiments import EXPERIMENTS, SCALES
from collapse_jax.experiments.lm_findings import summarize
from collapse_jax.experiments.weighting import CLAIMS as WEIGHTING_CLAIMS
from collapse_jax.report import Study, write_report, write_reproduction
from collapse_jax.results.records import Records
from collapse_jax.results.setting import Setting
from collapse_jax.results.statements import (
    Statement,
    agreement,
    equals,
    exceeds,
    mean_with_interval,
)
from collapse_jax.theory.gaussian_accumulation import weighted_fresh_error

PNG = b"\x89PNG\r\n\x1a\n" + bytes([0, 0, 0, 13]) + b"IHDR" + (320).to_bytes(4, "big")


@pytest.mark.parametrize(("distance", "holds"), [(0.0, True), (3.9, True), (4.1, False)])
def test_means_are_held_to_four_standard_errors(distance, holds):
    exact = np.array([1.0, 2.0])
    errors = np.array([0.1, 0.2])
    means = exact + np.array([0.0, distance * 0.2])
    found = equals("E x = x", "book", ["a", "b"], means, errors, exact)
    assert found.holds is holds
    assert found.verdict == ("agrees" if holds else "differs")


@pytest.mark.parametrize(("difference", "holds"), [(0.5, True), (0.3, None), (-0.5, False)])
def test_an_order_may_be_chance(difference, holds):
    errors = np.array([0.1, 0.1])
    assert exceeds(np.array([difference, 0.5]), errors) is holds


def test_a_mean_that_is_not_a_number_does_not_agree():
    found = equals("E x = x", "book", ["a"], np.array([np.nan]), np.ones(1), np.ones(1))
    assert found.holds is False


def test_one_run_has_no_interval():
    assert mean_with_interval(np.array([2.0])) == "2"
    assert Statement("a", "b", "c", None).verdict == "not tested"


@pytest.mark.parametrize(("num_chains", "holds"), [(1, None), (7, None), (8, True), (1000, False)])
def test_the_fewer_the_chains_the_more_chance_is_allowed(num_chains, holds):
    """Six standard errors are no contradiction for 8 chains, and a clear one for 1,000."""
    one = np.ones(1)
    found = agreement(["x"], one * 1.06, one * 0.01, one, num_chains)
    assert found.holds is holds
    assert bool(found.why) == (holds is None)


@pytest.mark.parametrize(("spread", "num_chains"), [(0.755, 8), (0.755, 40), (2**0.5, 100)])
def test_chains_that_could_not_refute_a_claim_do_not_confirm_it(spread, num_chains):
    """The number that is named suffices, and three in a hundred fewer do not."""
    one = np.ones(1)

    def test(number, mean=1.0):
        return agreement(["x"], one * mean, one * spread / number**0.5, one, number)

    found = test(num_chains)
    assert found.holds is None
    assert found.why.startswith(f"too few chains: {num_chains}, needs about ")
    needed = int(found.why.split()[-1].replace(",", ""))
    assert test(int(needed * 0.97)).holds is None
    assert test(needed).holds is True
    assert test(needed, 0.0).holds is False  # what the chains have to tell
    assert test(needed, 2.0).holds is False
    assert test(num_chains, 100.0).holds is False  # beyond what chance allows to so few


@pytest.mark.parametrize(
    ("num_chains", "num_weights", "holds"),
    [(8, 17, None), (40, 17, None), (2000, 7, True), (50_000, 17, True), (50_000, 2, None)],
)
def test_a_minimum_is_confirmed_by_errors_below_the_depth_of_the_curve(
    num_chains, num_weights, holds
):
    weights = np.linspace(0.2, 1.0, num_weights)
    exact = weighted_fresh_error(weights, 200, 200, refit=True)
    coordinates = {"weight": ("weight", weights), "generation": ("generation", [60])}
    stated = {"squared_error": ("weight", exact)}
    dims = ("generation", "weight")
    values = {
        "squared_error_mean": (dims, exact[None]),
        "squared_error_std": (dims, np.sqrt(2) * exact[None]),
    }
    policy = {"type": "WeightedFresh", "num_samples": 200, "num_original": 200}
    config = {"num_chains": num_chains, "num_generations": 60}
    config["chain"] = {"family": {"type": "Gaussian"}, "source": {}, "policy": policy}
    theory = xarray.Dataset(stated, coordinates)
    records = Records(xarray.Dataset(values, coordinates), config, {}, None, theory)
    (claim,) = WEIGHTING_CLAIMS
    found = claim.test(Setting.of(records))
    assert found.holds is holds
    if num_chains < 100:
        assert found.why.startswith(f"too few chains: {num_chains}, needs about ")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_what_every_scale_costs(name):
    experiment = EXPERIMENTS[name]
    assert set(experiment.hours) == set(SCALES)
    assert experiment.hours["smoke"] <= experiment.hours["laptop"] <= experiment.hours["paper"]


def test_pages_show_claims_findings_and_verdicts(tmp_path):
    figure = tmp_path / "figure.png"
    figure.write_bytes(PNG)
    those = [
        Statement("a < b & c", "Nature 631", "0.1", True),
        Statement("d", "book", "0.2", False),
        Statement("e", "book", "0.3", None, "a < b"),
    ]
    parts = {
        "title": "Title <1>",
        "sentences": ["One."],
        "table": [["x"], ["1"]],
        "figures": {"A caption.": figure},
        "config": {"M": 1},
        "provenance": {},
        "statements": those,
    }
    pages = [
        write_report(tmp_path / "one.html", **parts),
        write_reproduction(
            tmp_path / "all.html",
            title="All",
            sentences=[],
            studies=[Study(name="one", seconds=61.0, **parts)],
        ),
    ]
    for page in pages:
        text = page.read_text()
        for one in those:
            assert html.escape(one.claim) in text
            kind = "untested" if one.holds is None else one.verdict
            assert f'<span class="verdict {kind}">{one.verdict}</span>' in text
        assert "(a &lt; b)</small>" in text
        assert "<1>" not in text
        assert 'alt="A caption." width="208"' in text  # two inches
    assert "1 agrees, 1 differs, 1 not tested" in text
    assert "1 min 1 s" in text


def part(last, tail):
    """A study of three runs: perplexities of models 0 and 1, and blocks under model 0."""
    tests = np.array([[50.0, 51.0, 52.0], last])
    blocks = np.full((2, 3, 1000), 30.0)
    blocks[1] = 3.0
    blocks[:, :, :2] = np.array([[60.0], [tail]])[:, :, None]
    values = {
        "test_perplexity": tests,
        "corpus_perplexity": blocks,
        "distinct_2": np.full((2, 3), 0.5),
    }
    dims = ("generation", "chain", "block")
    variables = {name: (dims[: one.ndim], one) for name, one in values.items()}
    coordinates = {"generation": np.arange(2), "chain": np.arange(3)}
    family = {"type": "LanguageModel", "model": "facebook/opt-125m"}
    chain = {"family": family, "policy": {"type": "Replace", "num_samples": 1000}}
    return Records(xarray.Dataset(variables, coordinates), {"chain": chain}, {})


WORSE, SAME = [100.0, 102.0, 104.0], [49.0, 51.0, 53.0]
CASES = {
    "as the paper": ((WORSE, 30.0), SAME, [200.0, 210.0, 220.0], ["agrees"] * 5),
    "no collapse": (
        (SAME, 30.0),
        SAME,
        SAME,
        ["not tested", "agrees", "agrees", "not tested", "not tested"],
    ),
    "no tail": (
        (WORSE, 3.0),
        WORSE,
        SAME,
        ["agrees", "agrees", "differs", "not tested", "differs"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_language_models_are_judged_by_intervals_over_runs(case):
    plain, kept, penalised, verdicts = CASES[case]
    studies = {
        "replace": part(*plain),
        "kept-0.1": part(kept, 30.0),
        "penalty-2": part(penalised, 30.0),
    }
    assert [one.verdict for one in summarize(studies).statements] == verdicts

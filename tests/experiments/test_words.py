"""Sentences, titles and captions of every study: true for every policy that the study accepts.

The table of claims is written from the mathematics, not from the code: a claim may only be made
where it is a theorem, or where the paper made it.
"""

import dataclasses
import itertools
import re

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.experiments import EXPERIMENTS
from collapse_jax.plots.style import drawn_labels
from collapse_jax.results.policy_words import policy_sentence

pytestmark = pytest.mark.usefixtures("without_simulation")


def accept(rows):
    return rows[..., 0] == rows[..., 0] if rows.ndim > 1 else rows == rows


SIZE, LAST = 60, 6
POLICIES = {
    "replace": cj.Replace(SIZE),
    "replace, verified": cj.Replace(SIZE, verifier=accept),
    "mixing, nothing mixed": cj.Mixing(SIZE),
    "redrawn": cj.Mixing(SIZE, gamma=0.2),
    "redrawn, exact": cj.Mixing(SIZE, gamma=0.2, allocation="fixed"),
    "redrawn, schedule": cj.Mixing(SIZE, gamma=[0.1, 0.2, 0.3, 0.2, 0.1, 0.5]),
    "redrawn at times": cj.Mixing(SIZE, gamma=[0.1, 0.0, 0.3, 0.0, 0.1, 0.5]),
    "all redrawn": cj.Mixing(SIZE, gamma=1.0),
    "redrawn, verified": cj.Mixing(SIZE, gamma=0.2, verifier=accept),
    "kept": cj.Mixing(SIZE, gamma=0.2, original="data"),
    "kept, exact": cj.Mixing(SIZE, gamma=0.2, original="data", allocation="fixed"),
    "previous rows": cj.Mixing(SIZE, beta=0.3),
    "previous law": cj.Mixing(SIZE, beta=0.3, previous="distribution"),
    "previous and kept": cj.Mixing(SIZE, beta=0.3, gamma=0.1, original="data"),
    "fresh": cj.Fresh(SIZE, 20),
    "fresh, nothing original": cj.Fresh(SIZE, 0),
    "fresh, verified": cj.Fresh(SIZE, 20, verifier=accept),
    "accumulate": cj.Accumulate(SIZE),
    "accumulate, verified": cj.Accumulate(SIZE, verifier=accept),
    "subsample": cj.AccumulateSubsample(SIZE),
    "replace, best": cj.Replace(SIZE, selection=cj.Top(90, accept)),
    "fresh, edited": cj.Fresh(SIZE, 20, selection=cj.Edit(accept)),
    "accumulate, rated": cj.Accumulate(SIZE, selection=cj.BestOf(2, [accept, accept])),
}
ALONE = {"replace", "mixing, nothing mixed", "fresh, nothing original"}  # the predecessor's rows
NEW = {"redrawn", "redrawn, exact", "redrawn, schedule", "all redrawn", "fresh"}
"""Every corpus has new rows from p_0; all others come from the predecessor."""
POOLED = {"accumulate"}
IN_WORDS = {
    "replace": ["60 rows drawn from its predecessor"],
    "redrawn": ["20 % original rows, redrawn for each corpus (gamma = 0.2)", "80 % drawn from its"],
    "redrawn, exact": ["exact numbers"],
    "all redrawn": ["100 % original rows, redrawn"],
    "kept": ["20 % kept original rows", "80 % drawn from its predecessor"],
    "previous rows": ["30 % rows of its predecessor's corpus", "beta = 0.3", "70 % drawn"],
    "previous law": ["the law of its predecessor's corpus"],
    "fresh": ["60 rows drawn from its predecessor and on 20 original rows, redrawn"],
    "accumulate": ["all that earlier models made", "adds 60 rows of the newest model"],
    "subsample": ["chosen at random, without replacement"],
    "replace, verified": ["pass the verifier accept"],
    "replace, best": ["Of 90 rows of the newest model the best by accept are taken"],
    "fresh, edited": ["are changed by accept"],
    "accumulate, rated": ["chosen among 2 of the newest model by accept and accept at"],
}
GAUSSIAN_CLAIMS = {
    "The error of the mean grows": ALONE,  # a sum of independent errors
    "The spread is lost at a constant rate": ALONE,  # independent chi-square factors
    "The expected squared Wasserstein": ALONE,
    "If data accumulate, the squared error": POOLED,  # sum of 1 / i^2
    "New original rows in every corpus bound": NEW,
}
DISCRETE_CLAIMS = {
    "States of low probability are lost first": ALONE,
    "Diversity is lost until a single state": ALONE,
    "Redrawn original rows in every corpus bound": NEW,
    "If data accumulate, diversity is not lost": POOLED,
}


def rendered(experiment, records):
    """Return the summary of a run, its captions, and the text in its figures."""
    summary, figures = experiment.summarize(records), experiment.figures(records)
    captions = {name: caption for name, (caption, _) in figures.items()}
    drawn = {name: drawn_labels(figure) for name, (_, figure) in figures.items()}
    titles = [
        text
        for _, figure in figures.values()
        for axis in figure.axes
        for text in (axis.get_title(), axis.get_title("left"))
    ]
    for name, caption in captions.items():
        is_named = "exact" in caption or "dashed" in caption
        has_line = any(label.startswith("exact") for label in drawn[name])
        assert is_named == has_line, (name, caption, drawn[name])
    return summary, captions, titles


def check_claims(summary, table, policy, more=frozenset()):
    claims = [one.claim for one in summary.statements]
    for words, policies in table.items():
        is_made = any(claim.startswith(words) for claim in claims)
        assert is_made == (policy in policies and words not in more), (policy, words, claims)
    known = [claim for claim in claims if claim.startswith(tuple(table))]
    assert len(known) == len(claims), "a claim that the table does not know"


def said(summary):
    return summary.title, summary.finding, *summary.sentences


def check_words(summary, captions, titles, policy):
    text = " ".join([*said(summary), *captions.values(), *titles])
    for words in IN_WORDS.get(policy, ()):
        size = "M rows" if "M rows" in text else "60 rows"
        assert words.replace("60 rows", size) in text, text
    if policy not in ALONE:
        for phrase in ("constant rate", "is lost", "rows of the model before", "falls"):
            assert phrase not in text, (policy, phrase)
        assert not text.endswith("rows drawn from its predecessor.") or "verified" in policy
    if policy.startswith("redrawn"):
        assert "kept" not in text
    if "kept" in policy:
        assert "kept original rows" in text
        assert "redrawn" not in text
    assert "nan" not in text


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_words_of_gaussian_chains(policy, estimator):
    kind = EXPERIMENTS["gaussian"]
    settings = {"num_chains": 40, "num_generations": LAST, "estimator": estimator}
    experiment = kind(policy=POLICIES[policy], **settings)
    parts = rendered(kind, experiment.run(0, False))
    check_claims(parts[0], GAUSSIAN_CLAIMS, policy)
    check_words(*parts, policy)
    claims = " ".join(one.claim for one in parts[0].statements)
    if policy in ALONE:
        unbiased = estimator == "unbiased"
        assert ("without bound" in claims) == unbiased
        assert ("divisor M - 1" in claims) == unbiased
        assert ("towards 2 sigma^2" in claims) != unbiased
        assert any("constant rate" in title for title in parts[2])


@pytest.mark.parametrize("policy", POLICIES)
def test_the_words_of_discrete_chains(policy):
    kind = EXPERIMENTS["discrete"]
    experiment = kind(
        policy=POLICIES[policy], source="zipf:12", num_chains=10, num_generations=LAST, every=2
    )
    parts = rendered(kind, experiment.run(0, False))
    check_claims(parts[0], DISCRETE_CLAIMS, policy)
    check_words(*parts, policy)
    assert "word" not in " ".join([*parts[0].sentences, *parts[1].values(), *parts[2]])


BIASED = {"smoothing": 1.0, "temperature": 0.5, "top_p": 0.9, "min_probability": 0.01}


@pytest.mark.parametrize("option", BIASED)
@pytest.mark.parametrize("policy", ["replace", "redrawn", "accumulate"])
def test_no_claim_is_made_about_biased_fits_or_draws(policy, option, stand_in):
    family = cj.Discrete(**{option: BIASED[option]})
    chain = cj.Chain(family, cj.Categorical(np.full(5, 0.2)), POLICIES[policy])
    records = stand_in(chain, key=0, num_chains=10, num_generations=LAST)
    summary, *_ = rendered(EXPERIMENTS["discrete"], records)
    assert summary.statements == []
    assert any(f"{option} = {BIASED[option]:g}" in sentence for sentence in summary.sentences)


def test_a_schedule_of_sizes_is_told_from_one_size():
    policy = cj.Replace([60, 30, 20, 60, 60, 60, 60])
    records = EXPERIMENTS["discrete"](
        policy=policy, source="zipf:12", num_chains=10, num_generations=LAST
    ).run(0, False)
    summary, *_ = rendered(EXPERIMENTS["discrete"], records)
    claims = [one.claim for one in summary.statements]
    assert any("1 - 1/M_g per generation" in claim for claim in claims)
    words = (
        "trained on M_g rows drawn from its predecessor. D_0 has 60 original rows and M_1, ..., "
    )
    assert f"{words}M_6 = 30, 20, ..., 60." in " ".join(summary.sentences)


def test_other_truths_leave_only_what_holds_for_them(tmp_path):
    file = tmp_path / "rows.npy"
    np.save(file, np.arange(80.0))
    kind = EXPERIMENTS["gaussian"]
    for policy, rule in POLICIES.items():
        if "kept" in policy or "previous" in policy or policy == "subsample":
            continue
        settings = {"source": str(file), "num_chains": 40, "num_generations": LAST}
        records = kind(policy=rule, **settings).run(0, False)
        summary, *_ = rendered(kind, records)
        needs_normal = set(GAUSSIAN_CLAIMS) - {"The error of the mean grows"}
        check_claims(summary, GAUSSIAN_CLAIMS, policy, needs_normal)


@pytest.mark.parametrize("name", ["gaussian", "discrete", "gmm", "vae", "lm", "growing", "mad"])
def test_a_run_of_one_model_claims_nothing_about_generations(name):
    kind = EXPERIMENTS[name]
    settings = {"num_generations": 0, "num_chains": 10}
    if name in ("gaussian", "discrete"):
        settings |= {"policy": cj.Replace(SIZE)}
    if name == "discrete":
        settings |= {"source": "zipf:12"}
    experiment = dataclasses.replace(kind.at_scale("smoke"), **settings)
    summary, *_ = rendered(kind, experiment.run(0, False))
    assert list(summary.statements) == []
    assert summary.finding == "No model is trained on another: the run ends with model 0."


OTHERS = {
    "gmm": {"sizes": (SIZE,), "num_chains": 10, "num_generations": LAST},
    "vae": {"num_images": 60, "num_chains": 2, "num_generations": LAST, "corpus": "samples"},
    "lm": {"original_shares": (), "penalties": (), "num_generations": LAST},
}
OTHER_CLAIMS = {
    "gmm": {"Models drift away": ALONE, "In the end almost all variance": ALONE},
    "vae": {"Under the first model's encoder": ALONE, "Later models no longer": ALONE},
    "lm": {"Trained on the text": ALONE, "The text of models becomes likely": ALONE},
}
ROWS = {"vae": "images", "lm": "blocks"}


@pytest.mark.parametrize(
    ("name", "policy"),
    list(
        itertools.product(
            OTHERS, ["replace", "redrawn", "kept, exact", "previous rows", "fresh", "accumulate"]
        )
    ),
)
def test_the_words_of_networks_and_mixtures(name, policy):
    kind = EXPERIMENTS[name]
    size = {"lm": 20, "vae": 40}.get(name, SIZE)
    chosen = dataclasses.replace(POLICIES[policy], num_samples=size)
    experiment = dataclasses.replace(kind.at_scale("smoke"), policy=chosen, **OTHERS[name])
    summary, captions, titles = rendered(kind, experiment.run(0, False))
    check_claims(summary, OTHER_CLAIMS[name], policy)
    text = " ".join([*summary.sentences, *captions.values(), *titles])
    for words in IN_WORDS.get(policy, ()):
        made = words.replace("rows", ROWS.get(name, "rows"))
        made = made.replace("60 rows", "M rows").replace("60", str(size))
        assert made in text, text
    if policy != "replace":
        assert "drawn from its predecessor." not in text


def test_images_say_which_are_for_tests():
    kind = EXPERIMENTS["vae"]
    summary, *_ = rendered(kind, kind.at_scale("smoke").run(0, False))
    assert "D_0 is drawn from 270 images, and 30 images are for tests: every tenth" in " ".join(
        summary.sentences
    )


def test_the_kept_and_penalised_studies_of_language_models():
    kind = EXPERIMENTS["lm"]
    experiment = dataclasses.replace(
        kind.at_scale("smoke"), original_shares=(0.1, 0.5), num_chains=3
    )
    summary, *_ = rendered(kind, experiment.run(0, False))
    claims = [one.claim for one in summary.statements]
    assert sum("A tenth of the original blocks, kept" in claim for claim in claims) == 1
    text = " ".join([*claims, *(one.found for one in summary.statements), *summary.sentences])
    for phrase in ("28 points", "of 34", "double", "one block in 1,000", "longer tail"):
        assert phrase not in text  # facts about OPT-125m on WikiText-2, or about many blocks
    assert "50 % kept original blocks" in text
    assert "the largest of 72 blocks" in text


def test_a_penalty_is_no_setting_of_the_paper_s_first_claims():
    kind = EXPERIMENTS["lm"]
    penalised = {"repetition_penalty": 2.0, "original_shares": (), "penalties": ()}
    experiment = dataclasses.replace(kind.at_scale("smoke"), **penalised)
    assert list(kind.summarize(experiment.run(0, False)).statements) == []


def check_changes(summary, records):
    """Check that both loops have a change with its sign for each lambda up to 1."""
    found = summary.statements[-1].found.partition("of the fully synthetic loop), ")[2]
    means = records["log_std_mean"]
    changes = means[-1] - means[len(means) // 2]
    expected = [
        f"lambda = {bias}: {changes[2, k]:+.2g} ({changes[0, k]:+.2g})"
        for bias, k in ((0.9, 1), (1, 2))
    ]
    assert found.split("; ") == expected


def test_studies_of_fixed_policies_render():
    small = {"num_chains": 40, "num_generations": LAST}
    names = "growing human-share detector selection ecosystem kernel-density regression rates"
    cases = {
        **dict.fromkeys(names.split(), small),
        "regimes": small | {"estimator": "unbiased"},
        "mad": small | {"biases": (1.1, 0.9, 1.0), "num_samples": 31},
        "weighting": small | {"num_weights": 3, "num_original": 100},
        "one-shot": {"num_chains": 40, "most": 30},
    }
    texts = {}
    for name, settings in cases.items():
        kind = EXPERIMENTS[name]
        records = dataclasses.replace(kind.at_scale("smoke"), **settings).run(0, False)
        summary, *_ = rendered(kind, records)
        texts[name] = " ".join([*summary.sentences, *(one.claim for one in summary.statements)])
        if name == "mad":
            check_changes(summary, records)
            assert "lambda = 1.1" not in str(summary.statements)  # the paper's biases are at most 1
            assert "15 original rows, redrawn" in texts[name]
            assert "50 % kept original rows" in texts[name]
        if name == "weighting":
            (statement,) = summary.statements
            assert statement.verdict == "not tested"  # not stationary yet
            assert "golden" not in statement.claim
            assert "0.500" in statement.claim  # (sqrt(1/4 + 2) - 1/2) / 2
    assert all("predecessor" in texts[name] for name in ("growing", "regimes", "mad", "weighting"))


@pytest.mark.parametrize(
    "name", ["gaussian", "discrete", "growing", "regimes", "mad", "weighting", "one-shot"]
)
def test_a_single_chain_has_no_error_and_decides_nothing(name):
    kind = EXPERIMENTS[name]
    settings = {"num_chains": 1}
    if name != "one-shot":
        settings |= {"num_generations": 1}
    if name in ("gaussian", "discrete"):
        settings |= {"policy": cj.Replace(SIZE)}
    if name == "discrete":
        settings |= {"source": "zipf:12"}
    records = dataclasses.replace(kind.at_scale("smoke"), **settings).run(0, False)
    summary, captions, titles = rendered(kind, records)
    assert summary.statements
    for one in summary.statements:
        assert one.verdict == "not tested", one
        assert one.why
        assert "±" not in one.found
    assert "±" not in " ".join(summary.sentences)
    assert_singular(summary, captions, titles)


def assert_singular(summary, captions, titles):
    texts = [summary.title, *summary.sentences, *captions.values(), *titles]
    texts += [words for one in summary.statements for words in (one.found, one.why)]
    assert re.search(r"\b1 (chain|generation)\b", " ".join(texts))
    for words in texts:
        assert not re.search(r"(?<![\d,.])1 \w+s\b(?! of)", words), words


@pytest.mark.parametrize("policy", ["replace", "redrawn", "accumulate", "fresh", "subsample"])
def test_a_single_row_is_singular(policy):
    described = {
        "replace": {"type": "Replace"},
        "redrawn": {"type": "Mixing", "gamma": 0.5, "beta": 0.0},
        "accumulate": {"type": "Accumulate"},
        "fresh": {"type": "Fresh", "num_original": 1},
        "subsample": {"type": "AccumulateSubsample"},
    }[policy]
    sentence = policy_sentence(described | {"num_samples": 1})
    assert "1 row" in sentence
    assert "1 rows" not in sentence
    assert "1 original rows" not in sentence


@pytest.mark.parametrize(
    ("share", "words"),
    [
        ({"gamma": 1.0, "original": "data"}, "100 % kept original rows, all of D_0 (gamma = 1)."),
        ({"gamma": 0.5, "original": "data"}, "50 % kept original rows, a random subset of D_0 "),
        ({"beta": 1.0}, "100 % rows of its predecessor's corpus, all of them (beta = 1)."),
        ({"gamma": 1.0}, "100 % original rows, redrawn for each corpus (gamma = 1)."),
    ],
)
def test_a_share_of_100_percent_is_no_random_subset(share, words):
    policy = {"type": "Mixing", "num_samples": 9, "beta": 0.0, "gamma": 0.0} | share
    assert words in policy_sentence(policy)
    schedule = policy_sentence(policy | {"num_samples": [9, 8]})
    assert "all of" not in schedule


STOPPING = {
    "gaussian": ({"policy": cj.Replace(SIZE)}, "status_count"),
    "discrete": ({"policy": cj.Replace(SIZE), "source": "zipf:12"}, "status"),
    "gmm": ({"sizes": (SIZE,)}, "stopped"),
    "mad": ({}, "status_count"),
    "keep-gaussian": ({"original": "redrawn"}, "status"),
}


@pytest.mark.parametrize("name", STOPPING)
def test_claims_are_not_tested_on_runs_in_which_chains_stopped(name):
    settings, variable = STOPPING[name]
    kind = EXPERIMENTS[name]
    settings = {"num_chains": 10, "num_generations": LAST} | settings
    records = dataclasses.replace(kind.at_scale("smoke"), **settings).run(0, False)
    before = [one.claim for one in kind.summarize(records).statements]
    values = records.variables[variable]
    if variable == "status":
        at = dict.fromkeys(values.dims, 0) | {"generation": -1}
        values[at | {"chain": 0}] = int(cj.Status.DEGENERATE)
        values[at | {"chain": 1}] = int(cj.Status.NON_FINITE)
        values[at | {"chain": 2}] = int(cj.Status.FLOORED)  # goes on
        for one in records.variables.values():  # what is recorded of frozen chains
            if one.dtype.kind == "f" and "chain" in one.dims:
                one[{"generation": -1, "chain": slice(0, 2)}] = np.nan
    elif variable == "status_count":
        for code in (cj.Status.DEGENERATE, cj.Status.NON_FINITE, cj.Status.FLOORED):
            at = dict.fromkeys(values.dims, 0) | {"generation": -1, "code": int(code)}
            values[at] = 1
    else:
        values[:] = 2
    summary = kind.summarize(records)
    assert [one.claim for one in summary.statements] == before != []
    assert {one.words for one in summary.statements} == {"not tested (2 chains stopped early)"}
    assert "nan" not in " ".join(cell for row in summary.table for cell in row)
    if name == "discrete":
        assert "2 chains stopped early" in " ".join(summary.sentences)


def test_a_report_defines_the_letters_of_its_claims_and_names_its_columns():
    kind = EXPERIMENTS["gaussian"]
    records = kind(policy=cj.Mixing(SIZE, gamma=0.2), num_chains=9, num_generations=2).run(0, False)
    (claim,) = (one.claim for one in kind.summarize(records).statements)
    for letter in ("square V ", "c is the mean square", "s the expected variance"):
        assert letter in claim
    mixtures = EXPERIMENTS["gmm"]
    experiment = dataclasses.replace(mixtures.at_scale("smoke"), **OTHERS["gmm"])
    summary = mixtures.summarize(experiment.run(0, False))
    assert summary.table[0][-1] == "chains stopped"
    assert "A chain stops where" in " ".join(summary.sentences)


@pytest.mark.parametrize("original", ["kept", "redrawn"])
@pytest.mark.parametrize("name", ["keep-gaussian", "keep-words"])
def test_shares_of_originals_say_whether_they_are_kept_or_redrawn(name, original):
    kind = EXPERIMENTS[name]
    settings = {"original_shares": (0.0, 0.2, 1.0), "num_samples": (40,), "num_chains": 10}
    settings |= {"original": original, "target": 0.95, "num_generations": LAST}
    if name == "keep-words":
        settings |= {"source": "zipf:12", "rare": 0.3}
    records = kind(**settings).run(0, False)
    summary, captions, titles = rendered(kind, records)
    stored = {"kept": "data", "redrawn": "distribution"}[original]
    assert records.config["chain"]["policy"]["original"] == stored
    text = " ".join([*said(summary), *captions.values(), *titles])
    other = {"kept": "redrawn", "redrawn": "kept"}[original]
    assert original in text
    assert other not in text
    assert "95 %" in text
    assert "90 %" not in text
    claims = [one.claim for one in summary.statements]
    is_made = any(claim.startswith("A constant share of redrawn") for claim in claims)
    assert is_made == (name == "keep-gaussian" and original == "redrawn")
    if name == "keep-words":
        assert "rare states (the least frequent ones, 30 % of the rows)" in text
        assert "word" not in text


def test_words_of_a_text_are_words():
    settings = {"original_shares": (0.5,), "num_samples": (40,), "num_chains": 2}
    kind = EXPERIMENTS["keep-words"]
    records = kind(**settings, num_generations=1, source="text").run(0, False)
    summary, captions, titles = rendered(kind, records)
    text = " ".join([*said(summary), *captions.values(), *titles])
    assert "distinct words left" in text
    assert "independent original words" in text
    assert "state" not in text


def test_a_sweep_says_what_was_varied_and_which_points_failed(stand_in):
    from collapse_jax.experiments.sweep import SweepView, command_words
    from collapse_jax.results.grid import Grid

    grid = Grid({"policy.gamma": [0.0, 0.2]})
    chain = cj.Chain(cj.Discrete(), cj.Categorical([0.5, 0.5]), cj.Mixing(SIZE))
    grid.add((0,), stand_in(chain, key=0, num_chains=4, num_generations=2))
    grid.fail((1,), ValueError("no rows"))
    records = grid.records()
    without_states = records.dataset.drop_dims("state", errors="ignore")
    records = dataclasses.replace(records, source=without_states)
    arguments = ["discrete", "policy:mixing", "--policy.gamma", "0,0.2", "--out", "a b", "--quiet"]
    records.config["experiment"] = {"name": "discrete", "arguments": arguments, "is_sweep": True}
    summary, *_ = rendered(SweepView, records)
    text = " ".join(summary.sentences)
    assert "Varied: gamma = 0, 0.2." in text
    assert "a varied share of original rows, redrawn for each corpus (gamma)" in text
    assert command_words(records).endswith("sweep discrete policy:mixing --policy.gamma 0,0.2")
    assert set(summary.table[2][1:]) == {"failed"}

"""Selections of mixtures, images and blocks of text: each family gives its rows to a selection."""

import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.core.host_context import HostContext

TRUTH = cj.NormalMixture([0.5, 0.5], [[-2.0, 0.0], [2.0, 1.0]], [np.eye(2), np.eye(2)])
BLOCK, VOCAB, PROMPTS = 4, 20, 6


def first(rows):
    """The first number of a row, image or block."""
    return rows.reshape(len(rows), -1)[:, 0].astype(float)


def brightness(images):
    return images.reshape(len(images), -1).mean(axis=1)


def mixtures(selection, size=40, generations=2):
    chain = cj.Chain(cj.GaussianMixture(2, 2), TRUTH, cj.Replace(size, selection=selection))
    run = {"num_chains": 4, "num_generations": generations, "metrics": ["samples"]}
    return cj.simulate(chain, key=0, **run)


def images(selection):
    small = {"latent_dim": 2, "width": 2, "image_size": 8, "epochs": 1, "batch_size": 16}
    family = cj.VAE(**small, num_evaluated=100, corpus="samples")
    chain = cj.Chain(family, cj.Images.load("digits", 8, 32), cj.Replace(16, selection=selection))
    run = {"num_chains": 1, "num_generations": 1, "metrics": ["images"]}
    return cj.simulate(chain, key=0, **run)


def texts(policy, generations=1, **decoding):
    rng = np.random.default_rng(0)
    blocks = [rng.integers(3, VOCAB, (number, BLOCK)) for number in (PROMPTS, 2, 2)]
    network = lm.OPTConfig(
        vocab_size=VOCAB,
        hidden_size=8,
        num_hidden_layers=1,
        ffn_dim=8,
        num_attention_heads=1,
        max_position_embeddings=2 * BLOCK,
    )
    family = cj.LanguageModel(
        network,
        training=lm.Training(1e-2, num_epochs=1),
        decoding=lm.Decoding(BLOCK, min_new_tokens=BLOCK, **decoding),
        batch_size=PROMPTS,
        generation_batch=PROMPTS,
        evaluation_batch=PROMPTS,
    )
    chain = cj.Chain(family, cj.TokenBlocks(*blocks, VOCAB), policy)
    return cj.simulate(chain, key=0, num_chains=1, num_generations=generations, metrics=["corpus"])


@pytest.mark.thorough
def test_mixtures_are_fitted_to_selected_rows():
    top = mixtures(cj.Top(200, first))
    assert np.all(top["samples"][1:, ..., 0].min(axis=(1, 2)) > top["samples"][0, ..., 0].min())
    assert np.allclose(top["acceptance"][1:], 0.2)
    assert np.all(top["chosen_score"][1:] > top["candidate_score"][1:])
    np.testing.assert_allclose(
        top["samples"][1:, ..., 0].mean(axis=2), top["chosen_score"][1:], rtol=1e-4
    )
    accepted = mixtures(cj.Accept(lambda rows: rows[:, 0] > 0))
    assert np.all(accepted["samples"][1:, ..., 0] > 0)
    assert np.nanmin(accepted["samples"][0, ..., 0]) < 0


@pytest.mark.thorough
@pytest.mark.parametrize(
    "selection",
    [
        cj.BestOf(3, [first, lambda rows: -first(rows)], shares=[0.9, 0.1]),
        cj.Edit(lambda rows: jnp.maximum(rows, -1.0)),
        cj.Top(80, first, 0.5),
    ],
    ids=["best of", "edit", "top, temperature"],
)
def test_mixtures_take_every_selection(selection):
    records = mixtures(selection, generations=1)
    assert np.all(np.isfinite(records["log_det_covariances"]))
    for name in selection.variables:
        assert np.all(np.isnan(records[name][0]))
        assert np.all(np.isfinite(records[name][1]))
    if isinstance(selection, cj.Edit):
        assert np.min(records["samples"][1]) >= -1 - 1e-5
    else:
        assert np.all(records["chosen_score"][1] > records["candidate_score"][1])


@pytest.mark.thorough
def test_images_are_selected_by_their_score():
    records = images(cj.Top(64, brightness))
    assert records["acceptance"][1, 0] == 0.25
    assert records["chosen_score"][1, 0] > records["candidate_score"][1, 0]
    changed = images(cj.Edit(lambda rows: 1 - rows))
    assert changed["edited_share"][1, 0] == 1
    assert np.all(changed["status"] == 0)


@pytest.mark.thorough
def test_the_best_blocks_are_trained_on():
    every = texts(cj.Replace(PROMPTS))["corpus"][1, 0]
    with pytest.warns(RuntimeWarning, match="Top: a generation writes 6 blocks, of which 3"):
        best = texts(cj.Replace([PROMPTS, 3], selection=cj.Top(PROMPTS, first)))
    expected = np.sort(every[:, 0])[-3:]
    np.testing.assert_array_equal(np.sort(best["corpus"][1, 0][:3, 0]), expected)
    assert np.all(best["corpus"][1, 0][3:] == -1)
    assert best["chosen_score"][1, 0] == expected.mean()
    assert best["candidate_score"][1, 0] == pytest.approx(every[:, 0].mean())


@pytest.mark.thorough
def test_refused_blocks_are_written_again_where_tokens_are_drawn():
    small = cj.Accept(lambda blocks: blocks[:, 0] < VOCAB // 2, max_rounds=30)
    with pytest.warns(RuntimeWarning, match="in each of up to 30 rounds, of which 6 at most"):
        records = texts(cj.Replace(PROMPTS, selection=small), do_sample=True)
    rows = records["corpus"][1, 0]
    assert np.all((rows[:, 0] >= 0) & (rows[:, 0] < VOCAB // 2))
    assert 0 < records["acceptance"][1, 0] < 1
    assert len(np.unique(rows, axis=0)) == PROMPTS


@pytest.mark.thorough
def test_a_search_trains_on_the_accepted_blocks_only():
    every = texts(cj.Replace(PROMPTS))["corpus"][1, 0]
    edge = int(np.median(every[:, 0]))
    records = texts(cj.Replace(PROMPTS, verifier=lambda blocks: blocks[:, 0] <= edge))
    rows = records["corpus"][1, 0]
    used = rows[:, 0] >= 0
    np.testing.assert_array_equal(rows[used], every[every[:, 0] <= edge])
    assert records["acceptance"][1, 0] == pytest.approx(used.mean())
    ended = texts(cj.Replace(PROMPTS, verifier=lambda blocks: blocks[:, 0] < 0))
    assert ended["status"][:, 0].tolist() == [cj.Status.OK, cj.Status.DEGENERATE]


def test_copies_of_a_search_are_no_candidates(refused):
    for selection in (cj.Top(PROMPTS + 1, first), cj.BestOf(2, first)):
        refused(
            lambda selection=selection: texts(cj.Replace(PROMPTS, selection=selection)),
            r"Replace.selection=(Top|BestOf) of \d+ blocks .*copies; .*do_sample=True",
        )


def test_unfinished_text_of_each_round_has_a_name_of_its_own(monkeypatch):
    """Otherwise a run that resumes would take the first round's blocks for those of the second."""
    names = []
    monkeypatch.setattr(
        HostContext, "restore", lambda self, generation, name: names.append((generation, name))
    )
    rare = cj.Accept(lambda blocks: blocks[:, 0] == 5, max_rounds=3)
    with pytest.warns(RuntimeWarning, match="up to 3 rounds"):
        texts(cj.Replace(PROMPTS, selection=rare), do_sample=True)
    written = [name for generation, name in names if generation == 1 and "text" in name]
    assert written == ["text", "text_1", "text_2"][: len(written)]
    assert len(written) > 1

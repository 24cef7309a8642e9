"""Our OPT against transformers on PyTorch, from the same weights."""

import itertools
import json

import jax
import numbers_of_opt as numbers
import numpy as np
import pytest
import torch
import torch_opt
from comparisons import assert_same_but_for_ties, compare_everything
from golden_opt import golden_of

from collapse_jax import lm
from collapse_jax.lm.weights import parameters

SETTINGS = list(itertools.product((1.0, 2.0, 3.0), (0, numbers.NEW), (False, True)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    def write(name, config, **options):
        made = tmp_path_factory.getbasetemp() / f"opt-{name}"
        return made if made.is_dir() else numbers.write_model(made, config, **options)

    return write


@pytest.mark.parametrize("name", numbers.CONFIGS)
def test_logits_losses_and_gradients(folder, name):
    config = numbers.CONFIGS[name]
    compare_everything(
        torch_opt, folder(name, config), numbers.make_texts(vocab=config["vocab_size"])
    )


@pytest.mark.parametrize(("shift", "tolerance"), [(4.0, 1e-3), (0.0, 3e-3)])
def test_logits_losses_and_gradients_at_the_size_of_opt_125m(folder, shift, tolerance):
    """Of 2 x 10^7 inputs of ReLUs some are zero but for rounding, and fall on either side.

    One such input may change a parameter's gradient by 1e-3 of its norm: PyTorch in float32 is
    up to 2.5e-3 off float64, too. Where they are moved away from zero, nothing is.
    """
    path = folder(f"125m-{shift}", numbers.SIZE_OF_125M, scale=0.02, shift=shift)
    compare_everything(torch_opt, path, numbers.make_texts(8, 64, 50272), tolerance)


@pytest.mark.parametrize("num_beams", [1, 2, 5])
@pytest.mark.parametrize("name", ["pre-norm", "projected"])
def test_tokens_are_the_same(folder, name, num_beams):
    """64 prompts for each of twelve settings; a text may differ only at a tie of floats."""
    path = folder(name, numbers.CONFIGS[name])
    ours, theirs = lm.load(path), torch_opt.read_model(path)
    for penalty, least, is_padded in SETTINGS:
        tokens, mask = numbers.make_prompts(is_padded=is_padded)
        settings = {
            "num_beams": num_beams,
            "max_new_tokens": numbers.NEW,
            "min_new_tokens": least,
            "repetition_penalty": penalty,
        }
        found = lm.generate(ours, tokens, mask, **settings)
        expected = torch_opt.generate(theirs, tokens, mask, **settings)
        assert_same_but_for_ties(torch_opt, found, expected, path, tokens, mask, settings)
        if penalty == 1.0 and not least and num_beams > 1:
            assert np.any(expected == numbers.EOS), "some texts should end early"


def test_a_difference_that_is_no_tie_is_found(folder):
    path = folder("pre-norm", numbers.CONFIGS["pre-norm"])
    tokens, mask = numbers.make_prompts(2)
    settings = {"num_beams": 2, "max_new_tokens": numbers.NEW}
    expected = torch_opt.generate(torch_opt.read_model(path), tokens, mask, **settings)
    wrong = expected.copy()
    wrong[0, -1] += 1
    with pytest.raises(AssertionError):
        assert_same_but_for_ties(torch_opt, wrong, expected, path, tokens, mask, settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 3, "repetition_penalty": 1.5},
        {"length_penalty": 0.0},
        {"length_penalty": 3.0, "early_stopping": "never"},
        {"length_penalty": -1.0},
        {"early_stopping": True},
        {"early_stopping": "never", "min_new_tokens": 4},
    ],
)
@pytest.mark.parametrize("num_beams", [1, 4])
def test_other_settings(folder, settings, num_beams):
    path = folder("post-norm", numbers.CONFIGS["post-norm"])
    tokens, mask = numbers.make_prompts(is_padded=True)
    settings = {"num_beams": num_beams, "max_new_tokens": numbers.NEW, **settings}
    if num_beams == 1:
        settings = {
            key: value
            for key, value in settings.items()
            if key not in ("length_penalty", "early_stopping")
        }
    found = lm.generate(lm.load(path), tokens, mask, **settings)
    expected = torch_opt.generate(torch_opt.read_model(path), tokens, mask, **settings)
    assert_same_but_for_ties(torch_opt, found, expected, path, tokens, mask, settings)


def test_the_papers_setting_at_the_size_of_opt_125m(folder):
    path = folder("125m", numbers.SIZE_OF_125M, scale=0.02)
    tokens = np.random.default_rng(5).integers(4, 50_000, (8, 64))
    settings = {
        "num_beams": 5,
        "max_new_tokens": 64,
        "min_new_tokens": 64,
        "repetition_penalty": 2.0,
    }
    mask = np.ones_like(tokens)
    found = lm.generate(lm.load(path), tokens, **settings)
    expected = torch_opt.generate(torch_opt.read_model(path), tokens, mask, **settings)
    assert_same_but_for_ties(torch_opt, found, expected, path, tokens, mask, settings)


def test_ten_steps_of_adamw(folder):
    """With the paper's schedule, decay on all parameters, and gradients cut."""
    path = folder("pre-norm", numbers.CONFIGS["pre-norm"])
    training = lm.Training(
        learning_rate=1e-2,
        schedule="epoch",
        num_epochs=5,
        steps_per_epoch=2,
        clip_norm=0.5,
        has_dropout=False,
    )
    ours, theirs = lm.load(path), torch_opt.read_model(path)
    trainer = lm.Trainer(ours, training)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1.0, weight_decay=0.01)
    state = trainer.start(ours)
    for step in range(10):
        tokens, mask, labels = numbers.make_texts(seed=step)
        state, loss = trainer.step(state, tokens, mask, labels)
        epoch = step // 2
        rate = 1e-6 + (1e-2 - 1e-6) * (1 + np.cos(np.pi * epoch / 5)) / 2
        expected, _ = torch_opt.loss_and_gradients(theirs, tokens, mask, labels)
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        np.testing.assert_allclose(loss, expected, rtol=1e-4)
    trained = parameters(trainer.model(state))
    for name, param in theirs.named_parameters():
        ours, expected = np.asarray(trained[name][...]), param.detach().numpy()
        if not name.endswith("k_proj.bias"):  # moved by rounding alone
            np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3, err_msg=name)


def test_folders_of_both_are_read_by_both(folder, tmp_path):
    path = folder("untied", numbers.CONFIGS["untied"])
    theirs = torch_opt.read_model(path)
    theirs.save_pretrained(tmp_path / "theirs")
    tokens, mask, _ = numbers.make_texts()
    expected = torch_opt.logits(theirs, tokens, mask)
    ours = lm.load(tmp_path / "theirs")
    np.testing.assert_allclose(lm.logits(ours, tokens, mask), expected, atol=1e-4)
    lm.save(ours, tmp_path / "ours")
    again = torch_opt.read_model(tmp_path / "ours")
    np.testing.assert_array_equal(torch_opt.logits(again, tokens, mask), expected)
    torch.save(theirs.state_dict(), tmp_path / "ours" / "pytorch_model.bin")
    (tmp_path / "ours" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="weights='pytorch'"):
        lm.load(tmp_path / "ours")
    unpickled = lm.load(tmp_path / "ours", weights="pytorch")
    np.testing.assert_allclose(lm.logits(unpickled, tokens, mask), expected, atol=1e-4)


def test_golden_values_are_pytorchs(folder):
    """What `make test` holds the code to is what PyTorch computes today."""
    stored = json.loads((numbers.GOLDEN).read_text())
    for name in numbers.CONFIGS:
        made = golden_of(folder(name, numbers.CONFIGS[name]), numbers.CONFIGS[name]["vocab_size"])
        assert made["tokens"] == stored[name]["tokens"]
        np.testing.assert_allclose(made["loss"], stored[name]["loss"], rtol=1e-6)
        jax.tree.map(
            lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4),
            made["logits"],
            stored[name]["logits"],
        )

"""Comparisons of our networks with a peer: a module that reads and runs them in PyTorch."""

import sys

import numpy as np

from collapse_jax import lm
from collapse_jax.lm.weights import parameters


def compare_everything(peer, path, texts, tolerance=1e-3):
    """Gradients are compared with those in float64: all together, and of every parameter."""
    ours, theirs = lm.load(path), peer.read_model(path)
    tokens, mask, labels = texts
    found, expected = np.asarray(lm.logits(ours, tokens, mask)), peer.logits(theirs, tokens, mask)
    np.testing.assert_allclose(found[mask == 1], expected[mask == 1], atol=1e-4)
    loss, _ = peer.loss_and_gradients(theirs, tokens, mask, labels)
    np.testing.assert_allclose(lm.loss(ours, tokens, mask, labels), loss, rtol=1e-5)
    _, exact = peer.loss_and_gradients(theirs.double(), tokens, mask, labels)
    trainer = lm.Trainer(ours, lm.Training(has_dropout=False))
    state = trainer.start(ours)
    summed, by_us = trainer.gradients(state, trainer.batch(tokens, mask, labels))
    np.testing.assert_allclose(summed.mean, loss, rtol=1e-5)
    named = parameters(trainer.model(state._replace(params=by_us)))
    found = {name: np.asarray(param[...]) / float(summed.number) for name, param in named.items()}
    assert found.keys() == exact.keys()
    size = norm(exact)
    assert norm(found, exact) < tolerance * size
    for name in exact:
        one, two = {name: found[name]}, {name: exact[name]}
        if norm(two) < 1e-9 * size:  # such as biases of OPT's keys: its gradient is rounding
            assert norm(one) < 1e-4 * size, name
        else:
            assert norm(one, two) < tolerance * norm(two), name


def norm(arrays, others=None):
    """Of all numbers together, or of their differences from others."""
    parts = (array - (0 if others is None else others[name]) for name, array in arrays.items())
    return np.sqrt(sum(np.sum(np.square(part, dtype=np.float64)) for part in parts))


def assert_same_but_for_ties(peer, found, expected, path, tokens, mask, settings):
    """A text that differs must be what PyTorch says in float64 if weights change by 1e-6."""
    found = np.asarray(found)
    differ = np.flatnonzero(np.any(found != expected, axis=1))
    assert len(differ) <= max(1, len(found) // 32), (settings, differ)
    for row in differ:
        near = (
            peer.generate(
                peer.read_nearby(path, seed), tokens[row, None], mask[row, None], **settings
            )[0]
            for seed in range(32)
        )
        assert any(np.array_equal(text, found[row]) for text in near), (settings, row)
        sys.stdout.write(f"a tie of floats: {settings}, prompt {row}\n")

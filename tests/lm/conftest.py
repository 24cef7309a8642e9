"""Compare a network with numbers of PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax import lm
from collapse_jax.lm.weights import parameters


@pytest.fixture
def check_golden_values():
    """Compare logits, loss and norms of gradients, without dropout."""

    def check(model, golden, tokens, mask, labels):
        logits = lm.logits(model, tokens, mask)
        assert logits.dtype == jnp.float32
        np.testing.assert_allclose(logits[:, -1, :8], golden["logits"], atol=1e-4)
        np.testing.assert_allclose(lm.loss(model, tokens, mask, labels), golden["loss"], rtol=1e-5)
        trainer = lm.Trainer(model, lm.Training(has_dropout=False))
        state = trainer.start(model)
        summed, gradients = trainer.gradients(state, trainer.batch(tokens, mask, labels))
        named = parameters(trainer.model(state._replace(params=gradients)))
        assert named.keys() == golden["norms"].keys()
        largest = max(golden["norms"].values())
        for key, param in named.items():
            found = np.linalg.norm(np.asarray(param[...])) / float(summed.number)
            np.testing.assert_allclose(found, golden["norms"][key], rtol=1e-3, atol=1e-6 * largest)

    return check

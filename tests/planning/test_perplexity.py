"""A plan asks for the perplexity of a small language model, whose chains run on the host."""

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax import lm

BLOCK, VOCAB = 4, 12
NETWORK = lm.OPTConfig(
    vocab_size=VOCAB,
    hidden_size=8,
    num_hidden_layers=1,
    ffn_dim=8,
    num_attention_heads=2,
    max_position_embeddings=2 * BLOCK,
)


def blocks(seed, number):
    start = np.random.default_rng(seed).integers(3, VOCAB, (number, 1))
    return 3 + (start + np.arange(BLOCK)) % (VOCAB - 3)


@pytest.mark.slow
def test_the_share_of_original_blocks_that_keeps_the_perplexity():
    family = cj.LanguageModel(
        NETWORK,
        training=lm.Training(1e-2, num_epochs=1),
        decoding=lm.Decoding(BLOCK, num_beams=1, min_new_tokens=BLOCK),
        batch_size=4,
        generation_batch=4,
        evaluation_batch=4,
    )
    source = cj.TokenBlocks(blocks(0, 4), blocks(1, 2), blocks(2, 2), VOCAB)
    policy = cj.Mixing(original="data", allocation="fixed")
    question = {
        "quantity": "test_perplexity", "at_most": 2.0 * VOCAB, "generations": 1,
        "probability": 0.5, "confidence": 0.5, "max_chains": 5, "key": 0,
    }  # fmt: skip
    plan = cj.plan(cj.Chain(family, source, policy), **question)
    assert plan.bracket == (None, 0.0)
    assert [one.num_chains for one in plan.trials] == [5, 5]
    assert plan.trials[1].value == 1.0  # no block is of a model
    assert all(2 < one.estimate < 2 * VOCAB for one in plan.trials)

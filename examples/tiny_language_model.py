"""Train a small language model, generation after generation, on texts of its predecessor.

Model 0 is trained from scratch on the prose of Python's own documentation; no network is needed.

Run: python examples/tiny_language_model.py    (about two minutes on two cores)
"""

import numpy as np

import collapse_jax as cj
from collapse_jax import lm
from collapse_jax.text import load_texts


def main(num_blocks=256, block_size=64, vocab_size=512, width=64, epochs=12, num_generations=3):
    """Print perplexities and the start of a block of each corpus.

    Args:
      num_blocks: blocks of the training set.
      block_size: tokens of a block.
      vocab_size: tokens of the tokenizer.
      width: length of a hidden vector.
      epochs: passes over a corpus.
      num_generations: last generation G.

    Returns:
      The records, with every corpus.
    """
    texts = load_texts(
        "pydoc",
        tokenizer="bpe",
        vocab_size=vocab_size,
        block_size=block_size,
        num_blocks=num_blocks,
    )
    network = lm.OPTConfig(
        vocab_size=texts.tokenizer.vocab_size,
        hidden_size=width,
        num_hidden_layers=2,
        ffn_dim=4 * width,
        num_attention_heads=4,
        max_position_embeddings=2 * block_size,
    )
    family = cj.LanguageModel(
        network,
        lm.Training(3e-3, schedule="epoch", num_epochs=epochs),
        lm.Decoding(block_size, num_beams=3, min_new_tokens=block_size),
        batch_size=16,
    )
    chain = cj.Chain(family, cj.TokenBlocks.of(texts), cj.Replace())
    records = cj.simulate(
        chain, key=0, num_chains=1, num_generations=num_generations, metrics=("corpus",)
    )
    for index, generation in enumerate(records["generation"]):
        perplexity = records["test_perplexity"][index, 0]
        words = texts.tokenizer.decode(np.asarray(records["corpus"][index, 0, 0]))
        print(f"model {generation}: test perplexity {perplexity:.1f}; trained on: {words[:60]!r}")
    return records


if __name__ == "__main__":
    main()

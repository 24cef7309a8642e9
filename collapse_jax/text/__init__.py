"""Texts as blocks of tokens, for chains of language models."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from collapse_jax.text import cache
from collapse_jax.text.blocks import REMAINDERS, cut_blocks
from collapse_jax.text.documents import load_documents
from collapse_jax.text.tokenizer import BPE, SMALLEST, Tokenizer, load_tokenizer
from collapse_jax.utils import check

__all__ = ["Texts", "Tokenizer", "load_texts"]


class Texts(NamedTuple):
    """Blocks of tokens.

    Attributes:
      train: the first blocks of the training text.
      validation: of the validation text.
      test: of the test text.
      tokenizer: that made them.
      fingerprint: SHA-256 of the text, the tokenizer and the way blocks are cut.
    """

    train: Int32[np.ndarray, "block token"]
    validation: Int32[np.ndarray, "block token"]
    test: Int32[np.ndarray, "block token"]
    tokenizer: Tokenizer
    fingerprint: str


def load_texts(
    name: str = "pydoc",
    *,
    tokenizer: str = BPE,
    revision: str | None = None,
    vocab_size: int = 1024,
    block_size: int = 64,
    num_blocks: int | None = None,
    remainder: str = "batch",
) -> Texts:
    """A text, tokenized line by line and cut into blocks.

    Blank lines are lines, too. Every line starts with the token that the tokenizer puts
    first, if it does: bpe puts OPT's `</s>`. All blocks are kept in the user's cache (the
    environment variable COLLAPSE_JAX_CACHE names another folder), so that this is done once.

    Args:
      name: pydoc (the help on Python's syntax and types that every Python has; needs no
        network, differs between versions of Python), wikitext2 (raw WikiText-2 from the
        Hugging Face hub, by `datasets`), or a folder of text files: train*.txt, valid*.txt
        (or dev*.txt) and test*.txt, beside which other files are left alone; or documents,
        of which in the order of names two in ten are held out for validation and test.
      tokenizer: bpe (byte-level pairs, trained on the training lines, with OPT's special
        tokens), or a folder or hub id of one of `transformers`, without remote code.
      revision: of a tokenizer on the hub.
      vocab_size: tokens of bpe; there are fewer if the text has no more pairs.
      block_size: tokens of a block.
      num_blocks: the first so many blocks of every split only, None for all.
      remainder: tokens that fill no block are dropped from every "batch" of 1000 lines in
        four shards, as the paper's code does, or once at the "end".

    Raises:
      ValueError: for any other value, for a text or tokenizer that cannot be loaded, or a
        split without a block, with what to do.
    """
    check.integer("block_size", block_size, 2)
    check.integer("vocab_size", vocab_size, SMALLEST)
    if num_blocks is not None:
        check.integer("num_blocks", num_blocks, 1)
    check.choice("remainder", remainder, REMAINDERS)
    if revision is not None and tokenizer == BPE:
        raise check.fail("revision", revision, "bpe is trained here", "leave it out")
    documents = load_documents(str(name))
    known = load_tokenizer(str(tokenizer), documents.train, vocab_size, revision)
    fingerprint = cache.fingerprint_of(documents, known.serialized, block_size, remainder)
    blocks = cache.cached(
        fingerprint,
        lambda: {
            split: cut_blocks(known.encode_lines(lines), block_size, remainder)
            for split, lines in documents._asdict().items()
        },
    )
    for split, found in blocks.items():
        if not len(found):
            allowed = f"an empty split: the text for {split} fills no block"
            raise check.fail("block_size", block_size, allowed, "pass a smaller one or more text")
    kept = {split: found[:num_blocks] for split, found in blocks.items()}
    return Texts(**kept, tokenizer=known, fingerprint=fingerprint)

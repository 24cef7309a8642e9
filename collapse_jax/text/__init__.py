"""Load texts as blocks of tokens for chains of language models."""

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
    """Blocks of tokens of a text, by split.

    Attributes:
      train: tokens of the training set, [block, token].
      validation: tokens of the validation set, [block, token].
      test: tokens of the test set, [block, token].
      tokenizer: tokenizer of all three.
      fingerprint: SHA-256 of the text, the tokenizer and the rule that cuts blocks, as 64
        hexadecimal digits.
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
    num_test_blocks: int | None = None,
    remainder: str = "batch",
) -> Texts:
    """Load a text, tokenize it line by line and cut it into blocks.

    Blank lines count as lines. A line starts with the token that its tokenizer prepends, which
    for bpe is OPT's `</s>`. All blocks are written to a cache on disk, so that a text is
    tokenized once. The environment variable COLLAPSE_JAX_CACHE sets the folder; the default
    is $XDG_CACHE_HOME/collapse_jax, or ~/.cache/collapse_jax.

    Args:
      name: one of three kinds of text.

        - "pydoc": the help on syntax and types in the running Python. It needs no network and
          differs between versions of Python.
        - "wikitext2": raw WikiText-2 from the Hugging Face hub, loaded by `datasets`.
        - a folder of text files. With files train*.txt, valid*.txt (or dev*.txt) and
          test*.txt these are the splits, and other files are ignored. Without such names
          each file is a document: of every ten in the order of names, one is for
          validation and one for the test set.
      tokenizer: "bpe" (byte-pair encoding trained on the training lines, with OPT's special
        tokens), or the folder or hub id of a tokenizer of `transformers`. No remote code is
        run.
      revision: commit, tag or branch of a tokenizer on the hub; None for "main".
      vocab_size: number of tokens of bpe, >= 260; a short text may give fewer.
      block_size: tokens per block, >= 2.
      num_blocks: number of blocks of each split to return, from its start; None for all.
      num_test_blocks: number of blocks of the validation and of the test set; None for
        num_blocks.
      remainder: where tokens that fill no block are dropped: in every "batch" of 1,000 lines
        in four shards, as in the code of Shumailov et al. (2024), or once at the "end".

    Returns:
      Blocks int32 [block, token] of the three splits, their tokenizer and a fingerprint.

    Raises:
      ValueError: if an argument is out of range, a text or tokenizer cannot be loaded, or a
        split fills no block.
    """
    check.integer("block_size", block_size, 2)
    check.integer("vocab_size", vocab_size, SMALLEST)
    for argument, value in (("num_blocks", num_blocks), ("num_test_blocks", num_test_blocks)):
        if value is not None:
            check.integer(argument, value, 1)
    check.choice("remainder", remainder, REMAINDERS)
    if revision is not None and tokenizer == BPE:
        raise check.fail("revision", revision, "bpe has no revisions", "leave it out")
    documents = load_documents(str(name))
    loaded = load_tokenizer(str(tokenizer), documents.train, vocab_size, revision)
    fingerprint = cache.fingerprint_of(documents, loaded.serialized, block_size, remainder)
    blocks = cache.cached(
        fingerprint,
        lambda: {
            split: cut_blocks(loaded.encode_lines(lines), block_size, remainder)
            for split, lines in documents._asdict().items()
        },
    )
    for split, found in blocks.items():
        if not len(found):
            allowed = f"an empty split: the text for {split} fills no block"
            raise check.fail("block_size", block_size, allowed, "pass a smaller one or more text")
    tested = num_blocks if num_test_blocks is None else num_test_blocks
    ends = {"train": num_blocks, "validation": tested, "test": tested}
    selected = {split: found[: ends[split]] for split, found in blocks.items()}
    return Texts(**selected, tokenizer=loaded, fingerprint=fingerprint)

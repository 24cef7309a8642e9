"""Define finite original data of text: blocks of tokens for training, validation and test."""

from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from collapse_jax.config import config, replace_fields, static
from collapse_jax.core.corpus import Size
from collapse_jax.core.samples import Labels
from collapse_jax.core.source import AbstractSource
from collapse_jax.random.keys import Keys
from collapse_jax.sources.choice import draw_rows
from collapse_jax.text import Texts, load_texts
from collapse_jax.utils import check

_REMEDY = "pass integers [block, token], at least two tokens a block"


@config
class TokenBlocks(AbstractSource):
    """n blocks of tokens, all of one length; a row is a block.

    A corpus of size < n is a subset without replacement, of size n the data in order,
    of size > n a sample with replacement.

    Args:
      train: the original data, integers [block, token].
      validation: blocks for the choice of the best weights, [block, token].
      test: blocks for measuring, which neither train nor choose a model, [block, token].
      vocab_size: number of different tokens.

    Raises:
      ArgumentError: for blocks of other lengths, fewer than two tokens a block, no blocks, or
        tokens that are not integers in [0, vocab_size).

    >>> import numpy as np
    >>> import collapse_jax as cj
    >>> blocks = np.arange(40).reshape(10, 4)
    >>> source = cj.TokenBlocks(blocks[:6], blocks[6:8], blocks[8:], vocab_size=40)
    >>> source.num_rows, source.block_size
    (6, 4)
    """

    train: Any
    validation: Any
    test: Any
    vocab_size: int = static()
    with_replacement: bool = static(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        check.integer("TokenBlocks.vocab_size", self.vocab_size, 1)
        for name in ("train", "validation", "test"):
            blocks = _as_blocks(f"TokenBlocks.{name}", getattr(self, name), self.vocab_size)
            object.__setattr__(self, name, blocks)
            if blocks.shape[1] != self.block_size:
                shown = check.Shown(f"blocks of {blocks.shape[1]} tokens")
                allowed = f"TokenBlocks.train has blocks of {self.block_size}"
                raise check.fail(f"TokenBlocks.{name}", shown, allowed, "cut all to one length")

    @classmethod
    def of(cls, texts: Texts) -> Self:
        """Return the blocks of `text.load_texts` as a source.

        Args:
          texts: blocks with their tokenizer.
        """
        return cls(texts.train, texts.validation, texts.test, texts.tokenizer.vocab_size)

    @classmethod
    def load(cls, name: str = "pydoc", **options: Any) -> Self:
        """Load a text by name.

        Args:
          name: see `text.load_texts`.
          options: arguments of `text.load_texts`.

        Raises:
          ArgumentError: if the text cannot be read.
        """
        return cls.of(load_texts(name, **options))

    @property
    def block_size(self) -> int:
        """Return the number of tokens of a block."""
        return self.train.shape[1]

    @property
    def num_rows(self) -> int:
        """Return the number of blocks."""
        return self.train.shape[0]

    @property
    def independent(self) -> "TokenBlocks":
        """Return a source of blocks chosen with replacement."""
        return replace_fields(self, with_replacement=True)

    def draw(self, keys: Keys, size: Size, capacity: int) -> Labels:
        """Choose blocks; with size n, return the data in order."""
        data = Labels(jnp.asarray(self.train))
        return draw_rows(keys, data, size, capacity, self.with_replacement)


def _as_blocks(name: str, blocks: Any, vocab_size: int) -> np.ndarray:
    check.array(name, blocks, 2, _REMEDY)
    values = np.asarray(blocks)
    if values.dtype.kind not in "iu" or values.shape[1] < 2:
        shown = check.Shown(f"array of {values.dtype}, shape {values.shape}")
        raise check.fail(name, shown, "blocks are integers, two or more each", _REMEDY)
    if values.min() < 0 or values.max() >= vocab_size:
        shown = int(values.min() if values.min() < 0 else values.max())
        allowed = f"tokens must lie in [0, {vocab_size})"
        raise check.fail(name, shown, allowed, "pass the vocab_size of the tokenizer")
    values = values.astype(np.int32)
    values.setflags(write=False)
    return values

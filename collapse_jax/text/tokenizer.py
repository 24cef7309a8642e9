"""Train a byte-pair tokenizer on a text, or load one from a folder or the Hugging Face hub."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from collapse_jax.text.documents import first_line
from collapse_jax.utils import check
from collapse_jax.utils.paths import user_path

BPE = "bpe"
"""Name of the tokenizer that is trained on the text."""
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # with the ids 0 to 3, as in OPT
_BOS = "</s>"  # begins every text in OPT
_NAMES = {"bos_token": _BOS, "eos_token": _BOS, "pad_token": "<pad>", "unk_token": "<unk>"}
SMALLEST = len(_SPECIAL) + 256
"""Smallest number of tokens of bpe: the special ones and one for every byte."""
_FILES = ("tokenizer*", "vocab*", "*.model")  # one of which every tokenizer has
_BACKEND = "pass a tokenizer that the library `tokenizers` can run, or bpe"


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """Tokenizer that converts text to tokens and back.

    Attributes:
      backend: the `tokenizers.Tokenizer` that does the work.
      special: special tokens by their names in the tokenizer_config.json of `transformers`.
    """

    backend: Any = dataclasses.field(repr=False)
    special: Mapping[str, Any]

    @property
    def vocab_size(self) -> int:
        """Return the number of token ids: the largest plus one."""
        return 1 + max(self.backend.get_vocab(with_added_tokens=True).values())

    @property
    def serialized(self) -> str:
        """Return, as JSON, everything that its tokens depend on."""
        return self.backend.to_str()

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """Convert lines to tokens.

        Args:
          lines: lines of text.

        Returns:
          Token ids of each line, with those that the tokenizer adds around a text.
        """
        return [encoding.ids for encoding in self.backend.encode_batch_fast(lines)]

    def decode(self, ids: Iterable[int]) -> str:
        """Convert tokens to text.

        Args:
          ids: token ids, integers.

        Returns:
          The text, with special tokens by name.
        """
        return self.backend.decode([int(token) for token in ids], skip_special_tokens=False)

    def save(self, folder: Any) -> None:
        """Write the tokenizer.json and tokenizer_config.json of transformers.

        Args:
          folder: created if missing; existing files with these names are replaced.
        """
        folder = user_path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.backend.save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **self.special}
        config["clean_up_tokenization_spaces"] = False
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def load_tokenizer(
    name: str, lines: Iterable[str], vocab_size: int, revision: str | None
) -> Tokenizer:
    """Train or load a tokenizer.

    Args:
      name: "bpe", or a folder or hub id.
      lines: lines of text on which bpe is trained.
      vocab_size: number of tokens of bpe.
      revision: commit, tag or branch on the hub; None for "main".

    Returns:
      The tokenizer, without truncation or padding to a number of tokens.

    Raises:
      ValueError: if the tokenizer cannot be loaded, or is implemented in Python only.
    """
    return _train(lines, vocab_size) if name == BPE else _fetch(name, revision)


def _train(lines: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train byte-level BPE with OPT's special tokens, and `</s>` before every text."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    backend: Any = Backend(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer: Any = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(lines, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{_BOS} $A", special_tokens=[(_BOS, _SPECIAL.index(_BOS))]
    )
    return Tokenizer(backend, _NAMES)


def _fetch(name: str, revision: str | None) -> Tokenizer:
    """Load a tokenizer; a cached one is found without a network, and no remote code runs."""
    # Tokenizers need no PyTorch: advice to install it would confuse.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoTokenizer

    if not name:
        allowed = "it must be bpe, a folder or a hub id"
        raise check.fail("tokenizer", name, allowed, "pass bpe, which needs no network")
    folder = user_path(name, "tokenizer")
    if folder.is_dir() and not any(next(folder.glob(files), None) for files in _FILES):
        allowed, remedy = "there is no tokenizer.json in it", "pass another folder, or bpe"
        raise check.fail("tokenizer", name, allowed, remedy)
    try:
        found: Any = AutoTokenizer.from_pretrained(
            str(folder) if os.path.isdir(folder) else name,
            revision=revision or "main",
            trust_remote_code=False,
        )
    except Exception as error:  # network, cache and files raise unrelated types
        allowed = f"it cannot be loaded from a folder or the hub ({first_line(error)})"
        remedy = "check the name and the network, pass a folder with its files, or bpe"
        raise check.fail("tokenizer", name, allowed, remedy) from None
    if not found.is_fast:
        allowed = f"{type(found).__name__} is written in Python"
        raise check.fail("tokenizer", name, allowed, _BACKEND)
    backend = found.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return Tokenizer(backend, found.special_tokens_map)

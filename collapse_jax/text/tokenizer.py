"""Tokenizers: byte-pair encoding trained on the text, or one of the Hugging Face hub."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_jax.text.documents import first_line
from collapse_jax.utils import check

BPE = "bpe"
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # OPT's, with its ids
_FIRST = "</s>"  # what OPT puts before every text
_NAMES = {"bos_token": _FIRST, "eos_token": _FIRST, "pad_token": "<pad>", "unk_token": "<unk>"}
SMALLEST = len(_SPECIAL) + 256  # a token for every byte
_BACKEND = "pass a tokenizer that the library `tokenizers` can run, or bpe"


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenizer:
    """Text to tokens and back.

    Attributes:
      backend: a `tokenizers.Tokenizer`.
      special: names of special tokens, as `transformers` has them in tokenizer_config.json.
    """

    backend: Any = dataclasses.field(repr=False)
    special: Mapping[str, Any]

    @property
    def vocab_size(self) -> int:
        """Number of ids: one more than the largest."""
        return 1 + max(self.backend.get_vocab(with_added_tokens=True).values())

    @property
    def serialized(self) -> str:
        """All that decides its tokens, as JSON."""
        return self.backend.to_str()

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """Tokens of every line, with those that the tokenizer puts around a text."""
        return [encoding.ids for encoding in self.backend.encode_batch_fast(lines)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of tokens, special ones included."""
        return self.backend.decode([int(token) for token in ids], skip_special_tokens=False)

    def save(self, folder: Any) -> None:
        """Write tokenizer.json and tokenizer_config.json, as transformers reads them.

        Args:
          folder: made if need be; its files of these names are replaced.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.backend.save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **self.special}
        config["clean_up_tokenization_spaces"] = False
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def load_tokenizer(
    name: str, lines: Iterable[str], vocab_size: int, revision: str | None
) -> Tokenizer:
    """The tokenizer that `load_texts` describes.

    Args:
      name: bpe, or a folder or hub id.
      lines: that bpe is trained on.
      vocab_size: of bpe.
      revision: on the hub.

    Raises:
      ValueError: if it cannot be loaded, with what to do.
    """
    return _train(lines, vocab_size) if name == BPE else _fetch(name, revision)


def _train(lines: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level pairs, most frequent first, with OPT's special tokens and its `</s>` first."""
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
        single=f"{_FIRST} $A", special_tokens=[(_FIRST, _SPECIAL.index(_FIRST))]
    )
    return Tokenizer(backend, _NAMES)


def _fetch(name: str, revision: str | None) -> Tokenizer:
    """What is in the hub's cache is found without a network; no remote code is run."""
    from transformers import AutoTokenizer

    try:
        found: Any = AutoTokenizer.from_pretrained(
            name, revision=revision or "main", trust_remote_code=False
        )
    except Exception as error:  # of many kinds: network, cache, files
        allowed = f"it cannot be loaded, from here or the hub ({first_line(error)})"
        remedy = "check the name and the network, pass a folder with its files, or bpe"
        raise check.fail("tokenizer", name, allowed, remedy) from None
    if not found.is_fast:
        allowed = f"{type(found).__name__} is written in Python"
        raise check.fail("tokenizer", name, allowed, _BACKEND)
    backend = found.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return Tokenizer(backend, found.special_tokens_map)

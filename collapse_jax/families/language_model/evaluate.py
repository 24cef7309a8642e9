"""Measure a tuned model and its training blocks."""

import functools
from typing import Any

import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Int

from collapse_jax import lm
from collapse_jax.core.samples import Labels
from collapse_jax.metrics import texts

_NGRAMS = (1, 2, 3)  # lengths of n-grams whose diversity is measured, tokens
_RARE = 0.1  # share of the tokens of the original blocks that are rare ones
NAMES = (
    "test_perplexity",
    *(f"distinct_{n}" for n in _NGRAMS),
    "repetition_rate",
    "unigram_entropy",
    "tail_share",
    "unique_share",
)
"""Variables that are single numbers."""


def evaluate(family: Any, model: Any, corpus: Any, source: Any, generation0: Any) -> dict[str, Any]:
    """Return perplexities, and the diversity of the corpus.

    Args:
      family: a `LanguageModel`.
      model: the tuned model.
      corpus: its training blocks.
      source: the original blocks.
      generation0: model 0, which judges the corpus.

    Returns:
      float32 values by name: [slot] for `corpus_perplexity`, else scalars.
    """
    used, blocks = np.asarray(corpus.full_weights()) > 0, rows_of(corpus)
    perplexities = np.full(len(used), np.nan, np.float32)
    if not len(blocks):  # a selection refused all of them, and the chain ends
        undefined = dict.fromkeys(NAMES, np.float32(np.nan))
        return {"corpus_perplexity": perplexities, **undefined}  # pyright: ignore
    judge = with_params(family, generation0.params.params)
    perplexities[used] = perplexity(losses(family, judge, blocks))
    own = with_params(family, model.params)
    tokens = own.config.vocab_size  # a network may have more than its tokenizer
    is_rare = texts.rare_tail(np.asarray(source.train), tokens, _RARE)
    values = {
        "corpus_perplexity": perplexities,
        "test_perplexity": perplexity(mean_loss(family, own, family.test)),
        **{f"distinct_{n}": texts.distinct(blocks, n) for n in _NGRAMS},
        "repetition_rate": texts.repetition_rate(blocks),
        "unigram_entropy": texts.unigram_entropy(blocks, tokens),
        "tail_share": texts.tail_share(blocks, is_rare),
        "unique_share": texts.unique_share(blocks),
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def perplexity(losses: Any) -> np.ndarray:
    """Return the exponential of losses, inf where it is beyond float32.

    Args:
      losses: nats per token, of any shape.

    Returns:
      float32, in the shape of `losses`.
    """
    with np.errstate(over="ignore"):
        return np.exp(losses).astype(np.float32)


def rows_of(corpus: Labels) -> Int[np.ndarray, "block token"]:
    """Return the blocks of a corpus without empty slots.

    Args:
      corpus: blocks of tokens with their weights.

    Returns:
      Tokens, [block, token].
    """
    return np.asarray(corpus.rows)[np.asarray(corpus.full_weights()) > 0]


def with_params(family: Any, params: Any) -> lm.CausalLM:
    """Return the network with given parameters.

    Args:
      family: a `LanguageModel`.
      params: parameters in the form of `flax.nnx`.
    """
    return nnx.merge(_structure(family.network, family.scan_layers), params)


@functools.lru_cache(maxsize=8)
def _structure(network: lm.CausalLMConfig, scan_layers: bool) -> Any:
    made = nnx.eval_shape(lambda: lm.create(network, key=0, scan_layers=scan_layers))
    return nnx.graphdef(made)


def mesh_of(family: Any) -> Mesh | None:
    """Return the devices that share the work; None for the default device.

    Args:
      family: a `LanguageModel`.
    """
    devices = family.context.devices
    return None if devices is None else lm.data_mesh(devices)


def losses(family: Any, model: lm.CausalLM, blocks: Any) -> np.ndarray:
    """Return the mean loss of every block.

    Args:
      family: a `LanguageModel`.
      model: a network.
      blocks: tokens, [block, token].

    Returns:
      Nats per token, [block].
    """
    return lm.losses(
        model, np.asarray(blocks), batch_size=family.evaluation_batch, mesh=mesh_of(family)
    )


def mean_loss(family: Any, model: lm.CausalLM, blocks: Any) -> float:
    """Return the mean loss of blocks of equal length, in nats per token.

    Args:
      family: a `LanguageModel`.
      model: a network.
      blocks: tokens, [block, token].
    """
    return float(np.mean(losses(family, model, blocks), dtype=np.float64))

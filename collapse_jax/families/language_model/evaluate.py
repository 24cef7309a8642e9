"""What is measured of a tuned model and of the blocks it was trained on."""

import functools
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Int

from collapse_jax import lm
from collapse_jax.core.corpus import Labels
from collapse_jax.metrics import texts

_NGRAMS = (1, 2, 3)
_RARE = 0.1  # of the tokens of the original blocks
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
    """Perplexities, and the diversity of the corpus."""
    judge = with_params(family, generation0.params.params)
    used, blocks = np.asarray(corpus.full_weights()) > 0, rows_of(corpus)
    perplexities = np.full(len(used), np.nan, np.float32)
    perplexities[used] = np.exp(losses(family, judge, blocks))
    own = with_params(family, model.params)
    is_rare = texts.rare_tail(np.asarray(source.train), source.vocab_size, _RARE)
    values = {
        "corpus_perplexity": perplexities,
        "test_perplexity": np.exp(mean_loss(family, own, family.test)),
        **{f"distinct_{n}": texts.distinct(blocks, n) for n in _NGRAMS},
        "repetition_rate": texts.repetition_rate(blocks),
        "unigram_entropy": texts.unigram_entropy(blocks, source.vocab_size),
        "tail_share": texts.tail_share(blocks, is_rare),
        "unique_share": texts.unique_share(blocks),
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def rows_of(corpus: Labels) -> Int[np.ndarray, "block token"]:
    """The blocks of a corpus, empty slots left out."""
    return np.asarray(corpus.rows)[np.asarray(corpus.full_weights()) > 0]


def with_params(family: Any, params: Any) -> lm.OPT:
    """The network with these parameters."""
    return nnx.merge(_structure(family.network), params)


@functools.lru_cache(maxsize=8)
def _structure(network: lm.OPTConfig) -> Any:
    return nnx.graphdef(nnx.eval_shape(lambda: lm.OPT(network, key=jax.random.key(0))))


def mesh_of(family: Any) -> Mesh | None:
    """The devices that share the work."""
    devices = family.context.devices
    return None if devices is None else lm.data_mesh(devices)


def losses(family: Any, model: lm.OPT, blocks: Any) -> np.ndarray:
    """Mean loss of every block, nats per token."""
    return lm.losses(
        model, np.asarray(blocks), batch_size=family.evaluation_batch, mesh=mesh_of(family)
    )


def mean_loss(family: Any, model: lm.OPT, blocks: Any) -> float:
    """Nats per token of blocks of equal length."""
    return float(np.mean(losses(family, model, blocks), dtype=np.float64))
